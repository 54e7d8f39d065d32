"""Plots in one style, readable by colour-blind people: Okabe and Ito's colours, and never by colour alone."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from torch import Tensor

from sdnet_pl.data.sources.base import Image
from sdnet_pl.explore.inspection import Inspection
from sdnet_pl.explore.measures import full_size_maps, map_name, squeeze_weights
from sdnet_pl.explore.runs import cosine_curves
from sdnet_pl.losses.distillation import EVERY_PAIR
from sdnet_pl.reporting.curves import COLORS
from sdnet_pl.reporting.panels import ERROR_COLORS, ERROR_SCALE, error_map, show, to_picture

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.grid": True,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "grid.alpha": 0.3,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
MARKERS = "osD^v"
DASHES = ("-", "--", ":")
VIEWS = ("depthwise", "atrous", "asymmetric")
SIDE = 1.9  # inches of a picture


def pictures_figure(pictures: Mapping[str, Image | Tensor], columns: int = 4, side: float = SIDE) -> Figure:
    """Pictures by their titles, row by row.

    Args:
        pictures: uint8 ``[H, W, 3]`` or ``[H, W]``, or tensors ``[3, H, W]`` or ``[1, H, W]`` in [0, 1].
        columns: In a row.
        side: Of a picture, in inches.
    """
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    with rc_context(STYLE):
        figure = Figure(figsize=(side * columns, (side + 0.2) * rows))
        for axis, (title, picture) in zip(_blank(figure, rows, columns), pictures.items(), strict=False):
            _show(axis, title, picture)
    return figure


def decoder_figure(inspection: Inspection, side: float = SIDE) -> Figure:
    """The picture and its maps from coarse to fine: F̄_dec^4, F̄_dec^3, F̄_dec^2, α_f and the true alpha.

    Below each is its error α̂ − α, the coarse maps upsampled as the objective does it. Without a true alpha there are
    the maps alone.

    Args:
        inspection: Of :func:`sdnet_pl.explore.inspect_picture`.
        side: Of a picture, in inches.
    """
    maps = full_size_maps(inspection)
    shown = {
        "input": inspection.image,
        **{map_name(i): inspection.side_alphas[i] for i in (4, 3, 2)},
        "α_f": inspection.alpha,
    }
    rows, columns = (1, 5) if inspection.target is None else (2, 6)
    with rc_context(STYLE):
        figure = Figure(figsize=(side * columns, (side + 0.2) * rows))
        axes = _blank(figure, rows, columns)
        for axis, (title, picture) in zip(axes, shown.items(), strict=False):
            _show(axis, title, picture, inspection.alpha.shape[-2:])
        if inspection.target is not None:
            _show(axes[5], "true α", inspection.target)
            for axis, values in zip(axes[7:11], maps.values(), strict=True):
                mad = 1000 * float((values - inspection.target).abs().mean())
                _show(axis, f"error, MAD×1000 = {mad:.1f}", error_map(values, inspection.target))
            bar = figure.colorbar(ScalarMappable(ERROR_SCALE, ERROR_COLORS), ax=axes[11], fraction=0.5, aspect=12)
            bar.set_label("too transparent ↔ too opaque", fontsize=8)
    return figure


def branches_figure(inspections: Sequence[Inspection], level: int, side: float = SIDE) -> Figure:
    """How strongly AMPA's three branches answer at each place: the mean over the channels, after their ReLU.

    Bright is strong; each map has its own scale, from 0 to the largest mean, which stands above it.

    Args:
        inspections: With ``ampa.{level}.views.depthwise``, ``.atrous`` and ``.asymmetric`` among their features.
        level: 2, 3 or 4.
        side: Of a picture, in inches.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4 * side, (side + 0.2) * len(inspections)))
        axes = iter(_blank(figure, len(inspections), 4))
        for seen in inspections:
            _show(next(axes), "input", seen.image)
            for name in VIEWS:
                mean = seen.features[f"ampa.{level}.views.{name}"].mean(dim=0).numpy()
                axis = next(axes)
                axis.imshow(mean, cmap="cividis", vmin=0, interpolation="nearest")
                axis.set_title(f"{name}, up to {float(mean.max()):.2f}")
    return figure


def squeeze_figure(inspections: Sequence[Inspection], levels: Sequence[int] = (2, 3, 4)) -> Figure:
    """The SE weights of AMPA: for each channel, in the order of its mean, the mean and the range over the pictures.

    Args:
        inspections: With ``ampa.{level}.attention.gate`` of every level among their features.
        levels: Out of 2, 3 and 4.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(levels), 2.8))
        axes = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
        for axis, level in zip(axes, levels, strict=True):
            weights = squeeze_weights(inspections, level)
            weights = weights[weights.mean().sort_values(ascending=False).index]
            axis.vlines(range(weights.shape[1]), weights.min(), weights.max(), color=COLORS[4], label="range")
            axis.plot(weights.mean().to_numpy(), ".", color=COLORS[0], markersize=4, label="mean")
            axis.set(title=f"AMPA {level}", xlabel="channels, by their mean weight", ylim=(-0.04, 1.04))
        axes[0].set_ylabel("SE weight")
        axes[0].legend(loc="center right")
    return figure


def details_figure(frame: pd.DataFrame) -> Figure:
    """How near each map's details are to the true alpha's, over the size of the detail.

    Args:
        frame: Of :func:`sdnet_pl.explore.details`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.2))
        axis = figure.subplots()
        for (name, values), marker in zip(frame.iterrows(), MARKERS, strict=False):
            axis.plot(values.index, values, marker=marker, label=name)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set(xlabel="size of the detail", ylabel="cosine with the true alpha's", ylim=(None, 1))
        axis.legend()
    return figure


def cosine_figure(runs: Mapping[str, str | Path], smooth: int = 10) -> Figure:
    """The cosine between teacher and student maps over trainings, on the training pictures of each step.

    Args:
        runs: Directories of runs by their names in the plot.
        smooth: Logged values in the running mean.

    Raises:
        InputError: A run logged no cosines.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(EVERY_PAIR), 2.8))
        axes = figure.subplots(1, len(EVERY_PAIR), sharey=True)
        logs = {name: cosine_curves(run) for name, run in runs.items()}
        for axis, (teacher, student) in zip(axes, EVERY_PAIR, strict=True):
            for (name, log), color, dash in zip(logs.items(), cycle(COLORS), cycle(DASHES), strict=False):
                values = log[f"{teacher} → {student}"].rolling(smooth, min_periods=1).mean()
                axis.plot(values.index, values, dash, color=color, label=name)
            axis.set(title=f"teacher {map_name(teacher)}, student {map_name(student)}", xlabel="step")
        axes[0].set_ylabel("cosine")
        axes[-1].legend()
    return figure


def _blank(figure: Figure, rows: int, columns: int) -> list[Axes]:
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axis in axes:
        axis.set_axis_off()
        axis.set_title("", y=1)  # a title without its place is placed by ticks, which would have to be made
    return axes


def _show(axis: Axes, title: str, picture: Image | Tensor, shape: Sequence[int] | None = None) -> None:
    pixels = to_picture(picture) if isinstance(picture, Tensor) else picture
    height, width = shape or pixels.shape[:2]
    show(axis, pixels, height, width)
    axis.set_title(title, y=1)
