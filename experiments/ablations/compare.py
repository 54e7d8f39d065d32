"""Does self-distillation help, and AMPA? Trains every row of the ablations under one budget, and keeps its scores.

The most telling rows come first. A run that is kept already is not run again, and a call that was stopped resumes from
the last checkpoint (six in a run). `python -m experiments.ablations.page` shows what is kept.

Needs these folders below SDNET_DATA: those of the recipe experiments/weights/sdnet-fast.yaml.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from experiments import need_folders, run_script
from experiments.ablations.kept import HERE, Kept, slug
from experiments.ablations.rows import DROPPED, ROWS, in_order
from sdnet_pl.data.files import read_text
from sdnet_pl.launch.fits import finish

RECIPE, SCALE = "experiments/weights/sdnet-fast.yaml", "experiments/ablations/scale.yaml"
TRAINED = ("cutouts", "people", "backgrounds", "natural", "photos", "labelled")
SCORED = ("cutouts/val", "people/val", "backgrounds/val", "backgrounds/val2", "natural/val", "photos/val")
SAMPLES = 24_000
FAILED, SIGNAL = 1, 128  # exit statuses: of this script, and the one above which a shell has those of signals


def recipe() -> str:
    """Twelve hexadecimal digits of what both configs say: runs compare only if they agree."""
    content = [yaml.safe_load(read_text(file)) for file in (RECIPE, SCALE)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def train(folder: Path, row: str, seed: int, samples: int, options: Sequence[str]) -> None:
    """Runs one row with one seed, or what is left of it."""
    epochs = yaml.safe_load(read_text(SCALE))["trainer"]["max_epochs"]
    settings = [f"--config={file}" for file in (RECIPE, SCALE)]
    settings += [f"--seed_everything={seed}", f"--data.samples_per_epoch={samples // epochs}"]
    finish(folder, [*settings, *ROWS[row].settings, *options], ROWS[row].module)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.ablations.compare", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/ablations"), help="where the runs are (%(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument(
        "--rows", nargs="+", default=[row for row in ROWS if row not in DROPPED], choices=list(ROWS), metavar="NAME"
    )
    parser.add_argument("--samples", type=int, default=SAMPLES, help="training samples of a run (%(default)s)")
    parser.add_argument(
        "-o", "--output", type=Path, default=HERE, metavar="DIR", help="where scores are kept (experiments/ablations)"
    )
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="further options of `sdnet-pl fit`")
    args = parser.parse_args(arguments)
    trained = [f"{folder}/train" for folder in TRAINED]
    need_folders(parser, Path(os.environ.get("SDNET_DATA", "data")), *trained, *SCORED)
    kept, about = Kept(args.output), {"samples": str(args.samples), "recipe": recipe()}
    for (row, seed), line in kept.runs.items():
        if differs := [name for name, value in about.items() if line[name] != value]:
            name = differs[0]
            parser.error(
                f"{args.output / 'scores.csv'} has {row}, seed {seed}, with {name} {line[name]}, and this call has "
                f"{name} {about[name]}, which do not compare; name another folder: -o DIR."
            )
    runs, status = in_order(args.seeds, args.rows), 0
    for number, (row, seed) in enumerate(runs, 1):
        if (row, seed) in kept.runs:
            continue
        print(f"Run {number} of {len(runs)}: {row}, seed {seed}", file=sys.stderr)
        folder = args.root / slug(row) / f"seed{seed}"
        try:
            train(folder, row, seed, args.samples, args.options)
        except subprocess.CalledProcessError as error:
            print(f"The fit in {folder} ended with exit status {error.returncode}.", file=sys.stderr)
            status = FAILED
            if error.returncode < 0 or error.returncode > SIGNAL:
                break  # stopped from outside, as the others would be
            continue
        kept.add(row, seed, folder, list(ROWS), **about)
    return status


if __name__ == "__main__":
    run_script(main)
