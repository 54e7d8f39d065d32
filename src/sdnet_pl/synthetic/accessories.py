"""Paints what a figure wears on the head: glasses, hats, headphones, a veil."""

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import grow, mirrored, oval, smooth
from sdnet_pl.synthetic.drawing import Plate, draw, plain, relight, tint
from sdnet_pl.synthetic.figure import CLOTHES, Figure
from sdnet_pl.synthetic.randomness import between, noise, pick

_RIMS = ((20, 18, 20), (70, 44, 26), (150, 150, 156), (170, 140, 70), (150, 30, 40))
_HEADPHONES = ((28, 28, 32), (230, 230, 232), (170, 40, 50), (60, 80, 120))
_VEILS = ((245, 244, 240), (30, 28, 34), (200, 60, 90), (120, 170, 200), (230, 200, 150))


def paint_glasses(figure: Figure) -> None:
    """Rims, lenses that tint what is behind them, and temples."""
    rng, on_face = figure.rng, figure.on_face
    w, h, y, apart = between(rng, 0.22, 0.3), between(rng, 0.17, 0.26), 0.04, 0.335
    square = between(rng, 1.0, 2.2)
    rim = pick(rng, _RIMS)
    circle = oval(0, 0, 1, 1, 28)
    shape = np.sign(circle) * np.abs(circle) ** (1 / square)
    lenses = [on_face(shape * (w, h) + (side * apart, y)) for side in (-1, 1)]
    dark = rng.random() < 0.25
    opacity = int(between(rng, 190, 235) if dark else between(rng, 12, 40))
    glass = Plate(figure.side).fill(*lenses, value=opacity).mask()
    field = plain(figure.side, (26, 24, 28) if dark else (205, 215, 225))
    glare = on_face([(-0.6, -0.25), (-0.35, -0.25), (0.3, 0.4), (0.05, 0.4)])
    tint(field, glare, (235, 240, 250), 0.35 if dark else 0.8, 0.02 * figure.unit)
    figure.over(field, glass)
    thick = between(rng, 0.02, 0.07) * figure.unit
    frame = Plate(figure.side, 768).stroke(lenses, thick, closed=True)
    inner = apart - w
    frame.stroke([on_face([(-inner, y - 0.05), (0, y - 0.09), (inner, y - 0.05)])], thick)
    for side in (-1, 1):
        hinge = on_face([(side * (apart + w), y - 0.05)])
        ear = figure.on_head([(side * (figure.width + 0.02) - 0.08 * figure.yaw, 0.0)])
        frame.stroke([np.concatenate([hinge, ear])], thick)
    mask = frame.mask()
    figure.shadow(mask, 0.05, 0.4)
    figure.over(plain(figure.side, rim), mask, figure.mottle(0.3, 12, 1))


def paint_hat(figure: Figure) -> None:
    """A knitted cap, a cap with a peak, or a hat with a brim."""
    rng, on_head, u, w = figure.rng, figure.on_head, figure.unit, figure.width + 0.12
    color = np.array(pick(rng, CLOTHES), float)
    low, high = between(rng, -0.5, -0.36), between(rng, -1.5, -1.3)
    t = np.linspace(-np.pi / 2, np.pi / 2, 15)
    dome = np.stack([w * np.sin(t), low + (high - low) * np.cos(t) ** 0.8], 1)
    right = [(w, low), (0.5 * w, low + 0.1), (0.0, low + 0.13)]
    rim = smooth(right + mirrored(right), 4, closed=False)
    plate = Plate(figure.side).fill(on_head(np.concatenate([dome, rim[1:-1]])))
    field = plain(figure.side, color)
    if figure.hat == "beanie":
        for x in np.linspace(-1, 1, 17):
            rib = smooth([(w * x * 0.35, high), (w * x * 0.8, (low + high) / 2), (w * x, low + 0.12)], 4, closed=False)
            tint(field, on_head(rib), color * 0.72, 0.6, 0.012 * u, 0.04 * u)
        band = on_head(rim - (0, 0.1))
        tint(field, band, np.clip(color * 1.15, 0, 255), 0.6, 0.0, 0.24 * u)
        plate.stroke([band], 0.3 * u)
        if rng.random() < 0.4:
            ball = np.array([[0.0, high - 0.1]]) + rng.normal(0, 0.03, (90, 2))
            angle, length = rng.uniform(-np.pi, np.pi, 90), rng.uniform(0.15, 0.3, 90)
            plate.stroke(on_head(grow(rng, ball, angle, length, rng.normal(0, 1, 90), 5)), 0.01 * u)
    elif figure.hat == "cap":
        front = figure.yaw * 0.3
        edge = [(-w * 0.95, low), (-w * 0.6, low + 0.28), (front, low + 0.36), (w * 0.6, low + 0.28), (w * 0.95, low)]
        peak = on_head(smooth(edge, 4, closed=False))
        plate.fill(peak)
        draw(field, [peak], color * 0.8)
        draw(field, [on_head(oval(front, low - 0.3, 0.16, 0.14, 6))], pick(rng, CLOTHES))
    else:
        brim = on_head(oval(0, low + 0.02, between(rng, 1.5, 2.0) * w, 0.2))
        plate.fill(brim)
        tint(field, brim, color * 0.85, 1.0, 0.01 * u)
        tint(field, on_head(np.concatenate([dome, rim[1:-1] - (0, 0.04)])), color)
        tint(field, on_head(rim - (0, 0.12)), color * 0.4, 0.9, 0.0, 0.16 * u)
    mask = plate.mask()
    figure.shadow(mask, 0.18, 0.5)
    figure.over(field, mask, figure.relief(mask, 0.3) * figure.mottle(0.1, 40))


def paint_headphones(figure: Figure) -> None:
    """A band over the crown and two cups: a gap may stay between the band and the hair."""
    rng, w = figure.rng, figure.width
    high = between(rng, 1.12, 1.4)
    t = np.linspace(-1.6, 1.6, 24)
    band = np.stack([np.sin(t) * (w + 0.14), -np.cos(t) * high], 1)
    plate = Plate(figure.side).stroke([figure.on_head(band)], between(rng, 0.06, 0.13) * figure.unit)
    plate.fill(*(figure.on_head(oval(side * (w + 0.08), 0.08, 0.15, 0.3)) for side in (-1, 1)))
    mask = plate.mask()
    field = plain(figure.side, pick(rng, _HEADPHONES))
    figure.shadow(mask, 0.08, 0.4)
    figure.over(field, mask, figure.relief(mask, 0.1, 1.4))


def paint_veil(figure: Figure) -> None:
    """A thin cloth over the head and shoulders with folds, a hem and perhaps lace, open or closed at the face."""
    rng, side, u = figure.rng, figure.side, figure.unit
    w, drop, flare = figure.width + 0.22, between(rng, 1.6, 4.0), between(rng, 0.5, 1.5)
    end = w + flare
    low = [(w + flare * 0.5, drop * 0.6), (end, drop)]
    right = [(0.0, -1.28), (0.6 * w, -1.12), (1.05 * w, -0.5), (1.15 * w, 0.3), *low]
    hem = [(x * end, drop + rng.normal(0.1, 0.12)) for x in (0.6, 0.2, -0.2, -0.6)]
    cloth = figure.on_head(smooth(right + hem + mirrored(right), 5))
    plate = Plate(side).fill(cloth, value=int(between(rng, 50, 150)))
    plate.stroke([cloth], 0.05 * u, int(between(rng, 120, 220)), closed=True)
    folds = []
    for x in rng.uniform(-1, 1, 14):
        line = [(x * 0.5 * w, -1.15), (x * 1.1 * w, 0.2), (x * end + rng.normal(0, 0.2), drop)]
        folds.append(figure.on_head(smooth(line, 6, closed=False)))
    veil = plate.mask().astype(np.float32)
    pleats = cv2.GaussianBlur(Plate(side).stroke(folds, 0.07 * u).mask(), (0, 0), 0.05 * u * side)
    inside = np.clip(veil / 40, 0, 1)
    veil += inside * pleats.astype(np.float32) * between(rng, 0.1, 0.35)
    veil *= 1 + 0.25 * noise(rng, side, 8)
    if rng.random() < 0.35:
        pitch = between(rng, 0.16, 0.3)
        grid = np.stack(np.meshgrid(np.arange(-3, 3, pitch), np.arange(-1.5, 4.5, pitch)), -1).reshape(-1, 1, 2)
        lace = Plate(side).stroke(figure.on_head(grid), pitch * 0.55 * u).mask()
        veil *= 1 - lace.astype(np.float32) * (0.6 / 255)
    if rng.random() < 0.5:
        opening = Plate(side).fill(figure.on_head(oval(0, 0.15, figure.width * 0.95, 0.95))).mask()
        veil *= 1 - cv2.GaussianBlur(opening, (0, 0), 0.04 * u * side).astype(np.float32) / 255
    field = relight(plain(side, pick(rng, _VEILS)), 1 - pleats * np.float32(0.3 / 255))
    figure.over(field, np.clip(veil, 0, 255).astype(np.uint8), figure.mottle(0.12, 6))
