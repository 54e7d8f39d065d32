"""Trimaps from alphas: uint8, 0 background, 128 unknown, 255 foreground."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sdnet_pl.data.sources.base import Image
from sdnet_pl.errors import InputError

EVALUATION_KERNEL = 25


def trimap_from_alpha(alpha: Image, foreground_kernel: int, background_kernel: int) -> Image:
    """Erodes {α = 1} and {α = 0} with ellipses; what is left is unknown.

    Args:
        alpha: uint8 ``[H, W]``.
        foreground_kernel: Diameter in pixels of the ellipse that erodes the foreground.
        background_kernel: Likewise for the background.

    Returns:
        uint8 ``[H, W]`` of 0, 128 and 255.
    """

    def eroded(mask: np.ndarray, diameter: int) -> np.ndarray:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
        return cv2.erode(mask.astype(np.uint8), kernel) > 0

    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[eroded(alpha == 255, foreground_kernel)] = 255
    trimap[eroded(alpha == 0, background_kernel)] = 0
    return trimap


def evaluation_trimap(alpha: Image, kernel: int = EVALUATION_KERNEL) -> Image:
    """The fixed trimap of a benchmark that ships none: an ellipse at native size, 25 px unless told, on both sides."""
    return trimap_from_alpha(alpha, kernel, kernel)


def check_kernel(kernel: int) -> None:
    """Refuse a kernel that makes no trimap.

    Raises:
        InputError: ``kernel`` is below 1.
    """
    if kernel < 1:
        raise InputError(f"trimap_kernel is {kernel}; it is a diameter in pixels, at least 1.")


def random_trimap(alpha: Image, rng: np.random.Generator) -> Image:
    """A trimap for training, its band up to a tenth of the picture wide, up to half of it on either side."""
    widest = max(3, max(alpha.shape) // 10)
    foreground_kernel, background_kernel = rng.integers(1, widest + 1, size=2)
    return banded_trimap(alpha, (foreground_kernel - 1) / 2, (background_kernel - 1) / 2)


def banded_trimap(alpha: Image, foreground_band: float, background_band: float) -> Image:
    """Unknown is what is neither 0 nor 255, and what lies within a distance in pixels of that or of the other.

    Distances cost the same for every width, and the wide ellipses of :func:`trimap_from_alpha` several times as much;
    the bands differ by a pixel.

    Args:
        alpha: uint8 ``[H, W]``.
        foreground_band: Width of the band within {α = 1}.
        background_band: Width of the band within {α = 0}.
    """
    trimap = np.full(alpha.shape, 128, np.uint8)
    for value, band in ((255, foreground_band), (0, background_band)):
        inside = np.asarray(alpha == value, np.uint8)
        trimap[cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5) > band] = value
    return trimap


def predicted_trimap(alpha: Tensor, low: float, high: float, band: int) -> Tensor:
    """A trimap from a network's alpha: certain where everything within ``band`` pixels says so.

    Args:
        alpha: ``[B, 1, H, W]`` in [0, 1].
        low: Below it a pixel is background.
        high: Above it a pixel is foreground.
        band: Distance in pixels, along rows and columns, to the next pixel that is neither.

    Returns:
        uint8 ``[B, 1, H, W]`` of 0, 128 and 255.
    """

    def eroded(certain: Tensor) -> Tensor:
        return F.max_pool2d((~certain).float(), 2 * band + 1, 1, band) == 0

    trimap = torch.full_like(alpha, 128, dtype=torch.uint8)
    return trimap.masked_fill(eroded(alpha < low), 0).masked_fill(eroded(alpha > high), 255)


def trimap_channel(trimap: Tensor) -> Tensor:
    """A trimap of 0, 128 and 255 as a network takes it: 0, 0.5 and 1, float32 of the same shape."""
    return (trimap.float() / 127.5).round() / 2
