"""Endless, seeded sources that need no download: the drawn people and backgrounds of :mod:`sdnet_pl.synthetic`."""

import hashlib

import numpy as np

from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image
from sdnet_pl.errors import InputError
from sdnet_pl.synthetic.backgrounds import draw_background
from sdnet_pl.synthetic.portrait import draw_portrait

_MIN_SIZE = 32


class _Procedural:
    """Length, size and seed, checked, and the random generator of an index."""

    endless = True

    def __init__(self, length: int = 1000, size: int = 256, seed: int = 0) -> None:
        if length < 1:
            raise InputError(f"length must be at least 1, got {length}; pass the number of pictures of an epoch")
        if size < _MIN_SIZE:
            raise InputError(
                f"size must be at least {_MIN_SIZE} pixels, got {size}; pass the training size, such as 256"
            )
        if seed < 0:
            raise InputError(f"seed must not be negative, got {seed}; pass 0 or a positive integer")
        self.length, self.size, self.seed = length, size, seed

    def __len__(self) -> int:
        return self.length

    def _rng(self, index: int) -> np.random.Generator:
        if index < 0:
            raise InputError(f"index must not be negative, got {index}; count from 0, the source has no last picture")
        return np.random.default_rng([self.seed, index])


class ProceduralPortraits(_Procedural, ForegroundSource):
    """Endless drawn people: skin, hair, clothes, pose and light differ; some wear glasses, a hat or a thin veil.

    Args:
        length: nominal number of foregrounds of an epoch, at least 1; any index >= 0 can be drawn.
        size: height and width in pixels, at least 32. One index shows the same person at every size.
        seed: at least 0.

    Raises:
        InputError: for a value out of these ranges, or a negative index.

    Example:
        >>> person = ProceduralPortraits(length=8, size=64).load(100)
        >>> person.color.shape, person.alpha.shape, int(person.alpha.min()), int(person.alpha.max())
        ((64, 64, 3), (64, 64), 0, 255)
    """

    def load(self, index: int) -> Foreground:
        """The person ``index`` >= 0: colour uint8 ``[size, size, 3]`` (extended), alpha uint8 ``[size, size]``."""
        return Foreground(*draw_portrait(self._rng(index), self.size))

    def fingerprint(self, index: int) -> str:
        """The sha256 of the pixels of ``load(index)``, 64 hexadecimal digits."""
        return _digest(*self.load(index))


class ProceduralBackgrounds(_Procedural, BackgroundSource):
    """Endless drawn backgrounds without people: walls, rooms, streets, leaves, lights, clutter, sharp or out of focus.

    Args:
        length: nominal number of backgrounds, at least 1; any index >= 0 can be drawn.
        size: height and width in pixels, at least 32. One index shows the same scene at every size.
        seed: at least 0.

    Raises:
        InputError: for a value out of these ranges, or a negative index.

    Example:
        >>> ProceduralBackgrounds(length=8, size=64).load(3).shape
        (64, 64, 3)
    """

    def load(self, index: int) -> Image:
        """The background ``index`` >= 0: uint8 ``[size, size, 3]``."""
        return draw_background(self._rng(index), self.size)

    def fingerprint(self, index: int) -> str:
        """The sha256 of the pixels of ``load(index)``, 64 hexadecimal digits."""
        return _digest(self.load(index))


def _digest(*pictures: Image) -> str:
    sha = hashlib.sha256()
    for picture in pictures:
        sha.update(repr(picture.shape).encode())
        sha.update(np.ascontiguousarray(picture).tobytes())
    return sha.hexdigest()
