"""Reading and writing of images: whatever users have becomes uint8 RGB, RGBA or alpha; files are written whole."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.decoding import (
    PackedPicture,
    as_mode,
    decode,
    decode_rgb,
    has_alpha,
    has_metadata_behind_pixels,
    opened,
    orientation,
    unknown_white,
)
from sdnet_pl.data.files import atomic_write
from sdnet_pl.data.listing import list_pictures, picture_name, pictures_by_name
from sdnet_pl.data.metadata import Metadata, read_metadata
from sdnet_pl.data.png import encode, text_chunks
from sdnet_pl.errors import InputError

__all__ = [
    "Header",
    "PackedPicture",
    "atomic_write",
    "encode_png",
    "list_pictures",
    "picture_name",
    "pictures_by_name",
    "read_alpha",
    "read_header",
    "read_photo",
    "read_rgb",
    "read_rgba",
    "require_alpha",
    "require_single_channel",
    "sha256",
    "to_alpha",
    "write_jpeg",
    "write_png",
]

_SINGLE_CHANNEL = ("1", "L", "I", "I;16", "I;16L", "I;16B", "I;16N")


class Header(NamedTuple):
    """What a picture file says of itself before it is decoded.

    Attributes:
        height: rows of the upright picture, in pixels.
        width: columns of the upright picture, in pixels.
        mode: Pillow's name of the pixel format, such as ``"L"`` or ``"RGBA"``.
        has_alpha: whether there is an alpha channel or a transparent colour.
    """

    height: int
    width: int
    mode: str
    has_alpha: bool


def read_header(path: str | Path) -> Header:
    """Size, pixel format and transparency of a picture, without decoding its pixels.

    Raises:
        InputError: the file is missing or no picture.
    """
    with opened(path) as picture:
        width, height = picture.size
        # Pillow decodes a PNG's pixels to find metadata after them.
        front_only = picture.format == "PNG" and not has_metadata_behind_pixels(path)
        # Pillow has turned the size of a TIFF already.
        if orientation(picture, front_only) >= 5 and picture.format != "TIFF":
            width, height = height, width
        return Header(height, width, picture.mode, has_alpha(picture))


def read_rgb(path: str | Path | PackedPicture) -> NDArray[np.uint8]:
    """The first frame of a picture, upright by its EXIF orientation: uint8 ``[H, W, 3]``, RGB.

    Any pixel format is taken. Transparent parts are shown over white, as most viewers do; 16-bit values are brought
    to 8 bit over their full range.

    Raises:
        InputError: the file is missing, damaged, no picture, or larger than Pillow decodes.
    """
    with opened(path) as picture:
        return decode_rgb(picture, path)


def read_photo(path: str | Path | PackedPicture) -> tuple[NDArray[np.uint8], Metadata]:
    """The pixels that :func:`read_rgb` gives, and what of the photo's metadata belongs into a cut-out of it.

    Raises:
        InputError: as :func:`read_rgb`.
    """
    with opened(path) as picture:
        # A TIFF's cannot be read once it is decoded, and a PNG's may come after its pixels.
        early = picture.format != "PNG" and read_metadata(picture)
        pixels = decode_rgb(picture, path)
        return pixels, early or read_metadata(picture)


def read_rgba(path: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A cut-out: its straight colours, uint8 ``[H, W, 3]``, and its alpha, uint8 ``[H, W]``, upright.

    Raises:
        InputError: as :func:`read_rgb`, and for a picture without transparency.
    """
    with opened(path) as picture:
        transparent = has_alpha(picture)
        decoded = decode(picture, path)
        require_alpha(path, transparent)
        pixels = np.array(as_mode(decoded, "RGBA"))
    color, alpha = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), cv2.extractChannel(pixels, 3)
    return np.asarray(color, np.uint8), np.asarray(alpha, np.uint8)


def read_alpha(path: str | Path | PackedPicture, equal_channels: bool = False) -> NDArray[np.uint8]:
    """An alpha saved as a picture of one channel (8 bit, 16 bit, 1 bit or a grey palette): uint8 ``[H, W]``, upright.

    Args:
        path: the picture.
        equal_channels: also take RGB whose channels are equal, opaque where it has transparency, as public data sets
            store some of their alphas.

    Raises:
        InputError: as :func:`read_rgb`, and for a picture with colours or transparency of its own.
    """
    with opened(path) as file:
        mode, transparent = file.mode, has_alpha(file)
        picture = decode(file, path, colors=False)
        if not equal_channels:
            require_single_channel(path, mode, transparent)
        return to_alpha(picture, path)


def to_alpha(picture: Image.Image, name: str | Path | PackedPicture) -> NDArray[np.uint8]:
    """A decoded picture of equal channels as uint8 ``[H, W]``.

    Raises:
        InputError: it has colours, or transparency of its own.
    """
    if picture.mode in _SINGLE_CHANNEL and not has_alpha(picture):
        return np.array(as_mode(picture, "L"))
    colors = np.array(picture.convert("RGBA"))
    if (colors[..., 3] != 255).any():
        raise _color_alpha(name, "transparency of its own")
    if (colors[..., :3] != colors[..., :1]).any():
        raise _color_alpha(name, "a palette of colours" if picture.mode == "P" else "channels that differ: colours")
    return np.ascontiguousarray(colors[..., 0])


def require_alpha(path: str | Path, has_alpha: bool) -> None:
    """Refuse a cut-out that has no transparency, by what its header says.

    Raises:
        InputError: ``has_alpha`` is false.
    """
    if not has_alpha:
        raise InputError(
            f"{path} has no alpha channel, and a cut-out needs one; save it as RGBA, "
            "or keep photo and alpha as two files of one name in fg/ and alpha/."
        )


def require_single_channel(path: str | Path | PackedPicture, mode: str, has_alpha: bool) -> None:
    """Refuse an alpha with colour channels, equal or not, or with transparency of its own, by what its header says.

    Raises:
        InputError: the pixel format is not one of a single channel.
    """
    if mode == "F":
        raise unknown_white(path)
    if has_alpha or mode not in (*_SINGLE_CHANNEL, "P"):
        raise _color_alpha(
            path, "transparency" if mode in (*_SINGLE_CHANNEL, "P") else f"{Image.getmodebands(mode)} channels"
        )


def write_png(
    path: str | Path,
    pixels: NDArray[np.uint8],
    metadata: Metadata | None = None,
    texts: Mapping[str, str] | None = None,
    small: bool = False,
) -> None:
    """Write uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` as a PNG, whole or not at all; parents are made.

    Args:
        path: the file.
        pixels: of RGB, or RGBA with straight alpha, in sRGB.
        metadata: of the photo that they come from.
        texts: notes by their keywords, such as ``"Software"``.
        small: as of :func:`sdnet_pl.data.png.encode`, for figures.

    Raises:
        ValueError: the array has another type or shape.
        OSError: the disk is full or the folder cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        encode_png(stream, pixels, metadata, texts, small)


def encode_png(
    stream: BinaryIO,
    pixels: NDArray[np.uint8],
    metadata: Metadata | None = None,
    texts: Mapping[str, str] | None = None,
    small: bool = False,
) -> None:
    """Write a PNG to a stream; see :func:`write_png`.

    Raises:
        ValueError: the array has another type or shape.
        OSError: the stream takes no more.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ValueError(f"a PNG takes uint8 [H, W], [H, W, 3] or [H, W, 4], not {pixels.dtype} {pixels.shape}")
    chunks = [*(metadata.png_chunks() if metadata else ()), *text_chunks(texts or {})]
    encode(stream, pixels, chunks, small)


def write_jpeg(path: str | Path, pixels: NDArray[np.uint8], quality: int = 95) -> None:
    """Write uint8 ``[H, W, 3]`` as a JPEG with colours at full resolution (4:4:4), whole or not at all.

    Raises:
        ValueError: the array has another type or shape.
        OSError: the disk is full or the folder cannot be written.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a JPEG takes uint8 [H, W, 3], not {pixels.dtype} {pixels.shape}")
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="JPEG", quality=quality, subsampling=0)


def sha256(path: str | Path | PackedPicture) -> str:
    """The sha256 of a file's bytes, as hexadecimal digits."""
    if isinstance(path, PackedPicture):
        return hashlib.sha256(path.getbuffer()).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _color_alpha(path: str | Path | PackedPicture, found: str) -> InputError:
    return InputError(
        f"{path} has {found}, and an alpha has exactly one channel; save it as a single-channel (greyscale) picture."
    )
