"""Which formats of pictures are read, and what to say of those that are not."""

from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import IO

from PIL import Image

from sdnet_pl.data.camera_raw import RAW_SUFFIXES, is_raw, tiff_directories

RAW_REMEDY = "develop it, and save it as a JPEG or TIFF"
DEPTH_REMEDY = "save it as grey, RGB or RGBA with 8 or 16 bits a channel"
MAX_MEGAPIXELS = 250
"""Larger pictures are refused: the sensors of phones end at 200."""

# What Pillow names and cannot decode alone (drawings, films, data), or only with another program.
_NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF")
# Known without loading all of Pillow's formats, which takes as long as the network
_COMMON = (".jpg", ".jpeg", ".png", ".webp")
# Names of formats that Pillow reads under others.
_ALSO = (".jif", ".mpo", ".pjp", ".pjpeg")
# The package that teaches Pillow a format, what it is called, and its files' suffixes.
_PLUGINS = (
    ("pillow_heif", "HEIC", "pillow-heif", (".heic", ".heics", ".heif", ".heifs", ".hif")),
    ("pillow_jxl", "JPEG XL", "pillow-jxl-plugin", (".jxl",)),
)
_VIDEOS = (".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv")
_HEIC = tuple(
    (4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)
_JXL = ((0, b"\xff\x0a"), (4, b"JXL "))
_FLOATS = (b"v/1\1", b"#?RADIANCE", b"#?RGBE")  # OpenEXR, Radiance
_BITS, _CHANNELS, _SAMPLE_FORMAT = 258, 277, 339  # tags of TIFF


@cache
def register_plugins() -> tuple[str, ...]:
    """Let Pillow read what the packages installed beside it know; returns the modules that are there."""
    found = []
    for module, *_ in _PLUGINS:
        try:
            plugin = import_module(module)
        except ImportError:
            continue
        if module == "pillow_heif":
            plugin.register_heif_opener()
        found.append(module)
    return tuple(found)


@cache
def picture_suffixes() -> frozenset[str]:
    """The suffixes of pictures that are read, in lower case; upper case is read too."""
    register_plugins()
    formats = Image.registered_extensions()  # which loads all of Pillow's
    return frozenset(_ALSO) | {
        suffix for suffix, name in formats.items() if name in Image.OPEN and name not in _NO_PICTURES
    }


def names_picture(file: PurePath) -> bool:
    """Whether a file is a picture that is read, by the end of its name."""
    suffix = file.suffix.lower()
    return suffix in _COMMON or suffix in picture_suffixes()


def names_video(file: PurePath) -> bool:
    """Whether a file is a video by the end of its name; an animated GIF is a picture."""
    return file.suffix.lower() in _VIDEOS


def reason_by_name(file: PurePath) -> str | None:
    """Why a file is not read as a picture, by the end of its name; None for a picture."""
    if names_picture(file):
        return None
    suffix = file.suffix.lower()
    if suffix in RAW_SUFFIXES:
        return f"a camera raw file: {RAW_REMEDY}"
    for _, name, package, suffixes in _PLUGINS:
        if suffix in suffixes:
            return f"{name}: install {package}, or save it as a JPEG"
    return "no picture by its name"


def reason_by_content(file: IO[bytes], name: str, opened: str | None = None) -> str | None:
    """What an unsupported file is and what to do, as a message to follow its name; None if it is not recognised.

    Args:
        file: open for reading.
        name: what it is called.
        opened: the format that Pillow took it for, if any.
    """
    if opened not in (None, "TIFF"):
        return None
    if is_raw(file) or PurePath(name).suffix.lower() in RAW_SUFFIXES:
        return f"is a camera raw file, whose only finished pictures are small previews; {RAW_REMEDY}."
    if opened:
        return None
    if names_video(PurePath(name)):
        return "is a video; cut the people out of it with sdnet-pl video."
    file.seek(0)
    head = file.read(32)
    for module, kind, package, _ in _PLUGINS:
        signatures = _HEIC if module == "pillow_heif" else _JXL
        if module not in register_plugins() and any(head[start:].startswith(sign) for start, sign in signatures):
            return f"is a {kind} picture, and {package} is not installed; install it, or save the picture as a JPEG."
    directories = tiff_directories(file)
    if head.startswith(_FLOATS) or any(tags.get(_SAMPLE_FORMAT, (1,))[0] == 3 for tags in directories[:1]):
        return f"holds floating-point values, whose white is unknown; {DEPTH_REMEDY}."
    if directories:
        bits, channels = (directories[0].get(tag, (1,)) for tag in (_BITS, _CHANNELS))
        return f"is a TIFF with {channels[0]} channel(s) of {bits[0]} bits in a form that is not read; {DEPTH_REMEDY}."
    return None
