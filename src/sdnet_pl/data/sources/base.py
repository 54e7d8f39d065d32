"""What every source of foregrounds and backgrounds offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Item = TypeVar("Item", covariant=True)
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
    """A photo of people in their surroundings, their alpha, and where that is reliable.

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


class Source(ABC, Generic[Item]):
    """Numbered pictures to train on or to score. Pure: an index gives the same pixels in every process and epoch.

    Attributes:
        endless: Every index gives a new picture; otherwise the indices start again after the last.
    """

    endless = False

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures one round of the training draws from this source."""

    @property
    def pictures(self) -> int:
        """How many different pictures there are (an endless source: as many as its length)."""
        return len(self)

    @abstractmethod
    def load(self, index: int) -> Item:
        """The picture number ``index`` >= 0; a source that is not endless wraps around at its end."""

    @abstractmethod
    def fingerprint(self, index: int) -> str:
        """A sha256 that changes whenever the pixels of ``load(index)`` do."""

    def name(self, index: int) -> str:
        """What people call the picture: its path below the folder without suffix, or its number."""
        return str(index)

    def picture_files(self) -> Sequence[PictureFile]:
        """The files that it reads, which can be checked before a long job; none if a picture is not a file."""
        return ()


class ForegroundSource(Source[Foreground]):
    """People with their alpha.

    Attributes:
        estimated_edge: The alphas are right about where the person is; their soft edge is an estimate, and half of
            the samples do not teach it.
    """

    estimated_edge = False


class BackgroundSource(Source[Image]):
    """Pictures without people: uint8 ``[H, W, 3]``, RGB."""


class PhotoSource(Source[LabelledPhoto]):
    """Photos of people in their surroundings, with an alpha or a mask."""
