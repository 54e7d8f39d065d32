"""What is shown of a photo and its alpha: the cut-out, the alpha alone, or the people before another background."""

import hashlib
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from sdnet_pl.data.foreground_colors import COLOR_SIDE, cut_out
from sdnet_pl.data.reduction import reduce_by_area
from sdnet_pl.errors import InputError
from sdnet_pl.inference.kinds import to_array

Background = str | Path | tuple[int, int, int] | Image.Image | NDArray[np.uint8]

BLUR = "blur"
_BLUR_SIDE = 512
_BLUR_PART = 0.02
"""Of the longer side: the standard deviation of a blurred background."""
_ROWS = 128


class Rendering:
    """Makes the picture that is asked for of photos and their alphas. Threads may share it.

    Args:
        only_mask: the alpha alone.
        background: shown behind the people instead of nothing: a colour (a name, ``#rrggbb``, or three numbers in
            [0, 255]), a picture, which is cropped to fit (a path, a Pillow image or RGB uint8 ``[H, W, 3]``), or
            ``"blur"`` for the photo's own, blurred.
        color_side: for the colours of edges; see :func:`sdnet_pl.data.foreground_colors.cut_out`.

    Attributes:
        opaque: whether what it makes has no alpha, so that a JPEG holds it.

    Raises:
        InputError: both are given, or the background is none of these.
    """

    def __init__(
        self, only_mask: bool = False, background: Background | None = None, color_side: int = COLOR_SIDE
    ) -> None:
        if only_mask and background is not None:
            raise InputError("only_mask and background do not go together; give one of them.")
        self.only_mask, self.color_side = only_mask, color_side
        self.background = None if background is None else _to_background(background)
        self.opaque = only_mask or background is not None

    def fitted(self, height: int, width: int) -> "Rendering":
        """The same for many photos of one size in pixels: a background picture is scaled once."""
        fitted = copy(self)
        if isinstance(self.background, np.ndarray) and self.background.ndim == 3:
            fitted.background = _fit(self.background, height, width)
        return fitted

    def options(self) -> tuple[str, ...]:
        """What tells one rendering from another, for a job hash; nothing for a cut-out."""
        if self.only_mask:
            return ("mask",)
        if isinstance(self.background, np.ndarray):
            shape, content = self.background.shape, np.ascontiguousarray(self.background)
            return (f"background {shape} {hashlib.sha256(content.data).hexdigest()}",)
        return () if self.background is None else (f"background {self.background}",)

    def __call__(self, image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Render a photo.

        Args:
            image: RGB uint8 ``[H, W, 3]``.
            alpha: of the people, uint8 ``[H, W]``.

        Returns:
            uint8: RGBA ``[H, W, 4]`` with straight alpha, the alpha ``[H, W]``, or RGB ``[H, W, 3]``.
        """
        if self.only_mask:
            return alpha
        cutout = cut_out(image, alpha, self.color_side)
        if self.background is None:
            return cutout
        return _over(cutout, _behind(self.background, image, alpha))


def to_levels(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An alpha as pictures hold it: uint8 ``[H, W]`` of floats in [0, 1]."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255), np.uint8)


def _to_background(background: Background) -> str | NDArray[np.uint8]:
    """``BLUR``, a colour uint8 ``[3]``, or a picture uint8 ``[H, W, 3]``."""
    if isinstance(background, str) and background == BLUR:
        return BLUR
    if isinstance(background, str) and (Path(background).is_dir() or not Path(background).exists()):
        try:
            color = ImageColor.getrgb(background)
        except ValueError as error:
            raise InputError(
                f"background {background!r} is neither a colour (a name or #rrggbb), nor a picture that exists, nor "
                f"{BLUR}."
            ) from error
        if color[3:] not in ((), (255,)):
            raise InputError(
                f"background {background!r} is translucent, and a background is opaque; leave it out for a "
                "transparent one."
            )
        return np.array(color[:3], np.uint8)
    if isinstance(background, (tuple, list)):
        if len(background) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in background):
            raise InputError(f"background {background} must be three numbers in [0, 255].")
        return np.array(background, np.uint8)
    return to_array(background)[0]


def _behind(
    background: str | NDArray[np.uint8], image: NDArray[np.uint8], alpha: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A background at the photo's size, uint8 ``[H, W, 3]``, or a colour as it is."""
    if isinstance(background, str):
        return _blurred(image, alpha)
    if background.ndim == 1:
        return background
    return _fit(background, *alpha.shape)


def _fit(background: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture scaled and cropped to a size in pixels."""
    if background.shape[:2] == (height, width):
        return background
    scale = max(height / background.shape[0], width / background.shape[1])
    size = max(width, round(background.shape[1] * scale)), max(height, round(background.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = np.asarray(cv2.resize(background, size, interpolation=method), np.uint8)
    top, left = (fitted.shape[0] - height) // 2, (fitted.shape[1] - width) // 2
    return fitted[top : top + height, left : left + width]


def _blurred(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo's background, blurred without the people, who would shine around themselves."""
    scale = min(1, _BLUR_SIDE / max(alpha.shape))  # a blur needs no more
    size = max(1, round(scale * alpha.shape[1])), max(1, round(scale * alpha.shape[0]))
    small, opacity = (reduce_by_area(picture, *size) for picture in (image, alpha))
    weight = cv2.merge([np.square(1 - np.divide(opacity, 255, dtype=np.float32)) + np.float32(1e-4)] * 3)
    sigma = _BLUR_PART * max(size)
    numerator, denominator = (cv2.GaussianBlur(x, (0, 0), sigma) for x in (small * weight, weight))
    blurred = np.asarray(numerator / denominator, np.float32)
    return np.asarray(cv2.resize(cv2.convertScaleAbs(blurred), alpha.shape[::-1]), np.uint8)


def _over(cutout: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The cut-out before a picture of its size or a colour."""
    result = np.empty((*cutout.shape[:2], 3), np.uint8)
    for rows in _bands(len(cutout)):
        alpha = cv2.merge([np.divide(cutout[rows, :, 3], 255, dtype=np.float32)] * 3)
        behind = background if background.ndim == 1 else background[rows]
        result[rows] = np.rint(cutout[rows, :, :3] * alpha + behind * (1 - alpha))
    return result


def _bands(height: int) -> Iterator[slice]:
    """Parts of a picture: floating-point copies of a large photo would take gigabytes."""
    for top in range(0, height, _ROWS):
        yield slice(top, top + _ROWS)
