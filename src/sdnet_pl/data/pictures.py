"""Picture files in and out: whatever users have becomes uint8 RGB, RGBA or alpha, and nothing is written by halves."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from sdnet_pl.data.colors import file_profile, to_srgb
from sdnet_pl.data.metadata import Metadata, read_metadata
from sdnet_pl.errors import InputError

IMAGE_SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What :func:`list_pictures` takes for a picture, in lower case; upper case is as good."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
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


def list_pictures(folder: str | Path) -> list[Path]:
    """The picture files of a folder and its sub-folders, ordered by their path below it, without hidden ones.

    Args:
        folder: where to look.

    Raises:
        InputError: the folder does not exist, is a file, or holds no picture.
    """
    folder, accepted = Path(folder), ", ".join(IMAGE_SUFFIXES)
    if not folder.exists():
        raise InputError(f"{folder} does not exist; give a folder that holds pictures ({accepted}).")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file where a folder is expected; give the folder that holds the pictures.")
    found = {path.relative_to(folder): path for path in folder.glob("**/*")}
    pictures = [
        found[below]
        for below in sorted(found, key=lambda below: below.as_posix())
        if below.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in below.parts)
        and found[below].is_file()
    ]
    if not pictures:
        raise InputError(f"{folder} holds no picture; put files there that end in one of {accepted}.")
    return pictures


def pictures_by_name(folder: str | Path) -> dict[str, Path]:
    """The picture files of a folder and its sub-folders by their path below it, without suffix, in that order.

    Accents are composed in the names: some systems write them apart.

    Raises:
        InputError: as :func:`list_pictures`, and for two files of one name.
    """
    named: dict[str, Path] = {}
    for file in list_pictures(folder):
        name = unicodedata.normalize("NFC", picture_name(file, folder))
        if name in named:
            raise InputError(f"{named[name]} and {file} have one name, so their partner is unclear; remove one.")
        named[name] = file
    return named


def picture_name(file: Path, folder: str | Path) -> str:
    """A picture's path below a folder, without suffix."""
    return file.relative_to(folder).with_suffix("").as_posix()


def read_header(path: str | Path) -> Header:
    """Size, pixel format and transparency of a picture, without decoding its pixels.

    Raises:
        InputError: the file is missing or no picture.
    """
    with _opened(path) as picture:
        width, height = picture.size
        # To find metadata that may stand behind a PNG's pixels, Pillow decodes them.
        front_only = picture.format == "PNG" and not _has_metadata_behind_pixels(path)
        # Pillow has turned the size of a TIFF already.
        if _orientation(picture, front_only) >= 5 and picture.format != "TIFF":
            width, height = height, width
        return Header(height, width, picture.mode, _has_alpha(picture))


def read_rgb(path: str | Path | PackedPicture) -> NDArray[np.uint8]:
    """The first frame of a picture, upright by its EXIF orientation: uint8 ``[H, W, 3]``, RGB.

    Any pixel format is taken. Transparent parts are shown over white, as most viewers do; 16-bit values are brought
    to 8 bit over their full range.

    Raises:
        InputError: the file is missing, damaged, no picture, or larger than Pillow decodes.
    """
    with _opened(path) as picture:
        return _rgb(picture, path)


def read_photo(path: str | Path | PackedPicture) -> tuple[NDArray[np.uint8], Metadata]:
    """The pixels that :func:`read_rgb` gives, and what of the photo's metadata belongs into a cut-out of it.

    Raises:
        InputError: as :func:`read_rgb`.
    """
    with _opened(path) as picture:
        # A TIFF's cannot be read once it is decoded, and a PNG's may stand behind its pixels.
        early = picture.format != "PNG" and read_metadata(picture)
        pixels = _rgb(picture, path)
        return pixels, early or read_metadata(picture)


def read_rgba(path: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A cut-out: its straight colours, uint8 ``[H, W, 3]``, and its alpha, uint8 ``[H, W]``, upright.

    Raises:
        InputError: as :func:`read_rgb`, and for a picture without transparency.
    """
    with _opened(path) as picture:
        transparent = _has_alpha(picture)
        decoded = _decode(picture, path)
        require_alpha(path, transparent)
        pixels = np.array(_as_mode(decoded, "RGBA"))
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
    with _opened(path) as file:
        mode, transparent = file.mode, _has_alpha(file)
        picture = _decode(file, path, colors=False)
        if not equal_channels:
            require_single_channel(path, mode, transparent)
        if picture.mode in _SINGLE_CHANNEL and not _has_alpha(picture):
            return np.array(_as_mode(picture, "L"))
        colors = np.array(picture.convert("RGBA"))
    if (colors[..., 3] != 255).any():
        raise _color_alpha(path, "transparency of its own")
    if (colors[..., :3] != colors[..., :1]).any():
        raise _color_alpha(path, "a palette of colours" if picture.mode == "P" else "channels that differ: colours")
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
        raise _unknown_white(path)
    if has_alpha or mode not in (*_SINGLE_CHANNEL, "P"):
        raise _color_alpha(
            path, "transparency" if mode in (*_SINGLE_CHANNEL, "P") else f"{Image.getmodebands(mode)} channels"
        )


def write_png(
    path: str | Path,
    pixels: NDArray[np.uint8],
    metadata: Metadata | None = None,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` as a PNG, whole or not at all; parents are made.

    Args:
        path: the file.
        pixels: of RGB, or RGBA with straight alpha, in sRGB.
        metadata: of the photo that they come from.
        texts: notes by their keywords, such as ``"Software"``.

    Raises:
        ValueError: the array has another type or shape.
        OSError: the disk is full or the folder cannot be written.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ValueError(f"a PNG takes uint8 [H, W], [H, W, 3] or [H, W, 4], not {pixels.dtype} {pixels.shape}")
    notes = PngInfo()
    for keyword, text in (texts or {}).items():
        notes.add_text(keyword, text)
    options: dict[str, Any] = {"pnginfo": notes}
    if metadata:
        notes.add(b"sRGB", b"\0")
        options |= {"dpi": metadata.dpi, "exif": metadata.exif()}
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", **options)


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


def sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A path to write to, in the folder of ``path``, that takes the place of ``path`` only when the block ends well.

    The folder is made if it is missing. Whatever ends the block early, Ctrl-C too, leaves an older ``path`` as it was
    and no other file behind.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "table.csv") as temporary:
        ...         _ = temporary.write_text("name,MAD")
        ...     (Path(folder) / "table.csv").read_text()
        'name,MAD'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that no listing takes it for a picture; not made by tempfile, whose files only their owner may read.
    temporary = path.parent / f".{uuid4().hex}{path.suffix}"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _readable(path: str | Path | PackedPicture) -> Iterator[None]:
    """Turn what decoders raise into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{path} holds more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels, more than is decoded "
            "here; scale it down."
        ) from None
    except (InputError, MemoryError):
        raise
    # Damaged files make decoders raise nearly everything: SyntaxError, struct.error, EOFError, IndexError, OSError.
    except Exception as error:
        reason = "not a picture of a known format" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise InputError(
            f"{path} cannot be read as a picture ({reason}); restore it from its source, or remove it."
        ) from error


@contextmanager
def _opened(path: str | Path | PackedPicture) -> Iterator[Image.Image]:
    """A picture whose header is read; what decoders raise, in the block too, becomes one sentence."""
    with _readable(path), Image.open(path) as picture:
        yield picture


def _rgb(picture: Image.Image, path: str | Path | PackedPicture) -> NDArray[np.uint8]:
    """An opened picture as :func:`read_rgb` gives it."""
    pixels = _plain_jpeg(picture, path)
    if pixels is not None:
        return pixels
    picture = _decode(picture, path)
    if _has_alpha(picture):
        shown = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return np.array(_as_mode(picture, "RGB"))


def _plain_jpeg(picture: Image.Image, path: str | Path | PackedPicture) -> NDArray[np.uint8] | None:
    """The pixels of an upright RGB JPEG by OpenCV: those of Pillow, which copies them three times more.

    None for any other file, and for one that ends early: Pillow says so. Other damage gives Pillow's pixels too, beside
    a line of libjpeg's on stderr.
    """
    if picture.format != "JPEG" or picture.mode != "RGB" or _orientation(picture) != 1:
        return None
    data = np.frombuffer(path.getvalue(), np.uint8) if isinstance(path, PackedPicture) else np.fromfile(path, np.uint8)
    # OpenCV would fill up a truncated file with grey; a whole one ends in this marker.
    if data[-2:].tobytes() != b"\xff\xd9":
        return None
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), np.uint8)
    profile = file_profile(picture)
    if profile is None:
        return pixels
    decoded = Image.fromarray(pixels)
    converted = to_srgb(decoded, profile, path)
    return pixels if converted is decoded else np.array(converted)


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    return picture if picture.mode == mode else picture.convert(mode)  # which copies even what it need not convert


def _decode(picture: Image.Image, path: str | Path | PackedPicture, colors: bool = True) -> Image.Image:
    """The first frame, upright, at most 8 bits a channel, ``colors`` in sRGB; without, values are what they are."""
    profile = file_profile(picture) if colors else None
    _scale_transparent_color(picture)
    picture.load()
    method = _UPRIGHT.get(_orientation(picture))
    if profile is None or picture.mode == "I" or _has_alpha(picture):
        picture = _to_8_bit(picture, path)
    if profile is not None:
        picture = _in_srgb(picture, profile, path)
    return picture if method is None else picture.transpose(method)


def _in_srgb(picture: Image.Image, profile: bytes, path: str | Path | PackedPicture) -> Image.Image:
    """A decoded picture with its colours in sRGB and its transparency as it is."""
    if not _has_alpha(picture):
        return _to_8_bit(to_srgb(picture, profile, path), path)
    shown = picture if picture.mode == "LA" else picture.convert("RGBA")
    converted = to_srgb(shown.convert(shown.mode[:-1]), profile, path)
    converted.putalpha(shown.getchannel("A"))
    return converted


def _scale_transparent_color(picture: Image.Image) -> None:
    """Bring a PNG's transparent colour of 16 bit to the 8 bit that Pillow reads of its pixels, the higher ones."""
    key = picture.info.get("transparency")
    if picture.format == "PNG" and picture.mode == "RGB" and key and "16" in str(picture.tile[0].args):
        picture.info["transparency"] = tuple(value >> 8 for value in key)


def _to_8_bit(picture: Image.Image, path: str | Path | PackedPicture) -> Image.Image:
    """Grey of 16 bit to 8 bit, which Pillow's own conversion would clip; Pillow has scaled RGB of 16 bit itself."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise _unknown_white(path)
    grey = Image.fromarray(((values.astype(np.int32) + 128) // 257).astype(np.uint8))
    if "transparency" in picture.info:
        grey.putalpha(Image.fromarray(np.where(values == picture.info["transparency"], np.uint8(0), np.uint8(255))))
    return grey


def _orientation(picture: Image.Image, front_only: bool = False) -> int:
    """The EXIF orientation, 1 to 8; ImageOps.exif_transpose refuses photos with a damaged EXIF block, this does not."""
    with suppress(Exception):
        exif = Image.Image.getexif(picture) if front_only else picture.getexif()
        return int(exif.get(ExifTags.Base.Orientation, 1))
    return 1


def _has_metadata_behind_pixels(png: str | Path) -> bool:
    with open(png, "rb") as stream:
        stream.seek(8)
        pixels = False
        while len(head := stream.read(8)) == 8:
            pixels |= head[4:] == b"IDAT"
            if pixels and head[4:] in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            stream.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)  # the data and their checksum
    return False


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _unknown_white(path: str | Path | PackedPicture) -> InputError:
    return InputError(f"{path} holds 32-bit values, whose white is unknown; save it with 8 or 16 bits a channel.")


def _color_alpha(path: str | Path | PackedPicture, found: str) -> InputError:
    return InputError(
        f"{path} has {found}, and an alpha has exactly one channel; save it as a single-channel (greyscale) picture."
    )
