"""The picture files that are written from photos: PNG, WebP and JPEG, with the photo's metadata and notes."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.files import atomic_write, to_disk
from sdnet_pl.data.image_io import encode_png
from sdnet_pl.data.metadata import Metadata
from sdnet_pl.data.notes import to_software
from sdnet_pl.errors import InputError

MOST_PIXELS = {"webp": 16383, "jpg": 65500}
"""The longest side that a format holds."""
SUFFIXES = {".png": "png", ".webp": "webp", ".jpg": "jpg", ".jpeg": "jpg"}


def format_of(path: Path) -> str | None:
    """``png``, ``webp`` or ``jpg`` by the end of a name; None for any other."""
    return SUFFIXES.get(path.suffix.lower())


def check_side(name: object, shape: tuple[int, ...], kind: str) -> None:
    """Refuse a picture that a format cannot hold.

    Raises:
        InputError: a side is too long.
    """
    if max(shape[:2]) > MOST_PIXELS.get(kind, max(shape[:2])):
        raise InputError(
            f"{name} is {shape[1]}x{shape[0]} pixels, and a side of a {kind} has at most {MOST_PIXELS[kind]}; write a "
            "png, or scale the photo down."
        )


def write_picture(
    path: str | Path,
    pixels: NDArray[np.uint8],
    metadata: Metadata | None = None,
    texts: Mapping[str, str] | None = None,
    kind: str = "png",
    replace: bool = True,
) -> None:
    """Write a picture as :func:`encode_picture` does, whole or not at all; parents are made.

    It is on the disk before it takes its name: an empty file that a power cut leaves would not carry our mark.

    Raises:
        FileExistsError: as of :func:`sdnet_pl.data.files.atomic_write` without ``replace``.
        OSError: the disk is full or the folder cannot be written.
    """
    with atomic_write(path, replace) as temporary:
        with temporary.open("wb") as stream:
            encode_picture(stream, pixels, metadata, texts, kind)
        to_disk(temporary)


def encode_picture(
    stream: BinaryIO,
    pixels: NDArray[np.uint8],
    metadata: Metadata | None = None,
    texts: Mapping[str, str] | None = None,
    kind: str = "png",
) -> None:
    """Write uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` to a stream.

    A WebP is lossless, colours under alpha 0 included. A JPEG has quality 95 and its colours at full resolution.

    Args:
        stream: where to.
        pixels: of one channel, of RGB, or of RGBA with straight alpha, in sRGB.
        metadata: of the photo that they come from.
        texts: notes by their keywords, as of :func:`sdnet_pl.data.provenance.mark`.
        kind: ``png``, ``webp`` or ``jpg``, which has no alpha.

    Raises:
        ValueError: the array has another type or shape.
        OSError: the stream takes no more.
    """
    if kind == "png":
        encode_png(stream, pixels, metadata, texts)
        return
    known = metadata or Metadata()
    options: dict[str, Any] = {"exif": b"Exif\0\0" + known.exif(to_software(texts or {}))}
    if kind == "webp":
        options |= {"lossless": True, "exact": True, "quality": 20, "method": 2}
    else:
        options |= {"quality": 95, "subsampling": 0}
        if known.dpi:
            options["dpi"] = tuple(round(dpi) for dpi in known.dpi)
    # In memory first: of a full disk Pillow's encoders say nothing that a user would understand.
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "WEBP" if kind == "webp" else "JPEG", **options)
    stream.write(packed.getbuffer())
