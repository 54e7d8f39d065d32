"""Every data set, from the tree that its publisher ships to what the readers take."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from sdnet_pl.cli import main
from sdnet_pl.data import BackgroundFolder, PairFolder
from sdnet_pl.data.image_io import read_alpha, read_rgb, sha256
from sdnet_pl.data.prepare.datasets import DATASETS

MAX_SIDE = 48


def state(folder: Path) -> dict[str, object]:
    return {str(path): (os.stat(path).st_mtime_ns, path.is_file() and sha256(path)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_prepared_and_its_source_left_alone(name, tree, prepare, written, source, tmp_path, capsys):
    expected = tree(name)
    for path in (source, *source.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state(source)
    try:
        assert prepare(name) == 0
    finally:
        for path in (source, *source.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert state(source) == before
    assert written() == expected | {"manifest.json"}
    assert f"licence: {DATASETS[name].licence}" in capsys.readouterr().out
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 0

    manifest = json.loads((tmp_path / "DST/manifest.json").read_text("utf-8"))
    assert manifest["dataset"] == name
    assert manifest["max_side"] == MAX_SIDE
    assert manifest["left_out"] == []
    assert set(manifest["files"]) == expected
    for folder, entries in ((tmp_path / "DST", manifest["files"]), (source, manifest["sources"])):
        for path, entry in entries.items():
            assert entry == {"sha256": sha256(folder / path), "bytes": (folder / path).stat().st_size}

    if (tmp_path / "DST/train").exists():
        people = PairFolder(str(tmp_path / "DST/train"), extended=True)
        assert len(people) == len([path for path in expected if path.startswith("train/fg/")])
        for index in range(len(people)):
            assert max(people.load(index).color.shape) <= MAX_SIDE
    if (tmp_path / "DST/test/fg").exists():
        assert PairFolder(str(tmp_path / "DST/test")).load(0).alpha.shape == (64, 56)
    if name in ("coco", "voc"):
        places = BackgroundFolder(str(tmp_path / "DST"))
        assert len(places) == len(expected)
        assert all(max(places.load(index).shape) <= MAX_SIDE for index in range(len(places)))


def test_the_files_that_decide_on_a_sample_are_among_the_sources(tree, prepare, tmp_path):
    tree("aim500")
    assert prepare("aim500") == 0
    sources = json.loads((tmp_path / "DST/manifest.json").read_text())["sources"]
    assert "AIM-500/aim_category_type.json" in sources
    assert not any("o_0c8f03f0" in path for path in sources)


# The form


def test_what_is_scored_is_kept_as_published(tree, prepare, source, tmp_path):
    tree("p3m10k")
    assert prepare("p3m10k") == 0
    for part, pictures in (("P3M-500-P", "blurred_image"), ("P3M-500-NP", "original_image")):
        original, copy = source / "P3M-10k/validation" / part, tmp_path / "DST/test" / part
        name = "p_015cd10e"
        assert (copy / f"image/{name}.jpg").read_bytes() == (original / pictures / f"{name}.jpg").read_bytes()
        for role, folder in (("alpha", "mask"), ("trimap", "trimap")):
            kept = read_alpha(copy / role / f"{name}.png")
            np.testing.assert_array_equal(kept, read_alpha(original / folder / f"{name}.png"))
            assert Image.open(copy / role / f"{name}.png").mode == "L"


def test_training_colours_are_jpegs_of_high_quality_and_alphas_are_exact(tree, prepare, source, tmp_path):
    tree("cutouts")
    assert prepare("cutouts", "--max-side", 64) == 0
    rgba = np.array(Image.open(source / "a.png"))
    np.testing.assert_array_equal(read_alpha(tmp_path / "DST/train/alpha/a.png"), rgba[..., 3])
    picture = Image.open(tmp_path / "DST/train/fg/a.jpg")
    assert isinstance(picture, JpegImagePlugin.JpegImageFile)
    assert JpegImagePlugin.get_sampling(picture) == 0  # 4:4:4
    opaque = rgba[..., 3] == 255
    assert np.abs(np.array(picture).astype(int) - rgba[..., :3])[opaque].mean() < 3


@pytest.mark.parametrize("hidden", [0, 255])
def test_what_is_transparent_colours_nothing(tree, prepare, source, tmp_path, hidden):
    """Neither in the reduction nor under the alpha afterwards."""
    alpha = np.zeros((120, 90), np.uint8)
    cv2.ellipse(alpha, (45, 60), (25, 40), 20, 0, 360, 255, -1, cv2.LINE_AA)
    person = np.array([180, 90, 60], np.uint8)
    color = np.where(alpha[..., None] > 0, person, np.uint8(hidden))
    Image.fromarray(np.dstack([color, alpha])).save(source / "person.png")
    assert prepare("cutouts") == 0
    prepared = PairFolder(str(tmp_path / "DST/train"), extended=True).load(0)
    assert prepared.alpha.shape == (48, 36)
    assert np.abs(prepared.color.astype(int) - person).max() <= 3
    reduced = cv2.resize(alpha.astype(np.float32), (36, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(prepared.alpha - reduced).max() <= 0.51


@pytest.mark.parametrize(("folder", "lost"), [("image", True), ("fg", False)])
def test_the_old_background_goes_from_photos_and_straight_colours_stay(prepare, source, tmp_path, folder, lost):
    disc = np.zeros((48, 48), np.uint8)
    cv2.circle(disc, (24, 24), 14, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(disc, (15, 15), 0), np.uint8)
    weight = alpha[..., None] / 255
    person, place = np.array([200, 80, 60]), np.array([20, 160, 240])
    (source / folder).mkdir()
    (source / "alpha").mkdir()
    Image.fromarray((weight * person + (1 - weight) * place).round().astype(np.uint8)).save(source / folder / "a.png")
    Image.fromarray(alpha).save(source / "alpha/a.png")
    assert prepare("pairs") == 0
    color = PairFolder(str(tmp_path / "DST/train"), extended=True).load(0).color.astype(int)
    soft = (alpha > 40) & (alpha < 215)
    assert (np.abs(color - person)[soft].mean() < 10) == lost


def test_a_foreground_may_carry_transparency_of_its_own(prepare, source, tmp_path):
    """Which is not its alpha, and whose colours are straight all the same."""
    (source / "fg").mkdir()
    (source / "alpha").mkdir()
    Image.new("RGBA", (40, 40), (200, 80, 60, 90)).save(source / "fg/a.png")
    Image.new("L", (40, 40), 255).save(source / "alpha/a.png")
    assert prepare("pairs") == 0
    assert np.abs(read_rgb(tmp_path / "DST/train/fg/a.jpg").astype(int) - (200, 80, 60)).max() <= 2


def test_backgrounds_that_fit_are_copied_and_others_reduced(tree, prepare, source, tmp_path):
    tree("coco")
    assert prepare("coco") == 0
    fitting = "train2017/000000000002.jpg"
    assert (tmp_path / "DST" / fitting).read_bytes() == (source / fitting).read_bytes()
    assert read_rgb(tmp_path / "DST/train2017/000000000000.jpg").shape == (48, 42, 3)


def test_pictures_are_never_enlarged(tree, prepare, source, tmp_path):
    tree("cutouts")
    assert prepare("cutouts", "--max-side", 2000) == 0
    assert read_rgb(tmp_path / "DST/train/fg/a.jpg").shape == read_rgb(source / "a.png").shape
