"""Points and curves as arrays ``[N, 2]`` of (x, y), in whatever units they are called with."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Points = Array | Sequence[Any]


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


@cache
def _basis(steps: int) -> Array:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2


def oval(x: float, y: float, rx: float, ry: float, steps: int = 24, turn: float = 0.0) -> Array:
    """An ellipse about (x, y), turned by ``turn`` radians: ``[steps, 2]``."""
    return _circle(steps) @ (np.array([[rx], [ry]]) * rotation(turn)) + np.array([x, y])


@cache
def _circle(steps: int) -> Array:
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


def rotation(turn: float) -> Array:
    """The matrix ``[2, 2]`` that turns points from x towards y by ``turn`` radians, when they stand before it."""
    cos, sin = math.cos(turn), math.sin(turn)
    return np.array([[cos, sin], [-sin, cos]])


def mirrored(right: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The left half of an outline, given its right half; points on the axis x = 0 are not repeated."""
    return [(-x, y) for x, y in reversed(right) if x]


def grow(rng: np.random.Generator, root: Array, angle: Array, length: Array, bend: Array, steps: int) -> Array:
    """Strands from ``root [N, 2]``, at ``angle`` from upright, that turn by ``bend`` on the way: ``[N, steps, 2]``."""
    u = np.linspace(0, 1, steps - 1)[None]
    heading = angle[:, None] + bend[:, None] * u + rng.normal(0, 0.12, (len(angle), 1)) * np.sin(9 * u)
    hop = np.stack([np.sin(heading), -np.cos(heading)], -1) * (length / (steps - 1))[:, None, None]
    start = root[:, None]
    return np.concatenate([start, start + np.cumsum(hop, 1)], 1)


def coil(rng: np.random.Generator, root: Array, angle: Array, length: Array, radius: float) -> Array:
    """Curls from ``root [N, 2]`` outwards at ``angle``: loops of ``radius`` along a line, ``[N, 14, 2]``."""
    u = np.linspace(0, 1, 14)[None]
    turns = rng.uniform(1.0, 2.2, (len(root), 1)) * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (len(root), 1))
    along = length[:, None] * u
    heading = (angle + rng.normal(0, 0.5, len(root)))[:, None]
    size = radius * rng.uniform(0.6, 1.4, (len(root), 1))
    x = np.sin(heading) * along + size * (np.cos(turns * u + phase) - np.cos(phase))
    y = -np.cos(heading) * along + size * (np.sin(turns * u + phase) - np.sin(phase))
    return root[:, None] + np.stack([x, y], -1)
