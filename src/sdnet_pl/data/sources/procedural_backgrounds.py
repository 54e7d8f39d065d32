"""Drawn backgrounds, and the plate, curves, noise and soft paint that the drawn portraits use too.

Points are ``[N, 2]`` (x, y) in units of the picture: (0, 0) is its top left corner, (1, 1) its bottom right one. No
random draw depends on the size in pixels, so one seed and index show the same picture at every size.
"""

import colorsys
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.sources.base import Image

Array = NDArray[Any]
Color = Sequence[float] | Array
Shapes = Array | Sequence[Array]
Points = Array | Sequence[Any]

Scene = Callable[[np.random.Generator, Array], Array]

# drawn at least this large and then reduced, so that a line one pixel thick stays thin in a small picture
MIN_SIDE = 256
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

    def stroke(self, paths: Shapes, width: float, value: int = 255, closed: bool = False) -> "Plate":
        """Draws ``[N, K, 2]`` paths, ``width`` in units of the picture and at least one pixel of the plate."""
        thickness = max(1, round(width * self.scale))
        # hard lines are three times faster, and reducing by four or more smooths them as well
        line = cv2.LINE_8 if thickness == 1 and self.scale >= 4 * self.side else cv2.LINE_AA
        cv2.polylines(self.pixels, all_fixed(paths, self.scale), closed, value, thickness, line, _SHIFT)
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
        return shrink(self.pixels, self.side)


def shrink(picture: Array, side: int) -> Array:
    """The box mean of a picture, ``side`` pixels wide."""
    while len(picture) >= 2 * side:
        # halving twice is many times faster than one reduction by four
        picture = cv2.resize(picture, (len(picture) // 2,) * 2, interpolation=cv2.INTER_AREA)
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def fixed(points: Array, scale: int) -> Array:
    """Points in the fixed point of OpenCV's drawing, whose whole numbers are pixel centres: int32."""
    return np.rint(points * float(scale << _SHIFT) - (1 << _SHIFT) / 2).astype(np.int32)


def all_fixed(paths: Shapes, scale: int) -> list[Array]:
    """The paths one by one, as :func:`fixed`."""
    return list(fixed(paths, scale)) if isinstance(paths, np.ndarray) else [fixed(path, scale) for path in paths]


def draw(field: Array, paths: Shapes, color: Color, width: float = 0.0, closed: bool = False) -> None:
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


def patch(scale: int, shapes: Shapes, opacity: float, blur: float = 0.0, width: float = 0.0) -> Patch | None:
    """Polygons (or, with a ``width``, paths), softened by a Gaussian ``blur``; None outside of the picture."""
    parts = [shapes] if isinstance(shapes, np.ndarray) else shapes
    every = parts[0] if len(parts) == 1 else np.concatenate(parts)
    margin = 2.5 * blur + width / 2 + 2 / scale
    left, top = ((every.min(0) - margin) * scale).tolist()
    right, bottom = ((every.max(0) + margin) * scale).tolist()
    x, y = max(0, math.floor(left)), max(0, math.floor(top))
    w, h = min(scale, math.ceil(right)) - x, min(scale, math.ceil(bottom)) - y
    if w <= 0 or h <= 0:
        return None
    mask = np.zeros((h, w), np.uint8)
    corner = np.array([x, y]) / scale
    lines = [fixed(part - corner, scale) for part in parts]
    if width:
        cv2.polylines(mask, lines, False, 255, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, lines, 255, cv2.LINE_AA, _SHIFT)
    if blur * scale > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), blur * scale, borderType=cv2.BORDER_CONSTANT)
    return Patch((slice(y, y + h), slice(x, x + w)), corner, mask * np.float32(opacity / 255))


def tint(
    field: Array, shapes: Shapes, color: Color, opacity: float = 1.0, blur: float = 0.0, width: float = 0.0
) -> None:
    """Mixes a colour into polygons (or, with a ``width``, along paths) of a uint8 ``[S, S, 3]`` picture, softly."""
    area = patch(field.shape[1], shapes, opacity, blur, width)
    if area is not None:
        blend(field[area.window], color, area.weight)


def blend(field: Array, color: Color, weight: Array) -> None:
    """Mixes a colour (or a picture) into ``field`` uint8 ``[H, W, 3]`` in place, ``weight`` float32 ``[H, W]``."""
    base = field.astype(np.float32)
    # a scalar in OpenCV's sense, which NumPy would broadcast several times slower
    paint: Any = (*map(float, color), 0.0) if np.ndim(color) == 1 else np.asarray(color, np.float32)
    gap = cv2.subtract(paint, base)
    base += cv2.multiply(gap, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB))
    field[...] = to_uint8(base)


def to_uint8(picture: Array) -> Image:
    """Rounded and saturated to 0 to 255."""
    rounded: Any = cv2.convertScaleAbs(np.maximum(picture, 0))
    return rounded


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


def smooth(points: Points, steps: int = 6, closed: bool = True) -> Array:
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


# colours of skin and hair, so that no network finds a person by colour alone
_LIFELIKE = (
    (238, 200, 174),
    (214, 160, 126),
    (160, 108, 78),
    (92, 60, 42),
    (60, 42, 30),
    (206, 172, 118),
    (32, 26, 24),
)
# blur of a lens out of focus, in units of the picture
_DEFOCUS = (0.004, 0.03)


def draw_background(rng: np.random.Generator, size: int) -> Image:
    """A scene without people, from a plain wall to clutter, sharp or out of focus: uint8 ``[size, size, 3]``."""
    side = size * math.ceil(MIN_SIDE / size)
    field: Any = _plain_wall(rng, side)
    scene = pick(rng, list(_SCENES), list(_SCENES.values()))
    if scene is not None:
        field = scene(rng, field)
    if rng.random() < 0.2:
        field = _strands(rng, field)
    field = relight(field, enlarge(1 + np.float32(between(rng, 0.05, 0.5)) * noise(rng, 64, 2, 1), side))
    if rng.random() < 0.45:
        deviation = between(rng, *_DEFOCUS) * 128
        small = shrink(field, 128)
        field = enlarge(cv2.GaussianBlur(small, (0, 0), deviation), side)
    grain = np.frombuffer(rng.bytes(128 * 128 * 3), np.uint8).reshape(128, 128, 3)
    amount = between(rng, 0, 0.06)
    field = cv2.addWeighted(field, 1.0, enlarge(grain, side), amount, -127 * amount)
    return shrink(field, size)


def _color(rng: np.random.Generator, saturation: float = 0.5) -> Array:
    """Any colour of at most this saturation, or one of skin or hair: float ``[3]``."""
    if rng.random() < 0.15:
        return np.array(pick(rng, _LIFELIKE), float)
    hue, strength, value = rng.random(3)
    rgb = colorsys.hsv_to_rgb(hue, saturation * strength, 0.12 + 0.86 * value**0.8)
    return np.array(rgb) * 255


def _box(x: float, y: float, w: float, h: float) -> Array:
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])


def _boxes(corners: Array, w: float, h: float) -> Array:
    return corners[:, None] + _box(0, 0, w, h)


def _fill_each(field: Array, polygons: Array, colors: Array) -> None:
    """Fills ``[N, K, 2]`` polygons with ``[N, 3]`` colours in one go, which :func:`draw` in a loop would do slower."""
    for line, color in zip(fixed(polygons, len(field)), np.clip(colors, 0, 255).tolist(), strict=True):
        cv2.fillPoly(field, [line], color, cv2.LINE_AA, _SHIFT)


def _turned(points: Array, turn: float) -> Array:
    cos, sin = math.cos(turn), math.sin(turn)
    return (points - 0.5) @ np.array([[cos, sin], [-sin, cos]]) + 0.5


def _plain_wall(rng: np.random.Generator, side: int) -> Array:
    """One colour, or a change from one to another."""
    first = _color(rng, 0.7)
    if rng.random() < 0.5:
        field = plain(side, first)
    else:
        corners = np.stack([first, first * between(rng, 0.4, 1.2), _color(rng), first * between(rng, 0.4, 1.2)])
        if rng.random() < 0.5:
            corners = corners[[0, 0, 2, 2]]
        field = enlarge(np.clip(corners, 0, 255).reshape(2, 2, 3).astype(np.float32), side).astype(np.uint8)
    if rng.random() < 0.5:
        rough = noise(rng, 128, int(rng.integers(8, 50)), 2, int(rng.integers(1, 4)))
        field = relight(field, enlarge(1 + np.float32(between(rng, 0.03, 0.25)) * rough, side))
    return field


def _clouds(rng: np.random.Generator, field: Array) -> Array:
    """Noise of many octaves between two or three colours."""
    for _ in range(int(rng.integers(1, 3))):
        weight = (
            noise(rng, 128, int(rng.integers(2, 9)), 4, int(rng.integers(1, 3))) * np.float32(between(rng, 1, 4)) + 0.5
        )
        blend(field, _color(rng, 0.8), enlarge(np.clip(weight, 0, 1), len(field)))
    return field


def _bokeh(rng: np.random.Generator, field: Array) -> Array:
    """Lights out of focus: discs with a bright rim over a dark scene."""
    field = relight(field, np.full(field.shape[:2], between(rng, 0.2, 0.6), np.float32))
    small = shrink(field, 128)
    radius = between(rng, 0.015, 0.06)
    warm = _color(rng, 1.0)
    for _ in range(int(rng.integers(12, 50))):
        color = np.clip(0.5 * warm + 0.6 * _color(rng, 1.0) + 40, 0, 255)
        disc = oval(between(rng, 0, 1), between(rng, 0, 1), radius, radius, 16)
        tint(small, disc, color, between(rng, 0.15, 0.7), 0.003)
        draw(small, [disc], color, 0.004, closed=True)
    return enlarge(cv2.GaussianBlur(small, (0, 0), between(rng, 0.5, 1.2)), len(field))


def _stripes(rng: np.random.Generator, field: Array) -> Array:
    """Wallpaper stripes, blinds, planks or a fence, at any angle."""
    pitch, turn = between(rng, 0.03, 0.2), pick(rng, (0.0, math.pi / 2, between(rng, 0, math.pi)))
    colors = [_color(rng) for _ in range(int(rng.integers(1, 4)))]
    share, seam = between(rng, 0.2, 0.95), rng.random() < 0.5
    for k, x in enumerate(np.arange(-0.5, 1.5, pitch)):
        bar = _turned(_box(x, -0.5, pitch * share, 2.0), turn)
        draw(field, [bar], np.clip(colors[k % len(colors)] * between(rng, 0.9, 1.1), 0, 255))
        if seam:
            draw(field, [bar[:2], bar[2:]], (30, 26, 24), 0.002)
    return field


def _tiles(rng: np.random.Generator, field: Array) -> Array:
    """Tiles or bricks with joints, each a little different."""
    w, h = between(rng, 0.08, 0.25), between(rng, 0.06, 0.2)
    color, gap, bond = _color(rng), between(rng, 0.004, 0.012), pick(rng, (0.0, 0.5))
    turn = between(rng, -0.2, 0.2)
    corners = [
        (x, y) for row, y in enumerate(np.arange(-0.2, 1.2, h)) for x in np.arange(-0.4 + bond * w * (row % 2), 1.2, w)
    ]
    boxes = _turned(_boxes(np.array(corners), w - gap, h - gap), turn)
    _fill_each(field, boxes, color * rng.uniform(0.78, 1.15, (len(corners), 1)))
    return field


def _shelf(rng: np.random.Generator, field: Array) -> Array:
    """Boards with books, boxes and vases."""
    wood = np.array(pick(rng, ((120, 84, 56), (214, 196, 168), (60, 46, 38), (236, 234, 230))), float)
    pitch = between(rng, 0.18, 0.34)
    for bottom in np.arange(between(rng, 0.1, pitch), 1.0 + pitch, pitch):
        x = between(rng, -0.05, 0.1)
        while x < 1.0:
            w, h = between(rng, 0.012, 0.05), pitch * between(rng, 0.4, 0.85)
            color, thing = _color(rng, 0.9), rng.random()
            if thing < 0.12:
                w = between(rng, 0.06, 0.12)
                draw(field, [oval(x + w / 2, bottom - 0.4 * h, w / 2, 0.4 * h)], color)
            elif thing < 0.25:
                w = between(rng, 0.03, 0.12)
            else:
                draw(field, [_box(x, bottom - h, w, h)], color)
                draw(field, [_box(x + 0.2 * w, bottom - 0.8 * h, 0.6 * w, 0.06)], np.clip(color * 1.35, 0, 255))
            x += w + 0.002
        draw(field, [_box(-0.1, bottom, 1.2, 0.02)], wood)
        draw(field, [_box(-0.1, bottom + 0.02, 1.2, 0.012)], wood * 0.45)
    return field


def _room(rng: np.random.Generator, field: Array) -> Array:
    """A wall with a window or pictures, a floor, furniture, a lamp."""
    floor = between(rng, 0.62, 0.95)
    draw(field, [_box(-0.1, floor, 1.2, 0.5)], _color(rng))
    draw(field, [_box(-0.1, floor - 0.02, 1.2, 0.02)], _color(rng, 0.2))
    for _ in range(int(rng.integers(1, 4))):
        x, y, w, h = (
            between(rng, -0.1, 0.8),
            between(rng, 0.02, 0.3),
            between(rng, 0.12, 0.45),
            between(rng, 0.15, 0.45),
        )
        frame, glass = _color(rng, 0.3), _color(rng)
        draw(field, [_box(x + 0.012, y + 0.015, w, h)], glass * 0.25)
        draw(field, [_box(x, y, w, h)], frame)
        draw(field, [_box(x + 0.015, y + 0.015, w - 0.03, h - 0.03)], np.clip(glass * 1.3 + 30, 0, 255))
        if rng.random() < 0.5:
            draw(field, [_box(x + 0.015, y + h * between(rng, 0.4, 0.7), w - 0.03, h * 0.28)], glass * 0.6)
            draw(field, [_box(x + w / 2 - 0.006, y, 0.012, h), _box(x, y + h / 2 - 0.006, w, 0.012)], frame)
        else:
            for _ in range(3):
                spot = oval(x + w * between(rng, 0.25, 0.75), y + h * between(rng, 0.3, 0.7), w * 0.2, h * 0.2)
                draw(field, [spot], _color(rng, 0.9))
    for _ in range(int(rng.integers(0, 4))):
        x, w, h = between(rng, -0.2, 0.9), between(rng, 0.1, 0.5), between(rng, 0.1, 0.4)
        color, low = _color(rng, 0.6), floor + between(rng, 0.0, 0.15)
        tint(field, oval(x + w / 2, low, w * 0.6, 0.03), (10, 8, 8), 0.5, 0.015)
        draw(field, [_box(x, low - h, w, h)], color)
        draw(field, [_box(x, low - h, w, 0.03)], np.clip(color * 1.25, 0, 255))
        draw(field, [_box(x + w * 0.1, low - h * 0.75, w * 0.8, h * 0.3)], color * 0.8)
    if rng.random() < 0.4:
        lamp = oval(between(rng, 0, 1), between(rng, 0.05, 0.5), 0.06, 0.06)
        tint(field, lamp, (255, 236, 190), 1.0, 0.05)
        draw(field, [lamp], (255, 246, 220))
    return field


def _street(rng: np.random.Generator, field: Array) -> Array:
    """Buildings with rows of windows under a sky, and a road."""
    x, ground = -0.1, between(rng, 0.75, 1.05)
    while x < 1.0:
        w, top = between(rng, 0.12, 0.35), between(rng, 0.02, 0.55)
        color, pane = _color(rng, 0.4), _color(rng)
        draw(field, [_box(x, top, w, 1.2)], color)
        columns, rows = int(rng.integers(2, 6)), int(rng.integers(3, 9))
        cell, rise = w / columns, (ground - top) / rows
        k = np.arange(columns * rows)
        corners = np.stack([x + cell * (k % columns + 0.2), top + rise * (k // columns + 0.2)], 1)
        _fill_each(field, _boxes(corners, cell * 0.6, rise * 0.6), pane * rng.uniform(0.5, 1.4, (len(k), 1)))
        x += w + max(0.0, between(rng, -0.1, 0.1))
    draw(field, [_box(-0.1, ground, 1.2, 0.5)], _color(rng, 0.1) * 0.6)
    return field


def _leaves(rng: np.random.Generator, field: Array) -> Array:
    """Foliage: three layers of leaves, the nearer ones larger and brighter, and perhaps stems."""
    green = np.array([between(rng, 40, 150), between(rng, 90, 170), between(rng, 20, 90)])
    field = relight(_clouds(rng, field), np.full(field.shape[:2], 0.7, np.float32))
    for layer in range(3):
        count, long = 70 - 15 * layer, 0.02 + 0.018 * layer
        place = rng.random((count, 1, 2))
        turn, slim = rng.uniform(0, math.pi, (count, 1)), rng.uniform(0.2, 0.6, (count, 1))
        ring = oval(0, 0, long, long, 10)
        x, y = ring[:, 0], ring[:, 1] * slim
        leaf = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], -1)
        _fill_each(field, place + leaf, green * rng.uniform(0.3 + 0.3 * layer, 0.8 + 0.3 * layer, (count, 1)))
    return field


def _clutter(rng: np.random.Generator, field: Array) -> Array:
    """Many things of any shape and colour over one another."""
    for _ in range(int(rng.integers(12, 55))):
        x, y, turn = rng.random(3)
        r = between(rng, 0.01, 0.16)
        kind = rng.integers(0, 4)
        if kind == 0:
            shape = oval(x, y, r, r * between(rng, 0.3, 1.0), 18, turn * math.pi)
        elif kind == 1:
            shape = oval(x, y, r, r * between(rng, 0.4, 1.0), int(rng.integers(3, 6)), turn * math.pi)
        else:
            shape = smooth(oval(x, y, r, r, 8) + rng.normal(0, 0.2 * r, (8, 2)), 4)
        color = _color(rng, 0.9)
        if r > 0.08:
            tint(field, shape + 0.01, (12, 10, 10), 0.4, 0.01)
        draw(field, [shape], color)
        if kind == 3:
            draw(field, [shape], np.clip(color * 0.6, 0, 255), 0.008, closed=True)
    return field


def _strands(rng: np.random.Generator, field: Array) -> Array:
    """Grass, wires, fur or fringes: fine curved lines that are no hair."""
    count = int(rng.integers(30, 220))
    heading = between(rng, 0, 2 * math.pi) + rng.normal(0, between(rng, 0.1, 1.0), (count, 1))
    u = np.linspace(0, 1, 8)[None]
    turn = heading + rng.normal(0, 1.0, (count, 1)) * u
    hop = np.stack([np.cos(turn), np.sin(turn)], -1) * (rng.uniform(0.05, 0.5, (count, 1, 1)) / 8)
    base = rng.random((1, 1, 2)) + rng.normal(0, between(rng, 0.1, 0.6), (count, 1, 2))
    paths = base + np.cumsum(hop, 1)
    color = np.array(pick(rng, _LIFELIKE), float) if rng.random() < 0.6 else _color(rng, 0.8)
    for k, shade in enumerate((0.6, 0.9, 1.2)):
        draw(field, paths[k::3], np.clip(color * shade, 0, 255), 0.002)
    return field


_SCENES: dict[Scene | None, float] = {
    None: 2.5, _clouds: 1.2, _bokeh: 1.3, _stripes: 1.0, _tiles: 0.9, _shelf: 1.2,
    _room: 1.8, _street: 1.0, _leaves: 1.2, _clutter: 1.6, _strands: 0.5,
}  # fmt: skip
