"""Haircuts: the masses and strands of the hair of one head, in units of the figure."""

from typing import NamedTuple

import numpy as np

from sdnet_pl.synthetic.curves import Array, coil, grow, mirrored, oval, smooth
from sdnet_pl.synthetic.figure import Figure
from sdnet_pl.synthetic.randomness import between, pick


class HairLayer(NamedTuple):
    """Opaque masses ``[N, 2]``, free strands ``[N, K, 2]``, and a texture of strands that only colour the masses."""

    masses: list[Array]
    strands: list[Array]
    texture: list[Array]


def cut_hair(figure: Figure) -> tuple[HairLayer, HairLayer]:
    """The hair behind the body and the hair before the face."""
    rng, style = figure.rng, figure.style
    behind, before = HairLayer([], [], []), HairLayer([], [], [])
    if style == "bald":
        return behind, before
    part = between(rng, -0.45, 0.45)
    line = between(rng, -0.72, -0.5)
    volume = between(rng, 0.09, 0.2)
    volume = {"buzz": 0.025, "bun": 0.07, "ponytail": 0.07, "afro": 0.3, "curly": 0.2}.get(style, volume)
    fringe = style in ("bob", "long", "short", "tousled") and rng.random() < 0.4
    before.masses.append(_cap(figure, volume, line, part, fringe))
    if style == "buzz":
        return behind, before
    before.texture.append(_flow(figure, part, volume, line, fringe))
    if style == "short":
        before.strands.append(_spikes(figure, volume, between(rng, 0.12, 0.28), 150))
    elif style == "tousled":
        before.strands.append(_spikes(figure, volume, between(rng, 0.25, 0.55), 210))
    elif style in ("curly", "afro"):
        _add_curls(figure, behind, before)
    elif style in ("bun", "ponytail"):
        before.strands.append(_spikes(figure, volume, 0.14, 70))
        (_add_bun if style == "bun" else _add_tail)(figure, behind)
    else:
        _add_long_hair(figure, volume, behind, before)
    before.strands.append(_spikes(figure, volume * 0.9, between(rng, 0.1, 0.3), 36, stray=True))
    return behind, before


def _cap(figure: Figure, volume: float, line: float, part: float, fringe: bool) -> Array:
    """The hair on the skull: outside along the crown, inside along the hairline."""
    rng, w = figure.rng, figure.width
    t = np.linspace(-1, 1, 17) * between(rng, 1.62, 1.75)
    radius = 1 + volume * (0.55 + 0.45 * np.cos(t)) + rng.normal(0, 0.012, 17)
    outer = np.stack([(w + 0.02) * radius * np.sin(t), -radius * np.cos(t)], 1)
    x = np.array([0.93, 0.86, 0.66, 0.36, 0.0, -0.36, -0.66, -0.86, -0.93]) * w
    y = np.array([0.1, -0.22, line * 0.72, line * 0.95, line, line * 0.95, line * 0.72, -0.22, 0.1])
    y = y - 0.1 * np.exp(-(((x - part) / 0.12) ** 2))
    if fringe:
        y[2:7] = between(rng, -0.38, -0.18) + 0.12 * (x[2:7] - part) ** 2
    turned = x + 0.16 * figure.yaw * np.sqrt(1 - (x / w) ** 2)
    inner = np.stack([turned, y + rng.normal(0, 0.015, 9)], 1)
    return smooth(np.concatenate([outer, inner]), 4)


def _flow(figure: Figure, part: float, volume: float, line: float, fringe: bool) -> Array:
    """Strands over the cap from the parting (or a tie) to its rim and to the hairline: ``[110, 9, 2]``."""
    rng, w, count = figure.rng, figure.width, 110
    t = rng.uniform(-1.55, 1.55, count)
    rim = np.stack([np.sin(t) * w * (1 + volume * 0.7), -np.cos(t) * (1 + volume * 0.8)], 1)
    front = rng.random(count) < 0.6
    across = rng.uniform(-0.85, 0.85, count)
    low = -0.28 if fringe else line + 0.07
    hairline = np.stack([across * w, low + 0.75 * abs(low) * across**2 + rng.normal(0, 0.03, count)], 1)
    end = np.where(front[:, None], hairline, rim)
    root = (0.0, -1.05) if figure.style in ("bun", "ponytail") else (part, -0.9 - volume / 2)
    start = root + rng.normal(0, 0.05, (count, 2))
    out = np.sign(end[:, 0] - start[:, 0]) * 0.1
    middle = (start + end) / 2 + np.stack([out, np.full(count, -0.16 - volume)], 1)
    u = np.linspace(0, 1, 9)[None, :, None]
    return (1 - u) ** 2 * start[:, None] + 2 * u * (1 - u) * middle[:, None] + u**2 * end[:, None]


def _spikes(figure: Figure, volume: float, long: float, count: int, stray: bool = False) -> Array:
    """Short hair that stands off the crown, leaning one way; ``stray`` hair lies along it: ``[count, 8, 2]``."""
    rng = figure.rng
    t = rng.uniform(-1.7, 1.7, count)
    root = np.stack([np.sin(t) * figure.width * (1 + volume * 0.6), -np.cos(t) * (1 + volume * 0.75)], 1)
    aside = np.sign(t)
    lean = aside * rng.uniform(0.7, 1.5, count) if stray else between(rng, -0.8, 0.8) + rng.normal(0, 0.4, count)
    length = long * rng.gamma(3.0, 1 / 3.0, count)
    return grow(rng, root, t + lean, length, rng.normal(0, 1.2, count) + 1.5 * aside, 8)


def _add_long_hair(figure: Figure, volume: float, behind: HairLayer, before: HairLayer) -> None:
    """A bob, long or wavy hair: a curtain behind the head, strands about it, perhaps some before a shoulder."""
    rng = figure.rng
    drops = {"bob": between(rng, 0.7, 1.2), "long": between(rng, 1.6, 3.2), "wavy": between(rng, 1.3, 2.8)}
    drop = drops[figure.style]
    wave = between(rng, 0.08, 0.16) if figure.style == "wavy" else between(rng, 0.0, 0.05)
    splay = between(rng, -0.1, 0.25)
    behind.strands.append(_drape(figure, 80, volume * 0.8, drop, wave * 0.6, splay, 0.05))
    behind.masses.append(_curtain(figure, volume, drop * between(rng, 0.5, 0.85), splay))
    behind.strands.append(_drape(figure, 130, volume * 1.1, drop * 1.05, wave, splay, 0.25))
    if rng.random() < 0.65:
        side = pick(rng, (-1, 1, 0))
        before.strands.append(_drape(figure, 70, volume, drop * 0.95, wave, splay * 0.6, 0.12, side))


def _drape(
    figure: Figure,
    count: int,
    volume: float,
    drop: float,
    wave: float,
    splay: float,
    rough: float,
    side: int | None = None,
) -> Array:
    """Long hair from the crown over the temples and down: ``[count, 16, 2]``.

    Args:
        figure: whose hair it is.
        count: of strands.
        volume: how far it stands off the head.
        drop: how far it falls below the temples.
        wave: amplitude of the waves.
        splay: how far it spreads on the way down.
        rough: how much strands differ.
        side: None behind the shoulders; -1 or 1 before that shoulder, 0 before both.
    """
    rng, before = figure.rng, side is not None
    sign = np.full(count, float(side)) if side else np.where(rng.random(count) < 0.5, -1.0, 1.0)
    start = rng.uniform(0.9 if before else 0.0, 1.5 if before else 1.45, count)[:, None]
    lift = 1 + volume * rng.uniform(0.5 if before else 0.2, 1.1, count)[:, None]
    length = 1.57 - start + drop * rng.uniform(0.72, 1.05, count)[:, None] + 0.2
    s = np.linspace(0, 1, 16)[None] * length
    angle = np.minimum(start + s, 1.57)
    down = np.maximum(0, s - (1.57 - start))
    inward = rng.uniform(-0.3 if before else -0.5, 0.1 if before else 0.15, count)[:, None]
    spread = splay + rng.normal(0, rough, count)[:, None]
    x = np.sin(angle) * (figure.width + 0.03) * lift + spread * down * 0.35
    x = x + np.minimum(down, 0.8) * inward * (0.5 if before else 0.35)
    phase = rng.uniform(0, 1.2, count)[:, None] + sign[:, None]
    x = x + wave * np.sin(down * between(rng, 3.5, 6.0) + phase) * np.minimum(1, down * 1.5)
    bend = rng.normal(0, 0.05 + 0.15 * rough, count)[:, None] * down**2 * 0.4
    return np.stack([sign[:, None] * (x + bend), -np.cos(angle) * lift + down], -1)


def _curtain(figure: Figure, volume: float, drop: float, splay: float) -> Array:
    """The opaque mass of long hair behind the head."""
    w = figure.width * (1 + volume)
    low = [(w * 0.97 + 0.25 * splay * drop, drop), (w * 0.4, drop + 0.2)]
    right = [(0.55 * w, -0.9), (w, -0.3), (w + 0.02, 0.3), *low]
    return smooth(right + mirrored(right), 5)


def _add_curls(figure: Figure, behind: HairLayer, before: HairLayer) -> None:
    """Afro and curly hair: a bumpy mass and coils that leave gaps."""
    rng, w = figure.rng, figure.width
    radius = between(rng, 1.25, 1.75) if figure.style == "afro" else between(rng, 1.12, 1.35)
    reach = between(rng, 2.0, 2.6)

    def ring(t: Array, r: Array, out: float) -> Array:
        return np.stack([np.sin(t) * r * (w + out), -np.cos(t) * r - 0.05], 1)

    t = np.linspace(-reach, reach, 26)
    bumps = radius * (0.93 - 0.3 * (np.abs(t) / reach) ** 5) * (1 + rng.normal(0, 0.035, 26))
    behind.masses.append(smooth(ring(t, bumps, 0.14), 4))
    t = rng.uniform(-reach, reach, 180)
    root = ring(t, radius * rng.uniform(0.72, 0.98, 180), 0.14)
    behind.strands.append(coil(rng, root, t, rng.uniform(0.1, 0.32, 180), between(rng, 0.03, 0.07)))
    t = rng.uniform(-1.5, 1.5, 120)
    root = ring(t, rng.uniform(0.85, radius * 0.95, 120), 0.1)
    before.strands.append(coil(rng, root, t, rng.uniform(0.1, 0.3, 120), 0.05))


def _add_bun(figure: Figure, behind: HairLayer) -> None:
    """A bun on the crown with loops."""
    rng = figure.rng
    x, y, r = between(rng, -0.25, 0.25), between(rng, -1.35, -1.15), between(rng, 0.26, 0.42)
    behind.masses.append(oval(x, y, r * 1.1, r))
    t = rng.uniform(0, 2 * np.pi, 70)
    root = np.stack([x + np.cos(t) * r * 0.9, y + np.sin(t) * r * 0.85], 1)
    behind.strands.append(grow(rng, root, t + 2.4, rng.uniform(0.2, 0.55, 70), rng.uniform(2.5, 6.5, 70), 12))


def _add_tail(figure: Figure, behind: HairLayer) -> None:
    """A tail that falls beside the neck."""
    rng, count = figure.rng, 130
    drop, side, lift = between(rng, 1.2, 2.6), pick(rng, (-1, 1)), between(rng, 0.15, 0.45)
    u = np.linspace(0, 1, 14)[None]
    spread = rng.normal(0, 0.1, (count, 1))
    arch = lift * np.sin(np.pi * np.minimum(u * 1.6, 1) * 0.62)
    out = arch + spread * u * 1.4 + 0.07 * np.sin(7 * u + spread * 12)
    down = drop * rng.uniform(0.65, 1.1, (count, 1)) * u**1.25 - 0.3 * lift * np.sin(np.pi * np.minimum(2.5 * u, 1))
    start = rng.normal(0, 0.05, (count, 2))
    x = side * (figure.width * 0.82 + out) + start[:, :1]
    behind.strands.append(np.stack([x, down - 0.62 + start[:, 1:]], -1))
    middle = np.stack([x.mean(0), down.mean(0) - 0.62], 1)[:9]
    half = np.array([0.13, 0.02])
    behind.masses.append(np.concatenate([middle - half, (middle + half)[::-1]]))
