"""Photos as networks take them: small enough, no side too short, in [0, 1]."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.reduction import reduce_by_area
from sdnet_pl.errors import InputError

MIN_SIZE = 32
"""Pixels of the shorter side of what networks take."""


def scale_down(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """What a network sees of a photo: its longer side at most ``size``, its sides at least 32.

    Args:
        image: uint8 ``[H, W, 3]``.
        size: in pixels; a smaller photo is not scaled.

    Returns:
        uint8 ``[h, w, 3]``, its border repeated below and to the right where a side would be shorter than 32; and the
        width and height of the photo within.
    """
    height, width = image.shape[:2]
    scale = min(1, size / max(height, width))
    small = max(1, round(scale * width)), max(1, round(scale * height))
    scaled = reduce_by_area(image, *small)
    below, right = max(0, MIN_SIZE - small[1]), max(0, MIN_SIZE - small[0])
    padded = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8), small


def check_size(size: int) -> None:
    """Refuse a size that the network cannot take.

    Raises:
        InputError: ``size`` is below 32.
    """
    if size < MIN_SIZE:
        raise InputError(
            f"size is {size}, and the network takes sides of at least {MIN_SIZE} pixels; give {MIN_SIZE} or more, or "
            "leave it out for the size that the weights record."
        )


def to_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture as networks take it: float32 ``[1, 3, H, W]`` in [0, 1] of uint8 ``[H, W, 3]``."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
