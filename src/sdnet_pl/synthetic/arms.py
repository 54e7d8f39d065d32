"""Paints a raised arm with its hand before the body."""

import numpy as np

from sdnet_pl.synthetic.curves import Array, Points, rotation, smooth
from sdnet_pl.synthetic.drawing import Plate, plain, tint
from sdnet_pl.synthetic.figure import Figure
from sdnet_pl.synthetic.randomness import between, pick

_PALM = [(-0.16, -0.08), (-0.24, 0.25), (-0.22, 0.55), (0.0, 0.6), (0.22, 0.55), (0.22, 0.2), (0.15, -0.08)]


def paint_raised_hand(figure: Figure, cloth: Array) -> None:
    """Puts an arm in ``cloth`` (uint8 ``[S, S, 3]``) over the figure, waving or with the hand at the cheek."""
    rng, u, side = figure.rng, figure.unit, figure.raised
    wave = rng.random() < 0.65
    elbow = np.array([between(rng, 1.9, 2.7), between(rng, 3.4, 4.3)])
    wrist = np.array([between(rng, 1.35, 2.3), between(rng, 0.9, 1.7)] if wave else [between(rng, 0.8, 1.0), 1.55])
    ahead = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    ahead = ahead @ rotation(rng.normal(0, 0.2) + (0.0 if wave else -0.35))
    axes = np.array([[-ahead[1], ahead[0]], ahead])

    def place(points: Points) -> Array:
        """From the hand, whose wrist is at (0, 0) and whose fingers point along y, to units of the picture."""
        return figure.on_body((np.asarray(points) @ axes + wrist) * (side, 1))

    bones = [(1.6, 2.5), (2.0, 3.2), elbow, (elbow + wrist) / 2, wrist]
    arm = figure.on_body(smooth(bones, 5, closed=False) * (side, 1))
    sleeve_end = int(len(arm) * between(rng, 0.55, 0.95))
    sleeve = Plate(figure.side).limb(arm[:sleeve_end], np.array([0.7, 0.66, 0.56, 0.46]) * u).mask()
    flesh = Plate(figure.side).limb(arm[8:], np.array([0.5, 0.5, 0.36, 0.3]) * u).fill(place(smooth(_PALM, 4)))
    field = plain(figure.side, figure.skin * 0.97)
    for finger in _fingers(rng, wave):
        line = place(smooth(finger, 3, closed=False))
        flesh.limb(line, np.array([0.13, 0.1]) * u)
        tint(field, line, figure.skin * (0.62, 0.52, 0.48), 0.6, 0.008 * u, 0.16 * u)
        tint(field, line, figure.skin, 1.0, 0.006 * u, 0.1 * u)
    hand = flesh.mask()
    figure.shadow(hand, 0.15, 0.35)
    figure.over(field, hand, figure.relief(hand, 0.12, 0.9))
    figure.over(cloth, sleeve, figure.relief(sleeve, 0.22) * figure.mottle(0.12, 14))


def _fingers(rng: np.random.Generator, wave: bool) -> list[list[tuple[float, float]]]:
    """Four fingers, straight to ``wave`` or else bent, and the thumb: three points each, in units of the hand."""
    spread, stretch = between(rng, 0.05, 0.22), 1.0 if wave else between(rng, 0.55, 0.9)
    thumb = pick(rng, (-1, 1))
    fingers = []
    for k, length in enumerate((0.42, 0.52, 0.55, 0.46)):
        x, turn = -0.18 + 0.12 * k, (k - 1.5) * spread + rng.normal(0, 0.03)
        dx, dy = np.array([np.sin(turn), np.cos(turn)]) * length * stretch
        fingers.append([(x, 0.45), (x + dx * 0.5, 0.52 + dy * 0.55), (x + dx, 0.5 + dy)])
    fingers.append([(thumb * 0.12, 0.1), (thumb * 0.3, 0.32), (thumb * (0.34 + spread), 0.58)])
    return fingers
