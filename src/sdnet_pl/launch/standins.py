"""Stand-ins for the public data sets: drawn people at a small scale, laid out as published.

With them everything can be tried without the data sets.
"""

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.sources.base import Image

NAMES = ("adobe", "distinction646", "coco", "voc", "ppm100", "aim500")
PPM = 100  # `prepare` counts them


class Counts(NamedTuple):
    """How many pictures the stand-ins have, and their side in pixels.

    Attributes:
        side: Of every picture.
        trained: People to train on, of Adobe Image Matting and of Distinctions-646.
        tested: People to score on, of each of the two.
        portraits: Of AIM-500.
        scenes: Pictures of COCO and of PASCAL VOC, of which the first shows a person.
    """

    side: int = 96
    trained: tuple[int, int] = (6, 6)
    tested: int = 2
    portraits: int = 2
    scenes: tuple[int, int] = (12, 12)


def draw(root: Path, counts: Counts | None = None) -> None:
    """Writes the trees of ``NAMES`` below ``root``, and the split lists that two of them need, unless it is there.

    Args:
        root: The folder.
        counts: How much of everything; none: little.
    """
    if root.exists():
        return
    print("sdnet-pl: drawing stand-ins ...", file=sys.stderr)
    unfinished = root.with_name(f"{root.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    _draw(unfinished, counts or Counts())
    unfinished.rename(root)


def _draw(root: Path, counts: Counts) -> None:
    people, scenes = ProceduralPortraits(size=counts.side), ProceduralBackgrounds(size=counts.side)
    next_one = itertools.count()

    def save(path: str, pixels: Image) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(root / path)

    def photo() -> tuple[Image, Image]:
        number = next(next_one)
        person = people.load(number)
        return composite_uint8(person, scenes.load(number)), person.alpha

    for trained, (dataset, name, folder, train, test, parts) in zip(
        counts.trained,
        (
            (
                "adobe",
                "person {}",
                "Combined_Dataset/{}/Adobe-licensed images",
                "Training_set",
                "Test_set",
                ("fg", "alpha"),
            ),
            ("distinction646", "h_{}", "Distinctions-646/{}", "Train", "Test", ("FG", "GT")),
        ),
        strict=True,
    ):
        names = []
        for split in (train,) * trained + (test,) * counts.tested:
            number = next(next_one)
            person = people.load(number)
            names.append(name.format(number))
            for part, pixels in zip(parts, person, strict=True):
                save(f"{dataset}/{folder.format(split)}/{part}/{names[-1]}.png", pixels)
        (root / f"{dataset}.txt").write_text("\n".join(names), encoding="utf-8")
    for i in range(PPM):
        image, opacity = photo()
        save(f"ppm100/PPM-100/image/{i}.jpg", image)
        save(f"ppm100/PPM-100/matte/{i}.png", opacity)
    categories = {}
    for i in range(counts.portraits + 1):
        image, alpha = photo()
        categories[f"o_{i}"] = {"type": "SO", "category": "portrait" if i else "animal"}
        save(f"aim500/AIM-500/original/o_{i}.jpg", image)
        save(f"aim500/AIM-500/mask/o_{i}.png", alpha)
        save(f"aim500/AIM-500/trimap/o_{i}.png", np.full_like(alpha, 128))
    (root / "aim500/AIM-500/aim_category_type.json").write_text(json.dumps(categories), encoding="utf-8")
    coco, voc = counts.scenes
    # No background is in both.
    first = 900, 900 + max(50, coco)
    for i in range(coco):
        save(f"coco/train2017/{i:012d}.jpg", scenes.load(first[0] + i) if i else photo()[0])
    annotations = root / "voc/VOCdevkit/VOC2012/Annotations"
    annotations.mkdir(parents=True)
    for i in range(voc):
        save(f"voc/VOCdevkit/VOC2012/JPEGImages/2007_{i:06d}.jpg", scenes.load(first[1] + i) if i else photo()[0])
        item = "" if i else "<object><name>person</name></object>"
        (annotations / f"2007_{i:06d}.xml").write_text(f"<annotation>{item}</annotation>", encoding="utf-8")
    about = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(coco)],
        "annotations": [{"image_id": 0, "category_id": 1, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (root / "coco/annotations").mkdir(exist_ok=True)
    (root / "coco/annotations/instances_train2017.json").write_text(json.dumps(about), encoding="utf-8")
