"""Whole tables: what was stopped goes on, what they share is done once, and the page holds what the command prints."""

import shutil
import subprocess
from functools import partial
from importlib.metadata import PackagePath, PathDistribution
from pathlib import Path

import pytest
from PIL import Image

from sdnet_pl.cli import main, report
from sdnet_pl.cli.reproduce import prepare_stand_ins
from sdnet_pl.data.provenance import is_ours
from sdnet_pl.errors import InputError
from sdnet_pl.launch import reproduce, standins
from sdnet_pl.reporting.paper import read_paper

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller stand-ins; without PPM-100, which has 100."""
    monkeypatch.setattr(standins, "PPM", 1)
    monkeypatch.setattr(standins, "Counts", partial(standins.Counts, side=32, scenes=(2, 2)))
    monkeypatch.setattr(standins, "NAMES", ("adobe", "coco", "aim500"))


@pytest.mark.usefixtures("few")
def test_stand_ins_that_were_stopped_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(standins.json, "dumps", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            standins.draw(tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()
    standins.draw(tmp_path / "drawn")
    prepare_stand_ins(tmp_path / "drawn", tmp_path / "prepared")
    manifests = {path: path.stat().st_mtime_ns for path in tmp_path.glob("prepared/*/manifest.json")}
    assert len(manifests) == 3
    shutil.rmtree(tmp_path / "prepared/coco")
    standins.draw(tmp_path / "drawn")
    prepare_stand_ins(tmp_path / "drawn", tmp_path / "prepared")
    after = {path: path.stat().st_mtime_ns for path in manifests}
    assert {path.parent.name for path in manifests if after[path] != manifests[path]} == {"coco"}


@pytest.mark.usefixtures("few")
def test_tables_share_their_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained: list[tuple[str, ...]] = []
    printed: list[int] = []
    monkeypatch.setattr(reproduce, "finish", lambda folder, arguments: trained.append(folder.parts[-2:]))
    monkeypatch.setattr(report, "run", lambda args: printed.append(args.table))
    assert main(["reproduce", "--table", "1", "5", "4", "--seeds", "0", "1", "--root", str(tmp_path)]) == 0
    assert sorted(trained) == sorted((row, f"seed{seed}") for row in reproduce.ROWS[5] for seed in (0, 1))
    assert printed == [1, 5, 4]


def test_a_training_that_fails_names_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def fails(folder: Path, arguments: list[str]) -> None:
        assert all(Path(text.partition("=")[2]).is_file() for text in arguments if text.startswith("--config"))
        raise subprocess.CalledProcessError(2, "fit")

    monkeypatch.setattr(reproduce, "finish", fails)
    full = ["reproduce", "--table", "6", "--scale", "full", "--root", str(tmp_path)]
    assert main(full) == 2
    error = capsys.readouterr().err
    assert "Training 1 of 4: without_ampa, seed 0" in error
    assert f"The fit in {tmp_path / 'full/runs/without_ampa/seed0'} ended with exit status 2" in error
    assert main([*full, "--page", str(tmp_path / "absent.md")]) == 2
    assert "absent.md" in capsys.readouterr().err


def test_the_papers_configs_are_found_where_they_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert (reproduce.experiments() / "base/mini.yaml").is_file()
    assert all((reproduce.experiments() / f"paper/{row}.yaml").is_file() for row in reproduce.rows_of(range(1, 7)))
    monkeypatch.setattr(reproduce, "__file__", str(tmp_path / "lib/python3/site-packages/sdnet_pl/launch/x.py"))
    installed = tmp_path / "share/sdnet_pl/experiments"
    record = PackagePath(f"../../../{(installed / 'base/paper.yaml').relative_to(tmp_path)}")
    record.dist = PathDistribution(tmp_path / "lib/python3/site-packages/sdnet_pl-0.dist-info")
    monkeypatch.setattr(reproduce, "files", lambda name: [record])
    assert reproduce.experiments() == installed
    monkeypatch.setattr(reproduce, "files", lambda name: [])
    with pytest.raises(InputError, match="not installed"):
        reproduce.experiments()


def test_a_page_keeps_its_head_and_gets_each_footnote_once(tmp_path: Path):
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"# Head\n\n{reproduce.WRITTEN}\nold\n")
    for number in (1, 4):
        (tmp_path / f"table{number}.md").write_text(
            f"**Table {number}.** ...\n\n| a |\n| --- |\n\n[^x]: x\n[^{number}]: y\n"
        )
    Image.new("RGB", (4, 4)).save(tmp_path / "figure1.png")
    for _ in range(2):
        reproduce.write_page(page, tmp_path, [1, 4])
        assert page.read_text() == (
            f"# Head\n\n{reproduce.WRITTEN}\n## Table 1\n\n**Table 1.** ...\n\n| a |\n| --- |\n\n## Table 4\n\n"
            "**Table 4.** ...\n\n| a |\n| --- |\n\n![Figure 1: parameters against error](images/figure1.png)\n\n"
            "[^x]: x\n[^1]: y\n[^4]: y\n"
        )
    assert (page.parent / "images/figure1.png").read_bytes() == (tmp_path / "figure1.png").read_bytes()


def test_a_picture_of_others_beside_the_page_is_refused_before_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    page, figure = tmp_path / "page.md", tmp_path / "images/figure1.png"
    page.touch()
    figure.parent.mkdir()
    Image.new("RGB", (4, 4)).save(figure)
    before = figure.read_bytes()
    monkeypatch.setattr(reproduce, "train", None)
    assert main(["reproduce", "--table", "4", "--root", str(tmp_path / "runs"), "--page", str(page)]) == 2
    assert f"{figure} exists and was not written by sdnet-pl" in capsys.readouterr().err
    assert (figure.read_bytes(), page.read_bytes()) == (before, b"")


def test_the_page_in_the_docs_holds_every_row_of_the_paper_and_of_ours():
    text = (DOCS / "reproduction.md").read_text("utf-8").partition(reproduce.WRITTEN)[2]
    pages = dict(zip(range(1, 7), text.split("\n## Table ")[1:], strict=True))
    for number, table in read_paper().tables.items():
        for row in table.rows:
            (line,) = (line for line in pages[number].splitlines() if line.startswith(f"| {' | '.join(row.cells)} |"))
            assert (row.run is not None) == ("| sdnet (" in line)
    assert is_ours(DOCS / "images/figure1.png")  # so that it is replaced when the page is written again
