"""The person's own colours in half-transparent pixels, without the old background."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_LONGER_SIDE = 1024
_WINDOWS = (90, 6)
_ROWS = 256


def estimate_foreground(image: NDArray[np.uint8], alpha: NDArray) -> NDArray[np.uint8]:
    """Straight foreground colours of a photo whose alpha is known, by blur fusion in two stages.

    A half-transparent pixel of a photo mixes person and background; a cut-out that keeps it carries a halo of the old
    background. Here ``F = F̄ + α(I − αF̄ − (1−α)B̄)``, where F̄ and B̄ are blurs weighted with α² and (1−α)², taken with a
    wide window first and with a narrow one from the result (M. Forte, Approximate Fast Foreground Colour Estimation,
    ICIP 2021; the squares are ours, so that mixed pixels count less). The blurs are taken at 1024 pixels on the longer
    side at most, so that the windows mean the same for all large photos; the fusion is done at full size.

    Args:
        image: uint8 ``[H, W, 3]``, the photo.
        alpha: ``[H, W]``, uint8 in [0, 255] or floating point in [0, 1].

    Returns:
        uint8 ``[H, W, 3]``; the photo itself where alpha is 1.
    """
    opacity = np.divide(alpha, 255, dtype=np.float32) if alpha.dtype == np.uint8 else alpha.astype(np.float32)
    foreground, background = _blurs(image, opacity)
    # In bands of rows: floating-point copies of a large photo would take gigabytes.
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        bands = (band[rows].astype(np.float32) for band in (image, foreground, background))
        foreground[rows] = cv2.convertScaleAbs(_fuse(opacity[rows], *bands))
    return foreground


def _blurs(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """F̄ and B̄ at the photo's size, uint8 ``[H, W, 3]`` each."""
    height, width = alpha.shape
    scale = min(1, _LONGER_SIDE / max(height, width))
    small = max(1, round(scale * width)), max(1, round(scale * height))
    color = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.float32)
    weight = np.asarray(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), np.float32)
    wide, narrow = _WINDOWS
    background = _weighted_blur(color, 1 - weight, wide)
    foreground = _fuse(weight, color, _weighted_blur(color, weight, wide), background)
    blurred = _weighted_blur(foreground, weight, narrow), _weighted_blur(background, 1 - weight, narrow)
    full = [np.asarray(cv2.resize(cv2.convertScaleAbs(blur), (width, height)), np.uint8) for blur in blurred]
    return full[0], full[1]


def _three(alpha: Any) -> NDArray[np.float32]:
    """One channel as three, since broadcasting a trailing channel is several times slower."""
    return np.asarray(cv2.merge([alpha] * 3), np.float32)


def _weighted_blur(color: NDArray[np.float32], weight: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    # Out of reach of any weight the plain blur is as good as another colour.
    weight = weight * weight + np.float32(1e-5)
    blurred = np.asarray(cv2.blur(color * _three(weight), (window, window)), np.float32)
    blurred /= _three(cv2.blur(weight, (window, window)))
    return blurred


def _fuse(
    alpha: NDArray[np.float32],
    image: NDArray[np.float32],
    foreground: NDArray[np.float32],
    background: NDArray[np.float32],
) -> NDArray[np.float32]:
    """F̄ + α(I − αF̄ − (1−α)B̄) within [0, 255]."""
    weight = _three(alpha)
    rest = background - foreground
    rest *= weight
    rest += image
    rest -= background
    rest *= weight
    rest += foreground
    return np.clip(rest, 0, 255, out=rest)
