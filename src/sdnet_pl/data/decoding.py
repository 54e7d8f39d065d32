"""The decoding of picture files, and what to say of those that do not decode."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from sdnet_pl.data.colors import file_of, file_profile, pixels_to_srgb, to_srgb
from sdnet_pl.data.damage import damage, lost_block
from sdnet_pl.data.formats import DEPTH_REMEDY, MAX_MEGAPIXELS, reason_by_content, register_plugins
from sdnet_pl.errors import InputError, InputWarning

# One limit, checked here: Pillow would warn above a third of it, and refuse above two thirds.
Image.MAX_IMAGE_PIXELS = MAX_MEGAPIXELS * 10**6
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# Without libtiff Pillow misreads 16 bits in planes, and does not invert grey that is stored as a plane.
TiffImagePlugin.READ_LIBTIFF = True
# Pillow knows grey of 16 bits whose 0 is white in little-endian files only. It inverts neither: _with_black_0 does.
TiffImagePlugin.OPEN_INFO[b"MM", 0, (1,), 1, (16,), ()] = ("I;16B", "I;16B")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PackedPicture(BytesIO):
    """A picture file in memory, as it lies in a shard.

    Args:
        data: its bytes.
        name: what errors call it.
    """

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return self.name


@contextmanager
def _readable(path: str | Path | PackedPicture) -> Iterator[None]:
    """Turn what decoders raise into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(path) from None
    except (InputError, MemoryError):
        raise
    # Damaged files make decoders raise nearly everything: SyntaxError, struct.error, EOFError, IndexError, OSError.
    except Exception as error:
        if isinstance(path, (str, Path)) and Path(path).is_dir():
            raise InputError(f"{path} is a folder where a picture is expected; give a picture.") from None
        unknown = isinstance(error, Image.UnidentifiedImageError)
        if unknown and (reason := _reason(path)):
            raise InputError(f"{path} {reason}") from None
        raise _unreadable(path, "not a picture of a known format" if unknown else error) from error


def _reason(path: str | Path | PackedPicture, opened: str | None = None) -> str | None:
    with suppress(OSError), _bytes(path) as file:
        return reason_by_content(file, str(path), opened)
    return None


def _bytes(path: str | Path | PackedPicture) -> IO[bytes]:
    """A stream of its own, so that a decoder finds its place again."""
    return BytesIO(path.getvalue()) if isinstance(path, PackedPicture) else open(path, "rb")


@contextmanager
def opened(path: str | Path | PackedPicture) -> Iterator[ImageFile.ImageFile]:
    """A picture whose header is read; what decoders raise, in the block too, becomes one sentence."""
    register_plugins()
    with _readable(path), Image.open(path) as picture:
        if picture.width * picture.height > MAX_MEGAPIXELS * 10**6:
            raise _too_large(path)
        if picture.format == "TIFF":
            if reason := _reason(path, picture.format):
                raise InputError(f"{path} {reason}")
            _seek_full_size(picture)
        yield picture


def _seek_full_size(tiff: ImageFile.ImageFile) -> None:
    """Go to the first picture of a TIFF that is neither a preview nor a mask of another, if there is one."""
    kind, unknown = ExifTags.Base.NewSubfileType, None
    if tiff.getexif().get(kind, 0) & 5 == 0:
        return
    for page in count(1):
        try:
            tiff.seek(page)
        except EOFError:
            break
        except SyntaxError as error:  # of a form that is not read, as masks are
            unknown = error
        else:
            if tiff.getexif().get(kind, 0) & 5 == 0:
                return
    if unknown:  # which may be what the previews are of
        raise unknown
    tiff.seek(0)


def decode_rgb(file: ImageFile.ImageFile, path: str | Path | PackedPicture) -> NDArray[np.uint8]:
    """An opened picture as uint8 ``[H, W, 3]``, upright and in sRGB, transparent parts over white.

    Raises:
        InputError: As of :func:`decode`.
    """
    pixels = _plain_jpeg(file, path)
    return over_white(decode(file, path)) if pixels is None else pixels


def over_white(picture: Image.Image) -> NDArray[np.uint8]:
    """A decoded picture as uint8 ``[H, W, 3]``, transparent parts over white."""
    if has_alpha(picture):
        shown = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return np.array(as_mode(picture, "RGB"))


def _plain_jpeg(picture: ImageFile.ImageFile, path: str | Path | PackedPicture) -> NDArray[np.uint8] | None:
    """The pixels of an upright RGB JPEG by OpenCV: those of Pillow, which copies them three times more.

    None for any other file, and for one that ends early or lacks a block, which is refused later. Other damage gives
    Pillow's pixels too, beside a line of libjpeg's on stderr.
    """
    if picture.format != "JPEG" or picture.mode != "RGB" or orientation(picture) != 1:
        return None
    data = np.frombuffer(path.getvalue(), np.uint8) if isinstance(path, PackedPicture) else np.fromfile(path, np.uint8)
    # OpenCV would fill up a truncated file with grey; a whole one ends in this marker.
    if data[-2:].tobytes() != b"\xff\xd9" or lost_block(data):
        return None
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    pixels = np.asarray(decoded, np.uint8)
    profile = file_profile(picture)
    return pixels if profile is None else pixels_to_srgb(pixels, profile, path)


def as_mode(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in a mode of Pillow's, whose own conversion copies even what has it already."""
    return picture if picture.mode == mode else picture.convert(mode)


def decode(file: ImageFile.ImageFile, path: str | Path | PackedPicture, colors: bool = True) -> Image.Image:
    """The first frame, upright, at most 8 bits a channel, ``colors`` in sRGB; without, values are what they are.

    Raises:
        InputError: It is damaged where its decoder may not see it, or holds values of 32 bits.
    """
    with _bytes(path) as stream:
        if why := damage(stream, file.format):
            raise _unreadable(path, f"it is damaged: {why}")
    return _decoded(file, path, colors)


def decode_held(picture: Image.Image, name: str, colors: bool = True) -> Image.Image:
    """As :func:`decode`, of an image that a user holds: what it shows now, be it another frame or drawn upon.

    Its file, where it is there, is asked what the colours mean, and whether a camera's sensor made it.

    Args:
        picture: may be decoded or not; nothing but its decoding changes it.
        name: what errors call it.
        colors: as of :func:`decode`.

    Raises:
        InputError: as of :func:`decode`, and for one without pixels, too many of them, or of a raw file.
    """
    if 0 in picture.size:
        raise InputError(f"a picture has at least one pixel, and this Pillow image is {picture.size}.")
    if picture.width * picture.height > MAX_MEGAPIXELS * 10**6:
        raise _too_large(name)
    with _readable(name):
        with file_of(picture) as stream:
            if getattr(picture, "tile", None) and (why := damage(stream, picture.format)):
                raise _unreadable(name, f"it is damaged: {why}")
            if picture.format == "TIFF":
                _check_held_tiff(picture, stream, name)
        return _decoded(picture.convert("LA") if picture.mode == "La" else picture, name, colors)


def _check_held_tiff(picture: Image.Image, stream: IO[bytes], name: str) -> None:
    file = os.fsdecode(getattr(picture, "filename", None) or "")
    if reason := reason_by_content(stream, file, picture.format):
        raise InputError(f"{name} {reason}")
    kind = _tiff_tag(picture, ExifTags.Base.NewSubfileType)
    if isinstance(kind, int) and kind & 5 and getattr(picture, "is_animated", False):
        warnings.warn(
            f"{name} is the page of a TIFF that holds a preview, {picture.width}x{picture.height} pixels; give the "
            "path for the picture itself, or seek() its page.",
            InputWarning,
            stacklevel=1,
        )


def _decoded(picture: Image.Image, path: str | Path | PackedPicture, colors: bool) -> Image.Image:
    profile = file_profile(picture) if colors else None
    key = _transparent_color(picture)
    picture.load()
    method = _UPRIGHT.get(orientation(picture))
    picture = _with_black_0(picture)
    if key is not None:
        picture = picture.copy()
        picture.info["transparency"] = key
    if profile is None or picture.mode == "I" or has_alpha(picture):
        picture = _to_8_bit(picture, path)
    if profile is not None:
        picture = _in_srgb(picture, profile, path)
    return picture if method is None else picture.transpose(method)


def _in_srgb(picture: Image.Image, profile: bytes, path: str | Path | PackedPicture) -> Image.Image:
    """A decoded picture with its colours in sRGB and its transparency as it is."""
    if not has_alpha(picture):
        return _to_8_bit(to_srgb(picture, profile, path), path)
    shown = picture if picture.mode == "LA" else picture.convert("RGBA")
    converted = to_srgb(shown.convert(shown.mode[:-1]), profile, path)
    converted.putalpha(shown.getchannel("A"))
    return converted


def _transparent_color(picture: Image.Image) -> tuple[int, ...] | None:
    """The transparent colour of an RGB PNG of 16 bit, in the 8 bit that Pillow reads of its pixels, the higher ones."""
    key, tile = picture.info.get("transparency"), getattr(picture, "tile", None)
    if picture.mode != "RGB" or not isinstance(key, tuple):
        return None
    # Of one that is decoded already, values up to 255 may be of either depth: of 8 bit they are far more often.
    wide = "16" in str(tile[0].args) if picture.format == "PNG" and tile else max(key) > 255
    return tuple(value >> 8 for value in key) if wide else None


def _with_black_0(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits as it is or, for a TIFF whose 0 is white, inverted; Pillow inverts only that of 8 bits."""
    if not picture.mode.startswith("I;16") or _tiff_tag(picture, ExifTags.Base.PhotometricInterpretation) != 0:
        return picture
    return Image.fromarray(65535 - np.asarray(picture).astype(np.uint16))


def _tiff_tag(picture: Image.Image, tag: int) -> object:
    return getattr(picture, "tag_v2", {}).get(tag)


def _to_8_bit(picture: Image.Image, path: str | Path | PackedPicture) -> Image.Image:
    """Grey of 16 bit to 8 bit, which Pillow's own conversion would clip; Pillow has scaled RGB of 16 bit itself."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    # Of 32 bits, what goes beyond 8 is taken for 16; what does not might be either.
    wide = _tiff_tag(picture, ExifTags.Base.BitsPerSample) == (32,) or (picture.mode == "I" and not picture.format)
    narrow = wide and 0 < values.max() <= 255
    if picture.mode == "F" or narrow or values.min() < 0 or values.max() > 65535:
        raise unknown_white(path)
    grey = Image.fromarray(((values.astype(np.int32) + 128) // 257).astype(np.uint8))
    if "transparency" in picture.info:
        grey.putalpha(Image.fromarray(np.where(values == picture.info["transparency"], np.uint8(0), np.uint8(255))))
    return grey


def orientation(picture: Image.Image, front_only: bool = False) -> int:
    """The EXIF orientation, 1 to 8; ImageOps.exif_transpose refuses photos with a damaged EXIF block, this does not."""
    with suppress(Exception):
        exif = Image.Image.getexif(picture) if front_only else picture.getexif()
        return int(exif.get(ExifTags.Base.Orientation, 1))
    return 1


def has_metadata_behind_pixels(png: str | Path) -> bool:
    """Whether texts or EXIF follow the pixels of a PNG."""
    with open(png, "rb") as stream:
        stream.seek(8)
        pixels = False
        while len(head := stream.read(8)) == 8:
            pixels |= head[4:] == b"IDAT"
            if pixels and head[4:] in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            stream.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)  # the data and their checksum
    return False


def has_alpha(picture: Image.Image) -> bool:
    """Whether a picture has an alpha channel, a transparent colour, or a palette with transparency."""
    if picture.mode == "P" and picture.palette and picture.palette.mode.endswith("A"):
        return True
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _unreadable(path: str | Path | PackedPicture, why: object) -> InputError:
    return InputError(f"{path} cannot be read as a picture ({why}); restore it from its source, or remove it.")


def _too_large(path: str | Path | PackedPicture) -> InputError:
    return InputError(f"{path} holds more than {MAX_MEGAPIXELS} megapixels, more than is decoded here; scale it down.")


def unknown_white(path: str | Path | PackedPicture) -> InputError:
    """What to raise of a picture in 32 bits."""
    return InputError(f"{path} holds 32-bit values, whose white is unknown; {DEPTH_REMEDY}.")
