"""What every source of foregrounds and backgrounds offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Role = Literal["picture", "cutout", "alpha", "published", "prediction", "mask", "known", "trimap"]


class Foreground(NamedTuple):
    """A person cut out: straight colours and the opacity they have.

    Attributes:
        color: uint8 ``[H, W, 3]``, RGB, meaningful also where alpha is 0 (extended), so that it can be warped.
        alpha: uint8 ``[H, W]``, 0 transparent to 255 opaque.
    """

    color: Image
    alpha: Image


class LabelledPhoto(NamedTuple):
    """A photo of people in their surroundings, their alpha, and where that can be relied on.

    Attributes:
        photo: uint8 ``[H, W, 3]``, RGB.
        alpha: uint8 ``[H, W]``, 0 to 255; of a mask 0 and 255 alone.
        known: uint8 ``[H, W]``: 255 where alpha is certain, 0 where it is not.
    """

    photo: Image
    alpha: Image
    known: Image


class PictureFile(NamedTuple):
    """A file that a source reads.

    Attributes:
        path: The file.
        role: What it is read as. A ``cutout`` has an alpha channel; a ``published`` alpha may be RGB of equal channels.
        folder: What its alpha is compared with: the others of this folder.
    """

    path: Path
    role: Role
    folder: str


class ForegroundSource(ABC):
    """People with their alpha. Pure: the same index gives the same pixels in every process and epoch.

    Attributes:
        endless: Every index gives somebody new; otherwise the indices start again after the last picture.
        estimated_edge: The alphas are right about where the person is; their soft edge is an estimate, and half of
            the samples do not teach it.
    """

    endless = False
    estimated_edge = False

    @abstractmethod
    def __len__(self) -> int:
        """How many foregrounds one round of the training draws from this source."""

    @property
    def pictures(self) -> int:
        """How many different foregrounds there are (an endless source: as many as its length)."""
        return len(self)

    @abstractmethod
    def load(self, index: int) -> Foreground:
        """The foreground number ``index`` >= 0. Folders wrap around at their end."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)

    def picture_files(self) -> Sequence[PictureFile]:
        """The files behind it, which can be checked before a long job; none where there is no file a picture."""
        return ()


class BackgroundSource(ABC):
    """Pictures without people. Pure, and endless or not, in the same sense as :class:`ForegroundSource`."""

    endless = False

    @abstractmethod
    def __len__(self) -> int:
        """How many backgrounds there are (an endless source: a nominal number), times their weight."""

    @property
    def pictures(self) -> int:
        """How many different backgrounds there are (an endless source: as many as its length)."""
        return len(self)

    @abstractmethod
    def load(self, index: int) -> Image:
        """The background number ``index`` >= 0: uint8 ``[H, W, 3]``, RGB."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)

    def picture_files(self) -> Sequence[PictureFile]:
        """The files behind it, which can be checked before a long job; none where there is no file a picture."""
        return ()


class PhotoSource(ABC):
    """Photos of people with an alpha or a mask. Pure, and endless or not, as :class:`ForegroundSource`."""

    endless = False

    @abstractmethod
    def __len__(self) -> int:
        """How many photos there are, times their weight."""

    @property
    def pictures(self) -> int:
        """How many different photos there are."""
        return len(self)

    @abstractmethod
    def load(self, index: int) -> LabelledPhoto:
        """The photo number ``index`` >= 0; folders wrap around at their end."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)

    def picture_files(self) -> Sequence[PictureFile]:
        """The files behind it, which can be checked before a long job; none where there is no file a picture."""
        return ()
