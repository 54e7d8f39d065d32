"""A portrait: one figure, painted from the hair behind the head to a hand before the face."""

import numpy as np

from sdnet_pl.synthetic.accessories import paint_glasses, paint_hat, paint_headphones, paint_veil
from sdnet_pl.synthetic.arms import paint_raised_hand
from sdnet_pl.synthetic.body import paint_body, paint_neck
from sdnet_pl.synthetic.curves import Array
from sdnet_pl.synthetic.figure import Figure
from sdnet_pl.synthetic.hair import paint_hair
from sdnet_pl.synthetic.haircuts import cut_hair
from sdnet_pl.synthetic.head import paint_head


def draw_portrait(rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """A person: colour uint8 ``[size, size, 3]``, defined everywhere, and alpha uint8 ``[size, size]``."""
    figure = Figure(rng, size)
    behind, before = cut_hair(figure)
    paint_hair(figure, behind, behind=True)
    cloth = paint_body(figure)
    paint_neck(figure)
    paint_head(figure)
    paint_hair(figure, before)
    if rng.random() < 0.3:
        paint_glasses(figure)
    if figure.hat:
        paint_hat(figure)
    elif rng.random() < 0.07:
        paint_headphones(figure)
    elif rng.random() < 0.14:
        paint_veil(figure)
    if figure.raised:
        paint_raised_hand(figure, cloth)
    return figure.finish(size)
