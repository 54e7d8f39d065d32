"""A rehearsal of `sdnet-pl reproduce --scale full`: the same command, on drawn pictures as many as the real ones.

78 + 342 people to train on, 11 + 11 to score on, 100 portraits each as PPM-100 and AIM-500, and thousands of
backgrounds, all small, in the layouts of the downloads: drawn, prepared, and then each training of Table 6, cut off
after 60 steps and scored on all benchmarks. It prints how long each part took, and with --step how long the real
trainings take on a GPU.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from sdnet_pl.cli import main as sdnet_pl
from sdnet_pl.cli.reproduce import prepare_stand_ins
from sdnet_pl.data.files import read_text
from sdnet_pl.launch import standins
from sdnet_pl.launch.reproduce import ROWS, rows_of

COUNTS = standins.Counts(side=64, trained=(78, 342), tested=11, portraits=100, scenes=(3000, 1000))
CONFIG, TABLE = "experiments/base/rehearsal.yaml", 6


def projected(step: float) -> str:
    """How long the paper's trainings take, in words.

    Args:
        step: Seconds of a step of four samples at 512x512, as `make bench-train` measures it.
    """
    config = yaml.safe_load(read_text("experiments/base/paper.yaml"))
    samples = sum(COUNTS.trained)
    steps = config["trainer"]["max_epochs"] * (samples // config["data"]["batch_size"])
    rows, hours = len(rows_of(list(ROWS))), steps * step / 3600
    return (
        f"A training has {steps:,} steps; at {step:g} s each it takes {hours:.2g} h, and the {rows} of all tables "
        f"{rows * hours:.2g} h on one GPU, one after the other, or {math.ceil(rows / 8) * hours:.2g} h on eight, one "
        "each. Scoring comes on top."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.paper.rehearse", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/rehearsal"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--step", type=float, metavar="SECONDS", help="of a step of four samples at 512x512")
    args = parser.parse_args(arguments)
    drawn, prepared = args.root / "standins", args.root / "data"
    status = 0

    def reproduce() -> None:
        nonlocal status
        places = ["--root", str(args.root), "--data", str(prepared), "--config", CONFIG]
        status = sdnet_pl(["reproduce", "--table", str(TABLE), "--scale", "full", *places])

    for name, part in (
        ("drawn", lambda: standins.draw(drawn, COUNTS)),
        ("prepared", lambda: prepare_stand_ins(drawn, prepared)),
        (f"trained, scored and tabulated, {len(rows_of([TABLE]))} networks", reproduce),
    ):
        start = time.perf_counter()
        part()
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if args.step:
        print(projected(args.step))
    return status


if __name__ == "__main__":
    sys.exit(main())
