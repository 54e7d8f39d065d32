"""Whole tables of the paper: trains every row of SDNet, scores it, and prints the tables beside the paper's figures.

``full`` needs the data sets that `sdnet-pl prepare` made. ``mini`` draws stand-ins for them, prepares these, and trains
for minutes: it shows that every step works, and its figures mean nothing. What was finished is not done again.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import standins
from benchmarks.fits import finish
from sdnet_pl.data.files import atomic_write, write_text

TEACHERS = ("without_sd", "transitive", "dense", "sdnet")
COMPARED = ("without_sd", "sdnet", "without_sd_trimap", "sdnet_trimap")
ROWS: dict[int, tuple[str, ...]] = {
    1: COMPARED,
    2: COMPARED,
    3: COMPARED,
    4: (),  # sizes: nothing to train; Figure 1, which goes with it, shows the runs that are there
    5: (*TEACHERS, *(f"{name}_trimap" for name in TEACHERS)),
    6: ("without_ampa", "sdnet", "without_ampa_trimap", "sdnet_trimap"),
}
WRITTEN = "<!-- make reproduce-mini writes what follows -->\n"


def write_page(page: Path, reports: Path, tables: Sequence[int]) -> None:
    """Puts reports in place of what follows the line ``WRITTEN`` of a page, each footnote once, at the end.

    Args:
        page: The page. Figure 1 goes into ``images/`` beside it.
        reports: The directory that `sdnet-pl report -o` wrote to.
        tables: The tables' numbers.
    """
    texts: list[str] = []
    notes: dict[str, None] = {}
    for number in tables:
        lines = (reports / f"table{number}.md").read_text("utf-8").splitlines()
        notes |= dict.fromkeys(line for line in lines if line.startswith("[^"))
        texts.append("\n".join([f"## Table {number}\n", *(line for line in lines if line not in notes)]).rstrip())
        if number == 4:
            with atomic_write(page.parent / "images" / "figure1.png") as figure:
                shutil.copyfile(reports / "figure1.png", figure)
            texts[-1] += "\n\n![Figure 1: parameters against error](images/figure1.png)"
    head = page.read_text("utf-8").partition(WRITTEN)[0]
    write_text(page, head + WRITTEN + "\n" + "\n\n".join([*texts, "\n".join(notes)]) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("--table", type=int, nargs="+", required=True, choices=sorted(ROWS))
    parser.add_argument("--scale", choices=("mini", "full"), default="mini")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--root", type=Path, default=Path("runs/reproduce"), help="where data and runs are kept")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SDNET_DATA", "data")), help="prepared sets")
    parser.add_argument("--config", nargs="*", default=[], metavar="FILE", help="further configs, as for several GPUs")
    parser.add_argument("--page", type=Path, help="write the tables into this page of markdown, behind its head")
    args = parser.parse_args(arguments)
    root = args.root / args.scale
    runs, data, configs = root / "runs", args.data, list(args.config)
    if args.scale == "mini":
        data = root / "data"
        configs.insert(0, "experiments/base/mini.yaml")
        standins.draw(root / "standins")
        standins.prepare(root / "standins", data)
    for row in dict.fromkeys(row for table in args.table for row in ROWS[table]):
        for seed in args.seeds:
            files = ["experiments/base/paper.yaml", *configs, f"experiments/paper/{row}.yaml"]
            settings = [*(f"--config={file}" for file in files), f"--data.root={data}"]
            finish(runs / row / f"seed{seed}", [*settings, f"--seed_everything={seed}"])
    for table in args.table:
        command = [sys.executable, "-m", "sdnet_pl", "report", f"--table={table}", f"--output={root}"]
        subprocess.run([*command, *([str(runs)] if runs.exists() else [])], check=True)
    if args.page:
        write_page(args.page, root, args.table)


if __name__ == "__main__":
    main()
