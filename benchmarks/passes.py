"""Two passes against one, and against a guided filter on the alpha of one: errors at the picture's own size.

Held-out people before held-out backgrounds, 640, 1280 and 3840 pixels on the longer side. No cut-out is larger than 720
pixels: at 640 it fills the picture, in larger ones it stands at its own size before an enlarged background. Only drawn
portraits have hair that is sharp at 3840 pixels. Errors are means over pictures; times are of CPU.

Photos with masks of the people follow, at their own size, with the overlap of alpha above 0.5 and mask.

Needs these folders below SDNET_DATA: cutouts/val, people/val, backgrounds/val, backgrounds/val2, natural/val and
photos/val.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.timing import positive
from sdnet_pl.data import BackgroundFolder, CutoutFolder, MaskFolder, ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.benchmarks import _reduced
from sdnet_pl.data.composition import composite_uint8, cover
from sdnet_pl.data.sources.base import Foreground, Image
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.inference.engine import open_engine
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.two_pass import Alpha, Network, predicted_trimap, refine
from sdnet_pl.metrics.functional import mad, mse, sad
from sdnet_pl.reporting.tables import Row, to_markdown

Picture = tuple[Image, Image]
Method = Callable[[Image], Alpha]


def pictures(root: Path, longer: int, count: int) -> Iterator[Picture]:
    """Photos and their alphas: people spread evenly over both folders, at their own size or as large as fits.

    They are not those on which the settings of two passes were chosen, which began with the first of each folder.
    """
    for people, places in (("cutouts/val", "backgrounds/val"), ("people/val", "backgrounds/val2")):
        cutouts, backgrounds = CutoutFolder(str(root / people)), BackgroundFolder(str(root / places))
        for i in range(count // 2):
            person = Foreground(*_reduced(longer, *cutouts.load((2 * i + 1) * len(cutouts) // count)))
            height, width = person.alpha.shape
            if longer > 720:
                height, width = longer * 2 // 3, longer
            background = cover(backgrounds.load(i % len(backgrounds)), height, width)
            yield _standing(person, background)


def drawn(longer: int, count: int) -> Iterator[Picture]:
    """Drawn portraits and backgrounds, sharp at any size."""
    people, places = ProceduralPortraits(count, longer), ProceduralBackgrounds(count, longer)
    for i in range(count):
        person = people.load(i)
        yield composite_uint8(person, cover(places.load(i), *person.alpha.shape)), person.alpha


def _standing(person: Foreground, background: Image) -> Picture:
    """A person in the middle of a background's lower edge."""
    height, width = background.shape[:2]
    rows, columns = person.alpha.shape
    rows, columns = min(rows, height), min(columns, width)
    left = (width - columns) // 2
    place = slice(height - rows, height), slice(left, left + columns)
    photo, alpha = background.copy(), np.zeros((height, width), np.uint8)
    person = Foreground(*(part[-rows:, :columns] for part in person))
    photo[place], alpha[place] = composite_uint8(person, background[place]), person.alpha
    return photo, alpha


def guided_filter(photo: Image, alpha: Alpha, radius: int, eps: float) -> Alpha:
    """The alpha that is locally a linear function of the photo's luminance (He et al., Guided Image Filtering, 2010).

    Args:
        photo: uint8 ``[H, W, 3]``.
        alpha: ``[H, W]`` in [0, 1].
        radius: of the window, in pixels.
        eps: variance of the luminance in [0, 1] below which the alpha is smoothed.
    """
    guide = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.float32) / 255
    mean = partial(cv2.blur, ksize=(2 * radius + 1, 2 * radius + 1))
    of_guide, of_alpha = mean(guide), mean(alpha)
    slope = (mean(guide * alpha) - of_guide * of_alpha) / (mean(guide * guide) - of_guide**2 + eps)
    return np.asarray(np.clip(mean(slope) * guide + mean(of_alpha - slope * of_guide), 0, 1), np.float32)


def methods(passes: Sequence[MattePredictor], second: Network) -> dict[str, Method]:
    """What is compared, by name; each gives the alpha of a photo."""

    def filtered(photo: Image, first: MattePredictor, radius: int, eps: float) -> Alpha:
        return guided_filter(photo, first.alpha(photo), max(1, round(radius * max(photo.shape) / first.size)), eps)

    def two(photo: Image, first: MattePredictor, size: int | None) -> Alpha:
        alpha = first.alpha(photo)
        return refine(photo, alpha, predicted_trimap(alpha), second, size)

    found: dict[str, Method] = {f"one pass at {first.size}": first.alpha for first in passes}
    for first in passes:
        for radius, eps in ((1, 1e-2), (1, 1e-3), (2, 1e-3)):
            name = f"{first.size}, guided filter of {radius} px, ε {eps:g}"
            found[name] = partial(filtered, first=first, radius=radius, eps=eps)
        for size in (384, 640, None):
            found[f"{first.size}, pass 2 at {size or 'its own size'}"] = partial(two, first=first, size=size)
    return found


def measure(methods: dict[str, Method], samples: Iterator[Picture], count: int, title: str) -> list[Row]:
    """The table of one set of pictures."""
    values: dict[str, list[tuple[float, ...]]] = {name: [] for name in methods}
    for photo, true in tqdm(samples, total=count, desc=title, unit="picture"):
        target, trimap = (torch.from_numpy(x)[None, None] for x in (true, evaluation_trimap(true)))
        for name, method in methods.items():
            start = process_time()
            alpha = method(photo)
            seconds = process_time() - start
            pred = torch.from_numpy(alpha)[None, None]
            scores = (1000 * mad(pred, target / 255), 1000 * mse(pred, target / 255), sad(pred, target / 255, trimap))
            values[name].append((*(float(score) for score in scores), seconds))
    means = {name: np.mean(rows, axis=0) for name, rows in values.items()}
    unit = next(iter(means.values()))[3]
    return [
        {"pictures": title, "method": name, "MAD×1000": a, "MSE×1000": b, "SAD unknown": c, "time": t / unit}
        for name, (a, b, c, t) in means.items()
    ]


def measure_photos(methods: dict[str, Method], folder: Path, count: int) -> list[Row]:
    """The table of photos with binary masks, spread evenly over a folder: mean intersection over union."""
    photos = MaskFolder(str(folder))
    values: dict[str, list[float]] = {name: [] for name in methods}
    count = min(count, len(photos))
    for i in tqdm(range(count), desc=str(folder), unit="photo"):
        photo = photos.load(i * len(photos) // count)
        person = photo.alpha > 127
        for name, method in methods.items():
            found = method(photo.photo) > 0.5
            values[name].append((found & person).sum() / max(1, (found | person).sum()))
    title = "/".join(folder.parts[-2:])
    return [{"photos": f"{count} of {title}", "method": name, "IoU": float(np.mean(v))} for name, v in values.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.passes", description=__doc__)
    parser.add_argument("--root", type=Path, default=os.environ.get("SDNET_DATA", "data"), help="holds the folders")
    parser.add_argument("--sizes", type=int, nargs="*", default=(640, 1280, 3840), help="longer sides in pixels")
    parser.add_argument("--count", type=positive, default=24, help="pictures of the smallest; a quarter of larger ones")
    parser.add_argument("--drawn", type=int, nargs="*", default=(3840,), help="longer sides of drawn portraits")
    parser.add_argument("--photos", type=int, default=80, help="photos of each folder, at most")
    parser.add_argument("--weights", default="sdnet-fast", help="of the network without a trimap")
    parser.add_argument("--second", default="sdnet-fast-trimap", help="of the network with one")
    parser.add_argument("--first", type=int, nargs="*", default=(256, 384), help="sizes of the first pass")
    parser.add_argument("--only", nargs="*", default=("",), help="methods whose names begin so (default: all)")
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    network = open_engine(args.weights, "cpu", threads=1).network
    second = open_engine(args.second, "cpu", threads=1).network
    compared = methods([MattePredictor(network, size) for size in args.first], second)
    compared = {name: method for name, method in compared.items() if name.startswith(tuple(args.only))}
    for longer in args.sizes:
        count = args.count if longer == min(args.sizes) else max(2, args.count // 4)
        print("\n" + to_markdown(measure(compared, pictures(args.root, longer, count), count, f"{longer} px")))
    for longer in args.drawn:
        count = max(2, args.count // 4)
        print("\n" + to_markdown(measure(compared, drawn(longer, count), count, f"{longer} px, drawn")))
    for folder in ("natural/val", "photos/val") if args.photos else ():
        print("\n" + to_markdown(measure_photos(compared, args.root / folder, args.photos)))


if __name__ == "__main__":
    main()
