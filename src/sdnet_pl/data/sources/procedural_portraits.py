"""Drawn people with exact colour and alpha.

A figure is drawn in its own units: the head's centre is (0, 0), its half height 1, y points down, the chin is at 1 and
the shoulders are near 2. Layers from the hair behind the head to a veil before it are put over one another in
premultiplied float32, so that alpha is exact and the straight colour follows by division.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from sdnet_pl.data.sources.base import Foreground
from sdnet_pl.data.sources.procedural_backgrounds import (
    MIN_SIDE,
    Array,
    Plate,
    Points,
    between,
    blend,
    draw,
    enlarge,
    fixed,
    noise,
    oval,
    patch,
    pick,
    plain,
    relight,
    shrink,
    smooth,
    tint,
    to_uint8,
)

# light and shade are smooth: computed this wide and enlarged
GRID = 128
SKINS = (
    (248, 216, 196), (242, 200, 172), (236, 192, 160), (224, 172, 136), (205, 150, 112),
    (182, 124, 86), (150, 98, 66), (122, 78, 52), (92, 58, 40), (64, 42, 32),
)  # fmt: skip
HAIRS = (
    (22, 18, 18), (40, 29, 24), (68, 45, 32), (98, 66, 42), (134, 92, 54), (176, 134, 82), (214, 180, 126),
    (236, 216, 178), (150, 62, 30), (120, 40, 28), (128, 126, 126), (196, 196, 198),
)  # fmt: skip
DYES = ((196, 60, 130), (60, 90, 190), (50, 150, 140), (130, 70, 180), (210, 60, 50))
CLOTHES = (
    (30, 32, 38), (235, 235, 232), (110, 112, 118), (34, 48, 88), (70, 100, 150), (150, 40, 46), (190, 84, 60),
    (60, 92, 66), (132, 128, 92), (210, 190, 150), (222, 170, 60), (110, 64, 100), (230, 150, 160), (88, 62, 46),
)  # fmt: skip
STYLES = {
    "bald": 0.5, "buzz": 0.7, "short": 2.4, "tousled": 1.6, "bob": 1.4, "long": 2.6,
    "wavy": 2.0, "curly": 1.4, "afro": 1.2, "bun": 1.1, "ponytail": 1.2,
}  # fmt: skip


def draw_portrait(rng: np.random.Generator, size: int) -> Foreground:
    """A person: colour uint8 ``[size, size, 3]``, defined everywhere, and alpha uint8 ``[size, size]``."""
    return _Portrait(rng, size).render(size)


class _Hair(NamedTuple):
    """Opaque masses and strands ``[N, K, 2]`` in units of the head, behind the body and before the face."""

    back: list[Array]
    back_strands: list[Array]
    front: list[Array]
    front_strands: list[Array]
    texture: list[Array]


class _Barber:
    """Cuts the hair of one head, in units of the head."""

    def __init__(self, rng: np.random.Generator, style: str, width: float, yaw: float) -> None:
        self.rng, self.style, self.width, self.yaw = rng, style, width, yaw

    def comb(self) -> _Hair:
        """The masses and strands of the hair in units of the head."""
        rng, style = self.rng, self.style
        hair = _Hair([], [], [], [], [])
        if style == "bald":
            return hair
        part = between(rng, -0.45, 0.45)
        line = between(rng, -0.72, -0.5)
        volume = {"buzz": 0.025, "bun": 0.07, "ponytail": 0.07, "afro": 0.3, "curly": 0.2}.get(
            style, between(rng, 0.09, 0.2)
        )
        fringe = style in ("bob", "long", "short", "tousled") and rng.random() < 0.4
        hair.front.append(self.cap(volume, line, part, fringe))
        if style == "buzz":
            return hair
        root = np.array([part, -0.9 - volume / 2])
        hair.texture.append(self.flow(root, volume, line, fringe, style in ("bun", "ponytail"), 110))
        if style in ("short", "tousled"):
            long = between(rng, 0.12, 0.28) if style == "short" else between(rng, 0.25, 0.55)
            hair.front_strands.append(self.spikes(volume, long, 150 if style == "short" else 210))
        elif style in ("curly", "afro"):
            radius = between(rng, 1.25, 1.75) if style == "afro" else between(rng, 1.12, 1.35)
            self.curls(hair, radius)
        elif style in ("bun", "ponytail"):
            hair.front_strands.append(self.spikes(volume, 0.14, 70))
            self.tied(hair)
        else:
            drop = {"bob": between(rng, 0.7, 1.2), "long": between(rng, 1.6, 3.2), "wavy": between(rng, 1.3, 2.8)}[
                style
            ]
            wave = between(rng, 0.08, 0.16) if style == "wavy" else between(rng, 0.0, 0.05)
            splay = between(rng, -0.1, 0.25)
            mass = self.drape(80, volume * 0.8, drop, wave * 0.6, splay, 0.05)
            hair.back.append(self.curtain(volume, drop * between(rng, 0.5, 0.85), splay))
            hair.back_strands.extend([mass, self.drape(130, volume * 1.1, drop * 1.05, wave, splay, 0.25)])
            if rng.random() < 0.65:
                side = pick(rng, (-1, 1, 0))
                hair.front_strands.append(self.drape(70, volume, drop * 0.95, wave, splay * 0.6, 0.12, side))
        hair.front_strands.append(self.spikes(volume * 0.9, between(rng, 0.1, 0.3), 36, stray=True))
        return hair

    def cap(self, volume: float, line: float, part: float, fringe: bool) -> Array:
        """The hair on the skull: outside along the crown, inside along the hairline."""
        w, rng = self.width, self.rng
        t = np.linspace(-1, 1, 17) * between(rng, 1.62, 1.75)
        radius = 1 + volume * (0.55 + 0.45 * np.cos(t)) + rng.normal(0, 0.012, 17)
        outer = np.stack([(w + 0.02) * radius * np.sin(t), -radius * np.cos(t)], 1)
        shift = 0.16 * self.yaw
        x = np.array([0.93, 0.86, 0.66, 0.36, 0.0, -0.36, -0.66, -0.86, -0.93]) * w
        y = np.array([0.1, -0.22, line * 0.72, line * 0.95, line, line * 0.95, line * 0.72, -0.22, 0.1])
        y = y - 0.1 * np.exp(-(((x - part) / 0.12) ** 2))
        if fringe:
            y[2:7] = between(rng, -0.38, -0.18) + 0.12 * (x[2:7] - part) ** 2
        inner = np.stack([x + shift * np.sqrt(1 - (x / w) ** 2), y + rng.normal(0, 0.015, 9)], 1)
        return smooth(np.concatenate([outer, inner]), 4)

    def flow(self, root: Array, volume: float, line: float, fringe: bool, tied: bool, count: int) -> Array:
        """Strands over the cap from the parting to its rim (or from the hairline back to a tie): ``[count, 9, 2]``."""
        rng, w = self.rng, self.width
        t = rng.uniform(-1.55, 1.55, count)
        rim = np.stack([np.sin(t) * w * (1 + volume * 0.7), -np.cos(t) * (1 + volume * 0.8)], 1)
        front = rng.random(count) < 0.6
        across = rng.uniform(-0.85, 0.85, count)
        low = -0.28 if fringe else line + 0.07
        hairline = np.stack([across * w, low + 0.75 * abs(low) * across**2 + rng.normal(0, 0.03, count)], 1)
        end = np.where(front[:, None], hairline, rim)
        start = (np.array([0.0, -1.05]) if tied else root) + rng.normal(0, 0.05, (count, 2))
        middle = (start + end) / 2
        middle = middle + np.stack([np.sign(end[:, 0] - start[:, 0]) * 0.1, -0.16 - volume * np.ones(count)], 1)
        u = np.linspace(0, 1, 9)[None, :, None]
        return (1 - u) ** 2 * start[:, None] + 2 * u * (1 - u) * middle[:, None] + u**2 * end[:, None]

    def spikes(self, volume: float, long: float, count: int, stray: bool = False) -> Array:
        """Short hair that stands off the crown, leaning one way; ``stray`` hair lies along it: ``[count, 8, 2]``."""
        rng = self.rng
        t = rng.uniform(-1.7, 1.7, count)
        root = np.stack([np.sin(t) * self.width * (1 + volume * 0.6), -np.cos(t) * (1 + volume * 0.75)], 1)
        lean = (
            np.sign(t) * rng.uniform(0.7, 1.5, count) if stray else between(rng, -0.8, 0.8) + rng.normal(0, 0.4, count)
        )
        length = long * rng.gamma(3.0, 1 / 3.0, count)
        return grow(rng, root, t + lean, length, rng.normal(0, 1.2, count) + 1.5 * np.sign(t), 8)

    def drape(
        self, count: int, volume: float, drop: float, wave: float, splay: float, rough: float, side: int | None = None
    ) -> Array:
        """Long hair from the crown over the temples and down, before a shoulder where ``side`` is given."""
        rng = self.rng
        sign = np.where(rng.random(count) < 0.5, -1.0, 1.0) if not side else np.full(count, float(side))
        start = rng.uniform(0.0, 1.45, count) if side is None else rng.uniform(0.9, 1.5, count)
        lift = 1 + volume * rng.uniform(0.2 if side is None else 0.5, 1.1, count)
        length = 1.57 - start + drop * rng.uniform(0.72, 1.05, count) + 0.2
        s = np.linspace(0, 1, 16)[None] * length[:, None]
        angle = np.minimum(start[:, None] + s, 1.57)
        down = np.maximum(0, s - (1.57 - start[:, None]))
        inward = rng.uniform(-0.5, 0.15, count)[:, None] if side is None else rng.uniform(-0.3, 0.1, count)[:, None]
        x = (
            np.sin(angle) * (self.width + 0.03) * lift[:, None]
            + (splay + rng.normal(0, rough, count)[:, None]) * down * 0.35
        )
        x = x + np.minimum(down, 0.8) * inward * (0.35 if side is None else 0.5)
        phase = rng.uniform(0, 1.2, count)[:, None] + sign[:, None]
        x = x + wave * np.sin(down * between(rng, 3.5, 6.0) + phase) * np.minimum(1, down * 1.5)
        bend = rng.normal(0, 0.05 + 0.15 * rough, count)[:, None] * down**2 * 0.4
        return np.stack([sign[:, None] * (x + bend), -np.cos(angle) * lift[:, None] + down], -1)

    def curtain(self, volume: float, drop: float, splay: float) -> Array:
        """The opaque mass of long hair behind the head."""
        w = self.width * (1 + volume)
        right = [
            (0.55 * w, -0.9),
            (w, -0.3),
            (w + 0.02, 0.3),
            (w * 0.97 + 0.25 * splay * drop, drop),
            (w * 0.4, drop + 0.2),
        ]
        left = [(-x, y) for x, y in reversed(right)]
        return smooth(right + left, 5)

    def curls(self, hair: _Hair, radius: float) -> None:
        """Afro and curly hair: a bumpy mass and coils that leave gaps."""
        rng, w = self.rng, self.width
        reach = between(rng, 2.0, 2.6)
        t = np.linspace(-reach, reach, 26)
        bumps = radius * (0.93 - 0.3 * (np.abs(t) / reach) ** 5) * (1 + rng.normal(0, 0.035, 26))
        hair.back.append(smooth(np.stack([np.sin(t) * bumps * (w + 0.14), -np.cos(t) * bumps - 0.05], 1), 4))
        count = 180
        t = rng.uniform(-reach, reach, count)
        shell = radius * rng.uniform(0.72, 0.98, count)
        root = np.stack([np.sin(t) * shell * (w + 0.14), -np.cos(t) * shell - 0.05], 1)
        behind = coil(rng, root, t, rng.uniform(0.1, 0.32, count), between(rng, 0.03, 0.07))
        hair.back_strands.append(behind)
        t = rng.uniform(-1.5, 1.5, 120)
        shell = rng.uniform(0.85, radius * 0.95, 120)
        root = np.stack([np.sin(t) * shell * (w + 0.1), -np.cos(t) * shell - 0.05], 1)
        hair.front_strands.append(coil(rng, root, t, rng.uniform(0.1, 0.3, 120), 0.05))

    def tied(self, hair: _Hair) -> None:
        """A bun on the crown with loops, or a tail that falls beside the neck."""
        rng = self.rng
        if self.style == "bun":
            x, y, r = between(rng, -0.25, 0.25), between(rng, -1.35, -1.15), between(rng, 0.26, 0.42)
            hair.back.append(oval(x, y, r * 1.1, r))
            t = rng.uniform(0, 2 * np.pi, 70)
            root = np.stack([x + np.cos(t) * r * 0.9, y + np.sin(t) * r * 0.85], 1)
            hair.back_strands.append(
                grow(rng, root, t + 2.4, rng.uniform(0.2, 0.55, 70), rng.uniform(2.5, 6.5, 70), 12)
            )
            return
        drop, side, lift = between(rng, 1.2, 2.6), pick(rng, (-1, 1)), between(rng, 0.15, 0.45)
        count = 130
        u = np.linspace(0, 1, 14)[None]
        spread = rng.normal(0, 0.1, (count, 1))
        out = (
            lift * np.sin(np.pi * np.minimum(u * 1.6, 1) * 0.62) + spread * u * 1.4 + 0.07 * np.sin(7 * u + spread * 12)
        )
        down = drop * rng.uniform(0.65, 1.1, (count, 1)) * u**1.25 - 0.3 * lift * np.sin(np.pi * np.minimum(2.5 * u, 1))
        start = rng.normal(0, 0.05, (count, 2))
        x = side * (self.width * 0.82 + out) + start[:, :1]
        hair.back_strands.append(np.stack([x, down - 0.62 + start[:, 1:]], -1))
        middle = np.stack([x.mean(0), down.mean(0) - 0.62], 1)[:9]
        hair.back.append(np.concatenate([middle - (0.13, 0.02), (middle - (-0.13, -0.02))[::-1]]))


class _Stage:
    """The canvas, where the figure stands on it, and the light.

    ``color`` float32 ``[S, S, 3]`` in [0, 255] is premultiplied by ``alpha`` float32 ``[S, S]`` in [0, 1].
    """

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.side = size * math.ceil(MIN_SIDE / size)
        self.color = np.zeros((self.side, self.side, 3), np.float32)
        self.alpha = np.zeros((self.side, self.side), np.float32)
        self.yaw = between(rng, -0.6, 0.6)
        self.pose()
        side = 1 if rng.random() < 0.5 else -1
        self.light = np.array([side * between(rng, 0.3, 1.0), -between(rng, 0.2, 0.9)])
        self.contrast = between(rng, 0.5, 1.25)

    def pose(self) -> None:
        """Draws where the figure stands: two matrices from its units to the picture's, of the body and of the head."""
        rng = self.rng
        self.unit = math.exp(between(rng, math.log(0.1), math.log(0.235)))
        top = 1.45 * self.unit + 0.02
        y = top + between(rng, 0, 1) ** 1.5 * max(0.0, 0.62 - 1.1 * self.unit - top)
        if rng.random() < 0.08:
            y -= 0.35 * self.unit
        x = 0.5 + between(rng, -1, 1) * (0.34 - self.unit)
        mirror = -1 if rng.random() < 0.5 else 1
        lean, tilt = rng.normal(0, 0.035), rng.normal(0, 0.1)
        cos, sin = math.cos(lean) * self.unit, math.sin(lean) * self.unit
        self.body = np.array([[cos * mirror, -sin, x], [sin * mirror, cos, y]])
        cos, sin = math.cos(tilt), math.sin(tilt)
        turn = np.array([[cos, -sin, sin], [sin, cos, 1 - cos]])
        self.head = self.body @ np.vstack([turn, [0, 0, 1]])

    def on_head(self, points: Points) -> Array:
        """From units of the head ``[..., 2]`` to units of the picture."""
        return np.asarray(points) @ self.head[:, :2].T + self.head[:, 2]

    def on_body(self, points: Points) -> Array:
        """From units of the body ``[..., 2]`` to units of the picture."""
        return np.asarray(points) @ self.body[:, :2].T + self.body[:, 2]

    def on_face(self, points: Points) -> Array:
        """Like :meth:`on_head`, with the features turned to a side."""
        both = np.asarray(points, float)
        x, y = both[:, 0], both[:, 1]
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
        """Darkens what lies below a layer, away from the light; opacity stays as it is."""
        small = shrink(mask, 64)
        shift = np.array([[1, 0, -self.light[0] * reach * self.unit * 64], [0, 1, reach * self.unit * 64]])
        small = cv2.warpAffine(small, shift, (64, 64), borderMode=cv2.BORDER_REPLICATE)
        small = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.12 * self.unit * 64))
        x, y, w, h = cv2.boundingRect(small)
        if w:
            gain = enlarge(1 - small * np.float32(strength / 255), self.side)
            near, far = (
                [math.floor(k * self.side / 64) for k in edge] for edge in ((x - 1, y - 1), (x + w + 1, y + h + 1))
            )
            window = np.s_[max(0, near[1]) : far[1], max(0, near[0]) : far[0]]
            self.color[window] *= cv2.cvtColor(gain[window], cv2.COLOR_GRAY2RGB)

    def relief(self, mask: Array, depth: float, strength: float = 1.0) -> Array:
        """Light and shade of a body with this outline, ``depth`` heads round: a gain float32 ``[GRID, GRID]``."""
        small = shrink(mask, 64) * np.float32(1 / 255)
        deviation = max(0.8, depth * self.unit * 64)
        kernel = (2 * math.ceil(2 * deviation) + 1,) * 2
        height = cv2.GaussianBlur(small * np.float32(2 * deviation), kernel, deviation, borderType=cv2.BORDER_REPLICATE)
        dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        lit = -(dx * self.light[0] + dy * self.light[1]) / np.sqrt(1 + dx * dx + dy * dy)
        gain = 1 + np.clip(lit * (0.62 * self.contrast * strength), -0.5, 0.22)
        return enlarge(gain.astype(np.float32), GRID)

    def mottle(self, amount: float, cells: int, octaves: int = 2, stretch: int = 1) -> Array:
        """Noise about 1 for :meth:`over`: a gain float32 ``[GRID, GRID]``."""
        return 1 + np.float32(amount) * noise(self.rng, GRID, cells, octaves, stretch)


class _Portrait(_Stage):
    """One person: the constructor draws who it is, ``render`` draws the picture."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        super().__init__(rng, size)
        self.skin = np.array(pick(rng, SKINS), float) * rng.uniform(0.94, 1.05, 3)
        natural = HAIRS[:4] if self.skin.mean() < 110 and rng.random() < 0.75 else HAIRS
        self.hair = np.array(pick(rng, DYES if rng.random() < 0.08 else natural), float)
        self.cloth = np.clip(np.array(pick(rng, CLOTHES), float) * between(rng, 0.8, 1.15), 12, 250)
        self.style = pick(rng, list(STYLES), list(STYLES.values()))
        self.width = between(rng, 0.69, 0.79)
        self.raised = pick(rng, (0, -1, 1), (0.7, 0.15, 0.15))

    def render(self, size: int) -> Foreground:
        """Draws everything from back to front and returns it with ``size`` pixels a side."""
        rng = self.rng
        hat = pick(rng, ("beanie", "cap", "brim")) if rng.random() < 0.13 else None
        if hat and self.style in ("afro", "curly", "tousled", "bun"):
            self.style = "wavy" if self.style == "curly" else "buzz"
        hair = _Barber(rng, self.style, self.width, self.yaw).comb()
        self.paint_hair(hair.back, hair.back_strands, [], behind=True)
        self.paint_body()
        self.paint_neck()
        self.paint_head()
        self.paint_hair(hair.front, hair.front_strands, hair.texture)
        if rng.random() < 0.3:
            self.paint_glasses()
        if hat:
            self.paint_hat(hat)
        elif rng.random() < 0.07:
            self.paint_headphones()
        elif rng.random() < 0.14:
            self.paint_veil()
        if self.raised:
            self.paint_raised_hand(self.raised)
        return self.finish(size)

    def finish(self, size: int) -> Foreground:
        """Lens and sensor: focus, exposure, tint; then division by alpha and the extension of the colour."""
        planes: list[Array] = [self.color, self.alpha]
        if self.rng.random() < 0.5:
            deviation = between(self.rng, 0.0008, 0.0035) * self.side
            planes = [cv2.GaussianBlur(plane, (0, 0), deviation) for plane in planes]
        color, alpha = (shrink(plane, size) for plane in planes)
        warmth, exposure = between(self.rng, -0.06, 0.06), between(self.rng, 0.78, 1.06)
        gains = np.diag([exposure * (1 + warmth), exposure, exposure * (1 - warmth)])
        exposed = cv2.transform(extended(color, alpha), gains)
        return Foreground(to_uint8(exposed), to_uint8(alpha * 255))

    def paint_hair(self, masses: list[Array], strands: list[Array], texture: list[Array], behind: bool = False) -> None:
        """One layer of hair: the masses, the strands that thin out to their ends, and a halo of what is finer still.

        ``texture`` are strands that lie on the masses and only colour them.
        """
        if not masses and not strands:
            return
        rng, buzz = self.rng, self.style == "buzz"
        paths = [self.on_head(group) for group in strands]
        mask = Plate(self.side).fill(*(self.on_head(m) for m in masses), value=150 if buzz else 255).mask()
        # a line of one pixel is several times faster than a wider one: each width has the plate where it is one pixel
        for width, reach, every in ((1 / 1024, 1.0, 1), (1 / 512, 0.8, 2), (1 / 256, 0.5, 3)):
            plate = Plate(self.side, round(1 / width))
            for group in paths:
                plate.stroke(group[::every, : max(2, round(group.shape[1] * reach))], width)
            if paths:
                mask = cv2.max(mask, plate.mask())
        base = self.hair * (0.82 if behind else 1.0)
        field = plain(self.side, base)
        if buzz:
            blend(field, self.skin * 0.7, np.full(mask.shape, 0.35, np.float32))
        for group in [*paths, *(self.on_head(group) for group in texture)]:
            lot = rng.integers(0, 8, len(group))
            for k, shade in enumerate((0.6, 0.8, 1.18, 1.42)):
                draw(field, group[lot == k], np.clip(base * shade + 14 * (shade - 0.6), 0, 255), 0.018 * self.unit)
        if not buzz and rng.random() < 0.5:
            halo = cv2.GaussianBlur(shrink(mask, 64), (0, 0), 0.09 * self.unit * 64)
            fine = enlarge(halo, GRID) * (between(rng, 0, 0.2) * self.mottle(0.8, 40))
            mask = cv2.max(mask, enlarge(cv2.convertScaleAbs(fine), self.side))
        if not behind:
            self.shadow(mask, 0.12, 0.35)
        self.over(field, mask, self.relief(mask, 0.22, 1.15) * self.mottle(0.12, 6))

    def paint_body(self) -> None:
        """Torso, arms and clothes; between the arms and the torso the background may show."""
        rng = self.rng
        shoulder, waist = between(rng, 1.6, 2.1), between(rng, 1.1, 1.5)
        slope = between(rng, 1.85, 2.15)
        right = [
            (0.42, 1.28), (0.85, slope - 0.4), (shoulder - 0.25, slope - 0.12), (shoulder, slope + 0.3),
            (shoulder - 0.2, slope + 1.3), (waist, 5.0), (waist + 0.25, 6.6), (waist + 0.5, 14.0),
        ]  # fmt: skip
        torso = smooth(right + [(-x, y) for x, y in reversed(right)], 5)
        plate = Plate(self.side).fill(self.on_body(torso))
        self.cloth_field = self.fabric()
        field = self.cloth_field.copy()
        self.dress(field, slope)
        arms = Plate(self.side, MIN_SIDE)
        bare = pick(rng, (None, None, 0.45, 0.75))
        for side in (k for k in (-1, 1) if k != self.raised):
            joint = np.array([side * (shoulder - 0.3), slope + 0.32])
            bend = pick(rng, ("down", "down", "hip", "folded"))
            elbow = {"down": (shoulder + 0.15, 4.5), "hip": (shoulder + 0.85, 4.3), "folded": (shoulder + 0.2, 4.4)}[
                bend
            ]
            wrist = {"down": (shoulder + 0.1, 6.6), "hip": (waist, 5.6), "folded": (-0.3, 4.5)}[bend]
            elbow_, wrist_ = np.array(elbow) * (side, 1), np.array(wrist) * (side, 1)
            path = self.on_body(
                smooth([joint, (joint + elbow_) / 2 + (side * 0.08, 0), elbow_, wrist_], 4, closed=False)
            )
            arms.limb(path, np.array([0.72, 0.66, 0.5, 0.4]) * self.unit)
            if bare is not None:
                start = int(len(path) * bare)
                draw(field, [path[start:]], self.skin, 0.9 * self.unit)
            palm = self.on_body(oval(float(wrist_[0]), float(wrist_[1]) + 0.15, 0.26, 0.34))
            arms.fill(palm)
            draw(field, [palm], self.skin)
        mask = cv2.max(plate.mask(), arms.mask())
        gain = self.relief(mask, 0.5) * self.relief(arms.mask(), 0.2, 0.7)
        if self.style not in ("bald", "buzz"):
            self.shadow(mask, 0.1, 0.3)
        self.over(field, mask, gain * self.mottle(between(rng, 0.04, 0.16), 7, 3, 2))

    def fabric(self) -> Array:
        """Cloth with its pattern: plain, stripes, checks, dots or mottled, uint8 ``[S, S, 3]``."""
        rng = self.rng
        field = plain(self.side, self.cloth)
        kind = pick(rng, ("plain", "stripes", "checks", "dots", "mottled"), (4, 1.3, 1.2, 0.6, 1.5))
        other = np.clip(np.array(pick(rng, CLOTHES), float), 10, 245)
        pitch, width = between(rng, 0.2, 0.6), between(rng, 0.2, 0.6)
        rows = np.arange(-6, 14, pitch)
        across = np.stack([np.stack([np.full_like(rows, -7), rows], 1), np.stack([np.full_like(rows, 7), rows], 1)], 1)
        if kind == "stripes":
            lines = across if rng.random() < 0.5 else across[..., ::-1]
            draw(field, self.on_body(lines), other, pitch * width * self.unit)
        elif kind == "checks":
            for lines in (across, across[..., ::-1]):
                layer = field.copy()
                draw(layer, self.on_body(lines), other, pitch * width * self.unit)
                field = cv2.addWeighted(field, 0.45, layer, 0.55, 0)
        elif kind == "dots":
            grid = np.stack(np.meshgrid(np.arange(-3, 3, pitch), np.arange(1, 9, pitch)), -1).reshape(-1, 1, 2)
            draw(field, self.on_body(grid), other, pitch * width * self.unit)
        elif kind == "mottled":
            field = relight(field, enlarge(self.mottle(between(rng, 0.1, 0.3), 50), self.side))
        return field

    def dress(self, field: Array, slope: float) -> None:
        """The neckline and what is on the chest: a V, a round collar, a shirt, a jacket with a tie, a zip, a print."""
        rng = self.rng
        kind = pick(rng, ("crew", "vee", "shirt", "jacket", "hood", "print"))
        dark, pale = self.cloth * 0.72, np.clip(self.cloth * 0.5 + 110, 0, 250)
        if kind in ("crew", "print", "hood"):
            low = between(rng, 1.55, 1.85)
            ring = self.on_body(oval(0, 1.2, 0.62, low - 1.2))
            draw(field, [ring], self.skin)
            draw(field, [ring], dark, (0.26 if kind == "hood" else 0.1) * self.unit, closed=True)
        if kind == "print":
            logo = oval(
                0, 3.1, between(rng, 0.25, 0.6), between(rng, 0.2, 0.5), int(rng.integers(3, 9)), between(rng, 0, 1)
            )
            draw(field, [self.on_body(logo)], pick(rng, CLOTHES))
            draw(field, [self.on_body(logo * (0.6, 1) + (0, 0.05))], pale, 0.06 * self.unit, closed=True)
        elif kind == "hood":
            for x in (-0.3, 0.3):
                tint(field, self.on_body([(x, 1.7), (x * 1.2, 2.9)]), pale, 0.9, width=0.06 * self.unit)
        elif kind == "vee":
            depth = between(rng, 2.1, 3.0)
            neckline = self.on_body([(-0.6, 1.2), (0.0, depth), (0.6, 1.2)])
            draw(field, [neckline], self.skin)
            draw(field, [neckline], dark, 0.1 * self.unit)
        elif kind in ("shirt", "jacket"):
            shirt = pick(rng, ((240, 240, 238), (190, 208, 230), (40, 42, 48), tuple(pale)))
            depth = between(rng, 3.0, 4.6)
            if kind == "jacket":
                opening = self.on_body([(-0.75, 1.2), (0.0, depth), (0.75, 1.2)])
                draw(field, [opening], shirt)
                for side in (-1, 1):
                    lapel = [(0.62, 1.35), (1.0, 2.4), (0.78, 2.5), (0.84, 2.65), (0.0, depth), (0.5, 2.2)]
                    tint(field, self.on_body(np.array(lapel) * (side, 1)), self.cloth * 0.86, 1.0, 0.01 * self.unit)
                if rng.random() < 0.6:
                    tie = [(-0.13, 1.75), (0.13, 1.75), (0.09, 1.98), (0.22, depth), (-0.22, depth), (-0.09, 1.98)]
                    draw(field, [self.on_body(tie)], pick(rng, CLOTHES))
            else:
                tint(field, self.on_body([(0, 1.7), (0, 9.0)]), dark, 0.8, width=0.04 * self.unit)
                dots = [self.on_body([(0.08, y)]) for y in np.arange(2.3, 8, 0.75)]
                draw(field, dots, pale, 0.1 * self.unit)
            draw(field, [self.on_body([(-0.5, 1.2), (0.0, 1.95), (0.5, 1.2)])], self.skin)
            for side in (-1, 1):
                flap = self.on_body(np.array([(0.4, 1.15), (0.68, 1.45), (0.4, 2.1), (0.0, 1.8)]) * (side, 1))
                color = np.array(shirt, float) if kind == "jacket" else np.clip(self.cloth * 1.1, 0, 250)
                draw(field, [flap], color)
                draw(field, [flap], color * 0.75, 0.03 * self.unit, closed=True)

    def paint_neck(self) -> None:
        """The neck and the shadow of the head on it."""
        half = between(self.rng, 0.36, 0.47)
        right = [(half, 0.3), (half * 0.97, 1.0), (half * 1.1, 1.3), (half * 1.35, 1.5), (0.0, 1.66)]
        neck = self.on_body(smooth(right + [(-x, y) for x, y in reversed(right[:-1])], 4))
        mask = Plate(self.side).fill(neck).mask()
        field = plain(self.side, self.skin * 0.92)
        cords = [self.on_body([(side * 0.3, 0.9), (side * 0.08, 1.6)]) for side in (-1, 1)]
        tint(field, cords, self.skin * 0.75, 0.5, 0.05 * self.unit, 0.06 * self.unit)
        self.over(field, mask, self.relief(mask, 0.3))

    def paint_head(self) -> None:
        """The face with its features, the ears, and perhaps a beard."""
        rng, w = self.rng, self.width
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        y = -np.cos(t)
        jaw = between(rng, 0.05, 0.3)
        x = w * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** between(rng, 0.8, 0.95) * (1 - jaw * np.clip(y, 0, 1) ** 1.5)
        outline = np.stack([x + 0.06 * self.yaw * np.clip(y, 0, 1), y], 1)
        ears = [oval(side * (w - 0.01) - 0.08 * self.yaw, 0.08, 0.1, 0.22, 20, side * 0.18) for side in (-1, 1)]
        plate = Plate(self.side).fill(self.on_head(outline))
        face = plate.mask()
        mask = plate.fill(*(self.on_head(ear) for ear in ears)).mask()
        field = plain(self.side, self.skin)
        shells = [self.on_head((ear - ear.mean(0)) * 0.55 + ear.mean(0)) for ear in ears]
        for shell in shells:
            tint(field, shell, self.skin * (0.72, 0.6, 0.56), 0.7, 0.03 * self.unit)
        gain = self.relief(face, 0.42, 1.1) * self.mottle(0.035, 24)
        self.draw_features(field)
        beard = rng.random() < (0.35 if self.style in ("bald", "buzz", "short", "tousled") else 0.06)
        if beard:
            self.draw_beard(field, outline)
        self.shadow(mask, 0.32, 0.5)
        self.over(field, mask, gain)
        if beard and rng.random() < 0.6:
            count = 120
            t = rng.uniform(-1.1, 1.1, count)
            root = np.stack([np.sin(t) * w * 0.86, 0.1 + np.cos(t) * 0.82], 1)
            length = rng.uniform(0.1, 0.35, count) * np.cos(t) * between(rng, 0.4, 1.4)
            self.paint_hair([], [grow(rng, root, np.pi - t * 0.6, np.abs(length), rng.normal(0, 1.0, count), 6)], [])

    def draw_features(self, field: Array) -> None:
        """Eyes, brows, nose and mouth into the colour of the face."""
        rng, u, skin = self.rng, self.unit, self.skin
        shade, blush = skin * (0.7, 0.6, 0.56), np.clip(skin * (1.02, 0.8, 0.78), 0, 255)
        away = -1.0 if self.light[0] > 0 else 1.0
        away *= math.copysign(1, self.head[0, 0])
        apart, height = between(rng, 0.29, 0.35), between(rng, 0.07, 0.105)
        wide, slant = between(rng, 0.15, 0.185), between(rng, -0.03, 0.03)
        irises = ((62, 40, 26), (40, 28, 22), (96, 66, 36), (80, 110, 130), (90, 120, 80), (70, 80, 90))
        iris = pick(rng, irises, (3, 2, 2, 1, 1, 1) if skin.mean() > 150 else (3, 3, 1, 0, 0, 0))
        gaze = between(rng, -0.035, 0.035)
        brow = np.clip(self.hair * 0.75, 0, 190)
        bow, thick = between(rng, 0.03, 0.1), between(rng, 0.03, 0.075)
        lids, bags, brows = [], [], []
        both = (-1, 1)
        tint(field, [self.on_face(oval(side * 0.42, 0.34, 0.17, 0.14)) for side in both], blush, 0.45, 0.09 * u)
        tint(field, [self.on_face(oval(side * apart, 0.0, wide * 1.3, 0.13)) for side in both], shade, 0.38, 0.06 * u)
        for side in both:
            inner, outer = (side * (apart - wide), 0.05), (side * (apart + wide), 0.03 + slant)
            top = [(side * (apart - wide * 0.3), 0.05 - height), (side * (apart + wide * 0.45), 0.05 - height + slant)]
            lid = smooth([inner, *top, outer], 5, closed=False)
            bag = smooth([outer, (side * apart, 0.06 + height * 0.55), inner], 5, closed=False)
            eye = patch(self.side, self.on_face(np.concatenate([lid, bag[1:-1]])), 1.0)
            if eye is not None:
                ball = np.full((*eye.weight.shape, 3), 228, np.uint8)
                disc = self.on_face(oval(side * apart + gaze, 0.035, 0.085, 0.088)) - eye.corner
                for share, color in ((1.0, iris), (0.48, (12, 10, 10))):
                    line = fixed((disc - disc.mean(0)) * share + disc.mean(0), self.side)
                    cv2.fillPoly(ball, [line], color, cv2.LINE_AA, 4)
                blend(field[eye.window], ball, eye.weight)
            arc = np.array(
                [
                    (inner[0] - side * 0.01, -0.17),
                    (side * (apart + 0.02), -0.2 - bow),
                    (outer[0] + side * 0.06, -0.14 + slant),
                ]
            )
            upper = smooth(arc - (0, thick / 2), 5, closed=False)
            brows.append(self.on_face(np.concatenate([upper, smooth(arc - (0, -thick / 2), 5, closed=False)[::-1]])))
            lids.append(lid)
            bags.append(self.on_face(bag))
        glints = [self.on_face([(side * apart + gaze + 0.02 * self.light[0], 0.0)]) for side in both]
        draw(field, glints, (250, 250, 250), 0.025 * u)
        tint(field, [self.on_face(lid) for lid in lids], (34, 24, 22), 0.85, 0.004 * u, 0.03 * u)
        tint(field, [self.on_face(lid - (0, 0.055)) for lid in lids], shade * 0.9, 0.5, 0.012 * u, 0.02 * u)
        tint(field, bags, shade, 0.6, 0.012 * u, 0.02 * u)
        tint(field, brows, brow, 0.82, 0.016 * u)
        self.draw_nose_and_mouth(field, shade, away)

    def draw_nose_and_mouth(self, field: Array, shade: Array, away: float) -> None:
        """The nose by its shadows, the lips, sometimes teeth."""
        rng, u, skin = self.rng, self.unit, self.skin
        tip, wing = between(rng, 0.36, 0.46), between(rng, 0.11, 0.16)
        bridge = smooth(
            [
                (away * 0.09, -0.1),
                (away * 0.07, 0.15),
                (away * wing, tip),
                (away * 0.01, tip - 0.02),
                (away * 0.02, 0.1),
            ],
            4,
        )
        tint(field, self.on_face(bridge), shade, 0.5, 0.035 * u)
        tint(
            field,
            self.on_face([(-away * 0.02, -0.05), (-away * 0.02, tip - 0.06)]),
            np.clip(skin * 1.2 + 12, 0, 255),
            0.45,
            0.03 * u,
            0.05 * u,
        )
        base = smooth(
            [
                (-wing, tip - 0.02),
                (-wing * 0.6, tip + 0.05),
                (0, tip + 0.07),
                (wing * 0.6, tip + 0.05),
                (wing, tip - 0.02),
            ],
            4,
            closed=False,
        )
        tint(field, self.on_face(base), shade * 0.8, 0.7, 0.015 * u, 0.03 * u)
        nostrils = [self.on_face(oval(side * wing * 0.52, tip + 0.035, 0.035, 0.02)) for side in (-1, 1)]
        tint(field, nostrils, shade * 0.4, 0.85, 0.01 * u)
        lip = (
            np.clip(skin * (0.86, 0.6, 0.6), 0, 255)
            if rng.random() < 0.65
            else np.array([168, 44, 58]) * between(rng, 0.7, 1.1)
        )
        y, half = between(rng, 0.6, 0.68), between(rng, 0.2, 0.29)
        smile, full = between(rng, -0.02, 0.08), between(rng, 0.05, 0.095)
        corner = y - smile
        upper = [(-half, corner), (-0.07, y - full), (0.0, y - full * 0.75), (0.07, y - full), (half, corner)]
        inner = [(half * 0.8, corner + 0.012), (0.0, y + 0.012), (-half * 0.8, corner + 0.012)]
        lower = [
            (-half, corner),
            (0.0, y + 0.01),
            (half, corner),
            (half * 0.45, y + full * 1.1),
            (-half * 0.45, y + full * 1.1),
        ]
        tint(field, self.on_face(oval(0, y + full * 1.1 + 0.07, half * 0.5, 0.035)), shade, 0.5, 0.03 * u)
        tint(field, self.on_face(smooth(lower, 4)), np.clip(lip * 1.1, 0, 255), 0.9, 0.01 * u)
        tint(field, self.on_face(smooth(upper + inner, 4)), lip * 0.85, 0.9, 0.01 * u)
        line = smooth([(-half, corner), (0.0, y + 0.012), (half, corner)], 5, closed=False)
        if smile > 0.04 and rng.random() < 0.6:
            open_ = np.concatenate(
                [
                    line * (0.8, 1),
                    smooth([(half * 0.8, corner + 0.02), (0, y + 0.1), (-half * 0.8, corner + 0.02)], 5, closed=False),
                ]
            )
            tint(field, self.on_face(open_), (238, 232, 222), 0.95, 0.006 * u)
        tint(field, self.on_face(line), lip * 0.4, 0.8, 0.008 * u, 0.022 * u)
        creases = [self.on_face([(side * wing * 1.15, tip), (side * (half + 0.06), y - 0.04)]) for side in (-1, 1)]
        tint(field, creases, shade, between(rng, 0.0, 0.4), 0.02 * u, 0.025 * u)

    def draw_beard(self, field: Array, outline: Array) -> None:
        """Stubble or a full beard on the jaw and over the lip."""
        rng, u = self.rng, self.unit
        opacity = between(rng, 0.3, 0.95)
        jaw = outline[np.abs(np.linspace(0, 2 * np.pi, 40, endpoint=False) - np.pi) < 1.45] * 1.04
        right = [(-0.58, 0.36), (-0.36, 0.5), (-0.2, 0.5), (0.0, 0.52), (0.2, 0.5), (0.36, 0.5), (0.58, 0.36)]
        beard = self.on_face(np.concatenate([jaw, smooth(right, 4, closed=False)]))
        area = patch(self.side, beard, opacity, 0.035 * u)
        if area is None:
            return
        skin = field[area.window].copy()
        weight = area.weight * (1 - np.clip(enlarge(self.mottle(1.0, 64, 1), self.side)[area.window] - 1, 0, 0.6))
        blend(field[area.window], self.hair * 0.85, weight)
        mouth = patch(self.side, self.on_face(oval(0, 0.64, 0.24, 0.075)), 1.0, 0.02 * u)
        if mouth is not None:
            whole = np.zeros((self.side, self.side), np.float32)
            whole[mouth.window] = mouth.weight
            blend(field[area.window], skin, whole[area.window])

    def paint_glasses(self) -> None:
        """Rims, lenses that tint what is behind them, and temples."""
        rng = self.rng
        w, h, y = between(rng, 0.22, 0.3), between(rng, 0.17, 0.26), 0.04
        square = between(rng, 1.0, 2.2)
        rim = np.array(pick(rng, ((20, 18, 20), (70, 44, 26), (150, 150, 156), (170, 140, 70), (150, 30, 40))), float)
        t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        shape = np.stack(
            [
                np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (1 / square),
                np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (1 / square),
            ],
            1,
        )
        lenses = [self.on_face(shape * (w, h) + (side * 0.335, y)) for side in (-1, 1)]
        dark = rng.random() < 0.25
        glass = (
            Plate(self.side).fill(*lenses, value=int(between(rng, 190, 235) if dark else between(rng, 12, 40))).mask()
        )
        field = plain(self.side, np.array((26, 24, 28)) if dark else np.array((205, 215, 225)))
        glare = self.on_face([(-0.6, -0.25), (-0.35, -0.25), (0.3, 0.4), (0.05, 0.4)])
        tint(field, glare, (235, 240, 250), 0.35 if dark else 0.8, 0.02 * self.unit)
        self.over(field, glass)
        frame = Plate(self.side, 768)
        thick = between(rng, 0.02, 0.07) * self.unit
        frame.stroke(lenses, thick, closed=True)
        inner = 0.335 - w
        frame.stroke([self.on_face([(-inner, y - 0.05), (0, y - 0.09), (inner, y - 0.05)])], thick)
        for side in (-1, 1):
            hinge = self.on_face([(side * (0.335 + w), y - 0.05)])
            frame.stroke(
                [np.concatenate([hinge, self.on_head([(side * (self.width + 0.02) - 0.08 * self.yaw, 0.0)])])], thick
            )
        mask = frame.mask()
        self.shadow(mask, 0.05, 0.4)
        self.over(plain(self.side, rim), mask, self.mottle(0.3, 12, 1))

    def paint_hat(self, kind: str) -> None:
        """A knitted cap, a cap with a peak, or a hat with a brim."""
        rng, u, w = self.rng, self.unit, self.width + 0.12
        color = np.array(pick(rng, CLOTHES), float)
        low, high = between(rng, -0.5, -0.36), between(rng, -1.5, -1.3)
        t = np.linspace(-np.pi / 2, np.pi / 2, 15)
        dome = np.stack([w * np.sin(t), low + (high - low) * np.cos(t) ** 0.8], 1)
        rim = smooth(
            [(w, low), (0.5 * w, low + 0.1), (0, low + 0.13), (-0.5 * w, low + 0.1), (-w, low)], 4, closed=False
        )
        plate = Plate(self.side).fill(self.on_head(np.concatenate([dome, rim[1:-1]])))
        field = plain(self.side, color)
        if kind == "beanie":
            for x in np.linspace(-1, 1, 17):
                rib = np.stack([w * x * np.array([0.35, 0.8, 1.0]), np.array([high, (low + high) / 2, low + 0.12])], 1)
                tint(field, self.on_head(smooth(rib, 4, closed=False)), color * 0.72, 0.6, 0.012 * u, 0.04 * u)
            band = self.on_head(rim - (0, 0.1))
            tint(field, band, np.clip(color * 1.15, 0, 255), 0.6, 0.0, 0.24 * u)
            plate.stroke([band], 0.3 * u)
            if rng.random() < 0.4:
                ball = np.array([[0.0, high - 0.1]]) + rng.normal(0, 0.03, (90, 2))
                fluff = grow(
                    rng, ball, rng.uniform(-np.pi, np.pi, 90), rng.uniform(0.15, 0.3, 90), rng.normal(0, 1, 90), 5
                )
                plate.stroke(self.on_head(fluff), 0.01 * u)
        elif kind == "cap":
            peak = smooth(
                [
                    (-w * 0.95, low),
                    (-w * 0.6, low + 0.28),
                    (self.yaw * 0.3, low + 0.36),
                    (w * 0.6, low + 0.28),
                    (w * 0.95, low),
                ],
                4,
                closed=False,
            )
            plate.fill(self.on_head(peak))
            draw(field, [self.on_head(peak)], color * 0.8)
            draw(field, [self.on_head(oval(self.yaw * 0.3, low - 0.3, 0.16, 0.14, 6))], pick(rng, CLOTHES))
        else:
            wide = between(rng, 1.5, 2.0)
            brim = self.on_head(oval(0, low + 0.02, wide * w, 0.2))
            plate.fill(brim)
            tint(field, brim, color * 0.85, 1.0, 0.01 * u)
            crown = self.on_head(np.concatenate([dome, rim[1:-1] - (0, 0.04)]))
            tint(field, crown, color, 1.0)
            tint(field, self.on_head(rim - (0, 0.12)), color * 0.4, 0.9, 0.0, 0.16 * u)
        mask = plate.mask()
        self.shadow(mask, 0.18, 0.5)
        self.over(field, mask, self.relief(mask, 0.3) * self.mottle(0.1, 40))

    def paint_headphones(self) -> None:
        """A band over the crown and two cups: a gap may stay between the band and the hair."""
        rng, w = self.rng, self.width
        high = between(rng, 1.12, 1.4)
        t = np.linspace(-1.6, 1.6, 24)
        band = np.stack([np.sin(t) * (w + 0.14), -np.cos(t) * high], 1)
        plate = Plate(self.side).stroke([self.on_head(band)], between(rng, 0.06, 0.13) * self.unit)
        for side in (-1, 1):
            plate.fill(self.on_head(oval(side * (w + 0.08), 0.08, 0.15, 0.3)))
        mask = plate.mask()
        field = plain(
            self.side, np.array(pick(rng, ((28, 28, 32), (230, 230, 232), (170, 40, 50), (60, 80, 120))), float)
        )
        self.shadow(mask, 0.08, 0.4)
        self.over(field, mask, self.relief(mask, 0.1, 1.4))

    def paint_veil(self) -> None:
        """A thin cloth over the head and shoulders with folds, a hem and perhaps lace, open or closed at the face."""
        rng, u = self.rng, self.unit
        w, drop, flare = self.width + 0.22, between(rng, 1.6, 4.0), between(rng, 0.5, 1.5)
        right = [
            (0.0, -1.28),
            (0.6 * w, -1.12),
            (1.05 * w, -0.5),
            (1.15 * w, 0.3),
            (w + flare * 0.5, drop * 0.6),
            (w + flare, drop),
        ]
        hem = [(x * (w + flare), drop + rng.normal(0.1, 0.12)) for x in (0.6, 0.2, -0.2, -0.6)]
        cloth = smooth([*right, *hem, *[(-x, y) for x, y in reversed(right[1:])]], 5)
        plate = Plate(self.side).fill(self.on_head(cloth), value=int(between(rng, 50, 150)))
        plate.stroke([self.on_head(cloth)], 0.05 * u, int(between(rng, 120, 220)), closed=True)
        folds = []
        for x in rng.uniform(-1, 1, 14):
            line = [(x * 0.5 * w, -1.15), (x * 1.1 * w, 0.2), (x * (w + flare) + rng.normal(0, 0.2), drop)]
            folds.append(self.on_head(smooth(line, 6, closed=False)))
        veil = plate.mask().astype(np.float32)
        pleats = Plate(self.side).stroke(folds, 0.07 * u).mask()
        pleats = cv2.GaussianBlur(pleats, (0, 0), 0.05 * u * self.side)
        inside = np.clip(veil / 40, 0, 1)
        veil += inside * pleats.astype(np.float32) * between(rng, 0.1, 0.35)
        veil *= 1 + 0.25 * noise(rng, self.side, 8)
        if rng.random() < 0.35:
            pitch = between(rng, 0.16, 0.3)
            grid = np.stack(np.meshgrid(np.arange(-3, 3, pitch), np.arange(-1.5, 4.5, pitch)), -1).reshape(-1, 1, 2)
            veil *= 1 - Plate(self.side).stroke(self.on_head(grid), pitch * 0.55 * u).mask().astype(np.float32) * (
                0.6 / 255
            )
        if rng.random() < 0.5:
            opening = Plate(self.side).fill(self.on_head(oval(0, 0.15, self.width * 0.95, 0.95))).mask()
            veil *= 1 - cv2.GaussianBlur(opening, (0, 0), 0.04 * u * self.side).astype(np.float32) / 255
        color = np.array(
            pick(rng, ((245, 244, 240), (30, 28, 34), (200, 60, 90), (120, 170, 200), (230, 200, 150))), float
        )
        field = relight(plain(self.side, color), 1 - pleats * np.float32(0.3 / 255))
        self.over(field, np.clip(veil, 0, 255).astype(np.uint8), self.mottle(0.12, 6))

    def paint_raised_hand(self, side: int) -> None:
        """An arm and a hand before the body: waving, at the cheek or behind the head's side."""
        rng, u = self.rng, self.unit
        wave = rng.random() < 0.65
        elbow = np.array([between(rng, 1.9, 2.7), between(rng, 3.4, 4.3)])
        wrist = (
            np.array([between(rng, 1.35, 2.3), between(rng, 0.9, 1.7)])
            if wave
            else np.array([between(rng, 0.8, 1.0), 1.55])
        )
        ahead = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        bend = rng.normal(0, 0.2) + (0.0 if wave else -0.35)
        ahead = np.array(
            [
                ahead[0] * math.cos(bend) - ahead[1] * math.sin(bend),
                ahead[0] * math.sin(bend) + ahead[1] * math.cos(bend),
            ]
        )
        axes = np.array([[-ahead[1], ahead[0]], ahead])

        def place(points: Points) -> Array:
            return self.on_body((np.asarray(points) @ axes + wrist) * (side, 1))

        arm = self.on_body(
            smooth([(1.6, 2.5), (2.0, 3.2), elbow, (elbow + wrist) / 2, wrist], 5, closed=False) * (side, 1)
        )
        sleeve = Plate(self.side).limb(
            arm[: int(len(arm) * between(rng, 0.55, 0.95))], np.array([0.7, 0.66, 0.56, 0.46]) * u
        )
        flesh = Plate(self.side).limb(arm[8:], np.array([0.5, 0.5, 0.36, 0.3]) * u)
        palm = place(
            smooth(
                [(-0.16, -0.08), (-0.24, 0.25), (-0.22, 0.55), (0.0, 0.6), (0.22, 0.55), (0.22, 0.2), (0.15, -0.08)], 4
            )
        )
        flesh.fill(palm)
        field = plain(self.side, self.skin * 0.97)
        spread, curl = between(rng, 0.05, 0.22), 1.0 if wave else between(rng, 0.55, 0.9)
        thumb = pick(rng, (-1, 1))
        fingers = []
        for k, long in enumerate((0.42, 0.52, 0.55, 0.46)):
            x, turn = -0.18 + 0.12 * k, (k - 1.5) * spread + rng.normal(0, 0.03)
            tip = np.array([math.sin(turn), math.cos(turn)]) * long * curl
            fingers.append(
                place(
                    smooth(
                        [(x, 0.45), (x + tip[0] * 0.5, 0.52 + tip[1] * 0.55), (x + tip[0], 0.5 + tip[1])],
                        3,
                        closed=False,
                    )
                )
            )
        fingers.append(
            place(smooth([(thumb * 0.12, 0.1), (thumb * 0.3, 0.32), (thumb * (0.34 + spread), 0.58)], 3, closed=False))
        )
        for finger in fingers:
            flesh.limb(finger, np.array([0.13, 0.1]) * u)
            tint(field, finger, self.skin * (0.62, 0.52, 0.48), 0.6, 0.008 * u, 0.16 * u)
            tint(field, finger, self.skin, 1.0, 0.006 * u, 0.1 * u)
        mask = flesh.mask()
        self.shadow(mask, 0.15, 0.35)
        self.over(field, mask, self.relief(mask, 0.12, 0.9))
        mask = sleeve.mask()
        self.over(self.cloth_field, mask, self.relief(mask, 0.22) * self.mottle(0.12, 14))


def grow(rng: np.random.Generator, root: Array, angle: Array, length: Array, bend: Array, steps: int) -> Array:
    """Strands from ``root [N, 2]``, at ``angle`` from upright, that turn by ``bend`` on the way: ``[N, steps, 2]``."""
    u = np.linspace(0, 1, steps - 1)[None]
    heading = (
        np.asarray(angle)[:, None]
        + np.asarray(bend)[:, None] * u
        + rng.normal(0, 0.12, (len(angle), 1)) * np.sin(9 * u)
    )
    hop = np.stack([np.sin(heading), -np.cos(heading)], -1) * (np.asarray(length) / (steps - 1))[:, None, None]
    path = np.cumsum(hop, 1)
    start = np.broadcast_to(np.asarray(root, float), (len(path), 2))[:, None]
    return np.concatenate([start, start + path], 1)


def coil(rng: np.random.Generator, root: Array, angle: Array, length: Array, radius: float) -> Array:
    """Curls from ``root [N, 2]`` outwards at ``angle``: loops of ``radius`` along a line, ``[N, 16, 2]``."""
    u = np.linspace(0, 1, 14)[None]
    turns = rng.uniform(1.0, 2.2, (len(root), 1)) * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (len(root), 1))
    along = np.asarray(length)[:, None] * u
    heading = (np.asarray(angle) + rng.normal(0, 0.5, len(root)))[:, None]
    size = radius * rng.uniform(0.6, 1.4, (len(root), 1))
    x = np.sin(heading) * along + size * (np.cos(turns * u + phase) - np.cos(phase))
    y = -np.cos(heading) * along + size * (np.sin(turns * u + phase) - np.sin(phase))
    return root[:, None] + np.stack([x, y], -1)


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
        side = (len(alpha) + 1) // 2
        color, alpha = (cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in (color, alpha))
        levels.append((color.reshape(side, side, 3), alpha))
    filled: Array = np.zeros((1, 1, 3), np.float32)
    for color, alpha in reversed(levels):
        straight = cv2.divide(color, cv2.cvtColor(np.maximum(alpha, np.float32(1e-6)), cv2.COLOR_GRAY2RGB))
        # at full size, what 8 bits call transparent counts as unknown
        known = cv2.inRange(alpha, 0.5 / 255 if len(alpha) == len(levels[0][1]) else 1e-6, 2.0)
        filled = cv2.copyTo(straight, known, enlarge(filled, len(alpha)))
    return filled
