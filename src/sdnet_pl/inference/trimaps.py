"""Trimaps that come with photos: 0 background, 128 unknown, 255 person."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.alpha_values import require_trimap
from sdnet_pl.data.decoding import decode_held
from sdnet_pl.data.image_io import read_alpha, to_alpha
from sdnet_pl.errors import InputError

Trimap = str | Path | Image.Image | NDArray[np.uint8]


def read_trimap(trimap: Trimap, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A trimap as uint8 ``[H, W]`` of 0, 128 and 255.

    Args:
        trimap: a path, a Pillow image or an array.
        shape: height and width of the upright photo.

    Raises:
        InputError: it cannot be read, has colours or other codes, or is not of the photo's size.
    """
    name = trimap if isinstance(trimap, (str, Path)) else "the trimap"
    if isinstance(trimap, (str, Path)):
        trimap = read_alpha(trimap, equal_channels=True)
    elif isinstance(trimap, Image.Image):
        if trimap.mode[0] in "IF" and trimap.getextrema()[1] in (128, 255):  # the codes, in pixels made for more
            trimap = trimap.convert("L")
        trimap = to_alpha(decode_held(trimap, str(name), colors=False), name)
    if not isinstance(trimap, np.ndarray) or trimap.dtype != np.uint8 or trimap.ndim != 2:
        kind = f"{trimap.dtype} {list(trimap.shape)}" if isinstance(trimap, np.ndarray) else type(trimap).__name__
        raise InputError(f"a trimap is a path, a Pillow image or an array, uint8 [H, W], not {kind}.")
    if trimap.shape != shape[:2]:
        height, width = trimap.shape
        raise InputError(
            f"{name} is {width}×{height} pixels and its photo {shape[1]}×{shape[0]}; scale the trimap to the photo's "
            "size, by nearest neighbour."
        )
    require_trimap(name, trimap)
    return np.ascontiguousarray(trimap)
