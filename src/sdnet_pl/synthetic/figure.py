"""Who is drawn: a figure's colours, haircut, hat and build."""

import numpy as np

from sdnet_pl.synthetic.canvas import Canvas
from sdnet_pl.synthetic.randomness import between, pick

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


class Figure(Canvas):
    """One person on a canvas.

    Attributes:
        skin, hair, cloth: colours, float ``[3]`` in [0, 255].
        style: the haircut, one of ``STYLES``.
        width: half the width of the head, in units of the figure.
        raised: the side of a raised hand, -1 or 1, or 0.
        hat: "beanie", "cap", "brim" or None.
    """

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        super().__init__(rng, size)
        self.skin = np.array(pick(rng, SKINS), float) * rng.uniform(0.94, 1.05, 3)
        natural = HAIRS[:4] if self.skin.mean() < 110 and rng.random() < 0.75 else HAIRS
        self.hair = np.array(pick(rng, DYES if rng.random() < 0.08 else natural), float)
        self.cloth = np.clip(np.array(pick(rng, CLOTHES), float) * between(rng, 0.8, 1.15), 12, 250)
        self.style: str = pick(rng, list(STYLES), list(STYLES.values()))
        self.width = between(rng, 0.69, 0.79)
        self.raised: int = pick(rng, (0, -1, 1), (0.7, 0.15, 0.15))
        self.hat: str | None = pick(rng, ("beanie", "cap", "brim")) if rng.random() < 0.13 else None
        if self.hat and self.style in ("afro", "curly", "tousled", "bun"):
            self.style = "wavy" if self.style == "curly" else "buzz"
