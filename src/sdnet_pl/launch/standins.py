"""Stand-ins for the public data sets: drawn people at a small scale, laid out as published.

With them everything can be tried without the data sets.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.sources.base import Image

SIDE = 96
PPM = 100  # `prepare` counts them
TRAINED, TESTED, SCENES = 6, 2, 12
NAMES = ("adobe", "distinction646", "coco", "voc", "ppm100", "aim500")


def draw(root: Path) -> None:
    """Writes the trees of ``NAMES`` below ``root``, and the split lists that two of them need, unless it is there."""
    if root.exists():
        return
    print("sdnet-pl: drawing stand-ins ...", file=sys.stderr)
    unfinished = root.with_name(f"{root.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    _draw(unfinished)
    unfinished.rename(root)


def _draw(root: Path) -> None:
    people, scenes = ProceduralPortraits(1000, SIDE), ProceduralBackgrounds(1000, SIDE)
    next_one = iter(range(1000))

    def save(path: str, pixels: Image) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(root / path)

    def photo() -> tuple[Image, Image]:
        number = next(next_one)
        person = people.load(number)
        return composite_uint8(person, scenes.load(number)), person.alpha

    for dataset, name, folder, train, test, parts in (
        (
            "adobe",
            "person {}",
            "Combined_Dataset/{}/Adobe-licensed images",
            "Training_set",
            "Test_set",
            ("fg", "alpha"),
        ),
        ("distinction646", "h_{}", "Distinctions-646/{}", "Train", "Test", ("FG", "GT")),
    ):
        names = []
        for split in (train,) * TRAINED + (test,) * TESTED:
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
    for i in range(TESTED + 1):
        image, alpha = photo()
        categories[f"o_{i}"] = {"type": "SO", "category": "portrait" if i else "animal"}
        save(f"aim500/AIM-500/original/o_{i}.jpg", image)
        save(f"aim500/AIM-500/mask/o_{i}.png", alpha)
        save(f"aim500/AIM-500/trimap/o_{i}.png", np.full_like(alpha, 128))
    (root / "aim500/AIM-500/aim_category_type.json").write_text(json.dumps(categories), encoding="utf-8")
    for i in range(SCENES):
        crowd = i == 0
        save(f"coco/train2017/{i:012d}.jpg", photo()[0] if crowd else scenes.load(900 + i))
        save(f"voc/VOCdevkit/VOC2012/JPEGImages/2007_{i:06d}.jpg", photo()[0] if crowd else scenes.load(950 + i))
        annotations = root / "voc/VOCdevkit/VOC2012/Annotations"
        annotations.mkdir(exist_ok=True)
        item = "<object><name>person</name></object>" if crowd else ""
        (annotations / f"2007_{i:06d}.xml").write_text(f"<annotation>{item}</annotation>", encoding="utf-8")
    about = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(SCENES)],
        "annotations": [{"image_id": 0, "category_id": 1, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (root / "coco/annotations").mkdir(exist_ok=True)
    (root / "coco/annotations/instances_train2017.json").write_text(json.dumps(about), encoding="utf-8")
