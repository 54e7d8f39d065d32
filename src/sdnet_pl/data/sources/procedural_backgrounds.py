"""Drawn backgrounds, and the plate, curves, noise and soft paint that the drawn portraits use too.

Points are ``[N, 2]`` (x, y) in units of the picture: (0, 0) is its top left corner, (1, 1) its bottom right one. No
random draw depends on the size in pixels, so one seed and index show the same picture at every size.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.sources.base import Image

Array = NDArray[Any]
Color = Sequence[float] | Array

_SHIFT = 4


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
            cv2.fillPoly(self.pixels, [fixed(polygon, self.scale)], value, cv2.LINE_AA, _SHIFT)
        return self

    def stroke(self, paths: Array | Sequence[Array], width: float, value: int = 255, closed: bool = False) -> "Plate":
        """Draws ``[N, K, 2]`` paths, ``width`` in units of the picture and at least one pixel of the plate."""
        thickness = max(1, round(width * self.scale))
        cv2.polylines(self.pixels, all_fixed(paths, self.scale), closed, value, thickness, cv2.LINE_AA, _SHIFT)
        return self

    def limb(self, path: Array, widths: Sequence[float] | Array) -> "Plate":
        """Draws a path ``[K, 2]`` with round joints whose width runs through ``widths``."""
        along = np.interp(np.linspace(0, 1, len(path) - 1), np.linspace(0, 1, len(widths)), widths)
        dots = fixed(path, self.scale).tolist()
        for start, end, width in zip(dots[:-1], dots[1:], along.tolist(), strict=True):
            cv2.line(self.pixels, start, end, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return self

    def mask(self) -> Array:
        """The drawing as uint8 ``[side, side]``."""
        pixels = self.pixels
        while len(pixels) > self.side:
            # halving twice is many times faster than one reduction by four
            pixels = cv2.resize(pixels, (len(pixels) // 2,) * 2, interpolation=cv2.INTER_AREA)
        return pixels


def fixed(points: Array, scale: int) -> Array:
    """Points in the fixed point of OpenCV's drawing, whose whole numbers are pixel centres: int32."""
    return np.rint(points * float(scale << _SHIFT) - (1 << _SHIFT) / 2).astype(np.int32)


def all_fixed(paths: Array | Sequence[Array], scale: int) -> list[Array]:
    """The paths one by one, as :func:`fixed`."""
    return list(fixed(paths, scale)) if isinstance(paths, np.ndarray) else [fixed(path, scale) for path in paths]


def draw(field: Array, paths: Array | Sequence[Array], color: Color, width: float = 0.0, closed: bool = False) -> None:
    """Strokes paths into a picture uint8 ``[S, S, 3]``; polygons are filled where ``width`` is 0."""
    scale = field.shape[1]
    lines = all_fixed(paths, scale)
    shade = tuple(map(float, color))
    if width:
        cv2.polylines(field, lines, closed, shade, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    else:
        for line in lines:
            cv2.fillPoly(field, [line], shade, cv2.LINE_AA, _SHIFT)


class Patch(NamedTuple):
    """The neighbourhood of a shape: where it lies in the picture, its corner, and the shape's float32 weights."""

    window: tuple[slice, slice]
    corner: Array
    weight: Array


def patch(scale: int, shape: Array, opacity: float, blur: float = 0.0, width: float = 0.0) -> Patch | None:
    """A polygon (or, with a ``width``, a path), softened by a Gaussian ``blur``; None outside of the picture."""
    margin = 2.5 * blur + width / 2 + 2 / scale
    left, top = ((shape.min(0) - margin) * scale).tolist()
    right, bottom = ((shape.max(0) + margin) * scale).tolist()
    x, y = max(0, math.floor(left)), max(0, math.floor(top))
    w, h = min(scale, math.ceil(right)) - x, min(scale, math.ceil(bottom)) - y
    if w <= 0 or h <= 0:
        return None
    mask = np.zeros((h, w), np.uint8)
    corner = np.array([x, y]) / scale
    line = fixed(shape - corner, scale)
    if width:
        cv2.polylines(mask, [line], False, 255, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, [line], 255, cv2.LINE_AA, _SHIFT)
    if blur * scale > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), blur * scale, borderType=cv2.BORDER_CONSTANT)
    return Patch((slice(y, y + h), slice(x, x + w)), corner, mask * np.float32(opacity / 255))


def tint(field: Array, shape: Array, color: Color, opacity: float = 1.0, blur: float = 0.0, width: float = 0.0) -> None:
    """Mixes a colour into a polygon (or, with a ``width``, along a path) of a uint8 ``[S, S, 3]`` picture, softly."""
    area = patch(field.shape[1], shape, opacity, blur, width)
    if area is not None:
        blend(field[area.window], color, area.weight)


def blend(field: Array, color: Color, weight: Array) -> None:
    """Mixes a colour (or a picture) into ``field`` uint8 ``[H, W, 3]`` in place, ``weight`` float32 ``[H, W]``."""
    base = field.astype(np.float32)
    paint = np.asarray(color, np.float32)
    gap = cv2.subtract(paint, base) if paint.ndim == 3 else cv2.subtract((*paint.tolist(), 0.0), base)
    base += cv2.multiply(gap, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB))
    np.copyto(field, cv2.convertScaleAbs(base))


def plain(side: int, color: Color) -> Array:
    """A picture of one colour, uint8 ``[side, side, 3]``."""
    field = np.empty((side, side, 3), np.uint8)
    shade = tuple(min(255.0, max(0.0, float(c))) for c in color)
    cv2.rectangle(field, (0, 0), (side, side), shade, -1)
    return field


def relight(field: Array, gain: Array) -> Array:
    """A picture uint8 ``[H, W, 3]`` times a gain float32 ``[H, W]``, saturated."""
    return cv2.multiply(field, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def enlarge(picture: Array, side: int) -> Array:
    """A small picture, bilinearly brought to ``side`` pixels."""
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)


def noise(rng: np.random.Generator, side: int, cells: int, octaves: int = 3, stretch: int = 1) -> Array:
    """Smooth noise float32 ``[side, side]`` in [-1, 1], ``cells`` bumps a side (``stretch`` times fewer downwards)."""
    total = np.zeros((side, side), np.float32)
    weights = 0.55 ** np.arange(octaves)
    for octave, weight in enumerate((weights / weights.sum()).tolist()):
        columns = cells << octave
        grid = (rng.random((max(2, columns // stretch), columns), np.float32) * 2 - 1) * np.float32(weight)
        total += enlarge(grid, side)
    return total


@cache
def _circle(steps: int) -> Array:
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


@cache
def _basis(steps: int) -> Array:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2


def smooth(points: Sequence[Sequence[float]] | Array, steps: int = 6, closed: bool = True) -> Array:
    """A Catmull-Rom curve through ``[N, 2]`` points, ``steps`` samples a segment: ``[M, 2]``."""
    knots = np.asarray(points, float)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    quads = np.stack([knots[:-3], knots[1:-2], knots[2:-1], knots[3:]], 1)
    curve = (_basis(steps) @ quads).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-2:-1]])


def oval(x: float, y: float, rx: float, ry: float, steps: int = 24, turn: float = 0.0) -> Array:
    """An ellipse about (x, y), turned by ``turn`` radians: ``[steps, 2]``."""
    cos, sin = math.cos(turn), math.sin(turn)
    return _circle(steps) @ np.array([[rx * cos, rx * sin], [-ry * sin, ry * cos]]) + np.array([x, y])


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number in [low, high)."""
    return float(rng.uniform(low, high))


def pick(rng: np.random.Generator, choices: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """One of ``choices``, by relative ``weights``."""
    share = np.cumsum(weights if weights is not None else np.ones(len(choices)))
    return choices[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]


def draw_background(rng: np.random.Generator, size: int) -> Image:
    """placeholder"""
    return np.full((size, size, 3), (90, 150, 110), np.uint8)
