"""Foreground colours: ours against the multi-level estimate of pymatting, and against the photo's own colours.

Held-out people before held-out backgrounds, at the cut-outs' own size. Colours are compared where 0 < α < 1 with the
person's own; the halo is what a cut-out errs by around the edge when it is put before white, black and green. Both in
[0, 255], with the true alpha and with the network's. Times are of CPU, relative to ours.

Needs cutouts/val and backgrounds/val below SDNET_DATA, and pymatting, which this package does not install: pip install
pymatting.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.timing import positive
from sdnet_pl.data import BackgroundFolder, CutoutFolder
from sdnet_pl.data.composition import composite_uint8, cover
from sdnet_pl.data.foreground_colors import estimate_foreground
from sdnet_pl.data.sources.base import Image
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.inference.engine import open_engine
from sdnet_pl.reporting.tables import Row, to_markdown

Estimate = Callable[[Image, NDArray[np.float32]], Image]
BEHIND = ((255, 255, 255), (0, 0, 0), (0, 177, 64))


def multi_level(photo: Image, alpha: NDArray[np.float32]) -> Image:
    """pymatting's estimate (Germer et al., Fast Multi-Level Foreground Estimation, 2020)."""
    from pymatting import estimate_foreground_ml

    color = estimate_foreground_ml(photo / 255.0, alpha.astype(np.float64))
    return np.rint(255 * color.clip(0, 1)).astype(np.uint8)


ESTIMATES: dict[str, Estimate] = {
    "ours": estimate_foreground,
    "pymatting, multi-level": multi_level,
    "the photo's own colours": lambda photo, alpha: photo,
}


def over(color: Image, alpha: NDArray[np.float32], behind: tuple[int, ...]) -> NDArray[np.float32]:
    """A cut-out before a colour, ``[H, W, 3]`` in [0, 255]."""
    weight = alpha[..., None]
    return np.asarray(weight * color + (1 - weight) * np.asarray(behind, np.float32), np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreground", description=__doc__)
    parser.add_argument("--root", type=Path, default=os.environ.get("SDNET_DATA", "data"), help="holds the folders")
    parser.add_argument("--count", type=positive, default=34, help="pictures")
    parser.add_argument("--quality", default="fast", help="of the network's alphas")
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    people = CutoutFolder(str(args.root / "cutouts/val"))
    places = BackgroundFolder(str(args.root / "backgrounds/val"))
    predictor = open_engine(device="cpu", threads=1, quality=args.quality).predictor()
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for i in tqdm(range(min(args.count, len(people))), unit="picture"):
        person = people.load(i)
        photo = composite_uint8(person, cover(places.load(i % len(places)), *person.alpha.shape))
        true = np.asarray(person.alpha / 255, np.float32)
        soft = (person.alpha > 0) & (person.alpha < 255)
        edge = evaluation_trimap(person.alpha) == 128
        for kind, alpha in (("true", true), ("predicted", predictor.alpha(photo))):
            for name, estimate in ESTIMATES.items():
                if i == 0:
                    estimate(photo, alpha)  # what is compiled at the first call
                start = process_time()
                color = estimate(photo, alpha)
                seconds = process_time() - start
                off = np.abs(color[soft].astype(np.float32) - person.color[soft]).mean()
                halo = np.mean(
                    [np.abs(over(color, alpha, b)[edge] - over(person.color, true, b)[edge]).mean() for b in BEHIND]
                )
                found.setdefault((kind, name), []).append((float(off), float(halo), seconds))
    rows: list[Row] = []
    for (kind, name), values in found.items():
        off, halo, seconds = np.mean(values, axis=0)
        unit = np.mean(found[kind, "ours"], axis=0)[2]
        rows.append({"alpha": kind, "colours": name, "error of F": off, "halo": halo, "time": seconds / unit})
    print(to_markdown(rows))


if __name__ == "__main__":
    main()
