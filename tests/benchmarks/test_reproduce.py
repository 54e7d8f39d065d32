"""Whole tables: what was stopped goes on, what they share is done once, and the page holds what the command prints."""

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import reproduce, standins
from sdnet_pl.reporting.paper import read_paper

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller stand-ins; without PPM-100, which has 100."""
    monkeypatch.setattr(standins, "PPM", 1)
    monkeypatch.setattr(standins, "SIDE", 32)
    monkeypatch.setattr(standins, "SCENES", 2)
    monkeypatch.setattr(standins, "NAMES", ("adobe", "coco", "aim500"))


@pytest.mark.usefixtures("few")
def test_stand_ins_that_were_stopped_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(standins.json, "dumps", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            standins.draw(tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()
    standins.draw(tmp_path / "drawn")
    standins.prepare(tmp_path / "drawn", tmp_path / "prepared")
    manifests = {path: path.stat().st_mtime_ns for path in tmp_path.glob("prepared/*/manifest.json")}
    assert len(manifests) == 3
    shutil.rmtree(tmp_path / "prepared/coco")
    standins.draw(tmp_path / "drawn")
    standins.prepare(tmp_path / "drawn", tmp_path / "prepared")
    after = {path: path.stat().st_mtime_ns for path in manifests}
    assert {path.parent.name for path in manifests if after[path] != manifests[path]} == {"coco"}


@pytest.mark.usefixtures("few")
def test_tables_share_their_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained: list[tuple[str, ...]] = []
    commands: list[list[str]] = []
    monkeypatch.setattr(reproduce, "finish", lambda folder, arguments: trained.append(folder.parts[-2:]))
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    reproduce.main(["--table", "1", "5", "4", "--seeds", "0", "1", "--root", str(tmp_path)])
    assert sorted(trained) == sorted((row, f"seed{seed}") for row in reproduce.ROWS[5] for seed in (0, 1))
    assert [command[4] for command in commands] == ["--table=1", "--table=5", "--table=4"]


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


def test_the_page_in_the_docs_holds_every_row_of_the_paper_and_of_ours():
    text = (DOCS / "reproduction.md").read_text("utf-8").partition(reproduce.WRITTEN)[2]
    pages = dict(zip(range(1, 7), text.split("\n## Table ")[1:], strict=True))
    for number, table in read_paper().tables.items():
        for row in table.rows:
            (line,) = (line for line in pages[number].splitlines() if line.startswith(f"| {' | '.join(row.cells)} |"))
            assert (row.run is not None) == ("| sdnet (" in line)
    assert (DOCS / "images/figure1.png").is_file()
