"""What is made of photos gets distinct names, whatever photos are asked for beside them."""

from pathlib import Path

import numpy as np
import pytest

from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.output_names import distinct_names
from sdnet_pl.data.provenance import mark


@pytest.fixture
def photos(tmp_path):
    for name in ("IMG_1.jpg", "IMG_1.png", "IMG_2.JPG", "img_2.webp", "IMG_3.jpg", "IMG_3.txt", "é.jpg", "e\u0301.png"):
        (tmp_path / name).touch()
    return tmp_path


def names(folder, *given):
    return distinct_names([(folder / name, Path(name)) for name in given])


def test_a_name_does_not_depend_on_what_else_is_asked_for(photos):
    alone = {file.name: names(photos, file.name)[0] for file in photos.iterdir() if file.suffix != ".txt"}
    assert alone["IMG_1.jpg"] == "IMG_1.jpg"
    assert alone["IMG_2.JPG"] == "IMG_2.JPG"  # some file systems take img_2 for it
    assert alone["IMG_3.jpg"] == "IMG_3"
    assert alone["é.jpg"] == "é.jpg"  # and a composed accent for the same letter with a combining one
    assert dict(zip(alone, names(photos, *alone), strict=True)) == alone
    assert len(set(alone.values())) == len(alone)


def test_our_own_results_are_no_other_photos(photos):
    write_png(photos / "IMG_3.png", np.zeros((2, 2), np.uint8), texts=mark())
    assert names(photos, "IMG_3.jpg") == ["IMG_3"]


def test_a_name_with_its_suffix_may_be_anothers_without(photos):
    (photos / "IMG_1.jpg.webp").touch()
    assert names(photos, "IMG_1.jpg", "IMG_1.jpg.webp", "IMG_1.png") == ["IMG_1.jpg", "IMG_1.jpg.webp", "IMG_1.png"]


def test_one_name_in_several_folders(tmp_path):
    files = [tmp_path / day / "in" / "a.jpg" for day in ("monday", "tuesday")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    assert distinct_names([(file, Path("a.jpg")) for file in files]) == ["monday/in/a.jpg", "tuesday/in/a.jpg"]
    assert distinct_names([(files[0], Path("a.jpg"))] * 2) == ["a", "a"]
