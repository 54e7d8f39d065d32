"""A whole table of the paper: trains every row of SDNet, scores it, and prints the table beside the paper's figures.

``full`` needs the data sets that `sdnet-pl prepare` made. ``mini`` draws stand-ins for them, prepares these, and trains
for minutes: it shows that every step works, and its figures mean nothing. What was finished is not done again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import standins
from benchmarks.fits import finish

TEACHERS = ("without_sd", "transitive", "dense", "sdnet")
COMPARED = ("without_sd", "sdnet", "without_sd_trimap", "sdnet_trimap")
ROWS: dict[int, tuple[str, ...]] = {
    1: COMPARED,
    2: COMPARED,
    3: COMPARED,
    4: (),  # sizes: nothing to train
    5: (*TEACHERS, *(f"{name}_trimap" for name in TEACHERS)),
    6: ("without_ampa", "sdnet", "without_ampa_trimap", "sdnet_trimap"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("--table", type=int, required=True, choices=sorted(ROWS))
    parser.add_argument("--scale", choices=("mini", "full"), default="mini")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--root", type=Path, default=Path("runs/reproduce"), help="where data and runs are kept")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SDNET_DATA", "data")), help="prepared sets")
    parser.add_argument("--config", nargs="*", default=[], metavar="FILE", help="further configs, as for several GPUs")
    args = parser.parse_args(arguments)
    runs, data, configs = args.root / args.scale / "runs", args.data, list(args.config)
    if args.scale == "mini":
        data = args.root / "mini" / "data"
        configs.insert(0, "experiments/base/mini.yaml")
        if not data.exists():
            standins.draw(args.root / "mini" / "standins")
            standins.prepare(args.root / "mini" / "standins", data)
    for seed in args.seeds:
        for row in ROWS[args.table]:
            files = ["experiments/base/paper.yaml", *configs, f"experiments/paper/{row}.yaml"]
            settings = [*(f"--config={file}" for file in files), f"--data.root={data}"]
            finish(runs / row / f"seed{seed}", [*settings, f"--seed_everything={seed}", f"--data.seed={seed}"])
    report = [sys.executable, "-m", "sdnet_pl", "report", f"--table={args.table}", f"--output={args.root / args.scale}"]
    subprocess.run([*report, *([str(runs)] if ROWS[args.table] else [])], check=True)


if __name__ == "__main__":
    main()
