"""Which gates of AMPA's channel attention follow the picture, and which are the same for every photo.

Needs a folder of photos, such as natural/val/image below SDNET_DATA.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from experiments import run_script
from sdnet_pl.data.image_io import list_pictures, read_rgb
from sdnet_pl.explore import inspect_picture
from sdnet_pl.inference import load_weights
from sdnet_pl.inference.export.calibration import some_of
from sdnet_pl.nn.ampa import AMPA

LEVELS = (2, 3, 4)
SAME = 0.01  # a gate whose weights in [0, 1] lie within this of each other does not follow the picture


def need_two(parser: argparse.ArgumentParser, folder: Path, photos: Sequence[object]) -> None:
    """Ends the script with an error unless it looks at two photos, between which gates can differ."""
    if len(photos) < 2:
        parser.error(f"{folder} with this --number gives fewer than 2 photos; give 2 or more.")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.gates", description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("weights", nargs="+", help="names that ship, checkpoints or files of sdnet-pl export")
    parser.add_argument(
        "--number", type=int, default=16, help="photos to look at, spread over all (default: %(default)s)"
    )
    args = parser.parse_args(arguments)
    pictures = some_of(list_pictures(args.photos), args.number)
    need_two(parser, args.photos, pictures)
    names = [f"ampa.{level}.attention.gate" for level in LEVELS]
    print("| weights | level | gates | the same for every photo | shut | standard deviation |")
    print("| --- | --- | --- | --- | --- | --- |")
    for weights in args.weights:
        model, size = load_weights(weights)
        if model.trimap or not all(isinstance(ampa, AMPA) for ampa in model.ampa.values()):
            parser.error(f"{weights} takes a trimap or is without AMPA; give a network with AMPA and no trimap.")
        seen = [
            inspect_picture(model, read_rgb(picture), size, names=names).features
            for picture in tqdm(pictures, leave=False)
        ]
        for level, name in zip(LEVELS, names, strict=True):
            gates = torch.stack([features[name].flatten() for features in seen])
            same = (gates.amax(0) - gates.amin(0) < SAME).sum()
            shut = (gates.amax(0) < SAME).sum()
            print(f"| {weights} | {level} | {gates.shape[1]} | {same} | {shut} | {gates.std(0).mean():.3f} |")


if __name__ == "__main__":
    run_script(main)
