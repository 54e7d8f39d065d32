"""Scenes hold a person of the size and at the place that they say."""

from pathlib import Path

import numpy as np
import pytest

from experiments.weights import small_people
from experiments.weights.small_people import main, scene, standing
from sdnet_pl.data.image_io import list_pictures
from sdnet_pl.data.sources.base import Foreground


def test_a_scene_is_what_it_says(cutout_root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(small_people, "SHAPE", (200, 300))
    people, backgrounds = standing(cutout_root / "natural/val"), list_pictures(cutout_root / "backgrounds/val")
    assert len(people) == 3
    photo, alpha = scene(people, backgrounds, 0.25, 1)
    assert photo.shape == (200, 300, 3)
    rows = np.flatnonzero((alpha > 127).any(axis=1))
    assert rows[-1] - rows[0] == pytest.approx(50, abs=4)
    assert np.array_equal(photo, scene(people, backgrounds, 0.25, 1)[0])
    cut_off = Foreground(people[0].color[:80], people[0].alpha[:80])
    assert (scene([cut_off], backgrounds, 0.5, 2)[1][-1] > 127).any()


def test_the_table_has_a_row_for_every_size(cutout_root: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(small_people, "SHAPE", (120, 180))
    main(["--data", str(cutout_root), "--photos", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[2].strip() for line in lines[2:11]] == ["0.125", "0.25", "0.5", "1"] * 2 + [""]
