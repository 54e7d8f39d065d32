"""Pictures of what a network does: one row a photo, one column a map."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.foreground_colors import estimate_foreground
from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.sources.base import Foreground, Image

# From too transparent (blue) over right (white) to too opaque (orange): Okabe and Ito's pair in the middle of each
# side, so that half of the range has all of the colour and small errors can be seen; darker beyond.
ERROR_COLORS = LinearSegmentedColormap.from_list(
    "error",
    ["#00263c", "#0072B2", "#ffffff", "#D55E00", "#471f00"],
    N=257,  # odd: no error is white
)
ERROR_SCALE = Normalize(-1, 1)
GREY = 128
TITLE = 0.3
"""Inches above a panel."""


class PanelRow(NamedTuple):
    """One photo and what was made of it.

    Attributes:
        image: The input, ``[3, H, W]`` in [0, 1].
        alpha: The predicted alpha, ``[1, H, W]`` in [0, 1].
        target: The true alpha, likewise; None if it is not known.
        side_alphas: F̄_dec^i by i, ``[1, h, w]`` in [0, 1]; it may reach beyond the photo, as padding does.
    """

    image: Tensor
    alpha: Tensor
    target: Tensor | None
    side_alphas: Mapping[int, Tensor]


def reduced(row: PanelRow, side: int) -> PanelRow:
    """The row of a smaller photo: squares of pixels averaged, of a power of two, so that its maps fit as before.

    Args:
        row: Of any size.
        side: The longer side is from this to twice this, in pixels; a photo less than twice as large stays as it is.
    """
    height = row.alpha.shape[-2]
    factor = 2 ** max(0, math.floor(math.log2(max(row.alpha.shape) / side)))
    if factor == 1:
        return row

    def averaged(x: Tensor, factor: int) -> Tensor:
        return F.avg_pool2d(x.float(), factor, ceil_mode=True)

    sides = {i: averaged(x, max(1, factor // upsampling(x.shape[-2], height))) for i, x in row.side_alphas.items()}
    target = None if row.target is None else averaged(row.target, factor)
    return PanelRow(averaged(row.image, factor), averaged(row.alpha, factor), target, sides)


def error_map(alpha: Tensor, target: Tensor) -> Image:
    """The signed error α̂ − α in colours: blue where α̂ is too small, white where it is right, orange where too large.

    Told apart by colour-blind readers too. The scale is fixed, −1 to 1, so that maps can be compared.

    Args:
        alpha: The predicted alpha α̂, ``[1, H, W]`` in [0, 1].
        target: The true alpha α, likewise.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    difference = (alpha.detach().float() - target.detach().float()).cpu().numpy()[0]
    return np.asarray(ERROR_COLORS(ERROR_SCALE(difference), bytes=True)[..., :3], np.uint8)


def checkerboard(height: int, width: int) -> Image:
    """Light and dark grey squares, 16 along the longer side: uint8 ``[H, W, 3]``."""
    side = max(1, max(height, width) // 16)
    squares = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    return np.repeat(np.where(squares == 0, 230, 150).astype(np.uint8)[..., None], 3, axis=2)


def panel_figure(rows: Sequence[PanelRow], side: float = 1.7) -> Figure:
    """A line of maps for each picture.

    These are input, predicted alpha, true alpha and error where a true alpha is known, the side outputs, coarse last,
    and the cut-out over grey and over a checkerboard. Alphas are shown on the scale 0 to 1, errors as in
    :func:`error_map`. Cut-outs have estimated colours, as those of ``sdnet-pl matte`` have.

    Args:
        rows: At least one, with the same side outputs; of several sizes if need be.
        side: Of a column, in inches; a picture's height follows from its shape.
    """
    sides = sorted(rows[0].side_alphas)
    known = any(row.target is not None for row in rows)
    columns = ["input", "predicted α", *(["true α", "error"] if known else []), *(f"side output {i}" for i in sides)]
    columns += ["over grey", "over checkerboard"]
    # The first picture's shape tells the height, within bounds: validation panels hold pictures of several shapes.
    shape = min(1.5, max(0.5, rows[0].alpha.shape[-2] / rows[0].alpha.shape[-1]))
    size = side * len(columns), (side * shape + 0.05) * len(rows) + TITLE
    figure = Figure(figsize=size, dpi=110)
    axes = figure.subplots(len(rows), len(columns), squeeze=False, gridspec_kw=tight_grid(size[1]))
    for axis_row, row in zip(axes, rows, strict=True):
        maps: list[Image | None] = [to_picture(row.image), to_picture(row.alpha)]
        if known:
            target = row.target
            maps += [None, None] if target is None else [to_picture(target), error_map(row.alpha, target)]
        maps += [to_picture(row.side_alphas[i]) for i in sides] + composites(row.image, row.alpha)
        height, width = row.alpha.shape[-2:]
        for axis, shown in zip(axis_row, maps, strict=True):
            if shown is not None:
                show(axis, shown, height, width)
            hide_scales(axis)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=9, y=1)
    return figure


def tight_grid(height: float, gap: float = 0.03, title: float = TITLE) -> dict[str, float]:
    """Where the axes of a grid of pictures stand: an automatic layout takes longer than all the drawing.

    Args:
        height: Of the figure, in inches.
        gap: Between rows, as a part of a picture's height.
        title: Room above the grid, in inches.
    """
    return {
        "left": 0.005,
        "right": 0.995,
        "bottom": 0.05 / height,
        "top": 1 - title / height,
        "wspace": 0.03,
        "hspace": gap,
    }


def hide_scales(axis: Axes) -> None:
    """Leave the picture alone; a title is to be set at ``y=1``."""
    axis.set_axis_off()
    # A title without its place is placed by ticks, which would have to be made.
    axis.set_title("", y=1)


def show(axis: Axes, picture: Image, height: int, width: int) -> None:
    """Draws a map over the extent of its photo, to which a side output's last pixels need not fit.

    Args:
        axis: Where to.
        picture: uint8 ``[h, w, 3]`` or ``[h, w]``.
        height: Of the photo, in pixels.
        width: Likewise.
    """
    scale = upsampling(picture.shape[0], height)
    extent = (0, scale * picture.shape[1], scale * picture.shape[0], 0)
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=extent)
    axis.set(xlim=(0, width), ylim=(height, 0))


def upsampling(side: int, height: int) -> int:
    """How many times smaller a side output is than its photo, a power of two, by their heights; padding counts."""
    return 2 ** max(0, math.ceil(math.log2(height / side)))


def composites(image: Tensor, alpha: Tensor) -> list[Image]:
    """The person over grey and over a checkerboard, uint8 ``[H, W, 3]`` each; arguments as in :class:`PanelRow`."""
    photo, opacity = to_picture(image), to_picture(alpha)
    person = Foreground(estimate_foreground(photo, opacity), opacity)
    return [composite_uint8(person, ground) for ground in (np.full_like(photo, GREY), checkerboard(*opacity.shape))]


def to_picture(values: Tensor) -> Image:
    """uint8 ``[H, W, 3]`` or ``[H, W]`` of values in [0, 1], ``[3, H, W]`` or ``[1, H, W]``."""
    array = values.detach().float().cpu().clamp(0, 1).numpy().transpose(1, 2, 0)
    levels = np.rint(255 * array).astype(np.uint8)
    return levels[..., 0] if levels.shape[2] == 1 else levels


def to_array(figure: Figure) -> Image:
    """The figure's pixels, uint8 ``[H, W, 3]``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_figure(path: str | Path, figure: Figure, texts: Mapping[str, str] | None = None) -> None:
    """Write a figure as a small PNG; see :func:`sdnet_pl.data.image_io.write_png`."""
    write_png(path, to_array(figure), texts=texts, small=True)
