"""A photo with all that decides on what is made of it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.image_io import PackedPicture, read_photo, sha256
from sdnet_pl.data.metadata import Metadata
from sdnet_pl.errors import InputError


class Photo(NamedTuple):
    """A photo that is read.

    Attributes:
        image: RGB uint8 ``[H, W, 3]``, upright, in sRGB.
        metadata: what belongs into what is made of it.
        sha256: of its file.
    """

    image: NDArray[np.uint8]
    metadata: Metadata
    sha256: str

    @classmethod
    def read(cls, source: Path | PackedPicture) -> "Photo":
        """Read a file.

        Raises:
            InputError: it is missing, damaged, no picture, or larger than is decoded.
        """
        image, metadata = read_photo(source)
        try:
            return cls(image, metadata, sha256(source))
        except OSError as error:
            raise InputError(f"{source} was lost while it was read ({error.strerror}); check the path.") from error
