"""Against flicker: a frame's alpha that differs from that of both neighbours although the picture stands still."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.inference.video.reader import Frame

_SIDE = 384
"""Pixels of the longer side at which pictures are compared: the blur of scaling takes most of a camera's noise off."""
_SIGMA = 2.0
_STILL, _MOVED = 2.0, 6.0
"""Grey levels by which the blurred picture changes, at most where it stands still and at least where it does not."""


class Matted(NamedTuple):
    """A frame with its alpha.

    Attributes:
        frame: the frame.
        alpha: of it, float32 ``[H, W]`` in [0, 1].
        small: the frame small and blurred, to be compared with its neighbours.
    """

    frame: Frame
    alpha: NDArray[np.float32]
    small: NDArray[np.float32]

    @classmethod
    def of(cls, frame: Frame, alpha: NDArray[np.float32]) -> Self:
        """A frame with its alpha."""
        return cls(frame, alpha, _small(frame.image))


Window = tuple[Matted | None, Matted, Matted | None]
"""A frame between those before and after it, where there are any."""


def windows(frames: Iterable[Matted]) -> Iterator[Window]:
    """Each frame with its neighbours, in the order of time; it looks one frame ahead."""
    before: Matted | None = None
    middle: Matted | None = None
    for after in frames:
        if middle is not None:
            yield before, middle, after
        before, middle = middle, after
    if middle is not None:
        yield before, middle, None


def steadied(window: Window) -> NDArray[np.float32]:
    """The alpha of a frame, float32 ``[H, W]`` in [0, 1]: the median of three in time where the picture stands still.

    The frames before and after count alike, so nothing lags. Where the picture changes towards either of them, the
    alpha stays as it is, and that of the first and the last frame too. A median leaves a step in time where it is; an
    average over frames would smear it, and on made clips it raises the error, which the median lowers a little
    (`python -m benchmarks.video`).
    """
    before, middle, after = window
    own = middle.alpha
    if before is None or after is None:
        return own
    change = cv2.max(*(cv2.absdiff(middle.small, other.small) for other in (before, after))).max(axis=2)
    weight = cv2.resize(((_MOVED - change) / (_MOVED - _STILL)).clip(0, 1), own.shape[::-1])
    least, most = cv2.min(before.alpha, after.alpha), cv2.max(before.alpha, after.alpha)
    median = cv2.max(least, cv2.min(most, own))
    return np.asarray(own + weight * (median - own), np.float32)


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    scale = min(1, _SIDE / max(image.shape))
    size = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _SIGMA), np.float32)
