"""What videos are written as: containers by their suffix, and the codecs in them."""

from pathlib import Path
from typing import NamedTuple

from sdnet_pl.errors import InputError

TRANSPARENT = ".webm"
"""What cut-outs are written as by default: small, and browsers show it as it is."""
OPAQUE = ".mp4"
PICTURES = "png"
"""Means a folder of PNGs."""
_WITH_ALPHA = (".webm", ".mov", ".mkv")
_SUFFIXES = (".webm", ".mov", ".mkv", ".mp4")
FORMATS = (*(suffix[1:] for suffix in _SUFFIXES), PICTURES)

_VP9 = {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
# Without B-frames the times of packets are those of frames, and segments are joined as they are.
_H264 = {"crf": "18", "preset": "veryfast", "bf": "0"}
_COPIED = {
    ".webm": ("opus", "vorbis", "webvtt"),
    ".mov": ("aac", "alac", "mp3", "ac3", "eac3", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "mov_text"),
    ".mp4": ("aac", "alac", "mp3", "ac3", "eac3", "opus", "flac", "mov_text"),
}
"""Codecs of sound and subtitles that a container and its players take; Matroska takes nearly all."""
_FOURCC = {"prores": "ap4h"}


class Encoder(NamedTuple):
    """How pictures are encoded.

    Attributes:
        name: of the encoder in FFmpeg.
        pixels: the pixel format.
        options: of the encoder.
    """

    name: str
    pixels: str
    options: dict[str, str]


def url_of(path: Path) -> str:
    """A path as FFmpeg takes it, also where a colon in it would look like a protocol: ``12:30.mp4``."""
    return f"file:{path}"


def is_video_name(suffix: str) -> bool:
    """Whether a suffix, with its dot, is one that is written."""
    return suffix.lower() in _SUFFIXES


def check_format(suffix: str, alpha: bool, name: str) -> None:
    """Refuse a suffix that is unknown or cannot hold an alpha.

    Args:
        suffix: with its dot, or ``png``.
        alpha: whether there is one to hold.
        name: the file or option to name.

    Raises:
        InputError: it is such a suffix.
    """
    if suffix == PICTURES:
        return
    if suffix not in _SUFFIXES:
        raise InputError(
            f"{name} is not a format that is written; give {', '.join(_WITH_ALPHA)} (transparent), with --background "
            f"also {OPAQUE}, or --format {PICTURES} for a folder of pictures."
        )
    if alpha and suffix not in _WITH_ALPHA:
        raise InputError(f"{name} cannot be transparent; give {' or '.join(_WITH_ALPHA)}, or a --background.")


def choose_encoder(suffix: str, alpha: bool, width: int, height: int) -> Encoder:
    """The encoder for a container and for frames of a size in pixels, which no encoder changes.

    VP9 with alpha, or ProRes 4444 in ``.mov``; for opaque frames H.264, or VP9 where FFmpeg was built without it.
    """
    import av

    odd = width % 2 or height % 2
    if alpha:
        if suffix != ".mov":
            return Encoder("libvpx-vp9", "yuva420p", _VP9)
        # The first is three times as fast, and takes even widths alone.
        return Encoder("prores_ks" if width % 2 else "prores", "yuva444p10le", {"profile": "4"} if width % 2 else {})
    if suffix != ".webm" and "libx264" in av.codecs_available:
        return Encoder("libx264", "yuv444p" if odd else "yuv420p", _H264)
    return Encoder("libvpx-vp9", "yuv420p", _VP9)


def takes_codec(suffix: str, codec: str) -> bool:
    """Whether sound or subtitles of a codec are copied into a container."""
    return codec in _COPIED.get(suffix, (codec,))


def sound_encoder(suffix: str) -> str:
    """What encodes other sound for a container."""
    return "libopus" if suffix == ".webm" else "aac"


def fourcc(codec: str) -> str | None:
    """What a container calls a codec where FFmpeg would guess wrongly from packets: ProRes 4444."""
    return _FOURCC.get(codec)
