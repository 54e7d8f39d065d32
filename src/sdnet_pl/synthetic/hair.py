"""Paints a layer of hair: its masses, its strands, and a halo of what is finer still."""

import cv2
import numpy as np

from sdnet_pl.synthetic.canvas import COARSE, GRID
from sdnet_pl.synthetic.drawing import Plate, blend, draw, enlarge, plain, shrink
from sdnet_pl.synthetic.figure import Figure
from sdnet_pl.synthetic.haircuts import HairLayer
from sdnet_pl.synthetic.randomness import between


def paint_hair(figure: Figure, layer: HairLayer, behind: bool = False) -> None:
    """Puts a layer of hair over the figure, darker and without a shadow ``behind`` the body."""
    if not layer.masses and not layer.strands:
        return
    rng, buzz = figure.rng, figure.style == "buzz"
    paths = [figure.on_head(strands) for strands in layer.strands]
    masses = (figure.on_head(mass) for mass in layer.masses)
    mask = Plate(figure.side).fill(*masses, value=150 if buzz else 255).mask()
    # Strands thin out to their ends: fewer and shorter ones are drawn twice and four times as wide. A line of one pixel
    # is several times faster than a wider one: each width has the plate where it is one pixel.
    if paths:
        for fineness, reach, every in ((1024, 1.0, 1), (512, 0.8, 2), (256, 0.5, 3)):
            plate = Plate(figure.side, fineness)
            for strands in paths:
                plate.stroke(strands[::every, : round(strands.shape[1] * reach)], 1 / fineness)
            mask = cv2.max(mask, plate.mask())
    base = figure.hair * (0.82 if behind else 1.0)
    field = plain(figure.side, base)
    if buzz:
        blend(field, figure.skin * 0.7, np.full(mask.shape, 0.35, np.float32))
    for strands in [*paths, *(figure.on_head(strands) for strands in layer.texture)]:
        lot = rng.integers(0, 8, len(strands))
        for k, shade in enumerate((0.6, 0.8, 1.18, 1.42)):
            draw(field, strands[lot == k], base * shade + 14 * (shade - 0.6), 0.018 * figure.unit)
    if not buzz and rng.random() < 0.5:
        halo = cv2.GaussianBlur(shrink(mask, COARSE), (0, 0), 0.09 * figure.unit * COARSE)
        fine = enlarge(halo, GRID) * (between(rng, 0, 0.2) * figure.mottle(0.8, 40))
        mask = cv2.max(mask, enlarge(cv2.convertScaleAbs(fine), figure.side))
    if not behind:
        figure.shadow(mask, 0.12, 0.35)
    figure.over(field, mask, figure.relief(mask, 0.22, 1.15) * figure.mottle(0.12, 6))
