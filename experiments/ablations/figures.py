"""The figures of the ablations: effects with their intervals, and what happens over a training."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.ablations.effects import Effect
from experiments.ablations.kept import COSINES
from sdnet_pl.reporting.curves import COLORS


def effects_figure(effects: Mapping[str, Effect], references: Mapping[str, str], paper: Mapping[str, float]) -> Figure:
    """The change of the error of every row against its reference, in percent, with its interval.

    Args:
        effects: By row.
        references: What each is compared with.
        paper: The paper's change, of the rows that it has.
    """
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(effects)), dpi=110, layout="constrained")
    axis = figure.subplots()
    for place, (row, found) in enumerate(effects.items()):
        # One seed says nothing of chance in training: its interval is drawn pale.
        color = COLORS[{-1: 2, 0: 6, 1: 1}[found.direction]]
        axis.plot([found.low, found.high], [place, place], color=color, alpha=1 if found.seeds > 1 else 0.35)
        axis.plot(found.change, place, "o", color=color, markersize=5)
        if row in paper:
            axis.plot(paper[row], place, "D", color=COLORS[0], markersize=5, fillstyle="none")
    axis.plot([], [], "D", color=COLORS[0], fillstyle="none", label="the paper")
    axis.axvline(0, color="grey", linewidth=0.8)
    names = [f"{row}, against {references[row]} ({found.seeds})" for row, found in effects.items()]
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="change of MAD in %, 95 % interval (number of seeds)\nleft is better")
    axis.grid(alpha=0.3, axis="x")
    axis.legend(fontsize=8)
    return figure


def learning_figure(curves: Sequence[Mapping[str, str]], samples_a_step: int) -> Figure:
    """MAD×1000 of composites and IoU of photos over the samples that were trained on, a line a row."""
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, key, scale, title in zip(
        axes, ("mad_whole", "iou_whole"), (1000, 1), ("composites: MAD×1000", "photos: IoU"), strict=True
    ):
        _lines(axis, curves, key, scale, samples_a_step)
        axis.set(title=title, xlabel="thousands of samples")
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_formatter("{x:.0f}")
    axes[0].yaxis.set_minor_formatter("{x:.0f}")
    axes[0].legend(fontsize=6)
    return figure


def cosine_figure(curves: Sequence[Mapping[str, str]], samples_a_step: int) -> Figure:
    """The cosine of each teacher with each student in training, a line a row; the panels share one scale."""
    figure = Figure(figsize=(13, 4.5), dpi=110, layout="constrained")
    logged = [line for line in curves if line[COSINES[0]]]
    for axis, key in zip(figure.subplots(1, len(COSINES), sharey=True), COSINES, strict=True):
        _lines(axis, logged, key, 1, samples_a_step)
        axis.set(title="F̄_dec^{} → F̄_dec^{}".format(*key.split("_")[1:]), xlabel="thousands of samples")
    if logged:
        axis.legend(fontsize=6)
    return figure


def _lines(axis: Axes, curves: Sequence[Mapping[str, str]], key: str, scale: float, samples_a_step: int) -> None:
    """The mean over the seeds that came so far."""
    rows: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in curves:
        rows[line["row"]][samples_a_step * (int(line["step"]) + 1) / 1000].append(scale * float(line[key]))
    styles = ("-", "--", ":", "-.")
    for number, (row, points) in enumerate(rows.items()):
        means = [float(np.mean(values)) for values in points.values()]
        style = styles[number // len(COLORS) % len(styles)]
        axis.plot(list(points), means, style, color=COLORS[number % len(COLORS)], label=row, linewidth=1.1)
    axis.grid(alpha=0.3)
