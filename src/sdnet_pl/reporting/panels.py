"""Pictures of what a network does: one row a photo, one column a map."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sdnet_pl.data.sources.base import Image


class PanelRow(NamedTuple):
    """One photo and what was made of it.

    Attributes:
        image: The input, ``[3, H, W]`` in [0, 1].
        alpha: The predicted alpha, ``[1, H, W]`` in [0, 1].
        target: The true alpha, likewise.
        side_outputs: F̄_dec^i by i, ``[1, h, w]`` in [0, 1].
    """

    image: Tensor
    alpha: Tensor
    target: Tensor
    side_outputs: Mapping[int, Tensor]


def panel_figure(rows: Sequence[PanelRow]) -> Figure:
    """Input, predicted alpha, true alpha and the side outputs, coarse last; every map on the scale 0 to 1."""
    sides = sorted(rows[0].side_outputs)
    columns = ["input", "predicted α", "true α", *(f"side output {i}" for i in sides)]
    figure = Figure(figsize=(1.7 * len(columns), 1.75 * len(rows) + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for axis_row, row in zip(axes, rows, strict=True):
        maps = [row.image, row.alpha, row.target, *(row.side_outputs[i] for i in sides)]
        for axis, values in zip(axis_row, maps, strict=True):
            array = values.detach().float().cpu().numpy().transpose(1, 2, 0).squeeze()
            axis.imshow(array, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=9)
    return figure


def to_array(figure: Figure) -> Image:
    """The figure's pixels, uint8 ``[H, W, 3]``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
