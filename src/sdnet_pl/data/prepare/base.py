"""What ``prepare`` knows of a data set, and how pictures and their alphas are found in a folder as downloaded."""

# Nothing heavy is imported here, so that the help answers at once.
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from sdnet_pl.data.files import as_text
from sdnet_pl.data.files import read_names as list_of_names
from sdnet_pl.errors import InputError

Kind = Literal["train", "test", "background"]
Names = frozenset[str] | None
Candidate = tuple["Sample", Set[str]]  # with the roles of the files that it lacks


class Sample(NamedTuple):
    """One picture with all that belongs to it.

    Attributes:
        kind: what becomes of it. ``"train"``: reduced, its colours extended under the alpha; ``"test"``: as published;
            ``"background"``: reduced.
        folder: where it goes, below the destination.
        name: its path below that without a suffix.
        sources: its files as paths below the source, by role: ``"fg"`` (straight colours) or ``"image"`` (a photo),
            ``"alpha"``, ``"trimap"``, and whatever else decided on it.
    """

    kind: Kind
    folder: str
    name: str
    sources: dict[str, str]

    @property
    def key(self) -> str:
        """What tells it from the others of its data set."""
        return f"{self.folder}/{self.name}"


class Unit(NamedTuple):
    """What is written, noted and done again as a whole.

    Attributes:
        key: what tells it from the others of its data set; a shard's path below the destination.
        samples: what is in it.
        shard: whether they are packed into one file.
    """

    key: str
    samples: tuple[Sample, ...]
    shard: bool = False

    @property
    def sources(self) -> set[str]:
        """Its files as paths below the source."""
        return {path for sample in self.samples for path in sample.sources.values()}


@dataclass
class Found:
    """What lies in a folder as downloaded.

    Attributes:
        samples: what can be prepared.
        problems: what cannot, and what is missing: one sentence each.
        lists: files below the source that decided which samples there are.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """A data set that can be prepared.

    Attributes:
        expects: what the source has to hold, in a line.
        writes: what is written, in a line.
        homepage: where it is published.
        licence: what its publisher says of its use.
        find: lists its samples in a folder, those with given names if there is a split list.
        split: where a split list comes from; empty if none is taken.
    """

    expects: str
    writes: str
    homepage: str
    licence: str
    find: Callable[[Path, Names], Found]
    split: str = ""


class Part(NamedTuple):
    """Pictures and their alphas in folders side by side.

    Attributes:
        kind: what becomes of them.
        folder: where they go.
        role: ``"fg"`` where the pictures hold straight foreground colours, ``"image"`` where they are photos.
        pictures: the folder of the pictures, as a glob pattern of its last parts.
        alpha: the name of the folder beside it with the alphas.
        trimap: the same for the trimaps, if there are any.
        published: how many there are, where the publisher says so.
    """

    kind: Kind
    folder: str
    role: str
    pictures: str
    alpha: str
    trimap: str | None = None
    published: int | None = None


def find_pairs(root: Path, names: Names, parts: Sequence[Part]) -> Found:
    """The pictures of each part with their alphas: files of one name in folders side by side, anywhere below ``root``.

    Args:
        root: the data set.
        names: take these alone: file names or the ends of paths, with or without a suffix.
        parts: where to look.

    Raises:
        InputError: none of the folders is there, one is empty, or a name fits several files.
    """
    found = Found()
    candidates: list[Candidate] = []
    for part in parts:
        beside = {"alpha": part.alpha} | ({"trimap": part.trimap} if part.trimap else {})
        for pictures in find_folders(root, part.pictures):
            if not (pictures.parent / part.alpha).is_dir():
                continue
            files = {role: _by_name(root, pictures.parent / name, found) for role, name in beside.items()}
            files = {part.role: _by_name(root, pictures, found), **files}
            for name in sorted(files[part.role].keys() | files["alpha"].keys()):
                sources = {role: named[name] for role, named in files.items() if name in named}
                candidates.append((Sample(part.kind, part.folder, name, sources), files.keys() - sources.keys()))
    if not candidates:
        wanted = ", ".join(f"{part.pictures}/ with {part.alpha}/ beside it" for part in parts)
        raise InputError(f"{root} holds none of the folders looked for ({wanted}); give the folder that holds them.")
    targets: dict[str, str] = {}
    for sample, missing in _select(candidates, names, found):
        file = next(iter(sample.sources.values()))
        other = targets.setdefault(sample.key, file)
        if missing:
            found.problems.append(f"{file} has no {' and no '.join(sorted(missing))} of the same name.")
        elif other != file:
            found.problems.append(f"{other} and {file} would both be written to {sample.key}; rename one.")
        else:
            found.samples.append(sample)
    counts = Counter(sample.folder for sample in found.samples)
    found.problems += [
        f"{part.pictures}/ gives {counts[part.folder]} samples, and its publisher counts {part.published}; complete it."
        for part in parts
        if part.published is not None and counts[part.folder] != part.published
    ]
    return found


def find_folders(root: Path, pattern: str) -> list[Path]:
    """The folders below ``root`` whose last parts fit a glob pattern, without hidden ones and those of macOS."""
    from sdnet_pl.data.listing import walk

    found = (path.relative_to(root) for path in walk(root).folders)
    return sorted(root / path for path in found if path.match(pattern) and "__MACOSX" not in path.parts)


def read_names(files: Sequence[Path]) -> Names:
    """The names of split lists, one a line; none without a list.

    Raises:
        InputError: a list is missing, empty or no text.
    """
    if not files:
        return None
    names: set[str] = set()
    for file in files:
        names |= set(list_of_names(file))
    return frozenset(names)


def without_suffix(path: str) -> str:
    """A path without the suffix of a picture, its accents composed: some systems write them apart."""
    from sdnet_pl.data.formats import names_picture

    path = unicodedata.normalize("NFC", path)
    return path.rpartition(".")[0] if names_picture(PurePosixPath(path)) else path


def _select(candidates: list[Candidate], names: Names, found: Found) -> list[Candidate]:
    """Those that a split list names, in the order they had; a name without a picture becomes a problem."""
    if names is None:
        return candidates
    ends: dict[str, list[int]] = defaultdict(list)
    for index, (sample, _) in enumerate(candidates):
        parts = PurePosixPath(without_suffix(as_text(next(iter(sample.sources.values()))))).parts
        for start in range(len(parts)):
            ends["/".join(parts[start:])].append(index)
    chosen, absent = set(), []
    for name in sorted(names):
        fitting = ends.get(without_suffix(name), [])
        if len(fitting) > 1:
            files = [next(iter(candidates[index][0].sources.values())) for index in fitting]
            raise InputError(f"{name!r} of the split list fits {' and '.join(files)}; write there which one is meant.")
        chosen.update(fitting)
        if not fitting:
            absent.append(name)
    if absent:
        found.problems.append(
            f"{len(absent)} of {len(names)} names of the split list fit no file ({', '.join(absent)}); complete the "
            "data set, or take the names of other data sets out of the list."
        )
    return [candidates[index] for index in sorted(chosen)]


def _by_name(root: Path, folder: Path, found: Found) -> dict[str, str]:
    """The pictures of a folder as paths below ``root``, by their path below the folder without its suffix."""
    from sdnet_pl.data.image_io import list_pictures

    named: dict[str, str] = {}
    for file in list_pictures(folder):
        path = file.relative_to(root).as_posix()
        other = named.setdefault(without_suffix(file.relative_to(folder).as_posix()), path)
        if other != path:
            found.problems.append(f"{other} and {path} have one name; remove one.")
    return named
