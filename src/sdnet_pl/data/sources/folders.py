"""Folders of the user's own pictures as sources."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from sdnet_pl.data.alpha_values import require_mask
from sdnet_pl.data.files import read_names
from sdnet_pl.data.foreground_colors import extend_foreground
from sdnet_pl.data.image_io import (
    Header,
    list_pictures,
    picture_name,
    pictures_by_name,
    read_alpha,
    read_header,
    read_rgb,
    read_rgba,
    require_alpha,
    require_single_channel,
    sha256,
)
from sdnet_pl.data.sources.base import (
    BackgroundSource,
    Foreground,
    ForegroundSource,
    Image,
    Item,
    LabelledPhoto,
    PhotoSource,
    PictureFile,
    Role,
    Source,
)
from sdnet_pl.data.trimap import banded_trimap
from sdnet_pl.errors import InputError


class _FolderSource(Source[Item]):
    """Pictures in a folder, of one file or of several with one name, and how often a round visits each.

    Attributes:
        parts: Where the files of a picture lie below the folder, and what they are read as.

    Raises:
        InputError: the weight is not above 0, up to 1000.
    """

    parts: tuple[tuple[str, Role], ...]

    def __init__(self, path: str, files: Sequence[tuple[Path, ...]], weight: float = 1.0) -> None:
        if not 0 < weight <= 1000:
            raise InputError(
                f"The weight of {path} is {weight}; it is how often a round visits each picture, above 0, up to 1000."
            )
        self.path, self.files = path, files
        self.length = max(1, round(len(files) * weight))

    def __len__(self) -> int:
        return self.length

    @property
    def pictures(self) -> int:
        return len(self.files)

    def fingerprint(self, index: int) -> str:
        files = self._files_of(index)
        return sha256_of_files(*files) if files[1:] else sha256(files[0])

    def name(self, index: int) -> str:
        return picture_name(self._files_of(index)[0], Path(self.path) / self.parts[0][0])

    def picture_files(self) -> list[PictureFile]:
        return files_by_role(self.files, self.path, *self.parts)

    def _files_of(self, index: int) -> tuple[Path, ...]:
        return self.files[index % len(self.files)]


class CutoutFolder(_FolderSource[Foreground], ForegroundSource):
    """Cut-outs with an alpha channel (PNG, WebP, TIFF, ...) in a folder and its sub-folders.

    Args:
        path: the folder.
        names: which pictures to take: a text file with a name a line, or a list of patterns such as ``[studio*]``.
            Names are paths below the folder without suffix. None: all.
        weight: how often a round visits each: 3 three times, 0.25 every fourth round. So a collection that is too large
            comes less often, and what is rare among the pictures and common in photos more often.
        estimated_edge: the soft edges of these alphas are an estimate, as of pictures cut out of one backdrop colour:
            half of the samples are not taught there.

    Raises:
        InputError: the folder is missing or empty, a picture in it has no alpha channel, or a name is of no picture.
            Only headers are read here; what does not decode is found by :meth:`load`, and by the check before a job.
    """

    parts = (("", "cutout"),)

    def __init__(
        self, path: str, names: str | Sequence[str] | None = None, weight: float = 1.0, estimated_edge: bool = False
    ) -> None:
        files = _chosen(path, names)
        super().__init__(path, [(file,) for file in files], weight)
        self.estimated_edge = estimated_edge
        _raise_all(path, [_problem(require_alpha, file, header.has_alpha) for file, header in _headers(files)])

    def load(self, index: int) -> Foreground:
        """The cut-out number ``index`` >= 0, its colours extended under alpha 0."""
        color, alpha = read_rgba(*self._files_of(index))
        return Foreground(extend_foreground(color, alpha), alpha)


class PairFolder(_FolderSource[Foreground], ForegroundSource):
    """Foregrounds in ``fg/`` and their alphas in ``alpha/``: two files of one name, of any two picture formats.

    Colours are taken as straight; an alpha channel that a file in ``fg/`` may have is ignored. Photos with alphas are
    foregrounds too: ``fg: image`` takes those of a :class:`LabelledFolder`. Soft edges of a photo hold some of its own
    background, so half of the samples should not be taught there: ``estimated_edge: true``.

    Args:
        path: the folder that holds both; sub-folders of both are searched alike.
        extended: the colours under alpha 0 are filled in already, as in prepared data. Otherwise every load fills
            them, which takes longer than decoding.
        fg: the folder with the pictures, below ``path``.
        weight: as in :class:`CutoutFolder`.
        estimated_edge: likewise.

    Raises:
        InputError: a folder is missing or empty, a file has no partner or two, a pair differs in size, or an alpha has
            more than one channel. Only headers are read here; what does not decode is found by :meth:`load`, and by
            the check before a job.
    """

    def __init__(
        self, path: str, extended: bool = False, fg: str = "fg", weight: float = 1.0, estimated_edge: bool = False
    ) -> None:
        if not (Path(path) / fg).is_dir() and (Path(path) / "image").is_dir():
            raise InputError(f"{path} has no {fg}/, but image/; take people out of its photos with fg: image.")
        super().__init__(path, paired_files(Path(path), fg, "alpha"), weight)
        self.parts = ((fg, "picture"), ("alpha", "alpha"))
        self.extended, self.estimated_edge = extended, estimated_edge

    def load(self, index: int) -> Foreground:
        """The pair number ``index`` >= 0, its colours extended under alpha 0."""
        foreground, alpha_file = self._files_of(index)
        color = read_rgba(foreground)[0] if read_header(foreground).has_alpha else read_rgb(foreground)
        alpha = read_alpha(alpha_file)
        require_one_size(foreground, color.shape, alpha_file, alpha.shape)
        return Foreground(color if self.extended else extend_foreground(color, alpha), alpha)


class BackgroundFolder(_FolderSource[Image], BackgroundSource):
    """Pictures without people in a folder and its sub-folders, in any picture format.

    Args:
        path: the folder.
        names: as in :class:`CutoutFolder`.
        weight: likewise.

    Raises:
        InputError: the folder is missing or empty, or a name is of no picture. A file that does not decode is found by
            :meth:`load`.
    """

    parts = (("", "picture"),)

    def __init__(self, path: str, names: str | Sequence[str] | None = None, weight: float = 1.0) -> None:
        super().__init__(path, [(file,) for file in _chosen(path, names)], weight)

    def load(self, index: int) -> Image:
        """The background number ``index`` >= 0: uint8 ``[H, W, 3]``, RGB."""
        return read_rgb(*self._files_of(index))


class MaskFolder(_FolderSource[LabelledPhoto], PhotoSource):
    """Photos in ``image/`` and binary masks of their people in ``mask/``: two files of one name.

    Such masks show where people are and err at the edge, so that training on the edge would teach a network to cut
    hair off: pixels within ``band`` of the mask's edge are unknown.

    Args:
        path: the folder that holds ``image/`` and ``mask/``; sub-folders of both are searched alike.
        band: the distance from the edge up to which the mask is not relied on, relative to the photo's longer side.
        weight: as in :class:`CutoutFolder`.

    Raises:
        InputError: as :class:`PairFolder`, and :meth:`load` for a mask with values other than black and white.
    """

    parts = (("image", "picture"), ("mask", "mask"))

    def __init__(self, path: str, band: float = 0.01, weight: float = 1.0) -> None:
        if not 0 <= band < 0.5:
            raise InputError(f"band is {band}; it is a share of the photo's longer side, from 0 to below 0.5.")
        super().__init__(path, paired_files(Path(path), "image", "mask"), weight)
        self.band = band

    def load(self, index: int) -> LabelledPhoto:
        """The photo number ``index`` >= 0; what lies within the band around the mask's edge is not known."""
        photo, mask = self._files_of(index)
        color, people = read_rgb(photo), read_alpha(mask)
        require_one_size(photo, color.shape, mask, people.shape)
        require_mask(mask, people)
        band = self.band * max(people.shape)
        known = np.where(banded_trimap(people, band, band) == 128, np.uint8(0), np.uint8(255))
        return LabelledPhoto(color, people, known)

    def fingerprint(self, index: int) -> str:
        """A sha256 of photo, mask and band."""
        return hashlib.sha256(f"{super().fingerprint(index)} {self.band}".encode()).hexdigest()


class LabelledFolder(_FolderSource[LabelledPhoto], PhotoSource):
    """Photos in ``image/``, a soft alpha of their people in ``alpha/``, and where it is certain in ``known/``.

    Such labels come from other networks, or from people who mark what they cannot tell: 255 in ``known`` is taught, and
    everything else is left out of the loss. Three files of one name and one size.

    Args:
        path: the folder that holds ``image/``, ``alpha/`` and ``known/``; their sub-folders are searched alike.
        weight: as in :class:`CutoutFolder`.

    Raises:
        InputError: as :class:`PairFolder`.
    """

    parts = (("image", "picture"), ("alpha", "alpha"), ("known", "known"))

    def __init__(self, path: str, weight: float = 1.0) -> None:
        alphas, knowns = (paired_files(Path(path), "image", labels) for labels in ("alpha", "known"))
        files = [(*pair, known) for pair, (_, known) in zip(alphas, knowns, strict=True)]
        super().__init__(path, files, weight)

    def load(self, index: int) -> LabelledPhoto:
        """The photo number ``index`` >= 0 with its alpha, and where that is certain."""
        photo, *labels = self._files_of(index)
        color, alpha, known = read_rgb(photo), *map(read_alpha, labels)
        for file, label in zip(labels, (alpha, known), strict=True):
            require_one_size(photo, color.shape, file, label.shape)
        return LabelledPhoto(color, alpha, known)


def paired_files(path: Path, pictures: str, alphas: str) -> list[tuple[Path, Path]]:
    """The files of two folders by their common names, of equal sizes, those of the second with a single channel."""
    named = [pictures_by_name(path / folder) for folder in (pictures, alphas)]
    alone = sorted(named[0].keys() ^ named[1].keys())
    if alone:
        shown = ", ".join(str(named[0].get(name) or named[1][name]) for name in alone[:3])
        raise InputError(
            f"{path} holds {len(alone)} file(s) without a partner ({shown}{', ...' if alone[3:] else ''}); "
            f"every picture in {pictures}/ needs one of the same name in {alphas}/, and the other way round."
        )
    files = [(named[0][name], named[1][name]) for name in sorted(named[0])]
    headers = dict(_headers(file for pair in files for file in pair))
    problems = [
        _problem(require_single_channel, b, headers[b].mode, headers[b].has_alpha) for _, b in files if b in headers
    ]
    problems += [_problem(require_one_size, a, headers[a], b, headers[b]) for a, b in files if {a, b} <= headers.keys()]
    _raise_all(path, problems)
    return files


def require_one_size(picture: Path, size: Sequence[Any], other: Path, other_size: Sequence[Any]) -> None:
    """Refuse two pictures that belong together and differ in size: height and width first.

    Raises:
        InputError: they do.
    """
    if size[:2] != other_size[:2]:
        raise InputError(
            f"{picture} is {size[1]}×{size[0]} pixels and {other} is {other_size[1]}×{other_size[0]}; both must have "
            "one size: export them again from the same picture."
        )


def _headers(files: Iterable[Path]) -> Iterator[tuple[Path, Header]]:
    """Of every file that has one: the others are found where they are decoded, with all else that does not decode."""
    for file in files:
        with suppress(InputError):
            yield file, read_header(file)


def _problem(require: Callable[..., None], *arguments: Any) -> InputError | None:
    try:
        require(*arguments)
    except InputError as error:
        return error
    return None


def _raise_all(path: str | Path, problems: Iterable[InputError | None]) -> None:
    found = [str(problem) for problem in problems if problem]
    if found[1:]:
        more = [f"And {len(found) - 20} more."] if found[20:] else []  # of a folder of something else
        raise InputError("\n".join([f"{len(found)} pictures in {path} are not as they should be.", *found[:20], *more]))
    if found:
        raise InputError(found[0])


def _chosen(folder: str, names: str | Sequence[str] | None) -> list[Path]:
    if names is None:
        return list_pictures(folder)
    if isinstance(names, str):
        return _named(folder, Path(names))
    pictures, names = pictures_by_name(folder), [unicodedata.normalize("NFC", pattern) for pattern in names]
    for pattern in names:
        if not any(fnmatchcase(name, pattern) for name in pictures):
            raise InputError(f"No name of a picture in {folder} fits {pattern!r}; names are paths below it, no suffix.")
    return [file for name, file in pictures.items() if any(fnmatchcase(name, pattern) for pattern in names)]


def files_by_role(files: Iterable[tuple[Path, ...]], path: str, *parts: tuple[str, Role]) -> list[PictureFile]:
    """The files of pictures that consist of several, each part in its own folder below ``path``: folder and role."""
    return [
        PictureFile(file, role, str(Path(path) / folder))
        for of_picture in files
        for file, (folder, role) in zip(of_picture, parts, strict=True)
    ]


def _named(folder: str, names: Path) -> list[Path]:
    if not names.is_file():
        raise InputError(f"{names} does not exist; give a text file with a picture's name on every line.")
    pictures, wanted = pictures_by_name(folder), read_names(names, errors="backslashreplace")
    unknown = [name for name in wanted if name not in pictures]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if unknown[3:] else "")
        raise InputError(
            f"{names} names {len(unknown)} picture(s) that {folder} does not hold ({shown}); names are paths below it "
            "without suffix, one a line, in UTF-8. Write a list of that folder's, or take the source out of the config."
        )
    return [pictures[name] for name in wanted]


def sha256_of_files(*files: Path) -> str:
    """One sha256 of several files' contents, in their order."""
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()
