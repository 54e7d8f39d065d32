"""Which pictures a folder holds, and which of its files are left out, with the reason."""

import os
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sdnet_pl.data.files import as_text
from sdnet_pl.data.formats import names_video, picture_suffixes, reason_by_name
from sdnet_pl.errors import InputError, InputWarning

# What systems and `sdnet-pl prepare` leave beside pictures; no warning names these.
_QUIET = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "manifest.json")
_SHOWN = 3


class Tree(NamedTuple):
    """What lies below a folder, links followed.

    Attributes:
        files: the files, by their paths.
        folders: the folders, by their paths.
        left: what could not be followed, each with the reason.
    """

    files: list[Path]
    folders: list[Path]
    left: dict[Path, str]


def walk(folder: str | Path, hidden: bool = False) -> Tree:
    """All files and folders below a folder, those that are links among them.

    A file counts as often as it is named: under its own name, and under that of each link to it. A folder counts once,
    under its own name where it lies below ``folder``, or else that of its first link; links to a folder that is above
    are not followed. So links in a circle come to an end, and no picture is taken twice for them.

    Args:
        folder: where to look.
        hidden: also take what a dot begins the name of.
    """
    root, top = Path(folder), Path(os.path.realpath(folder))
    tree = Tree([], [], {})
    seen: set[Path] = set()
    own, links = [root], list[Path]()
    while own or links:
        here = own.pop() if own else links.pop(0)  # own names come before those of links
        real = Path(os.path.realpath(here))
        if real in seen or (here != root and top.is_relative_to(real)):
            tree.left[here] = "a link to a folder that is searched already, or is above"
            continue
        seen.add(real)
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if hidden or not entry.name.startswith("."):
                        _sort(entry, here / entry.name, tree, own, links)
        except OSError as error:
            tree.left[here] = f"a folder that cannot be opened ({error.strerror})"
            continue
        links.sort()
        if here != root:
            tree.folders.append(here)
    tree.files.sort(key=Path.as_posix)
    tree.folders.sort(key=Path.as_posix)
    return tree


def _sort(entry: os.DirEntry[str], path: Path, tree: Tree, own: list[Path], links: list[Path]) -> None:
    try:
        if entry.is_dir():
            (links if entry.is_symlink() else own).append(path)
        elif entry.is_file():
            tree.files.append(path)
        else:
            tree.left[path] = "a link to nothing" if entry.is_symlink() else "no ordinary file"
    except OSError as error:  # as for a link to itself
        tree.left[path] = f"a link that leads nowhere ({error.strerror})"


def list_pictures(folder: str | Path, videos: bool = False) -> list[Path]:
    """The picture files of a folder and its sub-folders, ordered by their path below it, links followed as by walk().

    Hidden files and folders are ignored. What else is left out is named in an :class:`InputWarning`.

    Args:
        folder: where to look.
        videos: also take videos.

    Raises:
        InputError: the folder does not exist, is a file, or holds no picture.
    """
    folder = Path(folder)
    if not folder.exists():
        wanted = "pictures or videos, or one of them" if videos else "pictures"
        raise InputError(f"{folder} does not exist; give a folder that holds {wanted} (.jpg, .png, .webp, .tif, ...).")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file where a folder is expected; give the folder that holds the pictures.")
    tree = walk(folder)
    pictures = []
    for file in tree.files:
        reason = reason_by_name(file)
        if reason is None or (videos and names_video(file)):
            pictures.append(file)
        elif file.name.lower() not in _QUIET:
            tree.left[file] = reason
    left = _summary({path.relative_to(folder): reason for path, reason in tree.left.items()})
    if not pictures:
        wanted, more = ("picture or video", " or in .mp4, .mov or another of videos") if videos else ("picture", "")
        raise InputError(
            f"{folder} holds no {wanted}{f', but {left}' if left else ''}; put files there that end in .jpg, .png, "
            f".webp, .tif, .avif or another of {len(picture_suffixes())} suffixes of pictures{more}."
        )
    if left:
        warnings.warn(f"{folder}: of its files these are left out: {left}.", InputWarning, stacklevel=1)
    return pictures


def _summary(left: Mapping[Path, str]) -> str:
    """What is left out, by the reason, a few names each."""
    named = defaultdict(list)
    for path in sorted(left):
        named[left[path]].append(str(path))
    return "; ".join(
        f"{', '.join(paths[:_SHOWN])}{f' and {len(paths) - _SHOWN} more' if paths[_SHOWN:] else ''} ({reason})"
        for reason, paths in named.items()
    )


def pictures_by_name(folder: str | Path) -> dict[str, Path]:
    """The picture files of a folder and its sub-folders by their :func:`picture_name`, in that order.

    Raises:
        InputError: as :func:`list_pictures`, and for two files of one name.
    """
    named: dict[str, Path] = {}
    for file in list_pictures(folder):
        name = picture_name(file, folder)
        if name in named:
            raise InputError(f"{named[name]} and {file} have one name, so their partner is unclear; remove one.")
        named[name] = file
    return named


def picture_name(file: Path, folder: str | Path) -> str:
    """A picture's path below a folder, without suffix, as text, its accents composed: some systems write them apart."""
    return unicodedata.normalize("NFC", as_text(file.relative_to(folder).with_suffix("").as_posix()))
