"""Colours for the transparent part of a cut-out, so that it can be warped apart from its alpha."""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def extend_foreground(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill the colours under alpha 0 from the nearest visible ones, smoothly; visible colours stay as they are.

    What lies under alpha 0 is arbitrary, often black, and an interpolating warp would mix it into the edge as a dark
    fringe. Filled by a pyramid of means weighted with alpha (push–pull: Gortler et al., The Lumigraph, 1996), so
    that nearly transparent pixels, whose colours are unreliable, count little.

    Args:
        color: uint8 ``[H, W, 3]``, straight (not premultiplied).
        alpha: uint8 ``[H, W]``.

    Returns:
        uint8 ``[H, W, 3]``, a new array; a copy of ``color`` where nothing is transparent or nothing is visible.
    """
    visible = cv2.threshold(alpha, 0, 255, cv2.THRESH_BINARY)[1]
    if cv2.countNonZero(visible) in (0, visible.size):
        return color.copy()
    height, width = alpha.shape
    # Colour times weight and the weight, in channels of their own: as 16-bit integers they fit and are halved fastest.
    level = [np.multiply(color[..., channel], alpha, dtype=np.uint16) for channel in range(3)]
    level.append(np.multiply(alpha, 255, dtype=np.uint16))
    # Their sums over blocks of 2×2, 4×4, ... pixels.
    levels: list[NDArray[np.float32]] = []
    while max(height, width) > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        sums = _resize(level, height, width, cv2.INTER_AREA)
        sums *= 4 if levels else 4 / 255**2
        # A block that is covered by one opaque pixel's worth needs nothing from coarser ones.
        sums /= np.maximum(sums[3], 1)
        levels.append(sums)
        level = list(sums)
    filled = levels[-1][:3] / levels[-1][3]
    for sums in reversed(levels[:-1]):
        height, width = sums[3].shape
        filled = sums[:3] + (1 - sums[3]) * _resize(filled, height, width, cv2.INTER_LINEAR)
    half = cv2.merge([cv2.convertScaleAbs(channel, alpha=255) for channel in filled])
    extended = cv2.resize(half, color.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(color, visible, extended), np.uint8)


def _resize(channels: Iterable[NDArray[Any]], height: int, width: int, interpolation: int) -> NDArray[np.float32]:
    return np.stack([cv2.resize(x, (width, height), interpolation=interpolation) for x in channels]).astype(np.float32)
