"""The paper's tables: its figures, and beside them runs and evaluations that stand where they belong."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.metrics import METRIC_LABELS
from sdnet_pl.reporting.paper import plain, read_paper
from sdnet_pl.reporting.tables import headed, score_rows, to_csv
from tests.conftest import leave_figures_empty

Make = Callable[..., Path]
MAD, MSE = "measured: MAD×1000 (whole image)", "measured: MSE (whole image)"
HASH = "0123456789ab"


@pytest.fixture(scope="module")
def trained(tiny_fit: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to look at but not to touch."""
    run = tmp_path_factory.mktemp("trained") / "run"
    more = ["--model.network={}", "--model.distillation=dense", "--seed_everything=3", "--data.samples_per_epoch=2"]
    with pytest.MonkeyPatch.context() as patch:
        leave_figures_empty(patch)
        assert main(tiny_fit(run, *more)) == 0
    return run


@pytest.fixture
def make(trained: Path, tmp_path: Path) -> Make:
    """Makes runs like that one, of the paper's network, with other settings, seeds and scores."""
    config = yaml.safe_load((trained / "config.yaml").read_text())

    def run(
        name: str,
        mad: float = 0.01,
        benchmark: str = "ppm-100",
        hash: str = HASH,
        seed: int = 0,
        method: str = "network",
        trainer: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        **model: Any,
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        own = {"preset": "sdnet", "distillation": "best_teacher", **model}
        changed = {"model": config["model"] | own, "trainer": config["trainer"] | (trainer or {})}
        changed["data"] = config["data"] | (data or {})
        if method == "network":
            (folder / "config.yaml").write_text(yaml.safe_dump(config | changed | {"seed_everything": seed}))
        scores = dict.fromkeys(METRIC_LABELS, mad) | {"images": 4.0, "images_without_unknown": 0.0}
        scores |= {"constant_mad_whole": 0.4, "constant_mse_whole": 0.2}
        (folder / "metrics.csv").write_text(to_csv(score_rows({benchmark: scores}, {benchmark: hash}, method)))
        return folder

    return run


def report(capsys: pytest.CaptureFixture[str], table: int, *arguments: Path | str) -> tuple[list[dict[str, str]], str]:
    """The rows of the printed table, and all that was printed."""
    assert main(["report", "--table", str(table), *map(str, arguments)]) == 0
    text = capsys.readouterr().out
    lines = [[cell.strip() for cell in x.split("|")[1:-1]] for x in text.splitlines() if x.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]], text


def measured(rows: list[dict[str, str]], column: str = MAD) -> dict[str, str]:
    """What a column holds, by method and trimap; of rows with a value alone."""
    return {f"{row['Methods']} {row['Trimap']}".strip(): row[column] for row in rows if row.get(column)}


def unused(text: str) -> dict[str, str]:
    """The reasons by directory's name."""
    listed = text.partition("Not in ")[2].partition("\n\n[^")[0].splitlines()
    return {Path(x[2:].split(": ")[0]).name: x.split(": ", 1)[1] for x in listed if x.startswith("- ")}


@pytest.mark.parametrize(
    ("number", "count", "spots"),
    [
        (1, 18, {2: "MODNet [15] 6.5 ✓ 6.3 0.0011", 6: "Matteformer 138.6 ✓ **2.0** **0.0002**", 9: "DIM* [46] 75.1"}),
        (2, 13, {5: "Matteformer 138.6 ✓ **3.3** 0.0002", 8: "LFM 38.5  16.9 0.0087", 12: "Ours 2.0  **8.7**"}),
        (3, 19, {9: "DIM [46] 75.1  32.7 0.0221", 16: "MODNet* 6.5  8.6 0.0044", 18: "Ours 2.0  **7.2** **0.0040**"}),
        (4, 13, {1: "IndexNet [33] 8.15 22.9", 11: "MODNet [15] 6.48 25.0", 12: "Ours **2.03** **8.1**"}),
        (5, 8, {1: "Transitive ✓ 2.9 0.0004", 4: "w/o SD ✓ 7.6 0.0028", 6: "Dense  6.5 0.0021"}),
        (6, 4, {0: "SDNet w/o AMPA ✓ 3.1 0.0004", 3: "Full SDNet  **6.2** **0.0020**"}),
    ],
)
def test_every_row_of_the_paper_is_there(number: int, count: int, spots: dict[int, str]):
    table = read_paper().tables[number]
    assert len(table.rows) == count
    for place, cells in spots.items():
        printed = " ".join(cell.partition("[^")[0] for cell in table.rows[place].cells)
        assert printed.startswith(cells)
    for row in table.rows:
        assert len(row.cells) == len(table.columns)
        for column in map(plain, table.columns):
            if column not in ("Methods", "SD settings", "Models", "Trimap"):
                assert table.value(row, column) > 0
    names = [row.name for row in table.rows]
    assert len(set(names)) == count
    marks = {mark for cell in (*table.columns, *(c for r in table.rows for c in r.cells)) for mark in marks_of(cell)}
    assert marks <= table.footnotes.keys()
    # Only what holds for the whole table has no mark of its own.
    assert table.footnotes.keys() - marks <= {"subset"}


def marks_of(cell: str) -> list[str]:
    return [part.partition("]")[0] for part in cell.split("[^")[1:]]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, ["[^region]: ", "[^subset]: ", "11 each", "29.7 M", "reference [15] is FBA"]),
        (2, ["| LFM[^star] | 38.5 |", "[^star]: As printed. Tables 1 and 3 have it with the asterisk"]),
        (3, ["SAD↓[^mad]", 'The paper\'s "SAD" is MAD×1000 over the whole image here']),
        (5, ["| w/o SD | ✓[^tick] | 7.6 | 0.0028 |", "The tick is an error"]),
        (6, ["**0.0020**[^mse]", "Tables 1 and 5 give 0.0016"]),
    ],
)
def test_without_runs_the_paper_stands_alone_with_its_footnotes(capsys, number: int, said: list[str]):
    rows, text = report(capsys, number)
    for part in said:
        assert part in text
    assert not any("measured" in column for column in rows[0])
    assert "Not in" not in text


def test_runs_stand_in_their_rows_with_mean_and_spread(make: Make, tmp_path: Path, capsys):
    mads = (0.010, 0.011, 0.015)
    for seed, mad in enumerate(mads):
        make(f"best/seed{seed}", mad, seed=seed)
    make("baseline", 0.02, distillation="none")
    make("with_trimap", 0.005, trimap=True, network=None)
    make("fast", 0.012, preset="sdnet-fast", network={"stem_stride": 1})
    out = tmp_path / "out"
    rows, text = report(capsys, 3, tmp_path / "runs", "-o", out)
    assert len(rows) == 20  # one row has a second line
    spread = f"{1000 * mean(mads):.2f} ± {1000 * stdev(mads):.2f}"
    assert measured(rows) == {"Ours w/o SD": "20.00", "Ours": spread, "Ours ✓": "5.00", "": "12.00"}
    ours = next(row for row in rows if row[MAD] == spread)
    assert ours["SAD↓[^mad]"] == "**7.2**"
    assert ours[MSE] == f"{mean(mads):.5f} ± {stdev(mads):.5f}"
    assert ours["measured: network"] == "sdnet (2.03 M)"
    assert ours["measured: runs"] == "3"
    assert ours["measured: benchmark (hash)"] == f"ppm-100 ({HASH})"
    assert rows[-1]["measured: network"] == "sdnet-fast, stem_stride 1 (1.97 M)"
    assert "sdnet, seed(s) 0, 1, 2, in" in text
    assert "trainer.max_epochs 1 (120)" in text  # not what section 4.3 says
    assert text == (out / "table3.md").read_text()
    with (out / "table3.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert len(written) == 20
    row = next(row for row in written if row["measured: runs"] == "3")
    assert (row["Methods"], row["SAD↓"], row["MSE↓"]) == ("Ours", "7.2", "0.0040")
    assert float(row["measured: mad_whole, mean"]) == pytest.approx(mean(mads))
    assert float(row["measured: mad_whole, standard deviation"]) == pytest.approx(stdev(mads))
    assert row["measured: hash"] == HASH
    assert written[-1]["Methods"] == "Ours"


def test_ablations_stand_in_tables_5_and_6(make: Make, tmp_path: Path, capsys):
    for i, name in enumerate(("none", "transitive", "dense", "best_teacher")):
        make(name, 0.01 * (i + 1), "Composition-1K", distillation=name)
    make("no_ampa", 0.09, "composition_1k", network={"ampa": False})
    rows, _ = report(capsys, 5, tmp_path / "runs")
    assert [row[MAD] for row in rows] == [""] * 4 + ["10.00", "20.00", "30.00", "40.00"]
    assert rows[4]["Trimap"] == "✓[^tick]"  # as printed, beside a run without trimap
    # Where the paper does not say what its figures are, all candidates are given.
    assert {MAD, "measured: SAD/1000 (whole image)", "measured: SAD/1000 (unknown region)", MSE} <= rows[0].keys()
    assert "measured: MSE (unknown region)" in rows[0]
    rows, text = report(capsys, 6, tmp_path / "runs")
    assert [row[MAD] for row in rows] == ["", "", "90.00", "40.00"]
    assert unused(text)["dense"] == "no row is trained like it: distillation dense, trimap false, ampa true"


def test_another_benchmark_on_request(make: Make, tmp_path: Path, capsys):
    make("mine", 0.03, "cutouts")
    rows, text = report(capsys, 5, tmp_path / "runs")
    assert MAD not in rows[0]
    assert unused(text) == {"mine": "scored on cutouts and not on composition-1k"}
    rows, text = report(capsys, 5, tmp_path / "runs", "--benchmark", "cutouts")
    assert rows[7][MAD] == "30.00"
    assert "The paper's figures are on composition-1k and the measured ones on cutouts" in text


def test_the_batch_of_the_paper_counts_over_processes_and_accumulation(make: Make, tmp_path: Path, capsys):
    make("accumulated", trainer={"accumulate_grad_batches": 4}, data={"batch_size": 1})
    make("four", distillation="none", trainer={"devices": "2", "num_nodes": 2}, data={"batch_size": 1})
    make("more", trimap=True, trainer={"devices": 4}, data={"batch_size": 4})
    text = report(capsys, 3, tmp_path / "runs")[1]
    about = {Path(line.split(" in ")[1].split(";")[0]).name: line for line in text.splitlines() if " seed(s) " in line}
    assert "samples a step" not in about["accumulated"] + about["four"]
    assert "samples a step 16 (4)" in about["more"]


def test_scores_on_two_builds_of_a_benchmark_are_not_averaged(make: Make, tmp_path: Path, capsys):
    make("old", hash="aaaaaaaaaaaa", seed=0)
    make("new", hash="bbbbbbbbbbbb", seed=1)
    assert main(["report", "--table", "3", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    for part in ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "runs/old", "runs/new", "are not averaged"):
        assert part in error


def test_rows_of_two_builds_are_flagged(make: Make, tmp_path: Path, capsys):
    make("baseline", hash="aaaaaaaaaaaa", distillation="none")
    make("best", hash="bbbbbbbbbbbb")
    _, text = report(capsys, 3, tmp_path / "runs")
    assert "different benchmark hashes (aaaaaaaaaaaa, bbbbbbbbbbbb)" in text


def test_different_trainings_are_not_averaged(make: Make, tmp_path: Path, capsys):
    make("slow", 0.010, lr=1e-4)
    make("quick", 0.012, lr=1e-3, seed=1)
    rows, text = report(capsys, 3, tmp_path / "runs")
    assert sorted(row[MAD] for row in rows[18:]) == ["10.00", "12.00"]
    assert "model.lr 0.001 (0.0001)" in text


def test_what_the_paper_does_not_do_to_its_samples_is_listed(make: Make, tmp_path: Path, capsys):
    """All the samples of the paper get other colours, and nothing else that section 4.1 does not name."""
    paper = {"color_jitter": 1.0, "mirror": 0.0, "background_blur": 0.0, "degradation": 0.0}
    make("paper", data=paper)
    averaging = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.9}}
    trainer = {"callbacks": [averaging], "gradient_clip_val": 1.0}
    sample = {"second_person": 0.1, "whole_person": 0.4, "tone": 0.2, "no_person": 0.1, "object_in_front": 0.3}
    more = {"photos": [{"class_path": "sdnet_pl.data.MaskFolder"}], "photo": 0.5, "growing_sizes": {3: 128}}
    make("ours", distillation="none", trainer=trainer, data=sample | more, warmup_steps=5)
    before = make("before", trimap=True) / "config.yaml"  # of a version that could not do otherwise, nor say so
    config = yaml.safe_load(before.read_text())
    config["data"] = {key: value for key, value in (config["data"] | paper).items() if key not in list(paper)[:3]}
    del config["data"]["tone"]
    before.write_text(yaml.safe_dump(config))
    text = report(capsys, 3, tmp_path / "runs")[1]
    about = {Path(line.split(" in ")[1].split(";")[0]).name: line for line in text.splitlines() if " seed(s) " in line}
    unlike = {name: line.partition("neighbours: ")[2] for name, line in about.items()}
    said = {name: {part for part in text.split(", ") if "(" in part} for name, text in unlike.items()}
    schedule = {"trainer.max_epochs 1 (120)", "samples a step 2 (4)"}
    assert said["paper"] == schedule
    always = {"data.color_jitter 0.8 (1.0)", "data.mirror 0.5 (0.0)", "data.background_blur 0.25 (0.0)"}
    assert said["before"] == schedule | always
    assert said["ours"] == schedule | always | {
        "averaged weights EMAWeightAveraging (null)",
        'data.growing_sizes {"3": 128} ({})',
        "trainer.gradient_clip_val 1.0 (null)",
        "model.warmup_steps 5 (0)",
        "data.degradation 0.2 (0.0)",
        "data.photo 0.5 (0.0)",
        *(f"data.{name} {value} (0.0)" for name, value in sample.items()),
    }


def test_what_has_no_place_is_listed(make: Make, tmp_path: Path, capsys):
    make("best")
    make("best_again")
    make("other", benchmark="cutouts")
    make("dense", distillation="dense")
    make("part", hash="partial", seed=2)
    make("unfinished", seed=3).joinpath("metrics.csv").unlink()
    make("peer", method="peer: U-Net")
    make("damaged").joinpath("config.yaml").write_text("model: [")
    make("resumed", seed=4).joinpath("config-2.yaml").write_text(
        (tmp_path / "runs" / "dense" / "config.yaml").read_text()
    )
    lost = make("tested", seed=5) / "config.yaml"
    lost.write_text(yaml.safe_dump(yaml.safe_load(lost.read_text()) | {"verbose": True, "ckpt_path": "gone/best.ckpt"}))
    shipped = make("shipped", seed=6, weights="sdnet-fast") / "config.yaml"
    shipped.write_text(yaml.safe_dump(yaml.safe_load(shipped.read_text()) | {"verbose": True}))
    rows, text = report(capsys, 3, tmp_path / "runs")
    assert measured(rows) == {"Ours": "10.00"}
    said = {
        "best_again": "the training and seed of",
        "other": "scored on cutouts and not on ppm-100",
        "dense": "no row is trained like it",
        "part": "a part of the benchmark",
        "unfinished": "it has not been scored",
        "peer": "'peer: U-Net' is the method of no row",
        "damaged": "cannot be read",
        "resumed": "resumed with other settings",
        "tested": "it scored gone/best.ckpt",
        "shipped": "it scored sdnet-fast, which does not say how it was trained",
    }
    reasons = unused(text)
    assert reasons.keys() == said.keys()
    for name, part in said.items():
        assert part in reasons[name]


def test_a_run_counts_when_it_was_resumed(make: Make, tmp_path: Path, capsys):
    run = make("best")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] |= {"network": {}}  # as a checkpoint says it, for the file's null
    (run / "config-2.yaml").write_text(yaml.safe_dump(config | {"ckpt_path": "last.ckpt"}))
    assert measured(report(capsys, 3, tmp_path / "runs")[0]) == {"Ours": "10.00"}


def test_runs_that_were_moved_together_find_one_another(make: Make, tmp_path: Path, capsys):
    """A `test` names the checkpoint that it scored by its whole path, wherever that was."""
    make("best").joinpath("metrics.csv").rename(tmp_path / "runs" / "best" / "other.csv")
    (tmp_path / "runs" / "best" / "best.ckpt").touch()
    tested = make("tested") / "config.yaml"
    scored = {"verbose": True, "ckpt_path": "/before/they/moved/runs/best/best.ckpt"}
    tested.write_text(yaml.safe_dump(yaml.safe_load(tested.read_text()) | scored))
    assert measured(report(capsys, 3, tmp_path / "runs")[0]) == {"Ours": "10.00"}


def test_the_one_reason_is_told_of_a_run_with_several_benchmarks(make: Make, tmp_path: Path, capsys):
    """Not that its other scores are on other benchmarks."""
    for name, settings in (("dense", {"distillation": "dense"}), ("best", {})):
        run = make(name, **settings)
        head, row = (run / "metrics.csv").read_text().splitlines()[:2]
        others = [row.replace("ppm-100", other) for other in ("composition-1k", "distinction-646")]
        (run / "metrics.csv").write_text("\n".join([head, others[0], row, others[1]]))
    assert unused(report(capsys, 3, tmp_path / "runs")[1]) == {
        "dense": "no row is trained like it: distillation dense, trimap false, ampa true"
    }
    assert unused(report(capsys, 3, tmp_path / "runs", "--benchmark", "mine")[1]) == dict.fromkeys(
        ("dense", "best"), "scored on composition-1k, ppm-100, distinction-646 and not on mine"
    )


def test_runs_on_another_disk_may_be_linked(make: Make, tmp_path: Path, capsys):
    run = make("best")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "run").symlink_to(run, target_is_directory=True)
    rows, _ = report(capsys, 3, tmp_path / "linked")
    assert measured(rows, "measured: runs") == {"Ours": "1"}
    rows, _ = report(capsys, 3, tmp_path / "linked", tmp_path / "runs")
    assert measured(rows, "measured: runs") == {"Ours": "1"}


def test_an_overlap_of_places_counts_once(make: Make, tmp_path: Path, capsys):
    run = make("best")
    rows, text = report(capsys, 3, run, tmp_path / "runs", run / ".." / "best")
    assert measured(rows, "measured: runs") == {"Ours": "1"}
    assert unused(text) == {}


def test_scores_of_earlier_versions_are_read(make: Make, tmp_path: Path, capsys):
    """Their files hold the headings of tables and scaled values."""
    file = make("old", 0.0421) / "metrics.csv"
    with file.open(newline="") as stream:
        rows = [headed({key: number(value) for key, value in row.items()}) for row in csv.DictReader(stream)]
    file.write_text(to_csv(rows))
    assert "MAD×1000 (whole image)" in file.read_text()
    shown, _ = report(capsys, 3, tmp_path / "runs")
    assert next(row[MAD] for row in shown if row[MAD]) == "42.10"


def number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.usefixtures("blank_figures")
def test_a_real_run_and_its_test(trained: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    """What `test` leaves does not say how the network was trained; the run behind its checkpoint does."""
    scored = tmp_path / "scored"
    benchmark = json.dumps(yaml.safe_load((trained / "config.yaml").read_text())["data"]["validation"])
    data = [f"--data.test={benchmark}", "--data.workers=0", "--trainer.accelerator=cpu"]
    monkeypatch.chdir(trained.parent)
    assert main(["test", "--ckpt_path", "run/best.ckpt", "--run_dir", str(scored), *data]) == 0
    capsys.readouterr()
    with (trained / "metrics.csv").open() as stream:
        score = 1000 * float(next(csv.DictReader(stream))["mad_whole"])
    for places, left in (([scored], {}), ([scored, trained], {"scored": f"the training and seed of {trained} again"})):
        rows, text = report(capsys, 5, *places, "--benchmark", "held_out")
        assert [row[MAD] for row in rows] == [""] * 6 + [f"{score:.2f}", ""]  # dense, without trimap
        assert rows[6]["measured: network"] == "sdnet-tiny (0.55 M)"
        assert "seed(s) 3, in" in text
        assert unused(text) == left


@pytest.mark.parametrize(
    ("method", "row"),
    [("MODNet*", "MODNet*"), ("modnet, trimap", "MODNet ✓"), ("BSHM", "BSHM*"), ("Ours, no trimap", "Ours")],
)
def test_an_evaluation_stands_for_its_method(make: Make, tmp_path: Path, capsys, method: str, row: str):
    for kind, level in (("alpha", 255), (f"{tmp_path.name}", 204)):
        (tmp_path / kind).mkdir()
        Image.fromarray(np.full((20, 30), level, np.uint8)).save(tmp_path / kind / "a.png")
    folders = ["--pred", str(tmp_path / tmp_path.name), "--alpha", str(tmp_path / "alpha"), "--workers", "0"]
    named = ["--method", method, "--benchmark", "ppm-100", "-o", str(tmp_path / "runs" / "evaluated")]
    assert main(["evaluate", *folders, *named]) == 0
    make("ours", distillation="none")
    capsys.readouterr()
    rows, text = report(capsys, 3, tmp_path / "runs")
    assert measured(rows) == {row: "200.00", "Ours w/o SD": "10.00"}
    assert "those of `evaluate` alphas" in text


def test_a_name_that_could_be_several_rows_is_not_guessed(make: Make, tmp_path: Path, capsys):
    make("evaluated", method="DIM")
    _, text = report(capsys, 3, tmp_path / "runs")
    assert unused(text) == {
        "evaluated": "'DIM' could be several rows; `evaluate --method` takes one of 'DIM, trimap', 'DIM, no trimap', "
        "'DIM*'"
    }


def test_table_4_and_its_figure(make: Make, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sdnet_pl.reporting.complexity.gmac", lambda model, channels: 1.5)  # slow, and tested elsewhere
    for seed, mad in enumerate((0.010, 0.012)):
        make(f"best{seed}", mad, seed=seed)
    make("trimap", trimap=True)
    make("other", benchmark="cutouts")
    out = tmp_path / "out"
    rows, text = report(capsys, 4, tmp_path / "runs", "-o", out)
    assert len(rows) == 15
    assert [row["measured: network"] for row in rows[12:]] == ["sdnet", "sdnet-fast", "sdnet-tiny"]
    assert rows[12]["Parameters(Million)"] == "**2.03**"
    assert rows[12]["measured: parameters (M)"] == "2.029"
    assert rows[12]["measured: GMAC at 512×512"] == "1.5"
    assert float(rows[12]["measured: state_dict file (MiB)"]) == pytest.approx(8.1, abs=0.05)
    assert "[^unit]: " in text
    assert unused(text).keys() == {"trimap", "other"}
    assert (out / "table4.csv").read_text().count("\n") == 16
    picture = np.asarray(Image.open(out / "figure1.png"))
    colors, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    drawn = {tuple(map(int, color)): int(count) for color, count in zip(colors, counts, strict=True)}
    assert drawn[0x00, 0x72, 0xB2] > 500  # the paper's points
    assert drawn[0xD5, 0x5E, 0x00] > 50  # the measured ones


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "3", "nowhere"], "nowhere is not a directory"),
        (["--table", "3", "."], "holds no run"),
        (["--table", "4", "--benchmark", "x"], "leave --benchmark out"),
        (["--table", "4", "."], "needs -o DIR"),
    ],
)
def test_refusals(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_tables_are_replaced_and_files_of_others_are_not(tmp_path: Path, capsys):
    arguments = ["report", "--table", "3", "-o", str(tmp_path)]
    assert main(arguments) == main(arguments) == 0
    for name, content in (("table3.md", "# My notes"), ("table3.csv", "Method,mine\n")):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text(content)
        capsys.readouterr()
        assert main(arguments) == 2
        assert f"{tmp_path / name} exists and was not written by sdnet-pl" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == content
        (tmp_path / name).write_text(kept)
