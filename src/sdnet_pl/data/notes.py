"""The notes in the PNG, WebP and JPEG files that this package writes, read without decoding them."""

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from PIL import ExifTags, Image

from sdnet_pl.data.png import read_texts

SOFTWARE = "sdnet_pl"
"""What the notes of this package call it."""
_KEYWORD = "Software"
_EXIF = b"Exif\0\0"
_PNG_END = bytes(4) + b"IEND\xaeB`\x82"
_APP1, _START_OF_SCAN = 0xE1, 0xDA


def to_software(notes: Mapping[str, str]) -> str:
    """Notes as one text for EXIF, which has a field for the one called ``Software`` alone: the others follow it.

    Example:
        >>> to_software({"Software": "sdnet_pl 1.0", "job": "7f"})
        'sdnet_pl 1.0; job=7f'
    """
    rest = [f"{key}={text}" for key, text in notes.items() if key != _KEYWORD]
    return "; ".join([notes.get(_KEYWORD, ""), *rest])


def read_notes(path: str | Path) -> dict[str, str]:
    """The notes of a PNG before its pixels, or those of this package in the EXIF of a JPEG or WebP.

    A damaged or another file has none.

    Raises:
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head.startswith(b"\x89PNG"):
            return read_texts(path)
        block = b""
        with suppress(struct.error, EOFError):
            if head.startswith(b"\xff\xd8"):
                block = _exif_of_jpeg(file)
            elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
                block = _exif_of_webp(file)
    if SOFTWARE.encode() not in block:
        return {}
    exif = Image.Exif()
    with suppress(Exception):  # damaged blocks make the parser raise nearly everything
        exif.load(block)
        software, *rest = str(exif.get(ExifTags.Base.Software, "")).split("; ")
        return {_KEYWORD: software} | dict(note.split("=", 1) for note in rest)
    return {}


def is_whole(path: str | Path) -> bool:
    """Whether a PNG, WebP or JPEG reaches its end, as its last bytes say; no other file is asked.

    Raises:
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_PNG_END)))
        tail = file.read()
    if head.startswith(b"\x89PNG"):
        return tail == _PNG_END
    if head[:4] == b"RIFF":
        return size >= 8 + int.from_bytes(head[4:8], "little")
    return not head.startswith(b"\xff\xd8") or tail.endswith(b"\xff\xd9")


def _exif_of_jpeg(file: IO[bytes]) -> bytes:
    file.seek(2)
    while True:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or kind == _START_OF_SCAN:
            return b""
        if kind == _APP1 and (data := file.read(length - 2)).startswith(_EXIF):
            return data
        file.seek(0 if kind == _APP1 else length - 2, 1)


def _exif_of_webp(file: IO[bytes]) -> bytes:
    while True:
        kind, length = struct.unpack("<4sL", file.read(8))
        if kind == b"EXIF":
            return file.read(length)
        file.seek(length + length % 2, 1)
