"""Pictures made smaller by the mean of what each new pixel covers."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_HALVED = 3
"""Pixels of a side to one of the result, from which pairs are averaged first: what remains is a reduction still."""


def reduce_by_area(picture: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """A picture at a smaller size, each pixel the mean of the area that it covers.

    Much larger pictures are halved first, which OpenCV does several times as fast as any other reduction by area. Where
    a border of the result crosses a halved pixel, both sides see all of it. An odd side cannot be halved. OpenCV rounds
    halves of 8 bits up, which makes a picture brighter by an eighth of a level each time.

    Args:
        picture: uint8 or float32, ``[H, W]`` or ``[H, W, 3]``.
        width: of the result in pixels, at most W.
        height: of the result in pixels, at most H.

    Returns:
        The same kind, ``[height, width]`` or ``[height, width, 3]``; ``picture`` itself if it has that size.
    """
    rows, columns = picture.shape[:2]
    # Halves of an odd side are not whole pixels.
    while columns >= _HALVED * width and rows >= _HALVED * height and columns % 2 == rows % 2 == 0:
        columns, rows = columns // 2, rows // 2
        picture = np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), picture.dtype)
    if (columns, rows) == (width, height):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), picture.dtype)
