"""Paints the head: the face with eyes, nose and mouth, the ears, and perhaps a beard."""

import numpy as np

from sdnet_pl.synthetic.curves import Array, grow, mirrored, oval, smooth
from sdnet_pl.synthetic.drawing import Plate, blend, draw, enlarge, patch, plain, tint
from sdnet_pl.synthetic.figure import Figure
from sdnet_pl.synthetic.hair import paint_hair
from sdnet_pl.synthetic.haircuts import HairLayer
from sdnet_pl.synthetic.randomness import between, pick

_BOTH = (-1, 1)
_IRISES = ((62, 40, 26), (40, 28, 22), (96, 66, 36), (80, 110, 130), (90, 120, 80), (70, 80, 90))


def paint_head(figure: Figure) -> None:
    """Puts the head over the figure."""
    rng, w = figure.rng, figure.width
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    y = -np.cos(t)
    jaw = between(rng, 0.05, 0.3)
    x = w * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** between(rng, 0.8, 0.95) * (1 - jaw * np.clip(y, 0, 1) ** 1.5)
    outline = np.stack([x + 0.06 * figure.yaw * np.clip(y, 0, 1), y], 1)
    ears = [oval(side * (w - 0.01) - 0.08 * figure.yaw, 0.08, 0.1, 0.22, 20, side * 0.18) for side in _BOTH]
    plate = Plate(figure.side).fill(figure.on_head(outline))
    face = plate.mask()
    mask = plate.fill(*(figure.on_head(ear) for ear in ears)).mask()
    field = plain(figure.side, figure.skin)
    for ear in ears:
        shell = figure.on_head((ear - ear.mean(0)) * 0.55 + ear.mean(0))
        tint(field, shell, figure.skin * (0.72, 0.6, 0.56), 0.7, 0.03 * figure.unit)
    gain = figure.relief(face, 0.42, 1.1) * figure.mottle(0.035, 24)
    shade = figure.skin * (0.7, 0.6, 0.56)
    away = figure.mirror * (-1.0 if figure.light[0] > 0 else 1.0)
    _draw_eyes(figure, field, shade)
    crease = _draw_nose(figure, field, shade, away)
    _draw_mouth(figure, field, shade, crease)
    beard = rng.random() < (0.35 if figure.style in ("bald", "buzz", "short", "tousled") else 0.06)
    if beard:
        _draw_beard(figure, field, outline)
    figure.shadow(mask, 0.32, 0.5)
    figure.over(field, mask, gain)
    if beard and rng.random() < 0.6:
        _paint_whiskers(figure)


def _draw_eyes(figure: Figure, field: Array, shade: Array) -> None:
    """Cheeks, eyes, lids and brows into the colour of the face."""
    rng, u, skin = figure.rng, figure.unit, figure.skin
    apart, height = between(rng, 0.29, 0.35), between(rng, 0.07, 0.105)
    wide, slant = between(rng, 0.15, 0.185), between(rng, -0.03, 0.03)
    iris = pick(rng, _IRISES, (3, 2, 2, 1, 1, 1) if skin.mean() > 150 else (3, 3, 1, 0, 0, 0))
    gaze = between(rng, -0.035, 0.035)
    bow, thick = between(rng, 0.03, 0.1), between(rng, 0.03, 0.075)
    blush = np.clip(skin * (1.02, 0.8, 0.78), 0, 255)
    cheeks = [figure.on_face(oval(side * 0.42, 0.34, 0.17, 0.14)) for side in _BOTH]
    sockets = [figure.on_face(oval(side * apart, 0.0, wide * 1.3, 0.13)) for side in _BOTH]
    tint(field, cheeks, blush, 0.45, 0.09 * u)
    tint(field, sockets, shade, 0.38, 0.06 * u)
    eyeballs = plain(figure.side, (228, 228, 228))
    lids, bags, brows = [], [], []
    half = np.array([0, thick / 2])
    for side in _BOTH:
        inner, outer = (side * (apart - wide), 0.05), (side * (apart + wide), 0.03 + slant)
        top = [(side * (apart - wide * 0.3), 0.05 - height), (side * (apart + wide * 0.45), 0.05 - height + slant)]
        lid = smooth([inner, *top, outer], 5, closed=False)
        bag = smooth([outer, (side * apart, 0.06 + height * 0.55), inner], 5, closed=False)
        disc = figure.on_face(oval(side * apart + gaze, 0.035, 0.085, 0.088))
        draw(eyeballs, [disc], iris)
        draw(eyeballs, [(disc - disc.mean(0)) * 0.48 + disc.mean(0)], (12, 10, 10))
        tint(field, figure.on_face(np.concatenate([lid, bag[1:-1]])), eyeballs)
        peak, end = (side * (apart + 0.02), -0.2 - bow), (outer[0] + side * 0.06, -0.14 + slant)
        arc = smooth([(inner[0] - side * 0.01, -0.17), peak, end], 5, closed=False)
        brows.append(figure.on_face(np.concatenate([arc - half, arc[::-1] + half])))
        lids.append(lid)
        bags.append(figure.on_face(bag))
    glints = [figure.on_face([(side * apart + gaze + 0.02 * figure.light[0], 0.0)]) for side in _BOTH]
    draw(field, glints, (250, 250, 250), 0.025 * u)
    tint(field, [figure.on_face(lid) for lid in lids], (34, 24, 22), 0.85, 0.004 * u, 0.03 * u)
    tint(field, [figure.on_face(lid - (0, 0.055)) for lid in lids], shade * 0.9, 0.5, 0.012 * u, 0.02 * u)
    tint(field, bags, shade, 0.6, 0.012 * u, 0.02 * u)
    tint(field, brows, np.clip(figure.hair * 0.75, 0, 190), 0.82, 0.016 * u)


def _draw_nose(figure: Figure, field: Array, shade: Array, away: float) -> tuple[float, float]:
    """The nose by its shadows, ``away`` (-1 or 1) from the light. Returns where the crease at its right begins."""
    rng, u = figure.rng, figure.unit
    tip, wing = between(rng, 0.36, 0.46), between(rng, 0.11, 0.16)
    bridge = [(0.09, -0.1), (0.07, 0.15), (wing, tip), (0.01, tip - 0.02), (0.02, 0.1)]
    tint(field, figure.on_face(smooth(np.array(bridge) * (away, 1), 4)), shade, 0.5, 0.035 * u)
    ridge = figure.on_face([(-away * 0.02, -0.05), (-away * 0.02, tip - 0.06)])
    tint(field, ridge, np.clip(figure.skin * 1.2 + 12, 0, 255), 0.45, 0.03 * u, 0.05 * u)
    left = [(-wing, tip - 0.02), (-wing * 0.6, tip + 0.05), (0.0, tip + 0.07)]
    base = smooth(left + mirrored(left), 4, closed=False)
    tint(field, figure.on_face(base), shade * 0.8, 0.7, 0.015 * u, 0.03 * u)
    nostrils = [figure.on_face(oval(side * wing * 0.52, tip + 0.035, 0.035, 0.02)) for side in _BOTH]
    tint(field, nostrils, shade * 0.4, 0.85, 0.01 * u)
    return wing * 1.15, tip


def _draw_mouth(figure: Figure, field: Array, shade: Array, crease: tuple[float, float]) -> None:
    """The lips, sometimes teeth, and the creases from the nose to the corners of the mouth."""
    rng, u, skin = figure.rng, figure.unit, figure.skin
    if rng.random() < 0.65:
        lip = np.clip(skin * (0.86, 0.6, 0.6), 0, 255)
    else:
        lip = np.array([168, 44, 58]) * between(rng, 0.7, 1.1)
    y, half = between(rng, 0.6, 0.68), between(rng, 0.2, 0.29)
    smile, full = between(rng, -0.02, 0.08), between(rng, 0.05, 0.095)
    corner, chin = y - smile, y + full * 1.1
    upper = [(-half, corner), (-0.07, y - full), (0.0, y - full * 0.75), (0.07, y - full), (half, corner)]
    inner = [(half * 0.8, corner + 0.012), (0.0, y + 0.012), (-half * 0.8, corner + 0.012)]
    lower = [(-half, corner), (0.0, y + 0.01), (half, corner), (half * 0.45, chin), (-half * 0.45, chin)]
    tint(field, figure.on_face(oval(0, chin + 0.07, half * 0.5, 0.035)), shade, 0.5, 0.03 * u)
    tint(field, figure.on_face(smooth(lower, 4)), np.clip(lip * 1.1, 0, 255), 0.9, 0.01 * u)
    tint(field, figure.on_face(smooth(upper + inner, 4)), lip * 0.85, 0.9, 0.01 * u)
    line = smooth([(-half, corner), (0.0, y + 0.012), (half, corner)], 5, closed=False)
    if smile > 0.04 and rng.random() < 0.6:
        rim = smooth([(half * 0.8, corner + 0.02), (0, y + 0.1), (-half * 0.8, corner + 0.02)], 5, closed=False)
        teeth = np.concatenate([line * (0.8, 1), rim])
        tint(field, figure.on_face(teeth), (238, 232, 222), 0.95, 0.006 * u)
    tint(field, figure.on_face(line), lip * 0.4, 0.8, 0.008 * u, 0.022 * u)
    fold = np.array([crease, (half + 0.06, y - 0.04)])
    creases = [figure.on_face(fold * (side, 1)) for side in _BOTH]
    tint(field, creases, shade, between(rng, 0.0, 0.4), 0.02 * u, 0.025 * u)


def _draw_beard(figure: Figure, field: Array, outline: Array) -> None:
    """Stubble or a full beard on the jaw and over the lip."""
    rng, u = figure.rng, figure.unit
    opacity = between(rng, 0.3, 0.95)
    jaw = outline[np.abs(np.linspace(0, 2 * np.pi, 40, endpoint=False) - np.pi) < 1.45] * 1.04
    top = [(-0.58, 0.36), (-0.36, 0.5), (-0.2, 0.5), (0.0, 0.52), (0.2, 0.5), (0.36, 0.5), (0.58, 0.36)]
    beard = figure.on_face(np.concatenate([jaw, smooth(top, 4, closed=False)]))
    area = patch(figure.side, beard, opacity, 0.035 * u)
    if area is None:
        return
    shaven = field.copy()
    gaps = enlarge(figure.mottle(1.0, 64, 1), figure.side)[area.window] - 1
    blend(field[area.window], figure.hair * 0.85, area.weight * (1 - np.clip(gaps, 0, 0.6)))
    tint(field, figure.on_face(oval(0, 0.64, 0.24, 0.075)), shaven, 1.0, 0.02 * u)


def _paint_whiskers(figure: Figure) -> None:
    """Single hairs of the beard that stand out over the outline of the jaw."""
    rng, count = figure.rng, 120
    t = rng.uniform(-1.1, 1.1, count)
    root = np.stack([np.sin(t) * figure.width * 0.86, 0.1 + np.cos(t) * 0.82], 1)
    length = rng.uniform(0.1, 0.35, count) * np.cos(t) * between(rng, 0.4, 1.4)
    whiskers = grow(rng, root, np.pi - t * 0.6, length, rng.normal(0, 1.0, count), 6)
    paint_hair(figure, HairLayer([], [whiskers], []))
