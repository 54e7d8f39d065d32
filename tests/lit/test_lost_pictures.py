"""A long job and its pictures: what is said before it starts, and what it outlasts."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.cli.lightning import SDNetCLI

Fit = Callable[..., list[str]]
pytestmark = pytest.mark.usefixtures("blank_figures")


def source(kind: str, path: Path) -> dict[str, object]:
    return {"class_path": f"sdnet_pl.data.{kind}", "init_args": {"path": str(path)}}


@pytest.fixture
def pictures(cutout_root: Path) -> list[str]:
    """Arguments that train on folders, and score on cut-outs of their own and on photos with their alphas."""
    for kind, folder in (("image", "image"), ("mask", "alpha")):
        shutil.copytree(cutout_root / "natural/val" / kind, cutout_root / "photos" / folder)
    scored = {
        "foregrounds": source("CutoutFolder", cutout_root / "cutouts/val"),
        "backgrounds": source("BackgroundFolder", cutout_root / "backgrounds/val"),
    }
    validation = {
        "cutouts": {"class_path": "sdnet_pl.data.CompositeBenchmark", "init_args": scored},
        "photos": source("AlphaBenchmark", cutout_root / "photos"),
    }
    return [
        f"--data.foregrounds={json.dumps([source('CutoutFolder', cutout_root / 'cutouts/train')])}",
        f"--data.backgrounds={json.dumps([source('BackgroundFolder', cutout_root / 'backgrounds/train')])}",
        f"--data.validation={json.dumps(validation)}",
    ]


def damage(*files: Path) -> list[Path]:
    for file in files:
        file.write_bytes(file.read_bytes()[:-200])
    return list(files)


def change_alpha(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    pixels = np.array(Image.open(file))
    pixels[..., 3] = change(pixels[..., 3])
    Image.fromarray(pixels).save(file)


def test_every_bad_picture_is_named_before_a_training(
    tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Those of the training and of every benchmark; the run's directory is still free afterwards."""
    names = ("cutouts/train/02.png", "backgrounds/train/01.jpg", "backgrounds/train/03.jpg", "cutouts/val/00.png")
    bad = damage(*(cutout_root / name for name in names), cutout_root / "photos/alpha/01.png")
    assert main(tiny_fit(tmp_path / "run", *pictures)) == 2
    error = capsys.readouterr().err
    assert "sdnet-pl: error: 5 of 23 pictures cannot be used; see below, or leave the check out with" in error
    assert all(error.count(str(file)) == 1 for file in bad)
    assert not (tmp_path / "run").exists()
    # `validate` asks for what it scores alone.
    assert main(["validate", *pictures, f"--run_dir={tmp_path / 'run'}", "--model.weights=sdnet-fast"]) == 2
    error = capsys.readouterr().err
    assert "2 of 13 pictures cannot be used" in error
    assert [str(file) in error for file in bad] == [False, False, False, True, True]


def test_a_training_outlasts_pictures_that_go_bad(
    tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Here they are bad from the start, and nobody checks. Each is replaced by the next, counted, and named once."""
    bad = damage(cutout_root / "cutouts/train/02.png", cutout_root / "photos/alpha/01.png")
    damage(*(cutout_root / "backgrounds/train").glob("0[012].jpg"))
    more = ["--data.check=false", "--data.workers=1", "--data.samples_per_epoch=12"]
    assert main(tiny_fit(tmp_path / "run", *pictures, *more)) == 0
    said = capsys.readouterr().err.splitlines()
    for file in bad:
        (named,) = [text for text in said if str(file) in text]
        assert named.endswith("The next picture takes its place.")
    with next((tmp_path / "run/logs").rglob("metrics.csv")).open() as stream:
        counts = [float(row["train/replaced_pictures"] or "nan") for row in csv.DictReader(stream)]
    counts = [count for count in counts if count >= 0]
    assert counts == sorted(counts)
    assert counts[-1] > 4
    # A benchmark that lost a picture is scored on the others, and no longer the one of its hash.
    rows = {row["benchmark"]: row for row in csv.DictReader((tmp_path / "run/metrics.csv").open())}
    assert (rows["cutouts"]["images"], rows["photos"]["images"]) == ("3", "2")
    assert (rows["cutouts"]["hash"] == "partial", rows["photos"]["hash"] == "partial") == (False, True)


def test_a_picture_lost_during_a_training_does_not_cost_the_scores(
    tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    after_fit = SDNetCLI.after_fit

    def lose(cli: SDNetCLI) -> None:
        (cutout_root / "photos/alpha/01.png").unlink()
        damage(cutout_root / "backgrounds/train/00.jpg")
        after_fit(cli)

    monkeypatch.setattr(SDNetCLI, "after_fit", lose)
    assert main(tiny_fit(tmp_path / "run", *pictures)) == 0
    rows = {row["benchmark"]: row for row in csv.DictReader((tmp_path / "run/metrics.csv").open())}
    assert (rows["cutouts"]["images"], rows["photos"]["images"]) == ("3", "2")


def test_a_training_without_any_picture_left_ends(
    tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damage(*(cutout_root / "backgrounds/train").iterdir())
    assert main(tiny_fit(tmp_path / "run", *pictures, "--data.check=false")) == 2
    assert "backgrounds/train" in capsys.readouterr().err


def test_small_pictures_are_scored(tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path):
    for file in (*(cutout_root / "cutouts/val").iterdir(), *(cutout_root / "photos").rglob("*.png")):
        Image.open(file).resize((1, 24), Image.Resampling.NEAREST).save(file)
    more = ["--data.check=false", "--trainer.limit_train_batches=1"]
    assert main(tiny_fit(tmp_path / "run", *pictures, *more)) == 0
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").open()))
    assert [row["images"] for row in rows] == ["3"] * 4
    assert all(0 <= float(row["mad_whole"]) <= 1 for row in rows)


def test_odd_alphas_are_named_before_a_training(
    tiny_fit: Fit, pictures: list[str], cutout_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = cutout_root / "cutouts/train"
    change_alpha(folder / "01.png", lambda alpha: 255 - alpha)
    change_alpha(folder / "04.png", np.zeros_like)
    assert main(tiny_fit(tmp_path / "run", *pictures, "--trainer.fast_dev_run=1")) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if f"1 of 6 alphas in {folder} are" in line]
    assert [("01.png" in line, "04.png" in line) for line in sorted(said)] == [(False, True), (True, False)]
    assert all(line.startswith("sdnet-pl: warning: ") for line in said)
    for name in ("02", "03", "05"):
        change_alpha(folder / f"{name}.png", lambda alpha: 255 - alpha)
    assert main(tiny_fit(tmp_path / "refused", *pictures)) == 2
    error = capsys.readouterr().err
    assert f"4 of 6 alphas in {folder} are opaque around the picture and transparent within" in error
    assert "--data.check false, which trains on such alphas as they are" in error
    assert not (tmp_path / "refused").exists()


def test_predict_goes_on_and_lists_what_it_cannot_read(
    tiny_fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        Image.new("RGB", (60, 50 + number)).save(photos / f"{number}.png")
    damage(photos / "0.png")
    (photos / "2.png").write_bytes(b"")
    torch.manual_seed(0)
    run = tmp_path / "run"
    arguments = ["predict", "--model.weights=sdnet-fast", f"--run_dir={run}", f"--data.predict={photos}"]
    assert main([*arguments, "--data.workers=1", "--trainer.accelerator=cpu"]) == 1
    assert {file.name for file in (run / "predictions").iterdir()} == {"1.png", "3.png"}
    error = capsys.readouterr().err
    assert [error.count(f"{photos / name}.png cannot be read") for name in "0123"] == [1, 0, 1, 0]
