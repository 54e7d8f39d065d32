"""Miniatures of the public data sets, laid out as published, with the names and files that go wrong in real ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data.prepare.base import find_pairs
from sdnet_pl.data.prepare.datasets import DATASETS

MAX_SIDE = 48
SHAPE = (64, 56)
ODD_NAMES = ("boy-1518482_1920 (1)", "Wild hair.v2", "élève", "h_10")


class Drawer:
    """Pictures from one seed, each another one."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def photo(self, shape: tuple[int, int] = SHAPE) -> np.ndarray:
        noise = self.rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
        return cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)

    def alpha(self, shape: tuple[int, int] = SHAPE) -> np.ndarray:
        alpha = np.zeros(shape, np.uint8)
        center = (int(shape[1] * self.rng.uniform(0.4, 0.6)), shape[0] // 2)
        cv2.ellipse(alpha, center, (shape[1] // 4, shape[0] // 3), 0, 0, 360, 255, -1, cv2.LINE_AA)
        return cv2.GaussianBlur(alpha, (7, 7), 0)

    def trimap(self) -> np.ndarray:
        return np.where(self.alpha() > 0, np.uint8(128), np.uint8(0))

    def save(self, path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"quality": 90} if path.suffix.lower() in (".jpg", ".jpeg") else {}
        Image.fromarray(pixels).save(path, **options)


def adobe(root: Path, draw: Drawer) -> set[str]:
    top = root / "Combined_Dataset"
    for folder, suffix, names in (
        ("Training_set/Adobe-licensed images", ".png", (*ODD_NAMES[:2], "a vase")),
        ("Training_set/Other", ".jpg", ODD_NAMES[2:]),
        ("Test_set/Adobe-licensed images", ".png", ("test 1", "a net")),
    ):
        for name in names:
            draw.save(top / folder / "fg" / f"{name}{suffix}", draw.photo())
            alpha = draw.alpha()
            # Grey stored as RGB, as cameras and JPEG editors do.
            draw.save(top / folder / "alpha" / f"{name}{suffix}", alpha if "(" in name else np.dstack([alpha] * 3))
    draw.save(top / "Test_set/Adobe-licensed images/trimaps/test 1_0.png", draw.trimap())
    (top / "Training_set/training_fg_names.txt").write_text("boy-1518482_1920 (1).png\n")
    # A published list names JPEGs where the data set holds PNGs, and has lines of Windows.
    lines = [f"{name}.jpg" for name in ODD_NAMES] + ["test 1.png"]
    (root.parent / "people.txt").write_text("\r\n".join(lines) + "\r\n\r\n", "utf-8-sig")
    train = {f"train/{part}" for name in ODD_NAMES for part in (f"fg/{name}.jpg", f"alpha/{name}.png")}
    return train | {"test/fg/test 1.png", "test/alpha/test 1.png"}


def distinction646(root: Path, draw: Drawer) -> set[str]:
    for split, names in (("Train", ("h_0", "13(2)", "t_62")), ("Test", ("test_8", "t_63"))):
        for name in names:
            draw.save(root / "Distinctions-646" / split / "FG" / f"{name}.png", draw.photo())
            draw.save(root / "Distinctions-646" / split / "GT" / f"{name}.png", draw.alpha())
    (root.parent / "people.txt").write_text("h_0\n13(2)\ntest_8\n")
    train = {f"train/{part}" for name in ("h_0", "13(2)") for part in (f"fg/{name}.jpg", f"alpha/{name}.png")}
    return train | {"test/fg/test_8.png", "test/alpha/test_8.png"}


def ppm100(root: Path, draw: Drawer) -> set[str]:
    for name in ("1_o.jpg", "IMG 2.JPG"):
        draw.save(root / "PPM-100" / "image" / name, draw.photo())
        draw.save(root / "PPM-100" / "matte" / name.lower().replace("img", "IMG"), draw.alpha())
    shadow = root / "__MACOSX/PPM-100/image"
    shadow.mkdir(parents=True)
    (shadow / "._1_o.jpg").write_bytes(b"resource fork")
    (root / "__MACOSX/PPM-100/matte").mkdir()
    return {f"test/{path}" for path in ("image/1_o.jpg", "alpha/1_o.png", "image/IMG 2.JPG", "alpha/IMG 2.png")}


def p3m10k(root: Path, draw: Drawer) -> set[str]:
    expected = set()
    for folder, pictures, target in (
        ("train", "blurred_image", "train"),
        ("validation/P3M-500-P", "blurred_image", "test/P3M-500-P"),
        ("validation/P3M-500-NP", "original_image", "test/P3M-500-NP"),
    ):
        for name in ("p_015cd10e", "p_0865636e"):
            draw.save(root / "P3M-10k" / folder / pictures / f"{name}.jpg", draw.photo())
            draw.save(root / "P3M-10k" / folder / "mask" / f"{name}.png", draw.alpha())
            parts = [f"image/{name}.jpg", f"alpha/{name}.png", f"trimap/{name}.png"]
            if target == "train":
                parts = [f"fg/{name}.jpg", f"alpha/{name}.png"]
            else:
                draw.save(root / "P3M-10k" / folder / "trimap" / f"{name}.png", draw.trimap())
            expected |= {f"{target}/{part}" for part in parts}
    return expected


def aim500(root: Path, draw: Drawer) -> set[str]:
    categories = {"o_0b7228ec": "portrait", "o_0c8f03f0": "animal", "o_6e4a7373": "portrait"}
    for name in categories:
        draw.save(root / "AIM-500/original" / f"{name}.jpg", draw.photo())
        draw.save(root / "AIM-500/mask" / f"{name}.png", draw.alpha())
        draw.save(root / "AIM-500/trimap" / f"{name}.png", draw.trimap())
    about = {name: {"type": "SO", "category": category} for name, category in categories.items()}
    (root / "AIM-500/aim_category_type.json").write_text(json.dumps(about))
    return {
        f"test/{part}"
        for name in ("o_0b7228ec", "o_6e4a7373")
        for part in (f"image/{name}.jpg", f"alpha/{name}.png", f"trimap/{name}.png")
    }


def pairs(root: Path, draw: Drawer) -> set[str]:
    names = ("a", "nested folder/ü.b", "C")
    for name in names:
        draw.save(root / "image" / f"{name}.WEBP", draw.photo())
        draw.save(root / "alpha" / f"{name}.PNG", draw.alpha())
    return {f"train/{part}" for name in names for part in (f"fg/{name}.jpg", f"alpha/{name}.png")}


def cutouts(root: Path, draw: Drawer) -> set[str]:
    names = ("a", "b", "c", "nested folder/ü.b", "nested folder/deep/d")
    for name in names:
        draw.save(root / f"{name}.png", np.dstack([draw.photo(), draw.alpha()]))
    return {f"train/{part}" for name in names for part in (f"fg/{name}.jpg", f"alpha/{name}.png")}


def coco(root: Path, draw: Drawer) -> set[str]:
    for split, count in (("train2017", 4), ("val2017", 2)):
        images = [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(count)]
        for image in images:
            draw.save(root / split / str(image["file_name"]), draw.photo((40, 48) if image["id"] else SHAPE))
        busy = [{"image_id": 1, "category_id": 7, "iscrowd": 1}, {"image_id": 0, "category_id": 2}]
        categories = [{"id": 7, "name": "person"}, {"id": 2, "name": "bicycle"}]
        content = {"images": images, "annotations": busy, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    draw.save(root / "test2017" / "000000000099.jpg", draw.photo())
    names = {"train2017": (0, 2, 3), "val2017": (0,)}
    return {f"{split}/{i:012d}.jpg" for split, indices in names.items() for i in indices}


def voc(root: Path, draw: Drawer) -> set[str]:
    year = root / "VOCdevkit/VOC2012"
    for name, objects in (("2007_000027", ("person", "dog")), ("2007_000032", ("aeroplane",)), ("2012_004331", ())):
        draw.save(year / "JPEGImages" / f"{name}.jpg", draw.photo((40, 48)))
        items = "".join(f"<object><name>{item}</name><part><name>head</name></part></object>" for item in objects)
        (year / "Annotations").mkdir(exist_ok=True)
        (year / "Annotations" / f"{name}.xml").write_text(f"<annotation><folder>VOC2012</folder>{items}</annotation>")
    return {"VOC2012/2007_000032.jpg", "VOC2012/2012_004331.jpg"}


TREES = {tree.__name__: tree for tree in (adobe, distinction646, ppm100, p3m10k, aim500, pairs, cutouts, coco, voc)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Where a miniature is made."""
    folder = tmp_path / "source of pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[str]]:
    """Makes the miniature of a data set in ``source``, and says what is written of it beside the manifest."""

    def make(name: str) -> set[str]:
        dataset = DATASETS[name]
        if isinstance(dataset.find, partial) and dataset.find.func is find_pairs:
            parts = [part._replace(published=part.published and 2) for part in dataset.find.keywords["parts"]]
            monkeypatch.setitem(DATASETS, name, replace(dataset, find=partial(find_pairs, parts=tuple(parts))))
        return TREES[name](source, Drawer())

    return make


@pytest.fixture
def prepare(source: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in this process on ``source``, into ``DST`` below the test's folder."""

    def run(name: str, *more: object, destination: str = "DST") -> int:
        lists = ["--split", tmp_path / "people.txt"] if (tmp_path / "people.txt").exists() else []
        options = ["--max-side", MAX_SIDE, "--workers", 1]
        return main([str(item) for item in ("prepare", name, source, tmp_path / destination, *options, *lists, *more)])

    return run


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., set[str]]:
    """The files of a folder below the test's, hidden ones too, as paths below it."""

    def files(folder: str = "DST") -> set[str]:
        top = tmp_path / folder
        return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}

    return files
