"""The rehearsal of the paper's tables: the same command on drawn pictures, and what it projects."""

from pathlib import Path

import pytest
import yaml

from experiments.paper import rehearse
from sdnet_pl.launch import standins
from tests.conftest import EXPERIMENTS


def test_it_runs_the_command_on_as_many_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert sum(rehearse.COUNTS.trained) == 420  # the paper's
    monkeypatch.setattr(standins, "PPM", 1)
    monkeypatch.setattr(standins, "NAMES", ("adobe", "distinction646", "coco", "voc", "aim500"))  # PPM-100 has 100
    counts = standins.Counts(side=32, trained=(3, 4), tested=2, portraits=3, scenes=(60, 5))
    monkeypatch.setattr(rehearse, "COUNTS", counts)
    called: list[list[str]] = []

    def failing(arguments: list[str]) -> int:
        called.append(arguments)
        return 3

    monkeypatch.setattr(rehearse, "sdnet_pl", failing)
    assert rehearse.main(["--root", str(tmp_path), "--step", "0.1"]) == 3
    (arguments,) = called
    assert arguments[:5] == ["reproduce", "--table", "6", "--scale", "full"]
    assert arguments[-1] == str((EXPERIMENTS / "base/rehearsal.yaml").relative_to(EXPERIMENTS.parent))
    data = tmp_path / "data"
    for folder, number in (("adobe/train", 3), ("distinction646/train", 4), ("adobe/test", 2), ("aim500/test", 3)):
        assert len(list((data / folder / "alpha").iterdir())) == number
    backgrounds = {name: {f.read_bytes() for f in (data / name).rglob("*.jpg")} for name in ("coco", "voc")}
    assert {name: len(files) for name, files in backgrounds.items()} == {"coco": 59, "voc": 4}  # one shows a person
    assert not backgrounds["coco"] & backgrounds["voc"]
    assert "prepared: " in capsys.readouterr().err


def test_hours_follow_from_a_step():
    text = rehearse.projected(0.1)
    assert "A training has 12,600 steps; at 0.1 s each it takes 0.35 h" in text
    assert "the 10 of all tables 3.5 h on one GPU, one after the other, or 0.7 h on eight" in text


def test_it_is_cut_off_and_nothing_else():
    config = yaml.safe_load((EXPERIMENTS / "base/rehearsal.yaml").read_text())
    assert config.keys() == {"trainer", "data"}
    assert config["trainer"]["limit_train_batches"] < 420 // 4
