"""Training curves from the metrics.csv files that a run leaves."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def log_files(folder: Path) -> list[Path]:
    """The metrics.csv files that Lightning's logger leaves in a folder, one for each start of a run, in their order."""
    return sorted(folder.glob("version_*/metrics.csv"), key=lambda file: int(file.parent.name.removeprefix("version_")))


def read_series(files: Iterable[Path]) -> dict[str, list[tuple[int, float]]]:
    """(step, value) points by name. A resumed run has several files; if two hold a step, the later file counts."""
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    with suppress(TypeError, ValueError):  # a line that a full disk cut off
                        if value and name not in ("step", "epoch"):
                            points[name][int(row["step"])] = float(value)
    return {name: sorted(values.items()) for name, values in points.items()}


def curves_figure(series: dict[str, list[tuple[int, float]]]) -> Figure:
    """The loss and its terms on the left, MAD×1000 of every validation benchmark on the right, over optimiser steps."""
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    terms = ("total", "l1", "laplacian", "composition", "distillation")
    for color, term in zip(COLORS, terms, strict=False):
        if points := series.get(f"train/{term}"):
            left.plot(*zip(*points, strict=True), color=color, label=term, linewidth=1.2)
    left.set(title="training loss (unweighted terms of the final alpha)", xlabel="step", yscale="log")
    benchmarks = [name for name in series if name.startswith("val/") and name.endswith("/mad_whole")]
    for color, name in zip(cycle(COLORS), benchmarks, strict=False):
        steps, values = zip(*series[name], strict=True)
        label = name.removeprefix("val/").removesuffix("/mad_whole")
        right.plot(steps, [1000 * v for v in values], color=color, marker="o", markersize=3, label=label)
    right.set(title="validation MAD×1000 (whole image)", xlabel="step", yscale="log")
    for axis in (left, right):
        axis.grid(alpha=0.3, which="both")
        if axis.lines:
            axis.legend(fontsize=8)
    return figure
