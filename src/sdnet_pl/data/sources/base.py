"""What every source of foregrounds and backgrounds offers."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Foreground(NamedTuple):
    """A person cut out: straight colours and the opacity they have.

    Attributes:
        color: uint8 ``[H, W, 3]``, RGB, meaningful also where alpha is 0 (extended), so that it can be warped.
        alpha: uint8 ``[H, W]``, 0 transparent to 255 opaque.
    """

    color: Image
    alpha: Image


class MaskedPhoto(NamedTuple):
    """A photo of people in their surroundings, and where its mask can be relied on.

    Attributes:
        photo: uint8 ``[H, W, 3]``, RGB.
        trimap: uint8 ``[H, W]``: 255 people, 0 everything else, 128 where the mask cannot tell.
    """

    photo: Image
    trimap: Image


class ForegroundSource(ABC):
    """People with their alpha. Pure: the same index gives the same pixels in every process and epoch.

    Attributes:
        endless: Every index gives somebody new; otherwise they begin again behind the last.
        repeat: How often an epoch visits each; the length counts every visit.
    """

    endless = False
    repeat = 1

    @abstractmethod
    def __len__(self) -> int:
        """How many foregrounds one epoch draws from this source."""

    @abstractmethod
    def load(self, index: int) -> Foreground:
        """The foreground number ``index`` >= 0. Folders wrap around at their end."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)


class BackgroundSource(ABC):
    """Pictures without people. Pure, and endless or not, in the same sense as :class:`ForegroundSource`."""

    endless = False
    repeat = 1

    @abstractmethod
    def __len__(self) -> int:
        """How many backgrounds there are (an endless source: a nominal number)."""

    @abstractmethod
    def load(self, index: int) -> Image:
        """The background number ``index`` >= 0: uint8 ``[H, W, 3]``, RGB."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)


class PhotoSource(ABC):
    """Photos of people with a mask. Pure, and endless or not, in the same sense as :class:`ForegroundSource`."""

    endless = False
    repeat = 1

    @abstractmethod
    def __len__(self) -> int:
        """How many photos there are."""

    @abstractmethod
    def load(self, index: int) -> MaskedPhoto:
        """The photo number ``index`` >= 0; folders wrap around at their end."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)
