"""Scenes without people, from a plain wall to clutter, each drawn over a picture uint8 ``[S, S, 3]``."""

import colorsys
import math
from collections.abc import Callable

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import Array, oval, rotation, smooth
from sdnet_pl.synthetic.drawing import blend, draw, enlarge, fill_each, plain, relight, shrink, tint
from sdnet_pl.synthetic.randomness import between, noise, pick

Scene = Callable[[np.random.Generator, Array], Array]

# colours of skin and hair, so that no network finds a person by colour alone
_LIFELIKE = (
    (238, 200, 174), (214, 160, 126), (160, 108, 78), (92, 60, 42), (60, 42, 30), (206, 172, 118), (32, 26, 24),
)  # fmt: skip


def _color(rng: np.random.Generator, saturation: float = 0.5) -> Array:
    """Any colour of at most this saturation, or one of skin or hair: float ``[3]``."""
    if rng.random() < 0.15:
        return np.array(pick(rng, _LIFELIKE), float)
    hue, strength, value = rng.random(3)
    rgb = colorsys.hsv_to_rgb(hue, saturation * strength, 0.12 + 0.86 * value**0.8)
    return np.array(rgb) * 255


def _box(x: float, y: float, w: float, h: float) -> Array:
    """A box ``w`` by ``h`` whose top left corner is (x, y): ``[4, 2]``."""
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])


def _boxes(corners: Array, w: float, h: float) -> Array:
    """Boxes with these top left corners ``[N, 2]``: ``[N, 4, 2]``."""
    return corners[:, None] + _box(0, 0, w, h)


def _turned(points: Array, turn: float) -> Array:
    """Points turned about the middle of the picture by ``turn`` radians."""
    return (points - 0.5) @ rotation(turn) + 0.5


def plain_wall(rng: np.random.Generator, side: int) -> Array:
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
        bumps = noise(rng, 128, int(rng.integers(2, 9)), 4, int(rng.integers(1, 3)))
        weight = bumps * np.float32(between(rng, 1, 4)) + 0.5
        blend(field, _color(rng, 0.8), enlarge(np.clip(weight, 0, 1), len(field)))
    return field


def _bokeh(rng: np.random.Generator, field: Array) -> Array:
    """Lights out of focus: discs with a bright rim over a dark scene."""
    field = cv2.convertScaleAbs(field, alpha=between(rng, 0.2, 0.6))
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
        draw(field, [bar], colors[k % len(colors)] * between(rng, 0.9, 1.1))
        if seam:
            draw(field, [bar[:2], bar[2:]], (30, 26, 24), 0.002)
    return field


def _tiles(rng: np.random.Generator, field: Array) -> Array:
    """Tiles or bricks with joints, each a little different."""
    w, h = between(rng, 0.08, 0.25), between(rng, 0.06, 0.2)
    color, gap, bond = _color(rng), between(rng, 0.004, 0.012), pick(rng, (0.0, 0.5))
    turn = between(rng, -0.2, 0.2)
    rows = enumerate(np.arange(-0.2, 1.2, h))
    corners = [(x, y) for row, y in rows for x in np.arange(-0.4 + bond * w * (row % 2), 1.2, w)]
    boxes = _turned(_boxes(np.array(corners), w - gap, h - gap), turn)
    fill_each(field, boxes, color * rng.uniform(0.78, 1.15, (len(corners), 1)))
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
                draw(field, [_box(x + 0.2 * w, bottom - 0.8 * h, 0.6 * w, 0.06)], color * 1.35)
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
        x, y = between(rng, -0.1, 0.8), between(rng, 0.02, 0.3)
        w, h = between(rng, 0.12, 0.45), between(rng, 0.15, 0.45)
        frame, glass = _color(rng, 0.3), _color(rng)
        draw(field, [_box(x + 0.012, y + 0.015, w, h)], glass * 0.25)
        draw(field, [_box(x, y, w, h)], frame)
        draw(field, [_box(x + 0.015, y + 0.015, w - 0.03, h - 0.03)], glass * 1.3 + 30)
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
        draw(field, [_box(x, low - h, w, 0.03)], color * 1.25)
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
        fill_each(field, _boxes(corners, cell * 0.6, rise * 0.6), pane * rng.uniform(0.5, 1.4, (len(k), 1)))
        x += w + max(0.0, between(rng, -0.1, 0.1))
    draw(field, [_box(-0.1, ground, 1.2, 0.5)], _color(rng, 0.1) * 0.6)
    return field


def _leaves(rng: np.random.Generator, field: Array) -> Array:
    """Foliage: three layers of leaves, the nearer ones larger and brighter, and perhaps stems."""
    green = np.array([between(rng, 40, 150), between(rng, 90, 170), between(rng, 20, 90)])
    field = cv2.convertScaleAbs(_clouds(rng, field), alpha=0.7)
    for layer in range(3):
        count, long = 70 - 15 * layer, 0.02 + 0.018 * layer
        place = rng.random((count, 1, 2))
        turn, slim = rng.uniform(0, math.pi, (count, 1)), rng.uniform(0.2, 0.6, (count, 1))
        ring = oval(0, 0, long, long, 10)
        x, y = ring[:, 0], ring[:, 1] * slim
        leaf = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], -1)
        fill_each(field, place + leaf, green * rng.uniform(0.3 + 0.3 * layer, 0.8 + 0.3 * layer, (count, 1)))
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
            draw(field, [shape], color * 0.6, 0.008, closed=True)
    return field


def strands(rng: np.random.Generator, field: Array) -> Array:
    """Grass, wires, fur or fringes: fine curved lines that are not hair."""
    count = int(rng.integers(30, 220))
    heading = between(rng, 0, 2 * math.pi) + rng.normal(0, between(rng, 0.1, 1.0), (count, 1))
    u = np.linspace(0, 1, 8)[None]
    turn = heading + rng.normal(0, 1.0, (count, 1)) * u
    hop = np.stack([np.cos(turn), np.sin(turn)], -1) * (rng.uniform(0.05, 0.5, (count, 1, 1)) / 8)
    base = rng.random((1, 1, 2)) + rng.normal(0, between(rng, 0.1, 0.6), (count, 1, 2))
    paths = base + np.cumsum(hop, 1)
    color = np.array(pick(rng, _LIFELIKE), float) if rng.random() < 0.6 else _color(rng, 0.8)
    for k, shade in enumerate((0.6, 0.9, 1.2)):
        draw(field, paths[k::3], color * shade, 0.002)
    return field


# what stands before a plain wall, and how often; None is the bare wall
SCENES: dict[Scene | None, float] = {
    None: 2.5, _clouds: 1.2, _bokeh: 1.3, _stripes: 1.0, _tiles: 0.9, _shelf: 1.2,
    _room: 1.8, _street: 1.0, _leaves: 1.2, _clutter: 1.6, strands: 0.5,
}  # fmt: skip
