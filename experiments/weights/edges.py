"""Where the error of an alpha lies: in half-transparent pixels, at the person's edge, near it, or far from it.

Two alphas that know the truth show what an edge costs: the true alpha made binary, and the true alpha at half of the
resolution. Needs these folders below SDNET_DATA: cutouts/val, people/val, backgrounds/val and backgrounds/val2.
"""

import argparse
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from experiments import add_data, need_folders, run_script
from sdnet_pl.data import BackgroundFolder, CompositeBenchmark, CutoutFolder
from sdnet_pl.data.batches import EvaluationSample
from sdnet_pl.data.reduction import reduce_by_area
from sdnet_pl.data.trimap import trimap_channel
from sdnet_pl.inference import load_weights
from sdnet_pl.nn import SDNet
from sdnet_pl.reporting.tables import Row, to_markdown

Alpha = NDArray[np.float32]
SETS = {"athletes": ("cutouts/val", "backgrounds/val"), "other people": ("people/val", "backgrounds/val2")}
BANDS = {"to 2 px": 2, "to 6 px": 6, "to 25 px": 25, "farther": np.inf}


def by_place(alpha: Alpha, true: Alpha) -> dict[str, float]:
    """The mean absolute error, as parts by where a pixel lies; both alphas are ``[H, W]`` in [0, 1].

    The edge is where the true alpha crosses one half. Pixels whose true alpha lies within 0.02 of 0 or 1 are opaque.
    """
    error = np.abs(alpha - true)
    edge = cv2.morphologyEx((true >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, 5)
    transparent = (true > 0.02) & (true < 0.98)
    parts = {"all": float(error.mean()), "half-transparent": float(error[transparent].sum() / error.size)}
    nearer = -np.inf
    for name, limit in BANDS.items():
        here = ~transparent & (distance > nearer) & (distance <= limit)
        parts[name] = float(error[here].sum() / error.size)
        nearer = limit
    return parts


def alpha_of(model: SDNet, sample: EvaluationSample) -> Alpha:
    """The network's alpha of a benchmark's picture, ``[H, W]``."""
    seen = sample["image"][None].float() / 255
    if model.trimap:
        seen = torch.cat([seen, trimap_channel(sample["trimap"][None])], dim=1)
    with torch.inference_mode():
        return np.asarray(model(seen)[0, 0], np.float32)


def made_binary(true: Alpha) -> Alpha:
    """1 where the alpha is one half or more, otherwise 0."""
    return (true >= 0.5).astype(np.float32)


def at_half_resolution(alpha: Alpha) -> Alpha:
    """Reduced to half of its sides by area, and back by bilinear interpolation."""
    height, width = alpha.shape
    half = reduce_by_area(alpha, width // 2, height // 2)
    return np.asarray(cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


KNOWN: dict[str, Callable[[Alpha], Alpha]] = {
    "the true alpha, 0 or 1": made_binary,
    "the true alpha at half resolution": at_half_resolution,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.edges", description=__doc__)
    add_data(parser)
    parser.add_argument("weights", nargs="+", help="names that ship, checkpoints or files of sdnet-pl export")
    parser.add_argument("--size", type=int, default=384, help="longer side in pixels (default: %(default)s)")
    args = parser.parse_args(arguments)
    need_folders(parser, args.data, *(folder for folders in SETS.values() for folder in folders))
    models = {name: load_weights(name)[0] for name in args.weights}
    rows: list[Row] = []
    for kind, (people, backgrounds) in SETS.items():
        benchmark = CompositeBenchmark(
            CutoutFolder(args.data / people), BackgroundFolder(args.data / backgrounds), size=args.size
        )
        scores: dict[str, list[dict[str, float]]] = {name: [] for name in (*KNOWN, *models)}
        for i in tqdm(range(len(benchmark)), leave=False):
            sample = benchmark[i]
            true = np.divide(sample["alpha"][0].numpy(), 255, dtype=np.float32)
            for name, make in KNOWN.items():
                scores[name].append(by_place(make(true), true))
            for name, model in models.items():
                scores[name].append(by_place(alpha_of(model, sample), true))
        for name, of_pictures in scores.items():
            means = {place: 1000 * float(np.mean([s[place] for s in of_pictures])) for place in of_pictures[0]}
            rows.append({"composites of": kind, "MAD×1000 of": name, **means})
    print(to_markdown(rows))


if __name__ == "__main__":
    run_script(main)
