"""What the words of a command stand for: files, folders, patterns that no shell expanded, and an output."""

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import STREAM

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)


def photos_and_output(words: Sequence[Path], output: Path | None) -> tuple[list[Path], Path | None]:
    """The photos and folders, and where to write.

    Of two words without ``output``, the second is the output if it is standard output, or names a picture that does not
    exist or that this package wrote. So no photo is ever taken for an output. A pattern stands for the photos and
    folders that it matches, unless a file has that very name.

    Args:
        words: as they were given.
        output: as ``-o`` gave it.

    Raises:
        InputError: a word is a URL, or a pattern matches nothing.
    """
    refuse_urls((*words, *([output] if output else [])))
    photos = [photo for word in words for photo in _expanded(word)]
    if output is None and photos == [STREAM]:
        return photos, STREAM
    if output is None and len(photos) == 2 and not photos[0].is_dir() and _is_output(photos[1]):
        return photos[:1], photos[1]
    return photos, output


def refuse_urls(words: Sequence[Path]) -> None:
    """Refuse what is no path.

    Raises:
        InputError: a word is a URL.
    """
    for word in words:
        if (url := _URL.match(word.as_posix())) and not word.exists():
            raise InputError(
                f"{url[1]}://{word.as_posix()[url.end() :]} is a URL, and only files are read and written; download "
                "it, and give the file."
            )


def expanded(word: Path, kind: str, takes: Callable[[Path], bool]) -> list[Path]:
    """The word itself where it is no pattern, or a file has that very name; or else what it matches, sorted.

    Args:
        word: as it was given.
        kind: what is looked for, for the error.
        takes: whether a match is one.

    Raises:
        InputError: it matches none.
    """
    if word.exists() or not glob.has_magic(str(word)):
        return [word]
    found = [match for name in sorted(glob.glob(str(word), recursive=True)) if takes(match := Path(name))]
    if not found:
        raise InputError(f"{word} matches no {kind}; check the pattern, or give the names.")
    return found


def _is_output(word: Path) -> bool:
    from sdnet_pl.data.formats import names_picture
    from sdnet_pl.data.provenance import is_ours

    if word == STREAM:
        return True
    return names_picture(word) and not word.is_dir() and (not word.exists() or is_ours(word))


def _expanded(word: Path) -> Iterator[Path]:
    """The word itself, or what it matches as a pattern: folders, and pictures that this package did not write."""
    from sdnet_pl.data.formats import reason_by_name
    from sdnet_pl.data.provenance import is_ours

    def takes(match: Path) -> bool:
        if match.is_dir():
            return "**" not in str(word)  # ** matches their photos too
        return match.is_file() and reason_by_name(match) is None and not is_ours(match)

    matches = expanded(word, "photo and no folder", takes)
    yield from sorted(matches, key=Path.is_file)  # folders first
