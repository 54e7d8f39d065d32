"""Paints the body: torso and arms, the cloth with its pattern, what is on the chest, and the neck."""

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import Array, mirrored, oval, smooth
from sdnet_pl.synthetic.drawing import Color, Plate, draw, enlarge, plain, relight, tint
from sdnet_pl.synthetic.figure import CLOTHES, Figure
from sdnet_pl.synthetic.randomness import between, pick


def paint_body(figure: Figure) -> Array:
    """Puts torso, arms and clothes over the figure; between the arms and the torso the background may show.

    Returns:
        The cloth, uint8 ``[S, S, 3]``.
    """
    rng = figure.rng
    shoulder, waist = between(rng, 1.6, 2.1), between(rng, 1.1, 1.5)
    slope = between(rng, 1.85, 2.15)
    right = [
        (0.42, 1.28), (0.85, slope - 0.4), (shoulder - 0.25, slope - 0.12), (shoulder, slope + 0.3),
        (shoulder - 0.2, slope + 1.3), (waist, 5.0), (waist + 0.25, 6.6), (waist + 0.5, 14.0),
    ]  # fmt: skip
    torso = Plate(figure.side).fill(figure.on_body(smooth(right + mirrored(right), 5))).mask()
    cloth = _fabric(figure)
    field = cloth.copy()
    _draw_chest(figure, field, slope)
    arms = _draw_arms(figure, field, shoulder, slope, waist)
    mask = cv2.max(torso, arms)
    gain = figure.relief(mask, 0.5) * figure.relief(arms, 0.2, 0.7)
    if figure.style not in ("bald", "buzz"):
        figure.shadow(mask, 0.1, 0.3)
    figure.over(field, mask, gain * figure.mottle(between(rng, 0.04, 0.16), 7, 3, 2))
    return cloth


def paint_neck(figure: Figure) -> None:
    """Puts the neck over the figure."""
    half = between(figure.rng, 0.36, 0.47)
    right = [(half, 0.3), (half * 0.97, 1.0), (half * 1.1, 1.3), (half * 1.35, 1.5), (0.0, 1.66)]
    mask = Plate(figure.side).fill(figure.on_body(smooth(right + mirrored(right), 4))).mask()
    field = plain(figure.side, figure.skin * 0.92)
    cords = [figure.on_body([(side * 0.3, 0.9), (side * 0.08, 1.6)]) for side in (-1, 1)]
    tint(field, cords, figure.skin * 0.75, 0.5, 0.05 * figure.unit, 0.06 * figure.unit)
    figure.over(field, mask, figure.relief(mask, 0.3))


def _fabric(figure: Figure) -> Array:
    """Cloth with its pattern: plain, stripes, checks, dots or mottled, uint8 ``[S, S, 3]``."""
    rng = figure.rng
    field = plain(figure.side, figure.cloth)
    kind = pick(rng, ("plain", "stripes", "checks", "dots", "mottled"), (4, 1.3, 1.2, 0.6, 1.5))
    other = np.clip(np.array(pick(rng, CLOTHES), float), 10, 245)
    pitch = between(rng, 0.2, 0.6)
    width = pitch * between(rng, 0.2, 0.6) * figure.unit
    across = np.array([[(-7, y), (7, y)] for y in np.arange(-6, 14, pitch)])
    if kind == "stripes":
        lines = across if rng.random() < 0.5 else across[..., ::-1]
        draw(field, figure.on_body(lines), other, width)
    elif kind == "checks":
        for lines in (across, across[..., ::-1]):
            layer = field.copy()
            draw(layer, figure.on_body(lines), other, width)
            field = cv2.addWeighted(field, 0.45, layer, 0.55, 0)
    elif kind == "dots":
        grid = np.stack(np.meshgrid(np.arange(-3, 3, pitch), np.arange(1, 9, pitch)), -1).reshape(-1, 1, 2)
        draw(field, figure.on_body(grid), other, width)
    elif kind == "mottled":
        field = relight(field, enlarge(figure.mottle(between(rng, 0.1, 0.3), 50), figure.side))
    return field


def _draw_chest(figure: Figure, field: Array, slope: float) -> None:
    """The neckline and what is on the chest: a V, a round collar, a shirt, a jacket with a tie, a zip, a print."""
    rng, u = figure.rng, figure.unit
    kind = pick(rng, ("crew", "vee", "shirt", "jacket", "hood", "print"))
    dark, pale = figure.cloth * 0.72, np.clip(figure.cloth * 0.5 + 110, 0, 250)
    if kind == "vee":
        neckline = figure.on_body([(-0.6, 1.2), (0.0, between(rng, 2.1, 3.0)), (0.6, 1.2)])
        draw(field, [neckline], figure.skin)
        draw(field, [neckline], dark, 0.1 * u)
    elif kind in ("crew", "print", "hood"):
        ring = figure.on_body(oval(0, 1.2, 0.62, between(rng, 1.55, 1.85) - 1.2))
        draw(field, [ring], figure.skin)
        draw(field, [ring], dark, (0.26 if kind == "hood" else 0.1) * u, closed=True)
        if kind == "print":
            wide, high = between(rng, 0.25, 0.6), between(rng, 0.2, 0.5)
            logo = oval(0, 3.1, wide, high, int(rng.integers(3, 9)), between(rng, 0, 1))
            draw(field, [figure.on_body(logo)], pick(rng, CLOTHES))
            draw(field, [figure.on_body(logo * (0.6, 1) + (0, 0.05))], pale, 0.06 * u, closed=True)
        elif kind == "hood":
            for x in (-0.3, 0.3):
                tint(field, figure.on_body([(x, 1.7), (x * 1.2, 2.9)]), pale, 0.9, width=0.06 * u)
    else:
        shirt = pick(rng, ((240, 240, 238), (190, 208, 230), (40, 42, 48), tuple(pale)))
        depth = between(rng, 3.0, 4.6)
        if kind == "jacket":
            _draw_jacket(figure, field, shirt, depth)
            _draw_collar(figure, field, np.array(shirt))
        else:
            tint(field, figure.on_body([(0, 1.7), (0, 9.0)]), dark, 0.8, width=0.04 * u)
            buttons = [figure.on_body([(0.08, y)]) for y in np.arange(2.3, 8, 0.75)]
            draw(field, buttons, pale, 0.1 * u)
            _draw_collar(figure, field, np.clip(figure.cloth * 1.1, 0, 250))


def _draw_jacket(figure: Figure, field: Array, shirt: Color, depth: float) -> None:
    """A jacket open down to ``depth`` over a shirt, perhaps with a tie."""
    draw(field, [figure.on_body([(-0.75, 1.2), (0.0, depth), (0.75, 1.2)])], shirt)
    lapel = np.array([(0.62, 1.35), (1.0, 2.4), (0.78, 2.5), (0.84, 2.65), (0.0, depth), (0.5, 2.2)])
    for side in (-1, 1):
        tint(field, figure.on_body(lapel * (side, 1)), figure.cloth * 0.86, 1.0, 0.01 * figure.unit)
    if figure.rng.random() < 0.6:
        tie = [(-0.13, 1.75), (0.13, 1.75), (0.09, 1.98), (0.22, depth), (-0.22, depth), (-0.09, 1.98)]
        draw(field, [figure.on_body(tie)], pick(figure.rng, CLOTHES))


def _draw_collar(figure: Figure, field: Array, color: Array) -> None:
    """The open neck of a shirt and its two flaps."""
    draw(field, [figure.on_body([(-0.5, 1.2), (0.0, 1.95), (0.5, 1.2)])], figure.skin)
    for side in (-1, 1):
        flap = figure.on_body(np.array([(0.4, 1.15), (0.68, 1.45), (0.4, 2.1), (0.0, 1.8)]) * (side, 1))
        draw(field, [flap], color)
        draw(field, [flap], color * 0.75, 0.03 * figure.unit, closed=True)


def _draw_arms(figure: Figure, field: Array, shoulder: float, slope: float, waist: float) -> Array:
    """Draws sleeves, bare skin and hands of the arms that are not raised; returns their mask, uint8 ``[S, S]``."""
    rng = figure.rng
    arms = Plate(figure.side, figure.side)
    bare = pick(rng, (None, None, 0.45, 0.75))
    bends = {
        "down": ((shoulder + 0.15, 4.5), (shoulder + 0.1, 6.6)),
        "hip": ((shoulder + 0.85, 4.3), (waist, 5.6)),
        "folded": ((shoulder + 0.2, 4.4), (-0.3, 4.5)),
    }
    joint = np.array([shoulder - 0.3, slope + 0.32])
    for side in (-1, 1):
        if side == figure.raised:
            continue
        elbow, wrist = np.array(bends[pick(rng, ("down", "down", "hip", "folded"))])
        bones = np.array([joint, (joint + elbow) / 2 + (0.08, 0), elbow, wrist])
        path = figure.on_body(smooth(bones * (side, 1), 4, closed=False))
        arms.limb(path, np.array([0.72, 0.66, 0.5, 0.4]) * figure.unit)
        if bare is not None:
            draw(field, [path[int(len(path) * bare) :]], figure.skin, 0.9 * figure.unit)
        palm = figure.on_body(oval(side * wrist[0], wrist[1] + 0.15, 0.26, 0.34))
        arms.fill(palm)
        draw(field, [palm], figure.skin)
    return arms.mask()
