"""Where a file comes from: the mark that pictures of this package carry, so that it replaces and skips only its own."""

import hashlib
from contextlib import suppress
from pathlib import Path

from sdnet_pl.data.notes import SOFTWARE, read_notes
from sdnet_pl.errors import InputError
from sdnet_pl.version import __version__

_MAKER, _JOB, _NOBODY = "Software", "sdnet_pl job", "sdnet_pl nobody"


def mark(job: str | None = None, nobody: bool = False) -> dict[str, str]:
    """What a picture of ours says of itself, for the ``texts`` of what writes it.

    Args:
        job: what it was made of and how, by :func:`job_hash`.
        nobody: whether it is a cut-out that shows nobody.
    """
    texts = {_MAKER: f"{SOFTWARE} {__version__}"}
    return texts | ({_JOB: job} if job else {}) | ({_NOBODY: "true"} if nobody else {})


def job_hash(photo: str, *options: object) -> str:
    """One number for a photo and everything that decides what is made of it.

    Args:
        photo: its sha256.
        options: such as the weights' sha256 and the size.
    """
    return hashlib.sha256("\n".join([__version__, photo, *map(str, options)]).encode()).hexdigest()[:32]


def is_ours(file: Path) -> bool:
    """Whether a file is a picture that this package wrote."""
    return bool(_own_texts(file))


def was_made_of(file: Path, job: str) -> bool:
    """Whether a file is a picture that this package wrote for a job of :func:`job_hash`."""
    return _own_texts(file).get(_JOB) == job


def found_nobody(file: Path) -> bool:
    """Whether a file is a cut-out of this package that shows nobody."""
    return _NOBODY in _own_texts(file)


def _own_texts(file: Path) -> dict[str, str]:
    """The texts in a picture of this package; empty for any other file, and for one that cannot be opened."""
    texts: dict[str, str] = {}
    with suppress(OSError):
        texts = read_notes(file) if file.is_file() else {}
    return texts if texts.get(_MAKER, "").partition(" ")[0] == SOFTWARE else {}


def require_ours(file: Path) -> None:
    """Refuse to replace a file that this package did not write.

    Raises:
        InputError: there is such a file, and it does not carry the mark; or a link to nothing.
    """
    refuse_dead_link(file)
    if file.exists() and not is_ours(file):
        raise foreign(file)


def require_own_table(file: Path, content: str) -> None:
    """Refuse to replace a table that does not begin like the one to be written: this package did not write it.

    Args:
        file: the table, csv or markdown.
        content: the one to be written, of which the first line suffices.

    Raises:
        InputError: there is such a file.
    """

    def begins(text: str) -> list[str]:
        return text.partition("\n")[0].split(",")[:3]  # a csv's later columns follow from its rows

    if file.exists() and begins(file.read_text(encoding="utf-8", errors="replace")) != begins(content):
        raise foreign(file)


def refuse_dead_link(path: Path) -> None:
    """Refuse to write to a link to nothing.

    Raises:
        InputError: ``path`` is one.
    """
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path} is a link to nothing; remove the link, or give another name.")


def foreign(path: Path) -> InputError:
    """The error for a file that this package did not write and that would be replaced."""
    return InputError(
        f"{path} exists and was not written by sdnet-pl, which replaces only its own files; give another name "
        "or folder."
    )
