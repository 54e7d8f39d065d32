"""A background: a scene over a wall, its light, the focus of the lens and the grain of the sensor."""

import cv2
import numpy as np

from sdnet_pl.synthetic.curves import Array
from sdnet_pl.synthetic.drawing import enlarge, relight, shrink, working_side
from sdnet_pl.synthetic.randomness import between, noise, pick
from sdnet_pl.synthetic.scenes import SCENES, plain_wall, strands

# blur of a lens out of focus, in units of the picture
_DEFOCUS = (0.004, 0.03)


def draw_background(rng: np.random.Generator, size: int) -> Array:
    """A scene without people, from a plain wall to clutter, sharp or out of focus: uint8 ``[size, size, 3]``."""
    side = working_side(size)
    field = plain_wall(rng, side)
    scene = pick(rng, list(SCENES), list(SCENES.values()))
    if scene is not None:
        field = scene(rng, field)
    if rng.random() < 0.2:
        field = strands(rng, field)
    field = relight(field, enlarge(1 + np.float32(between(rng, 0.05, 0.5)) * noise(rng, 64, 2, 1), side))
    if rng.random() < 0.45:
        deviation = between(rng, *_DEFOCUS) * 128
        field = enlarge(cv2.GaussianBlur(shrink(field, 128), (0, 0), deviation), side)
    grain = np.frombuffer(rng.bytes(128 * 128 * 3), np.uint8).reshape(128, 128, 3)
    amount = between(rng, 0, 0.06)
    field = cv2.addWeighted(field, 1.0, enlarge(grain, side), amount, -127 * amount)
    return shrink(field, size)
