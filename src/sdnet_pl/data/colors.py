"""The colours that a picture file means, brought to sRGB: by its ICC profile, or by what it holds in place of one."""

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from sdnet_pl.data.profiles import adobe_rgb, cicp_profile, gamma_profile

_GREYS = ("L", "I;16", "I;16L", "I;16B", "I;16N")
_SPACES = {"RGB": "an RGB", "GRAY": "a grey", "CMYK": "a CMYK"}
# Profiles of sRGB differ by roundings: nobody sees as much, and to leave them as they are costs no time.
_INVISIBLE = 2


def file_profile(picture: Image.Image) -> bytes | None:
    """The ICC profile of the colours of an opened picture, None where they are sRGB or nothing is said of them.

    Where there is none it is made of what else a file says: the code points of PNG (cICP) and AVIF (nclx), gamma and
    primaries of PNG, Adobe RGB as cameras mark it (DCF). Empty where the file's own is damaged.

    Args:
        picture: opened, not decoded yet.
    """
    stream = picture.fp
    place = stream.tell() if stream else 0
    try:
        return _file_profile(picture, stream)
    except (OSError, ValueError, IndexError, struct.error):  # boxes and chunks of a damaged file
        return picture.info.get("icc_profile")
    finally:
        if stream:
            stream.seek(place)


def _file_profile(picture: Image.Image, stream: IO[bytes] | None) -> bytes | None:
    kind, known = picture.format, picture.info
    if kind == "PNG" and stream:
        points = next((data for name, data in _chunks(stream) if name == b"cICP"), b"")
        if len(points) == 4:  # by the standard these come before a profile
            return cicp_profile(points[0], points[1])
    if kind == "JPEG2000" and stream:
        for box in _boxes(stream, 0, _end(stream), (b"jp2h", b"colr")):
            if box[:1] == b"\2":  # a profile, after precedence and approximation
                return box[3:]
    if "icc_profile" in known:
        return known["icc_profile"] or b""
    if kind == "PNG" and "gamma" in known and "srgb" not in known:
        return gamma_profile(known["gamma"], known.get("chromaticity"))
    if kind == "AVIF" and stream:
        for box in _boxes(stream, 0, _end(stream), (b"meta", b"iprp", b"ipco", b"colr")):
            if box[:4] == b"nclx":
                return cicp_profile(*struct.unpack_from(">HH", box, 4))
    if kind in ("JPEG", "MPO", "TIFF") and _is_adobe_rgb(picture):
        return adobe_rgb()
    return None


def to_srgb(picture: Image.Image, profile: bytes, name: object) -> Image.Image:
    """A decoded picture without transparency in sRGB: RGB or L, or as it was where its colours are that already.

    A profile that cannot be applied is left out, with a warning that names the file.

    Args:
        picture: of 8 bits a channel, or grey of 16.
        profile: as from :func:`file_profile`.
        name: what the warning calls the file.
    """
    try:
        space = _opened(profile).profile.xcolor_space.strip()
        if picture.mode in ("1", *_GREYS) and space in ("GRAY", "RGB"):
            grey = np.asarray(picture if picture.mode in _GREYS else picture.convert("L"))
            return Image.fromarray(_grey_table(profile, space, 256 if grey.dtype == np.uint8 else 65536)[grey])
        if space == "RGB" and picture.mode not in ("CMYK", "LAB"):
            picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        elif not space == picture.mode == "CMYK":
            raise ValueError(f"it is {_SPACES.get(space, 'another')} profile of a picture in {picture.mode}")
        transform = _transform(profile, space)
        return picture if transform is None else ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, IndexError) as error:
        warnings.warn(
            f"{name} has a colour profile that cannot be used ({error}): its colours are taken for sRGB.", stacklevel=2
        )
        return picture


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from a profile to sRGB, None where it changes nothing that is seen."""
    transform = ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    probe = np.concatenate([colors, greys], axis=1)
    shown = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform), np.int16)
    return None if np.abs(shown - probe).max() <= _INVISIBLE else transform


@lru_cache(maxsize=16)
def _grey_table(profile: bytes, space: str, levels: int) -> NDArray[np.uint8]:
    """The grey of sRGB, in 8 bits, of each level of a grey picture by its profile, which may be one of RGB."""
    if space == "RGB":
        ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
        transform = _transform(profile, space)
        shown = ramp if transform is None else ImageCms.applyTransform(Image.fromarray(ramp), transform)
    else:
        ramp = np.arange(levels, dtype=np.uint8 if levels == 256 else np.uint16)[None]
        # Without LittleCMS's shortcut, which makes dark linear greys darker by up to 10 of 255.
        flags, mode = ImageCms.Flags.NOOPTIMIZE, "L" if levels == 256 else "I;16"
        transform = ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)
        shown = ImageCms.applyTransform(Image.fromarray(ramp), transform)
    table = np.asarray(shown, np.float64)[0, :, 1]
    return np.interp(np.linspace(0, 255, levels), np.linspace(0, 255, len(table)), table).round().astype(np.uint8)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    if not profile:
        raise ValueError("it is damaged")
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _is_adobe_rgb(picture: Image.Image) -> bool:
    """Whether a camera marked a picture as of Adobe RGB, which many do in place of a profile (DCF 2.0, 4.6.2)."""
    with suppress(Exception):  # a damaged EXIF block makes Pillow raise nearly everything
        exif = picture.getexif()
        return (
            ExifTags.IFD.Exif in exif and exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex) == "R03"
        )
    return False


def _chunks(png: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The chunks before the pixels of a PNG."""
    png.seek(8)
    while len(head := png.read(8)) == 8 and head[4:] != b"IDAT":
        yield head[4:], png.read(int.from_bytes(head[:4]))
        png.seek(4, os.SEEK_CUR)  # the checksum


def _boxes(stream: IO[bytes], start: int, end: int, path: tuple[bytes, ...]) -> Iterator[bytes]:
    """What the boxes at a path of kinds hold, in JPEG 2000, AVIF and HEIC (ISO 14496-12, 4.2)."""
    while start + 8 <= end:
        stream.seek(start)
        size, kind, body = *struct.unpack(">L4s", stream.read(8)), start + 8
        if size == 1:
            size, body = int.from_bytes(stream.read(8)), start + 16
        after = start + size if size else end
        if after < body:
            return
        if kind == path[0] and len(path) == 1:
            stream.seek(body)
            yield stream.read(after - body)
        elif kind == path[0]:
            yield from _boxes(stream, body + 4 * (kind == b"meta"), after, path[1:])  # meta has a version first
        start = after


def _end(stream: IO[bytes]) -> int:
    return stream.seek(0, os.SEEK_END)
