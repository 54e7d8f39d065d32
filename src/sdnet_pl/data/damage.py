"""Finds files of the right length whose content was lost: a power cut or a full disk leaves zeros in them.

Most decoders make pixels of the zeros without a word. What is found here:

- any damage to the pixels of a PNG, by its checksums;
- zeros at the end of a JPEG, WebP, AVIF or HEIC; decoders refuse those of a GIF, JPEG 2000 or compressed TIFF;
- lost blocks of a disk within a JPEG, JPEG 2000, WebP, AVIF or HEIC.

In formats without compression zeros are black, and nothing tells them from what was lost.
"""

import os
import struct
import zlib
from io import BytesIO
from typing import IO

import numpy as np
from PIL import Image

_PIECE = 1 << 20
_TAIL = 64  # bytes; of the encoders in question, WebP's alone ends a picture in more zeros
_SPARE = 32  # bytes, more than an encoder of WebP adds after the last pixel
_BLOCK = 4096  # bytes, of disks and of memory
_ZEROS_END = ("WEBP", "AVIF", "HEIF")


def damage(file: IO[bytes], kind: str | None) -> str | None:
    """What is wrong with the bytes of a picture, as a text for brackets; None if nothing is found.

    Args:
        file: The file, open for reading; it is read from its start.
        kind: The format in Pillow's terms.
    """
    if kind == "PNG":
        return _png_damage(file)
    if kind in _ZEROS_END and _ends_in_zeros(file) and (kind != "WEBP" or _is_full_early(_all(file))):
        return "it ends in zeros"
    if kind not in (*_ZEROS_END, "JPEG2000", "JPEG", "MPO"):
        return None
    data = _all(file)
    # The marker of a JPEG's end after that where its pixels begin; zeros may follow that some cameras write.
    if kind in ("JPEG", "MPO") and data.endswith(bytes(4)) and b"\xff\xd9" not in data.rpartition(b"\xff\xda")[2]:
        return "it ends in zeros"
    return f"zeros replace {_BLOCK} bytes or more" if lost_block(data) else None


def lost_block(data: bytes | np.ndarray) -> bool:
    """Whether zeros fill whole blocks of a compressed file and begin and end with them.

    Pictures of one colour compress to zeros too, which begin and end anywhere.
    """
    content = np.frombuffer(data, np.uint8)
    blocks = content[: content.size // _BLOCK * _BLOCK].view(np.uint64).reshape(-1, _BLOCK // 8)
    zero = np.pad(~blocks.any(axis=1), 1)
    edges = np.flatnonzero(zero[1:] != zero[:-1]).reshape(-1, 2) * _BLOCK
    # A byte or two that were zeros before may lie beside a block.
    return any(content[max(0, start - 4) : start].any() and content[end : end + 4].any() for start, end in edges)


def _png_damage(png: IO[bytes]) -> str | None:
    """What is wrong with the pixels of a PNG by their checksums, which Pillow does not compare."""
    png.seek(8)
    while len(head := png.read(8)) == 8:
        left, kind = struct.unpack(">L4s", head)
        if kind == b"IEND":
            break
        if not kind.isalpha():
            return "zeros or other bytes replace its end"
        if kind != b"IDAT":
            png.seek(left + 4, os.SEEK_CUR)
            continue
        found = zlib.crc32(kind)
        while left and (piece := png.read(min(left, _PIECE))):
            found, left = zlib.crc32(piece, found), left - len(piece)
        if len(checksum := png.read(4)) < 4:
            return "it ends early"
        if checksum != struct.pack(">L", found):
            return "its checksum does not fit its pixels"
    return None


def _ends_in_zeros(file: IO[bytes]) -> bool:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
    return not any(file.read())


def _is_full_early(webp: bytes) -> bool:
    """Whether the pixels of a WebP are complete before its end, as those that zeros make are.

    A whole file of a picture that ends in one colour may end in zeros too: it does not decode without them.
    """
    place = 12
    kind, size, start = bytes(4), 0, 0
    while place + 8 < len(webp):
        kind, size = struct.unpack_from("<4sL", webp, place)
        if not any(kind):
            return True
        start, place = place + 8, place + 8 + size + size % 2
    if kind not in (b"VP8 ", b"VP8L"):  # metadata, or an animation, of which the first picture is read
        return False
    shorter = webp[8 : start - 4] + struct.pack("<L", size - _SPARE) + webp[start : start + size - _SPARE]
    shorter += bytes(size % 2)
    try:
        Image.open(BytesIO(b"RIFF" + struct.pack("<L", len(shorter)) + shorter)).load()
    except (OSError, ValueError):
        return False
    return True


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
