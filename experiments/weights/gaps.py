"""Which cut-outs have gaps between arms and body, as a list of names for ``CutoutFolder(names=...)``.

They are rare among studio portraits and common in photos, and a network that seldom sees one fills them.

Needs a folder of cut-outs, such as cutouts/train below SDNET_DATA, whose list is arms.txt.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments import run_script
from sdnet_pl.data import CutoutFolder
from sdnet_pl.data.image_io import read_rgba
from sdnet_pl.data.sources.base import Image


def gap_share(alpha: Image) -> float:
    """Share of background between the leftmost and the rightmost person pixel of every row: 0 for a bust."""
    people = alpha >= 128
    rows = people[people.any(axis=1)]
    if len(rows) == 0:
        return 0.0
    first, last = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    return float(1 - rows.sum() / np.sum(last - first + 1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.gaps", description=__doc__)
    parser.add_argument("folder", type=Path, help="cut-outs")
    parser.add_argument("--least", type=float, default=0.03, help="share of gaps to be listed (default: %(default)s)")
    args = parser.parse_args(arguments)
    people = CutoutFolder(str(args.folder))
    for (file,) in tqdm(people.files, unit="picture"):
        if gap_share(read_rgba(file)[1]) >= args.least:
            print(file.relative_to(args.folder).with_suffix("").as_posix())


if __name__ == "__main__":
    run_script(main)
