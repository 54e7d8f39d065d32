"""Where a video comes from: the mark in its comment, so that this package replaces and skips only its own."""

import re
from collections.abc import Mapping
from pathlib import Path

import av

from sdnet_pl.data.files import read_text
from sdnet_pl.data.provenance import SOFTWARE, foreign, is_ours, refuse_dead_link, was_made_of
from sdnet_pl.inference.video.formats import url_of
from sdnet_pl.version import __version__

FRAMES = "frames.ffconcat"
"""What lists the pictures of a folder with their durations."""
_KEPT = (
    "title",
    "artist",
    "author",
    "album",
    "album_artist",
    "composer",
    "copyright",
    "creation_time",
    "date",
    "description",
    "genre",
    "language",
    "show",
    "synopsis",
    "year",
)
"""Places and devices are left out, as of photos."""
_MARK = re.compile(rf" ?\[{SOFTWARE} \S+ job ([0-9a-f]+)\]")
_PICTURE = re.compile(r"\d{6,}\.png")


def kept_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """What of a video's metadata belongs into a cut-out of it: not where it was taken, and with what."""
    return {key.lower(): value for key, value in metadata.items() if key.lower() in _KEPT}


def comment_of(metadata: Mapping[str, str], job: str) -> str:
    """The comment of a cut-out: that of the original, and the mark. Every container and player knows comments.

    Args:
        metadata: of the original.
        job: what the cut-out is made of and how, by :func:`sdnet_pl.data.provenance.job_hash`.
    """
    return f"{_MARK.sub('', _comment(metadata))} [{SOFTWARE} {__version__} job {job}]".strip()


def is_own_video(path: Path) -> bool:
    """Whether this package wrote a video, or a folder of pictures."""
    return _job(path) is not None


def is_of_job(path: Path, job: str) -> bool:
    """Whether this package wrote a video, or a folder of pictures, for a job of ``job_hash``."""
    if path.is_dir():
        return is_own_video(path) and was_made_of(path / "000001.png", job)
    return _job(path) == job


def require_own(path: Path) -> None:
    """Refuse to replace a video or folder that this package did not write.

    Raises:
        InputError: there is one, and it does not carry the mark; or a link to nothing.
    """
    refuse_dead_link(path)
    if path.exists() and not is_own_video(path):
        raise foreign(path)


def _job(path: Path) -> str | None:
    if path.is_dir():
        names = {file.name for file in path.iterdir()}
        ours = FRAMES in names and SOFTWARE in read_text(path / FRAMES)[:80] and is_ours(path / "000001.png")
        return "" if ours and all(map(_PICTURE.fullmatch, names - {FRAMES})) else None
    try:
        with av.open(url_of(path), metadata_errors="replace") as video:
            found = _MARK.search(_comment(video.metadata))
    except (av.FFmpegError, OSError):
        return None
    return found[1] if found else None


def _comment(metadata: Mapping[str, str]) -> str:
    return next((value for key, value in metadata.items() if key.lower() == "comment"), "")
