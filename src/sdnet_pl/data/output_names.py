"""The names of files that are made of photos: those of the photos, with no two alike."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from sdnet_pl.data.formats import reason_by_name
from sdnet_pl.data.provenance import is_ours


def distinct_names(photos: Sequence[tuple[Path, PurePath]], siblings: bool = True) -> list[str]:
    """A name for each photo, without suffix.

    That is the photo's own, ``holiday/IMG_1``. Where its folder holds another picture of that name, be it asked for or
    not, the name keeps its suffix: ``holiday/IMG_1.jpg`` beside ``holiday/IMG_1.png``. Photos of one name out of
    several folders keep the folders in which they differ: ``monday/IMG_1.jpg``.

    Args:
        photos: each with its path below the folder that was given; the same photo may come more than once.
        siblings: whether pictures that were not asked for count; for videos they do not.
    """
    known: dict[Path, dict[str, list[str]]] = {}
    keeps = [siblings and _has_sibling(photo, known) for photo, _ in photos]
    names = [_name(below, keep) for (_, below), keep in zip(photos, keeps, strict=True)]
    # A name that keeps its suffix may be another's without.
    while clashing := [i for group in _clashes(photos, names, _key) for i in group if not keeps[i]]:
        for i in clashing:
            keeps[i], names[i] = True, _name(photos[i][1], True)
    for group in _clashes(photos, names, str):
        common = os.path.commonpath([photos[i][0].resolve().parent for i in group])
        for i in group:
            names[i] = PurePath(photos[i][0].resolve()).relative_to(common).as_posix()
    return names


def _name(below: PurePath, keep: bool) -> str:
    return (below if keep else below.with_suffix("")).as_posix()


def _key(name: str) -> str:
    """The same for two names that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _has_sibling(photo: Path, siblings: dict[Path, dict[str, list[str]]]) -> bool:
    """Whether the photo's folder holds another picture of its name that this package did not write."""
    folder = photo.parent
    if folder not in siblings:
        siblings[folder] = defaultdict(list)
        with suppress(OSError):  # a folder may be closed and its files open, or missing, which reading tells
            for name in os.listdir(folder):
                if not name.startswith(".") and reason_by_name(PurePath(name)) is None:
                    siblings[folder][_key(PurePath(name).stem)].append(name)
    others = set(siblings[folder][_key(photo.stem)]) - {photo.name}
    return any((folder / name).is_file() and not is_ours(folder / name) for name in others)


def _clashes(
    photos: Sequence[tuple[Path, PurePath]], names: Sequence[str], key: Callable[[str], str]
) -> list[list[int]]:
    """The numbers of different photos that have one name."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        groups[key(name)].append(i)
    return [group for group in groups.values() if len({photos[i][0].resolve() for i in group}) > 1]
