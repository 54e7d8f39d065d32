"""The colours that a picture file means, brought to sRGB: by its ICC profile, or by what it holds instead of one."""

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from io import BytesIO
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from sdnet_pl.data.icc_profiles import adobe_rgb, cicp_profile, gamma_profile, matrix_to_srgb
from sdnet_pl.errors import InputWarning

_GREYS = ("L", "I;16", "I;16L", "I;16B", "I;16N")
_SPACES = {"RGB": "an RGB", "GRAY": "a grey", "CMYK": "a CMYK"}
# Profiles of sRGB differ by roundings.
_INVISIBLE = 2
_STRIP = 2**18  # values that stay in a processor's cache
_UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, IndexError, struct.error, np.linalg.LinAlgError)


@contextmanager
def file_of(picture: Image.Image) -> Iterator[IO[bytes]]:
    """The file that an image was opened from, read from anywhere and left as it was; empty where it is not there."""
    stream = getattr(picture, "fp", None)
    if stream is None or getattr(stream, "closed", False):  # Pillow takes streams without it
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(open(getattr(picture, "filename", None) or "", "rb"))
            except (OSError, ValueError):
                stream = BytesIO()
            yield stream
        return
    place = stream.tell()
    try:
        yield stream
    finally:
        stream.seek(place)


def file_profile(picture: Image.Image) -> bytes | None:
    """The ICC profile of the colours of a picture, None if they are sRGB or nothing is said of them.

    If there is none, it is made of what else a file says: the code points of PNG (cICP) and AVIF (nclx), gamma and
    primaries of PNG, Adobe RGB as cameras mark it (DCF). Empty where the file's own is damaged.

    Args:
        picture: as opened, or made of one that was: what Pillow keeps of a file counts then.
    """
    try:
        with file_of(picture) as stream:
            profile = _file_profile(picture, stream)
        return None if profile and _is_srgb(profile) else profile
    except (OSError, ValueError, IndexError, struct.error):  # boxes and chunks of a damaged file
        return picture.info.get("icc_profile")


def _file_profile(picture: Image.Image, stream: IO[bytes]) -> bytes | None:
    kind, known = picture.format, picture.info
    if kind == "PNG":
        points = next((data for name, data in _chunks(stream) if name == b"cICP"), b"")
        if len(points) == 4:  # by the standard these come before a profile
            return cicp_profile(points[0], points[1])
    if kind == "JPEG2000":
        for box in _boxes(stream, 0, _end(stream), (b"jp2h", b"colr")):
            if box[:1] == b"\2":  # a profile, after precedence and approximation
                return box[3:]
    if "icc_profile" in known:
        return known["icc_profile"] or b""
    if kind in ("PNG", None) and "gamma" in known and "srgb" not in known:
        return gamma_profile(known["gamma"], known.get("chromaticity"))
    if kind == "HEIF" and (nclx := known.get("nclx_profile")):
        return cicp_profile(nclx["color_primaries"], nclx["transfer_characteristics"])
    if kind == "AVIF":
        for box in _boxes(stream, 0, _end(stream), (b"meta", b"iprp", b"ipco", b"colr")):
            if box[:4] == b"nclx":
                return cicp_profile(*struct.unpack_from(">HH", box, 4))
    if kind in ("JPEG", "MPO", "TIFF", None) and _is_adobe_rgb(picture):
        return adobe_rgb()
    return None


def to_srgb(picture: Image.Image, profile: bytes, name: object) -> Image.Image:
    """A decoded picture without transparency in sRGB: RGB or L, or as it was where its profile cannot be applied.

    A warning names the file of such a profile.

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
        if space in ("RGB", "GRAY") and picture.mode not in ("CMYK", "LAB"):
            return Image.fromarray(_converted(np.array(picture.convert("RGB")), profile, space))
        if space == picture.mode == "CMYK":
            return _applied(_transform(profile, "CMYK"), picture)
        raise ValueError(f"it is {_SPACES.get(space, 'another')} profile of a picture in {picture.mode}")
    except _UNUSABLE as error:
        _warn(name, error)
        return picture


def pixels_to_srgb(pixels: NDArray[np.uint8], profile: bytes, name: object) -> NDArray[np.uint8]:
    """As :func:`to_srgb`, for uint8 ``[H, W, 3]``, which are changed in place where that is faster."""
    try:
        return _converted(pixels, profile, _opened(profile).profile.xcolor_space.strip())
    except _UNUSABLE as error:
        _warn(name, error)
        return pixels


def _converted(pixels: NDArray[np.uint8], profile: bytes, space: str) -> NDArray[np.uint8]:
    """By a profile of RGB or, where the channels are equal but for a decoder's roundings, of greys; else ValueError."""
    if space == "RGB":
        return _rgb_to_srgb(pixels, profile)
    red, green, blue = cv2.split(pixels)
    if space != "GRAY" or max(cv2.absdiff(red, green).max(), cv2.absdiff(blue, green).max()) > _INVISIBLE:
        raise ValueError(f"it is {_SPACES.get(space, 'another')} profile of a picture in RGB")
    return np.asarray(cv2.LUT(pixels, _grey_table(profile, space, 256)), np.uint8)


def _warn(name: object, error: Exception) -> None:
    warnings.warn(
        f"{name} has a colour profile that cannot be used ({error}): its colours are taken for sRGB.",
        InputWarning,
        stacklevel=1,
    )


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    """Whether nobody sees what a profile changes."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    probe = np.concatenate([colors, greys], axis=1)
    try:
        rgb = _opened(profile).profile.xcolor_space == "RGB "
        return rgb and int(np.abs(_rgb_to_srgb(probe.copy(), profile).astype(int) - probe).max()) <= _INVISIBLE
    except _UNUSABLE:
        return False


def _rgb_to_srgb(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """By tables and a matrix in whole numbers, a quarter of LittleCMS's time, in place; or else by LittleCMS."""
    tables = _tables(profile)
    if tables is None:
        return np.array(_applied(_transform(profile, "RGB"), Image.fromarray(pixels)))
    light, matrix, encoded = tables
    for rows in np.array_split(pixels, max(1, pixels.size // _STRIP)):
        linear = cv2.transform(cv2.LUT(rows, light), matrix)
        # Below zero, as numbers without a sign, is above what light reaches.
        np.take(encoded, linear.view(np.uint16), out=rows, mode="clip")
    return pixels


@lru_cache(maxsize=16)
def _tables(profile: bytes) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.uint8]] | None:
    """Light in 15 bits by level and channel, the matrix, and sRGB by light; None if the profile is of another sort."""
    known = matrix_to_srgb(profile)
    if known is None:
        return None
    light = np.arange(32768) / 32767
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    encoded = np.concatenate([np.rint(255 * encoded), np.zeros(32768)]).astype(np.uint8)
    return np.rint(known[0] * 32767).astype(np.int16)[None], known[1], encoded


def _applied(transform: ImageCms.ImageCmsTransform, picture: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(picture, transform)
    assert converted
    return converted


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    # LittleCMS's shortcut makes dark linear greys darker by up to 10 of 255.
    exact = ImageCms.Flags.NONE if mode in ("RGB", "CMYK") else ImageCms.Flags.NOOPTIMIZE
    return ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB", flags=exact)


@lru_cache(maxsize=16)
def _grey_table(profile: bytes, space: str, levels: int) -> NDArray[np.uint8]:
    """The grey of sRGB, in 8 bits, of each level of a grey picture by its profile, which may be one of RGB."""
    if space == "RGB":
        table = _rgb_to_srgb(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2), profile)
    else:
        ramp = np.arange(levels, dtype=np.uint8 if levels == 256 else np.uint16)[None]
        table = np.asarray(_applied(_transform(profile, "L" if levels == 256 else "I;16"), Image.fromarray(ramp)))
    values = table[0, :, 1].astype(float)
    return np.interp(np.linspace(0, 255, levels), np.linspace(0, 255, len(values)), values).round().astype(np.uint8)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    if not profile:
        raise ValueError("it is damaged")
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _is_adobe_rgb(picture: Image.Image) -> bool:
    """Whether a camera marked a picture as of Adobe RGB, which many do instead of a profile (DCF 2.0, 4.6.2)."""
    with suppress(Exception):  # a damaged EXIF block makes Pillow raise nearly everything
        if b"R03" not in picture.info.get("exif", b"R03"):  # which spares most pictures the reading of their EXIF
            return False
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
