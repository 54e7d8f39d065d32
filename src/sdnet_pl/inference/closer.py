"""People who are small in a photo, found at larger scales and matted each in a crop of their own.

A network knows people at the sizes of its training pictures. A person at an eighth of a photo's height is a few dozen
pixels of the whole photo scaled down to that size, and is passed over. So where the whole photo shows little, it is
looked at again at two and three times the scale. What comes up there is a candidate and no more: at such scales a
network takes many things for a person. Each candidate is looked at in a wide crop around it, then in a narrow crop
around what the wide one shows. Where the two agree there is a person, and the narrow look is the matte.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]
Look = Callable[[Photo, int], Alpha]
"""A network: its alpha ``[h, w]`` in [0, 1] of a picture whose longer side it scales down to a size, at that scale."""

LITTLE = 0.16
"""Part of a photo that shows people, below which it is looked at closer: whole people in portrait photos have more."""
ENOUGH = 0.05
"""Part of a photo that people found at one scale cover, from which nobody smaller is looked for."""
SCALES = (1, 2, 3)
"""At which the whole photo is searched: the second for more people too, the third if there is nobody yet."""
CANDIDATES = 6
"""Of each scale, the largest."""
SMALLEST = 0.0005
"""Smallest fraction of a photo that is a candidate: a person of a sixteenth of its height."""
MARGINS = (0.35, 0.15)
"""Around a candidate, in its longer side, of the wide and of the narrow look."""
AGREEMENT = 0.85
"""Least IoU of the two looks: people have 0.94 and more for the most part, other things seldom."""
STEPS = 3
"""Most wide looks at a candidate: a person who continues beyond the first, as a body below its head, gets another."""
_SOLID, _FAINT, _KNOWN = 0.5, 0.1, 0.2


class Box(NamedTuple):
    """Rows and columns of a picture; ``bottom`` and ``right`` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """What indexes a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def moved(self, y: int, x: int) -> "Box":
        """The box in other coordinates."""
        return Box(self.top + y, self.left + x, self.bottom + y, self.right + x)

    def grown(self, margin: float, shape: tuple[int, ...]) -> "Box":
        """With a margin, in its longer side, as far as a picture of that shape has it."""
        by = round(margin * max(self.sides))
        top, left = max(0, self.top - by), max(0, self.left - by)
        return Box(top, left, min(shape[0], self.bottom + by), min(shape[1], self.right + by))

    def within(self, other: "Box") -> "Box":
        """What two boxes share."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Box(top, left, max(top, min(self.bottom, other.bottom)), max(left, min(self.right, other.right)))


def find_small(photo: Photo, whole: Alpha, size: int, look: Look) -> Alpha | None:
    """The alpha of a photo that shows little of its people.

    Args:
        photo: uint8 ``[H, W, 3]``.
        whole: what ``look`` gives for it at ``size``.
        size: longer side of the pictures that the network knows, in pixels.
        look: the network.

    Returns:
        ``[H, W]`` in [0, 1], of the people who are confirmed; none where the photo shows more, or nobody is confirmed.
    """
    if (whole >= _SOLID).mean() >= LITTLE:
        return None
    found, covered = None, 0.0
    for scale in SCALES:
        if covered >= ENOUGH or (found is not None and scale == SCALES[-1]):
            break
        if (scale - 1) * size >= max(photo.shape):
            break  # every pixel of the photo has been seen
        alpha = whole if scale == 1 else look(photo, scale * size)
        for candidate in _candidates(alpha, photo.shape[:2]):
            if found is not None and found[candidate.slices].mean() > _KNOWN:
                continue
            confirmed = _confirm(photo, candidate, size, look)
            if confirmed is not None:
                box, matte = confirmed
                found = np.zeros(photo.shape[:2], np.float32) if found is None else found
                np.maximum(found[box.slices], matte, out=found[box.slices])
                covered += (matte >= _SOLID).sum() / found.size
    return found


def _candidates(alpha: Alpha, shape: tuple[int, ...]) -> list[Box]:
    """In a photo of that shape, boxes around the largest connected parts of its alpha."""
    _, _, parts, _ = cv2.connectedComponentsWithStats((alpha >= _SOLID).astype(np.uint8))
    y, x = (side / small for side, small in zip(shape, alpha.shape, strict=True))
    large = sorted((part for part in parts[1:] if part[4] >= SMALLEST * alpha.size), key=lambda part: -part[4])
    return [
        Box(int(top * y), int(left * x), round((top + height) * y), round((left + width) * x))
        for left, top, width, height, _ in large[:CANDIDATES]
    ]


def _confirm(photo: Photo, candidate: Box, size: int, look: Look) -> tuple[Box, Alpha] | None:
    """A crop and the matte of the person in it, if two looks agree that there is one."""
    seen = candidate
    for _ in range(STEPS):
        wide = seen.grown(MARGINS[0], photo.shape)
        first = _part(_stretched(look(photo[wide.slices], size), wide), seen.moved(-wide.top, -wide.left))
        if not first.any():
            return None
        seen = _bounds(first).moved(wide.top, wide.left)
        if not _ends_at(seen, wide, photo.shape):
            break
    narrow = seen.grown(MARGINS[1], photo.shape)
    alpha = _stretched(look(photo[narrow.slices], size), narrow)
    second = _part(alpha, seen.moved(-narrow.top, -narrow.left))
    both = wide.within(narrow)
    a, b = (mask[both.moved(-box.top, -box.left).slices] for mask, box in ((first, wide), (second, narrow)))
    if (a & b).sum() < AGREEMENT * max(1, (a | b).sum()):
        return None
    # What is near and faint belongs to the person, what lies apart does not.
    labels = cv2.connectedComponents((alpha >= _FAINT).astype(np.uint8))[1]
    own = np.bincount(labels[second], minlength=labels.max() + 1)[labels] > 0
    return narrow, np.where(own, alpha, np.float32(0))


def _stretched(alpha: Alpha, box: Box) -> Alpha:
    """An alpha, resized to its crop."""
    return np.asarray(cv2.resize(alpha, box.sides[::-1]), np.float32)


def _part(alpha: Alpha, box: Box) -> Mask:
    """The connected part of an alpha that has most of a box; an empty mask if nothing lies in it."""
    labels = cv2.connectedComponents((alpha >= _SOLID).astype(np.uint8))[1]
    areas = np.bincount(labels[box.slices].ravel(), minlength=1)
    areas[0] = 0
    return labels == areas.argmax() if areas.any() else np.zeros(alpha.shape, np.bool_)


def _ends_at(box: Box, crop: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box ends where a crop does, inside the photo."""
    limits = (0, 0, *shape[:2])
    return any(a == b != limit for a, b, limit in zip(box, crop, limits, strict=True))


def _bounds(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
