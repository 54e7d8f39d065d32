"""What is left to chance: numbers, choices and smooth noise.

No draw depends on a size in pixels, so one seed and index show the same picture at every size.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sdnet_pl.synthetic.curves import Array
from sdnet_pl.synthetic.drawing import enlarge


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number in [low, high)."""
    return float(rng.uniform(low, high))


def pick(rng: np.random.Generator, choices: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """One of ``choices``, by relative ``weights``."""
    share = np.cumsum(weights if weights is not None else np.ones(len(choices)))
    return choices[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]


def noise(rng: np.random.Generator, side: int, cells: int, octaves: int = 3, stretch: int = 1) -> Array:
    """Smooth noise float32 ``[side, side]`` in [-1, 1], ``cells`` bumps a side (``stretch`` times fewer downwards)."""
    total = np.zeros((side, side), np.float32)
    weights = 0.55 ** np.arange(octaves)
    for octave, weight in enumerate((weights / weights.sum()).tolist()):
        columns = cells << octave
        grid = (rng.random((max(2, columns // stretch), columns), np.float32) * 2 - 1) * np.float32(weight)
        total += enlarge(grid, side)
    return total
