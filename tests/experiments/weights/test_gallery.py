"""The gallery: every scene is drawn, and is what its title says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.weights import gallery
from experiments.weights.gallery import SCENES, SIDE, Scene, main, picture


def test_scenes_show_what_they_are_made_of(cutout_root: Path):
    empty = picture(Scene("", (), (10, 20, 30)), cutout_root)
    assert empty.shape == (SIDE, SIDE, 3)
    assert (empty == [10, 20, 30]).all()
    one, two = (picture(Scene("", people, (10, 20, 30)), cutout_root) for people in ((0,), (0, 1)))
    covered = [(scene != [10, 20, 30]).any(-1).mean() for scene in (one, two)]
    assert 0 < covered[0] < covered[1] < 1
    photo = picture(Scene("", photo=1), cutout_root)
    assert np.array_equal(photo, np.asarray(Image.open(cutout_root / "natural/val/image/01.png")))


def test_every_scene_has_its_pictures(cutout_root: Path):
    assert {scene.title for scene in SCENES if not scene.people and scene.photo is None}  # nobody is there
    for scene in SCENES:
        assert picture(scene, cutout_root).std() > 10, scene.title


def test_the_gallery_is_written(cutout_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "SIDE", 128)
    monkeypatch.setattr(gallery, "SCENES", SCENES[8:12])  # a photo is the last
    arguments = ["--data", str(cutout_root), "--columns", "2"]
    main([str(tmp_path / "all.png"), *arguments])
    main([str(tmp_path / "photos.png"), *arguments, "--photos"])
    everything, photos = (np.asarray(Image.open(tmp_path / name)) for name in ("all.png", "photos.png"))
    assert everything.shape[1] == photos.shape[1]
    assert everything.shape[0] > photos.shape[0]
    assert everything.std() > 20
