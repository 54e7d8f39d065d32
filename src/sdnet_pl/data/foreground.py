"""Colours for the transparent part of a cut-out, so that it can be warped apart from its alpha."""

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
    weight = np.divide(alpha, 255, dtype=np.float32)
    # The sums of colour times weight, and of weight, over blocks of 2×2, 4×4, ... pixels.
    sums, weight = cv2.multiply(color, cv2.merge([weight] * 3), dtype=cv2.CV_32F), weight[..., None]
    levels = []
    while max(sums.shape[:2]) > 1:
        size = (sums.shape[1] + 1) // 2, (sums.shape[0] + 1) // 2
        sums = 4 * cv2.resize(sums, size, interpolation=cv2.INTER_AREA)
        weight = 4 * cv2.resize(weight, size, interpolation=cv2.INTER_AREA).reshape(*sums.shape[:2], 1)
        # A block that is covered by one opaque pixel's worth needs nothing from coarser ones.
        enough = np.maximum(weight, 1)
        sums, weight = sums / enough, weight / enough
        levels.append((sums, weight))
    filled = sums / weight
    for sums, weight in reversed(levels[:-1]):
        filled = sums + (1 - weight) * cv2.resize(filled, sums.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    extended = cv2.convertScaleAbs(cv2.resize(filled, color.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.copyTo(color, visible, extended), np.uint8)
