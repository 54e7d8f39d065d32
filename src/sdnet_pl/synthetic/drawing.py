"""Drawing with OpenCV: fine masks, plain and soft paint, light, and resizing.

Points are ``[N, 2]`` (x, y) in units of the picture: (0, 0) is its top left corner, (1, 1) its bottom right one.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import Array

Color = Sequence[float] | Array
Shapes = Array | Sequence[Array]

_MIN_SIDE = 256
_SHIFT = 4


def working_side(size: int) -> int:
    """The side to draw a picture at before it is reduced to ``size``, so that a line one pixel thick stays thin."""
    return size * math.ceil(_MIN_SIDE / size)


class Plate:
    """A mask to draw on, ``fineness`` or more pixels wide, that is reduced to ``side`` pixels in the end."""

    def __init__(self, side: int, fineness: int = 512) -> None:
        self.side = side
        self.scale = side
        while self.scale < fineness:
            self.scale *= 2
        self.pixels = np.zeros((self.scale, self.scale), np.uint8)

    def fill(self, *polygons: Array, value: int = 255) -> "Plate":
        """Fills each polygon ``[N, 2]``; where it crosses itself stays empty."""
        for polygon in polygons:
            cv2.fillPoly(self.pixels, [_fixed(polygon, self.scale)], value, cv2.LINE_AA, _SHIFT)
        return self

    def stroke(self, paths: Shapes, width: float, value: int = 255, closed: bool = False) -> "Plate":
        """Draws ``[N, K, 2]`` paths, ``width`` in units of the picture and at least one pixel of the plate."""
        thickness = max(1, round(width * self.scale))
        # hard lines are three times faster, and reducing by four or more smooths them as well
        line = cv2.LINE_8 if thickness == 1 and self.scale >= 4 * self.side else cv2.LINE_AA
        cv2.polylines(self.pixels, _all_fixed(paths, self.scale), closed, value, thickness, line, _SHIFT)
        return self

    def limb(self, path: Array, widths: Array) -> "Plate":
        """Draws a path ``[K, 2]`` with round joints whose width runs through ``widths``."""
        along = np.interp(np.linspace(0, 1, len(path) - 1), np.linspace(0, 1, len(widths)), widths)
        dots = _fixed(path, self.scale).tolist()
        for start, end, width in zip(dots[:-1], dots[1:], along.tolist(), strict=True):
            cv2.line(self.pixels, start, end, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return self

    def mask(self) -> Array:
        """The drawing as uint8 ``[side, side]``."""
        return shrink(self.pixels, self.side)


def draw(field: Array, paths: Shapes, color: Color, width: float = 0.0, closed: bool = False) -> None:
    """Strokes paths into a picture uint8 ``[S, S, 3]``; polygons are filled where ``width`` is 0.

    A colour beyond 0 to 255 is saturated.
    """
    scale = len(field)
    lines = _all_fixed(paths, scale)
    shade = tuple(map(float, color))
    if width:
        cv2.polylines(field, lines, closed, shade, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    else:
        for line in lines:
            cv2.fillPoly(field, [line], shade, cv2.LINE_AA, _SHIFT)


def fill_each(field: Array, polygons: Array, colors: Array) -> None:
    """Fills ``[N, K, 2]`` polygons with ``[N, 3]`` colours in one go, which :func:`draw` in a loop would do slower."""
    for line, color in zip(_fixed(polygons, len(field)), colors.tolist(), strict=True):
        cv2.fillPoly(field, [line], color, cv2.LINE_AA, _SHIFT)


class Patch(NamedTuple):
    """The neighbourhood of a shape: where it lies in the picture, and the shape's float32 weights there."""

    window: tuple[slice, slice]
    weight: Array


def patch(scale: int, shapes: Shapes, opacity: float, blur: float = 0.0, width: float = 0.0) -> Patch | None:
    """Polygons (or, with a ``width``, paths), softened by a Gaussian ``blur``; None outside of the picture."""
    parts = [shapes] if isinstance(shapes, np.ndarray) else shapes
    every = np.concatenate(parts)
    margin = 2.5 * blur + width / 2 + 2 / scale
    left, top = ((every.min(0) - margin) * scale).tolist()
    right, bottom = ((every.max(0) + margin) * scale).tolist()
    x, y = max(0, math.floor(left)), max(0, math.floor(top))
    w, h = min(scale, math.ceil(right)) - x, min(scale, math.ceil(bottom)) - y
    if w <= 0 or h <= 0:
        return None
    mask = np.zeros((h, w), np.uint8)
    corner = np.array([x, y]) / scale
    lines = [_fixed(part - corner, scale) for part in parts]
    if width:
        cv2.polylines(mask, lines, False, 255, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, lines, 255, cv2.LINE_AA, _SHIFT)
    if blur * scale > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), blur * scale, borderType=cv2.BORDER_CONSTANT)
    return Patch((slice(y, y + h), slice(x, x + w)), mask * np.float32(opacity / 255))


def tint(
    field: Array, shapes: Shapes, color: Color, opacity: float = 1.0, blur: float = 0.0, width: float = 0.0
) -> None:
    """Mixes a colour (or a picture as large) into polygons (or, with a ``width``, along paths), softly.

    Args:
        field: uint8 ``[S, S, 3]``, changed in place.
        shapes: one polygon or path ``[N, 2]``, or several.
        color: three numbers, or a picture ``[S, S, 3]``.
        opacity: 0 to 1.
        blur: standard deviation of the edge, in units of the picture.
        width: of the line, in units of the picture; 0 fills.
    """
    area = patch(len(field), shapes, opacity, blur, width)
    if area is not None:
        paint = np.asarray(color)
        blend(field[area.window], paint if paint.ndim == 1 else paint[area.window], area.weight)


def blend(field: Array, color: Color, weight: Array) -> None:
    """Mixes a colour (or a picture) into ``field`` uint8 ``[H, W, 3]`` in place, ``weight`` float32 ``[H, W]``."""
    base = field.astype(np.float32)
    # a scalar in OpenCV's sense, which NumPy would broadcast several times slower
    paint: Any = (*map(float, color), 0.0) if np.ndim(color) == 1 else np.asarray(color, np.float32)
    gap = cv2.subtract(paint, base)
    base += cv2.multiply(gap, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB))
    field[...] = to_uint8(base)


def plain(side: int, color: Color) -> Array:
    """A picture of one colour, saturated: uint8 ``[side, side, 3]``."""
    field = np.empty((side, side, 3), np.uint8)
    cv2.rectangle(field, (0, 0), (side, side), tuple(map(float, color)), -1)
    return field


def relight(field: Array, gain: Array) -> Array:
    """A picture uint8 ``[H, W, 3]`` times a gain float32 ``[H, W]``, saturated."""
    return cv2.multiply(field, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def to_uint8(picture: Array) -> Array:
    """Rounded and saturated to 0 to 255."""
    rounded: Any = cv2.convertScaleAbs(np.maximum(picture, 0))
    return rounded


def shrink(picture: Array, side: int) -> Array:
    """The box mean of a picture, ``side`` pixels wide."""
    while len(picture) >= 2 * side:
        # halving twice is many times faster than one reduction by four
        picture = cv2.resize(picture, (len(picture) // 2,) * 2, interpolation=cv2.INTER_AREA)
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def enlarge(picture: Array, side: int) -> Array:
    """A small picture, bilinearly brought to ``side`` pixels."""
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)


def _fixed(points: Array, scale: int) -> Array:
    """Points in the fixed point of OpenCV's drawing, whose whole numbers are pixel centres: int32."""
    return np.rint(points * float(scale << _SHIFT) - (1 << _SHIFT) / 2).astype(np.int32)


def _all_fixed(paths: Shapes, scale: int) -> list[Array]:
    """The paths one by one, as :func:`_fixed`."""
    return list(_fixed(paths, scale)) if isinstance(paths, np.ndarray) else [_fixed(path, scale) for path in paths]
