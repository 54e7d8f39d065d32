"""Pictures that show an int8 network its ranges, and on which an exported network is compared with PyTorch's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.image_io import list_pictures, read_rgb
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.inference.inputs import scale_down, to_input

# Enough for the ranges of activations to settle, and a matter of seconds.
PICTURES = 16


def some_of(files: Sequence[Path], number: int) -> Sequence[Path]:
    """As many files at most, at least 1, spread evenly over all."""
    return [files[i * len(files) // number] for i in range(number)] if len(files) > number else files


def from_folder(folder: Path, size: int, number: int = PICTURES) -> list[NDArray[np.float32]]:
    """Photos spread evenly over a folder, as :class:`MattePredictor` shows them to a network.

    Args:
        folder: searched with its sub-folders.
        size: the longer side in pixels down to which photos are scaled.
        number: of photos at most, at least 1.

    Returns:
        Float32 ``[1, 3, H, W]`` each, RGB in [0, 1].

    Raises:
        InputError: the folder is missing or empty, or a photo does not decode.
    """
    files = some_of(list_pictures(folder), number)
    return [to_input(scale_down(read_rgb(file), size)[0]) for file in files]


def built_in(size: int, trimap: bool) -> list[NDArray[np.float32]]:
    """Drawn portraits over drawn backgrounds, the same at every call.

    Args:
        size: height and width in pixels.
        trimap: adds the trimap as fourth channel.

    Returns:
        16 of float32 ``[1, 3 or 4, size, size]`` in [0, 1].
    """
    people, places = ProceduralPortraits(PICTURES, size), ProceduralBackgrounds(PICTURES, size)
    pictures = []
    for i in range(PICTURES):
        person = people.load(i)
        picture = to_input(composite_uint8(person, places.load(i)))
        if trimap:
            known = np.rint(evaluation_trimap(person.alpha) / np.float32(127.5)) / np.float32(2)
            picture = np.concatenate([picture, known[None, None]], axis=1)
        pictures.append(picture)
    return pictures
