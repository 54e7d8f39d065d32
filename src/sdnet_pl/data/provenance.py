"""Where a file comes from: the mark that PNGs of this package carry, so that it replaces and skips only its own."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from sdnet_pl.data.png import read_texts
from sdnet_pl.errors import InputError

SOFTWARE = "sdnet_pl"
_MAKER, _JOB, _NOBODY = "Software", "sdnet_pl job", "sdnet_pl nobody"


def mark(job: str | None = None, nobody: bool = False) -> dict[str, str]:
    """What a PNG of ours says of itself, for ``write_png(texts=...)``.

    Args:
        job: what it was made of and how, by :func:`job_hash`.
        nobody: whether it is a cut-out that shows nobody.
    """
    texts = {_MAKER: f"{SOFTWARE} {version(SOFTWARE)}"}
    return texts | ({_JOB: job} if job else {}) | ({_NOBODY: "true"} if nobody else {})


def job_hash(photo: str, *options: object) -> str:
    """One number for a photo and everything that decides what is made of it.

    Args:
        photo: its sha256.
        options: such as the weights' sha256 and the size.
    """
    return hashlib.sha256("\n".join([version(SOFTWARE), photo, *map(str, options)]).encode()).hexdigest()[:32]


def is_ours(png: Path) -> bool:
    """Whether a file is a PNG that this package wrote."""
    return bool(_own_texts(png))


def was_made_of(png: Path, job: str) -> bool:
    """Whether a file is a PNG that this package wrote for a job of :func:`job_hash`."""
    return _own_texts(png).get(_JOB) == job


def found_nobody(png: Path) -> bool:
    """Whether a file is a cut-out of this package that shows nobody."""
    return _NOBODY in _own_texts(png)


def _own_texts(png: Path) -> dict[str, str]:
    """The texts in a PNG of this package; empty for any other file."""
    texts = dict(read_texts(png)) if png.is_file() else {}
    return texts if texts.get(_MAKER, "").partition(" ")[0] == SOFTWARE else {}


def require_ours(png: Path) -> None:
    """Refuse to replace a file that this package did not write.

    Raises:
        InputError: there is such a file, and it does not carry the mark.
    """
    if png.exists() and not is_ours(png):
        raise foreign(png)


def foreign(path: Path) -> InputError:
    """The error for a file that this package did not write and that would be replaced."""
    return InputError(
        f"{path} exists and was not written by sdnet-pl, which replaces only its own files; give another name "
        "or folder."
    )
