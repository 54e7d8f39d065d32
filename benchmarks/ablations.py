"""What self-distillation and AMPA bring: Tables 5 and 6 of the paper in small, and beside them another network.

Every row trains with every seed under one budget (experiments/ablations/small.yaml) and is scored on people and
backgrounds that were not trained on. Stopped, it goes on where it was: finished runs are not run again.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from benchmarks.fits import finish
from benchmarks.timing import positive
from sdnet_pl.data.pictures import atomic_write
from sdnet_pl.metrics import METRIC_LABELS
from sdnet_pl.reporting.tables import CONSTANT, to_markdown

CONFIG = "experiments/ablations/small.yaml"
TEACHERS = ("none", "transitive", "dense", "best_teacher")
PEOPLE = '{"class_path": "sdnet_pl.data.CutoutFolder", "init_args": {"path": "${data.root}/cutouts/train"}}'
DRAWN = '{"class_path": "sdnet_pl.data.ProceduralPortraits", "init_args": {"length": 295, "size": 128}}'
MASKS = '{"class_path": "sdnet_pl.data.MaskFolder", "init_args": {"path": "${data.root}/natural/train", "band": 0}}'
ROWS: dict[str, list[str]] = {
    **{f"distillation {name}": [f"--model.distillation={name}"] for name in TEACHERS},
    "best_teacher without AMPA": ["--model.network={stem_stride: 2, ampa: false}"],
    "peer: MobileNetV2 U-Net, 6.3 M": ["--model.distillation=none"],
    **{f"trimap, distillation {name}": [f"--model.distillation={name}", "--model.trimap=true"] for name in TEACHERS},
    "best_teacher, a quarter photos": ["--data.photo=0.25"],
    "best_teacher, a quarter photos, their edges too": ["--data.photo=0.25", f"--data.photos=[{MASKS}]"],
    "best_teacher, a quarter drawn portraits": [f"--data.foregrounds=[{PEOPLE}, {DRAWN}]"],
}
# (benchmark, score): of photos a mask is known, which says nothing about the edge.
SCORES = (
    *(("cutouts", key) for key in ("mad_whole", "mse_whole", "sad_unknown", "mse_unknown")),
    *(("natural", key) for key in ("iou_whole", "mad_whole")),
)


def run_dir(root: Path, row: str, seed: int) -> Path:
    return root / "".join(c if c.isalnum() else "_" for c in row) / f"seed{seed}"


def train(root: Path, row: str, seed: int, extra: Sequence[str]) -> None:
    """Runs one row with one seed, or what is left of it."""
    print(f"{row}, seed {seed}", file=sys.stderr)
    module = "benchmarks.peer" if row.startswith("peer") else "sdnet_pl"
    settings = [f"--config={CONFIG}", f"--seed_everything={seed}", f"--data.seed={seed}", *ROWS[row], *extra]
    finish(run_dir(root, row, seed), settings, module)


def table(root: Path, seeds: Sequence[int]) -> list[dict[str, str | float]]:
    """Mean ± standard deviation over the seeds that have finished."""
    rows: list[dict[str, str | float]] = []
    for name in ROWS:
        scores = [read(run_dir(root, name, seed)) for seed in seeds]
        finished = [score for score in scores if score]
        row: dict[str, str | float] = {"trained as": name, "seeds": len(finished)}
        for benchmark, key in SCORES:
            label = METRIC_LABELS[key][0]
            values = [float(score[benchmark][label]) for score in finished if benchmark in score]
            digits = 3 if key == "iou_whole" else 2
            spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
            row[f"{benchmark}: {label}"] = f"{mean(values):.{digits}f}{spread}" if values else ""
        hashes = {f"{benchmark} {row['hash']}" for score in finished for benchmark, row in score.items()}
        row["benchmark hashes"] = ", ".join(sorted(hashes))
        rows.append(row)
    return rows


def read(folder: Path) -> dict[str, dict[str, str]]:
    """The network's row of each benchmark of a finished run; nothing of one that is not."""
    file = folder / "metrics.csv"
    if not file.exists():
        return {}
    with file.open() as stream:
        return {row["benchmark"]: row for row in csv.DictReader(stream) if row["method"] != CONSTANT}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/ablations"), help="where the runs are kept")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="NAME")
    parser.add_argument("--samples", type=positive, help="training samples instead of the config's")
    parser.add_argument("--table", type=Path, help="write the table here")
    args = parser.parse_args(arguments)
    extra = [f"--data.samples_per_epoch={args.samples}"] if args.samples else []
    for seed in args.seeds:
        for row in args.rows:
            train(args.root, row, seed, extra)
    text = to_markdown(table(args.root, args.seeds))
    print(text)
    if args.table:
        with atomic_write(args.table) as temporary:
            temporary.write_text(text)


if __name__ == "__main__":
    main()
