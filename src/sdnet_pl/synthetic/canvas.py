"""The canvas a figure is drawn on: where it stands, its light, layers put over one another, and the finished cut-out.

A figure is drawn in its own units: the head's centre is (0, 0), its half height 1, y points down, the chin is at 1 and
the shoulders are near 2.
"""

import math

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import Array, Points
from sdnet_pl.synthetic.drawing import enlarge, relight, shrink, to_uint8, working_side
from sdnet_pl.synthetic.randomness import between, noise

# light and shade are smooth: computed this wide and enlarged
GRID = 128
COARSE = 64


class Canvas:
    """Layers in premultiplied float32, so that alpha is exact and the straight colour follows by division.

    Attributes:
        side: height and width S in pixels while drawing.
        color: float32 ``[S, S, 3]`` in [0, 255], premultiplied by ``alpha``.
        alpha: float32 ``[S, S]`` in [0, 1].
        unit: half the height of the head, in units of the picture.
        yaw: how far the face is turned to a side, in [-0.6, 0.6].
        mirror: 1, or -1 where the figure is mirrored.
        light: where the light comes from, (x, y) in the picture.
    """

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.side = working_side(size)
        self.color = np.zeros((self.side, self.side, 3), np.float32)
        self.alpha = np.zeros((self.side, self.side), np.float32)
        self.yaw = between(rng, -0.6, 0.6)
        self._pose()
        side = 1 if rng.random() < 0.5 else -1
        self.light = np.array([side * between(rng, 0.3, 1.0), -between(rng, 0.2, 0.9)])
        self._contrast = between(rng, 0.5, 1.25)

    def _pose(self) -> None:
        """Draws where the figure stands: two matrices from its units to the picture's, of the body and of the head."""
        rng = self.rng
        self.unit = math.exp(between(rng, math.log(0.1), math.log(0.235)))
        top = 1.45 * self.unit + 0.02
        y = top + between(rng, 0, 1) ** 1.5 * max(0.0, 0.62 - 1.1 * self.unit - top)
        if rng.random() < 0.08:
            y -= 0.35 * self.unit
        x = 0.5 + between(rng, -1, 1) * (0.34 - self.unit)
        self.mirror = -1 if rng.random() < 0.5 else 1
        lean, tilt = rng.normal(0, 0.035), rng.normal(0, 0.1)
        cos, sin = math.cos(lean) * self.unit, math.sin(lean) * self.unit
        self._body = np.array([[cos * self.mirror, -sin, x], [sin * self.mirror, cos, y]])
        cos, sin = math.cos(tilt), math.sin(tilt)
        # the head tilts about the chin
        self._head = self._body @ np.array([[cos, -sin, sin], [sin, cos, 1 - cos], [0, 0, 1]])

    def on_body(self, points: Points) -> Array:
        """From units of the figure ``[..., 2]`` to units of the picture, for what leans with the body."""
        return np.asarray(points) @ self._body[:, :2].T + self._body[:, 2]

    def on_head(self, points: Points) -> Array:
        """Like :meth:`on_body`, for what tilts with the head."""
        return np.asarray(points) @ self._head[:, :2].T + self._head[:, 2]

    def on_face(self, points: Points) -> Array:
        """Like :meth:`on_head`, for features ``[N, 2]`` that turn to a side with the face."""
        x, y = np.asarray(points, float).T
        turned = x * (1 - 0.12 * abs(self.yaw)) + 0.26 * self.yaw * (1 - x**2)
        return self.on_head(np.stack([turned, y], -1))

    def over(self, field: Array, mask: Array, gain: Array | None = None) -> None:
        """Puts a layer over the canvas.

        Args:
            field: straight colour, uint8 ``[S, S, 3]``.
            mask: opacity, uint8 ``[S, S]``.
            gain: light and shade, float32 ``[GRID, GRID]``.
        """
        x, y, w, h = cv2.boundingRect(mask)
        if not w:
            return
        window = np.s_[y : y + h, x : x + w]
        color = field[window]
        if gain is not None:
            color = relight(color, enlarge(gain, self.side)[window])
        below, weight = self.color[window], mask[window] * np.float32(1 / 255)
        gap = cv2.subtract(color, below, dtype=cv2.CV_32F)
        below += cv2.multiply(gap, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB))
        self.alpha[window] += (1 - self.alpha[window]) * weight

    def shadow(self, mask: Array, reach: float, strength: float) -> None:
        """Darkens what lies below a layer, ``reach`` heads away from the light; opacity stays as it is."""
        small = shrink(mask, COARSE)
        shift = reach * self.unit * COARSE
        move = np.array([[1, 0, -self.light[0] * shift], [0, 1, shift]])
        small = cv2.warpAffine(small, move, (COARSE, COARSE), borderMode=cv2.BORDER_REPLICATE)
        small = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.12 * self.unit * COARSE))
        gain = enlarge(1 - small * np.float32(strength / 255), self.side)
        # beyond a margin of one coarse pixel the gain is 1
        x, y, w, h = cv2.boundingRect(small)
        zoom = self.side / COARSE
        left, top = (max(0, math.floor((k - 1) * zoom)) for k in (x, y))
        right, bottom = (math.floor((k + 1) * zoom) for k in (x + w, y + h))
        window = np.s_[top:bottom, left:right]
        self.color[window] *= cv2.cvtColor(gain[window], cv2.COLOR_GRAY2RGB)

    def relief(self, mask: Array, depth: float, strength: float = 1.0) -> Array:
        """Light and shade of a body with this outline, ``depth`` heads round: a gain float32 ``[GRID, GRID]``."""
        small = shrink(mask, COARSE) * np.float32(1 / 255)
        deviation = max(0.8, depth * self.unit * COARSE)
        kernel = (2 * math.ceil(2 * deviation) + 1,) * 2
        height = cv2.GaussianBlur(small * np.float32(2 * deviation), kernel, deviation, borderType=cv2.BORDER_REPLICATE)
        dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        lit = -(dx * self.light[0] + dy * self.light[1]) / np.sqrt(1 + dx * dx + dy * dy)
        gain = 1 + np.clip(lit * (0.62 * self._contrast * strength), -0.5, 0.22)
        return enlarge(gain.astype(np.float32), GRID)

    def mottle(self, amount: float, cells: int, octaves: int = 2, stretch: int = 1) -> Array:
        """Noise about 1 for :meth:`over`: a gain float32 ``[GRID, GRID]``."""
        return 1 + np.float32(amount) * noise(self.rng, GRID, cells, octaves, stretch)

    def finish(self, size: int) -> tuple[Array, Array]:
        """Lens and sensor: focus, exposure, tint; then division by alpha and the extension of the colour.

        Returns:
            Straight colour, uint8 ``[size, size, 3]``, defined everywhere, and alpha, uint8 ``[size, size]``.
        """
        planes: list[Array] = [self.color, self.alpha]
        if self.rng.random() < 0.5:
            deviation = between(self.rng, 0.0008, 0.0035) * self.side
            planes = [cv2.GaussianBlur(plane, (0, 0), deviation) for plane in planes]
        color, alpha = (shrink(plane, size) for plane in planes)
        warmth, exposure = between(self.rng, -0.06, 0.06), between(self.rng, 0.78, 1.06)
        gains = np.diag([exposure * (1 + warmth), exposure, exposure * (1 - warmth)])
        exposed = cv2.transform(extended(color, alpha), gains)
        return to_uint8(exposed), to_uint8(alpha * 255)


def extended(color: Array, alpha: Array) -> Array:
    """Straight colour from the premultiplied one, filled from coarser levels where alpha is 0.

    Each level of the pyramid is the box mean of the finer one, so a pixel without alpha takes the mean colour of the
    smallest neighbourhood that has some.

    Args:
        color: float32 ``[S, S, 3]`` in [0, 255], premultiplied.
        alpha: float32 ``[S, S]`` in [0, 1].

    Returns:
        float32 ``[S, S, 3]`` in [0, 255].
    """
    levels = [(color, alpha)]
    while len(alpha) > 1:
        half = ((len(alpha) + 1) // 2,) * 2
        color, alpha = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (color, alpha))
        levels.append((color, alpha))
    filled: Array = np.zeros((1, 1, 3), np.float32)
    for color, alpha in reversed(levels):
        straight = cv2.divide(color, cv2.cvtColor(np.maximum(alpha, np.float32(1e-6)), cv2.COLOR_GRAY2RGB))
        # at full size, what 8 bits call transparent counts as unknown
        known = cv2.inRange(alpha, 0.5 / 255 if len(alpha) == len(levels[0][1]) else 1e-6, 2.0)
        filled = cv2.copyTo(straight, known, enlarge(filled, len(alpha)))
    return filled
