"""The second of two passes: a network that takes a trimap, at more pixels, where the first pass is not certain.

The first pass sees a photo at a few hundred pixels. Its alpha says where the person is and where hair and edges are;
there alone the second looks at the photo, in tiles that overlap and are blended, so that memory does not follow from
the photo's size.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.reduction import reduce_by_area
from sdnet_pl.inference.inputs import MIN_SIZE, to_input

Photo = NDArray[np.uint8]
Trimap = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]

LOW, HIGH = 0.05, 0.95
BAND = 1 / 128
"""Of the longer side of what the people cover: how near to what is not certain a pixel is unknown too."""
SIZE = 640
"""Longer side in pixels of what is unknown, down to which a larger photo is scaled for the second pass."""
TRIMAP_SIDE = 1024
"""Longer side in pixels at which the trimap of a large photo is made."""
TILE, OVERLAP = 768, 64
"""A tile shows the network a whole person of that size; smaller ones cost accuracy (benchmarks/passes.py)."""
UNKNOWN = 128
_VALUES = np.rint(np.arange(256, dtype=np.float32) / np.float32(127.5)) / 2
"""Of the codes of a trimap, as networks take them."""


class Tile(NamedTuple):
    """A part of a picture, and the weight of each of its pixels, ``[h, w]``: those of a pixel's tiles add up to 1."""

    part: tuple[slice, slice]
    weight: Alpha


def predicted_trimap(alpha: Alpha) -> Trimap:
    """A trimap from an alpha ``[H, W]`` in [0, 1]: certain where everything near says so; uint8 of 0, 128 and 255.

    As :func:`sdnet_pl.data.trimap.predicted_trimap`, on which the second network was trained, without PyTorch. Of a
    large photo it is made at 1024 pixels: the alpha of the first pass has fewer.
    """
    scale = TRIMAP_SIDE / max(alpha.shape)
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in alpha.shape[::-1])
        trimap = predicted_trimap(reduce_by_area(alpha, width, height))
        return np.asarray(cv2.resize(trimap, alpha.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    *_, width, height = cv2.boundingRect(np.asarray(alpha >= LOW, np.uint8))
    band = max(1, round(BAND * max(width, height)))
    kernel = np.ones((2 * band + 1, 2 * band + 1), np.uint8)
    trimap = np.full(alpha.shape, UNKNOWN, np.uint8)
    for value, certain in ((0, alpha < LOW), (255, alpha > HIGH)):
        trimap[cv2.erode(certain.astype(np.uint8), kernel) > 0] = value
    return trimap


def known_alpha(trimap: Trimap) -> Alpha:
    """What a trimap says of an alpha: 0 and 1, and 0.5 where it is unknown."""
    return _VALUES[trimap]


def refine(
    photo: Photo, alpha: Alpha, trimap: Trimap, network: Network, size: int | None = SIZE, tile: int = TILE
) -> Alpha:
    """The alpha of a photo, found anew where the trimap is unknown; elsewhere as it was, bit for bit.

    Args:
        photo: uint8 ``[H, W, 3]``, RGB.
        alpha: of the first pass, ``[H, W]`` in [0, 1].
        trimap: uint8 ``[H, W]`` of 0, 128 and 255.
        network: alphas of RGB and a trimap.
        size: longer side in pixels of the box around the unknown, down to which the photo is scaled; none: its own.
        tile: side of a tile in pixels, at least three times the overlap of 64.
    """
    unknown = trimap == UNKNOWN
    left, top, width, height = cv2.boundingRect(unknown.view(np.uint8))
    if not width:
        return alpha
    longer = max(width, height)
    if size is None or longer <= size:
        return _refined(photo, alpha, trimap, network, (top, left, top + height, left + width), tile)
    # With a border that tiles may see, so that the rest of a large photo is left alone.
    margin = round(OVERLAP * longer / size)
    part = _around(top, height, margin, alpha.shape[0]), _around(left, width, margin, alpha.shape[1])
    scale = min(size / longer, (size + 2 * OVERLAP) / max(alpha[part].shape))
    small = tuple(max(1, round(side * scale)) for side in alpha[part].shape[::-1])
    reduced, first = (reduce_by_area(picture[part], *small) for picture in (photo, alpha))
    known = np.asarray(cv2.resize(trimap[part], small, interpolation=cv2.INTER_NEAREST), np.uint8)
    found = _refined(reduced, first, known, network, (0, 0, *known.shape), tile)
    result = alpha.copy()
    enlarged = np.asarray(cv2.resize(found, alpha[part].shape[::-1]), np.float32)
    np.minimum(enlarged, 1, out=enlarged)
    cv2.copyTo(enlarged, unknown[part].view(np.uint8), result[part])
    return result


def _around(first: int, length: int, margin: int, side: int) -> slice:
    """A span of a side of a picture and what is near it, of multiples of eight pixels where the picture has them."""
    return slice(max(0, first - margin) // 8 * 8, min(side, -(-(first + length + margin) // 8) * 8))


def _refined(
    photo: Photo, alpha: Alpha, trimap: Trimap, network: Network, box: tuple[int, int, int, int], tile: int
) -> Alpha:
    """As :func:`refine`, at the photo's own size; everything unknown is in the box, whose end is exclusive."""
    unknown = trimap == UNKNOWN
    result = np.where(unknown, np.float32(0), alpha)
    for part, weight in _tiles(box, alpha.shape, tile):
        weight = weight * unknown[part]
        if weight.any():
            result[part] += weight * _look(photo[part], trimap[part], network)
    return np.minimum(result, 1, out=result)  # which sums of weights can exceed by a rounding


def _look(photo: Photo, trimap: Trimap, network: Network) -> Alpha:
    height, width = trimap.shape
    channels = np.concatenate([to_input(photo), known_alpha(trimap)[None, None]], axis=1)
    border = (0, 0), (0, 0), (0, max(0, MIN_SIZE - height)), (0, max(0, MIN_SIZE - width))
    return network(np.pad(channels, border, "edge"))[0, 0, :height, :width].clip(0, 1)


def _tiles(box: tuple[int, int, int, int], shape: tuple[int, ...], side: int) -> Iterator[Tile]:
    """Tiles that cover a box of a picture, and see something around it."""
    rows, columns = (_spans(box[axis], box[axis + 2], shape[axis], side) for axis in (0, 1))
    for y, down in rows:
        for x, across in columns:
            yield Tile((y, x), np.outer(down, across))


def _spans(first: int, end: int, length: int, side: int) -> list[tuple[slice, Alpha]]:
    """Spans of a side of a picture that cover ``first`` to ``end``, with weights that fall from one to the next."""
    first, end = max(0, first - OVERLAP), min(length, end + OVERLAP)
    side = min(side, length)
    if end - first <= side:
        first = min(first, length - side)
        return [(slice(first, first + side), np.ones(side, np.float32))]
    count = 1 + -(-(end - first - side) // (side - OVERLAP))
    starts = [first + i * (end - side - first) // (count - 1) for i in range(count)]
    middles = [(a + b + side) / 2 for a, b in pairwise(starts)]
    spans = []
    for i, start in enumerate(starts):
        place = np.arange(start, start + side, dtype=np.float32) + 0.5
        weight = np.ones(side, np.float32)
        if i:
            weight *= np.clip((place - middles[i - 1]) / OVERLAP + 0.5, 0, 1)
        if i < count - 1:
            weight *= np.clip((middles[i] - place) / OVERLAP + 0.5, 0, 1)
        spans.append((slice(start, start + side), weight))
    return spans
