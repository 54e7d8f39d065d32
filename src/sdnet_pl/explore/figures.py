"""Plots in one style, readable by colour-blind people: Okabe and Ito's colours, and never by colour alone."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
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
from sdnet_pl.reporting.panels import ERROR_COLORS, ERROR_SCALE, error_map, hide_scales, show, to_picture

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
    figure, axes = _blank(side, rows, columns)
    for axis, (title, picture) in zip(axes, pictures.items(), strict=False):
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
    figure, axes = _blank(side, rows, columns)
    for axis, (title, picture) in zip(axes, shown.items(), strict=False):
        _show(axis, title, picture, inspection.alpha.shape[-2:])
    if inspection.target is not None:
        _show(axes[5], "true α", inspection.target)
        for axis, values in zip(axes[7:11], maps.values(), strict=True):
            mad = 1000 * float((values - inspection.target).abs().mean())
            _show(axis, f"error, MAD×1000 = {mad:.1f}", error_map(values, inspection.target))
        bar = figure.colorbar(ScalarMappable(ERROR_SCALE, ERROR_COLORS), ax=axes[11], fraction=0.5, aspect=12)
        bar.set_label("too transparent ↔ too opaque", fontsize=8)
        bar.ax.tick_params(labelsize=8)
    return figure


def branches_figure(inspections: Sequence[Inspection], level: int, side: float = SIDE) -> Figure:
    """How strongly AMPA's three branches answer at each place: the mean over the channels, after their ReLU.

    Bright is strong; each map has its own scale, from 0 to the largest mean, which stands above it.

    Args:
        inspections: With ``ampa.{level}.views.depthwise``, ``.atrous`` and ``.asymmetric`` among their features.
        level: 2, 3 or 4.
        side: Of a picture, in inches.
    """
    figure, axes = _blank(side, len(inspections), 4)
    free = iter(axes)
    for seen in inspections:
        _show(next(free), "input", seen.image)
        for name in VIEWS:
            mean = seen.features[f"ampa.{level}.views.{name}"].mean(dim=0).numpy()
            axis = next(free)
            axis.imshow(mean, cmap="cividis", vmin=0, interpolation="nearest")
            axis.set_title(f"{name}, up to {float(mean.max()):.2f}", fontsize=9)
    return figure


def squeeze_figure(inspections: Sequence[Inspection], levels: Sequence[int] = (2, 3, 4)) -> Figure:
    """The SE weights of AMPA: for each channel, in the order of its mean, the mean and the range over the pictures.

    Args:
        inspections: With ``ampa.{level}.attention.gate`` of every level among their features.
        levels: Out of 2, 3 and 4.
    """
    figure, axes = _subplots(3.4 * len(levels), 2.8, 1, len(levels), sharey=True)
    for axis, level in zip(axes, levels, strict=True):
        weights = squeeze_weights(inspections, level)
        weights = weights[weights.mean().sort_values(ascending=False).index]
        axis.vlines(range(weights.shape[1]), weights.min(), weights.max(), color=COLORS[4], label="range")
        axis.plot(weights.mean().to_numpy(), ".", color=COLORS[0], markersize=4, label="mean")
        axis.set_title(f"AMPA {level}", fontsize=9)
        axis.set(xlabel="channels, by their mean weight", ylim=(-0.04, 1.04))
    axes[0].set_ylabel("SE weight")
    axes[0].legend(loc="center right", fontsize=8)
    return figure


def details_figure(frame: pd.DataFrame) -> Figure:
    """How near each map's details are to the true alpha's, over the size of the detail.

    Args:
        frame: Of :func:`sdnet_pl.explore.details`.
    """
    figure, (axis,) = _subplots(5.4, 3.2, 1, 1)
    for (name, values), marker in zip(frame.iterrows(), MARKERS, strict=False):
        axis.plot(values.index, values, marker=marker, label=name)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(xlabel="size of the detail", ylabel="cosine with the true alpha's", ylim=(None, 1))
    axis.legend(fontsize=8)
    return figure


def cosine_figure(runs: Mapping[str, str | Path], smooth: int = 10) -> Figure:
    """The cosine between teacher and student maps over trainings, on the training pictures of each step.

    Args:
        runs: Directories of runs by their names in the plot.
        smooth: Logged values in the running mean.

    Raises:
        InputError: A run logged no cosines.
    """
    figure, axes = _subplots(3.4 * len(EVERY_PAIR), 2.8, 1, len(EVERY_PAIR), sharey=True)
    logs = {name: cosine_curves(run) for name, run in runs.items()}
    for axis, (teacher, student) in zip(axes, EVERY_PAIR, strict=True):
        for (name, log), color, dash in zip(logs.items(), cycle(COLORS), cycle(DASHES), strict=False):
            values = log[f"{teacher} → {student}"].rolling(smooth, min_periods=1).mean()
            axis.plot(values.index, values, dash, color=color, label=name)
        axis.set_title(f"teacher {map_name(teacher)}, student {map_name(student)}", fontsize=9)
        axis.set_xlabel("step")
    axes[0].set_ylabel("cosine")
    axes[-1].legend(fontsize=8)
    return figure


def _subplots(width: float, height: float, rows: int, columns: int, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of that many inches and its axes, row by row."""
    figure = Figure((width, height), dpi=100, layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, sharey=sharey)))
    for axis in axes:
        # Matplotlib's settings would be shorter, but all threads of a server share them.
        axis.set_prop_cycle(color=COLORS)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        axis.xaxis.label.set_fontsize(9)
        axis.yaxis.label.set_fontsize(9)
    return figure, axes


def _blank(side: float, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure for pictures of that many inches, without scales."""
    figure = Figure((side * columns, (side + 0.2) * rows), dpi=100, layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axis in axes:
        hide_scales(axis)
    return figure, axes


def _show(axis: Axes, title: str, picture: Image | Tensor, shape: Sequence[int] | None = None) -> None:
    pixels = to_picture(picture) if isinstance(picture, Tensor) else picture
    height, width = shape or pixels.shape[:2]
    show(axis, pixels, height, width)
    axis.set_title(title, fontsize=9, y=1)
