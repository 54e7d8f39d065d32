"""How well people are found who are small in a photo, by one look at the whole and by the search that matte makes.

Scenes of 3000×2000 are made of held-out pictures: people who stand free in photos with masks, somewhere in the lower
part of a background, and people cut out at the waist, at the lower edge. Backgrounds without anybody show what is made
up.

Needs these folders below SDNET_DATA: natural/val, cutouts/val and backgrounds/val.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from experiments import add_data, need_folders, run_script
from sdnet_pl.data.composition import cover
from sdnet_pl.data.image_io import list_pictures, pictures_by_name, read_alpha, read_rgb, read_rgba
from sdnet_pl.data.sources.base import Foreground, Image
from sdnet_pl.inference import MattePredictor, load_weights
from sdnet_pl.inference.pretrained import DEFAULT
from sdnet_pl.reporting.tables import to_markdown

SHAPE = (2000, 3000)
HEIGHTS = (0.125, 0.25, 0.5, 1.0)


def standing(folder: Path) -> list[Foreground]:
    """The people of photos with masks who stand free: taller than wide, and not cut off by the picture's edge."""
    masks = pictures_by_name(folder / "mask")
    people = []
    for name, photo in pictures_by_name(folder / "image").items():
        mask = np.where(read_alpha(masks[name]) > 127, 255, 0).astype(np.uint8)
        count, labels, parts, _ = cv2.connectedComponentsWithStats(mask)
        if count < 2:
            continue
        left, top, width, height, _ = parts[1 + parts[1:, 4].argmax()]
        if left > 0 and top > 0 and left + width < mask.shape[1] and top + height < mask.shape[0] and height > width:
            own = np.where(labels == 1 + parts[1:, 4].argmax(), 255, 0).astype(np.uint8)
            soft = cv2.GaussianBlur(cv2.erode(own, np.ones((3, 3), np.uint8)), (0, 0), 0.8)  # masks err outwards
            people.append(Foreground(read_rgb(photo), np.asarray(soft, np.uint8)))
    return people


def scene(people: Sequence[Foreground], backgrounds: Sequence[Path], height: float, seed: int) -> tuple[Image, Image]:
    """A photo and its alpha: one person of that part of its height; who is cut off below ends at its lower edge."""
    rng = np.random.default_rng([seed, int(1000 * height)])
    photo = cover(read_rgb(backgrounds[int(rng.integers(len(backgrounds)))]), *SHAPE).copy()
    person = people[int(rng.integers(len(people)))]
    rows, columns = (np.flatnonzero((person.alpha > 16).any(axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cut_off = rows[-1] == len(person.alpha) - 1
    weight = person.alpha[part] / np.float32(255)
    scale = height * SHAPE[0] / len(weight)
    filter = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    color = cv2.resize(person.color[part] * weight[..., None], None, fx=scale, fy=scale, interpolation=filter)
    weight = np.asarray(cv2.resize(weight, None, fx=scale, fy=scale, interpolation=filter), np.float32)
    color, weight = color[: SHAPE[0], : SHAPE[1]], np.clip(weight[: SHAPE[0], : SHAPE[1]], 0, 1)
    top = int((1 if cut_off else rng.uniform(0.4, 0.97)) * (SHAPE[0] - len(weight)))
    left = int(rng.random() * (SHAPE[1] - weight.shape[1]))
    place = slice(top, top + len(weight)), slice(left, left + weight.shape[1])
    photo[place] = np.clip(color + photo[place] * (1 - weight[..., None]), 0, 255).round().astype(np.uint8)
    alpha = np.zeros(SHAPE, np.uint8)
    alpha[place] = np.rint(255 * weight)
    return photo, alpha


def measure(predictor: MattePredictor, scenes: Iterator[tuple[Image, Image]]) -> dict[str, str | float]:
    """IoU, how much is seen, and seconds of CPU of one look and of the search, over scenes."""
    scores = []
    for photo, true in scenes:
        start = process_time()
        whole = np.asarray(cv2.resize(predictor.look(photo, predictor.size), photo.shape[1::-1]), np.float32)
        middle = process_time()
        alpha = predictor.alpha(photo)
        seconds = middle - start, process_time() - middle
        scores.append(
            [*(_iou(x, true) for x in (whole, alpha)), *((x >= 0.5).mean() for x in (whole, alpha)), *seconds]
        )
    one, search, seen_by_one, seen, time_of_one, time = np.mean(scores, axis=0)
    return {
        "photos": len(scores),
        "IoU, one look": one,
        "IoU": search,
        "IoU ≥ 0.8": float(np.mean([score[1] >= 0.8 for score in scores])),
        "seen, one look (%)": 100 * seen_by_one,
        "seen (%)": 100 * seen,
        "CPU, one look (s)": time_of_one,
        "CPU (s)": time,
    }


def _iou(alpha: NDArray[np.float32], true: Image) -> float:
    seen, there = alpha >= 0.5, true >= 128
    union = (seen | there).sum()
    return float((seen & there).sum() / union) if union else 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.small_people", description=__doc__)
    add_data(parser)
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--photos", type=int, default=24, help="of each kind")
    args = parser.parse_args(arguments)
    need_folders(parser, args.data, "natural/val", "cutouts/val", "backgrounds/val")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model, size = load_weights(args.weights)
    predictor = MattePredictor(model, size, "cpu")
    backgrounds = list_pictures(args.data / "backgrounds" / "val")
    kinds = {
        "whole": standing(args.data / "natural" / "val"),
        "cut off": [Foreground(*read_rgba(file)) for file in list_pictures(args.data / "cutouts" / "val")],
    }
    rows: list[dict[str, str | float]] = []
    for kind, people in kinds.items():
        for height in HEIGHTS:
            scenes = (scene(people, backgrounds, height, seed) for seed in range(args.photos))
            rows.append({"person": kind, "height": f"{height:g}", **measure(predictor, scenes)})
    empty = ((cover(read_rgb(file), *SHAPE), np.zeros(SHAPE, np.uint8)) for file in backgrounds)
    rows.append({"person": "nobody", "height": "", **measure(predictor, empty)})
    print(to_markdown(rows))


if __name__ == "__main__":
    run_script(main)
