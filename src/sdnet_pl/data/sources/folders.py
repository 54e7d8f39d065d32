"""Folders of the user's own pictures as sources."""

import hashlib
from pathlib import Path

import numpy as np

from sdnet_pl.data.foreground import extend_foreground
from sdnet_pl.data.pictures import (
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
    MaskedPhoto,
    PhotoSource,
)
from sdnet_pl.data.trimap import banded_trimap
from sdnet_pl.errors import InputError


class CutoutFolder(ForegroundSource):
    """Cut-outs with an alpha channel (PNG, WebP, TIFF, ...) in a folder and its sub-folders.

    Args:
        path: the folder.
        names: a text file with the names of the pictures to take, one a line: paths below the folder without suffix.
            None: all.
        repeat: how often an epoch visits each: what is rare among the pictures and common in photos can come more
            often by a second source.

    Raises:
        InputError: the folder is missing or empty, a file in it is no picture or has no alpha channel, or a name is of
            no picture. Only headers are read here; pixels that do not decode are found by :meth:`load`.
    """

    def __init__(self, path: str, names: str | None = None, repeat: int = 1) -> None:
        if repeat < 1:
            raise InputError(f"repeat is {repeat}; an epoch visits each picture of {path} once or more.")
        self.path, self.repeat = path, repeat
        self.files = list_pictures(path) if names is None else _named(path, Path(names))
        for file in self.files:
            require_alpha(file, read_header(file).has_alpha)

    def __len__(self) -> int:
        return len(self.files) * self.repeat

    def load(self, index: int) -> Foreground:
        color, alpha = read_rgba(self.files[index % len(self.files)])
        return Foreground(extend_foreground(color, alpha), alpha)

    def fingerprint(self, index: int) -> str:
        return sha256(self.files[index % len(self.files)])

    def name(self, index: int) -> str:
        return picture_name(self.files[index % len(self.files)], self.path)


class PairFolder(ForegroundSource):
    """Foregrounds in ``fg/`` and their alphas in ``alpha/``: two files of one name, of any two picture formats.

    Colours are taken as straight; an alpha channel that a file in ``fg/`` may have is ignored.

    Args:
        path: the folder that holds ``fg/`` and ``alpha/``; sub-folders of both are searched alike.
        extended: the colours under alpha 0 are filled in already, as in prepared data. Otherwise every load fills
            them, which takes longer than decoding.

    Raises:
        InputError: a folder is missing or empty, a file has no partner or two, a pair differs in size, or an alpha has
            more than one channel. Only headers are read here; pixels that do not decode are found by :meth:`load`.
    """

    def __init__(self, path: str, extended: bool = False) -> None:
        self.path, self.extended = path, extended
        self.files = paired_files(Path(path), "fg", "alpha")

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Foreground:
        foreground, alpha_file = self.files[index % len(self)]
        color = read_rgba(foreground)[0] if read_header(foreground).has_alpha else read_rgb(foreground)
        alpha = read_alpha(alpha_file)
        return Foreground(color if self.extended else extend_foreground(color, alpha), alpha)

    def fingerprint(self, index: int) -> str:
        return sha256_of_files(*self.files[index % len(self)])

    def name(self, index: int) -> str:
        return picture_name(self.files[index % len(self)][0], Path(self.path) / "fg")


class BackgroundFolder(BackgroundSource):
    """Pictures without people in a folder and its sub-folders, in any picture format.

    Args:
        path: the folder.

    Raises:
        InputError: the folder is missing or empty. A file that does not decode is found by :meth:`load`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = list_pictures(path)

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Image:
        return read_rgb(self.files[index % len(self)])

    def fingerprint(self, index: int) -> str:
        return sha256(self.files[index % len(self)])

    def name(self, index: int) -> str:
        return picture_name(self.files[index % len(self)], self.path)


class MaskFolder(PhotoSource):
    """Photos in ``image/`` and binary masks of their people in ``mask/``: two files of one name.

    Such masks show where people are and err at the edge, so that training on the edge would teach a network to cut
    hair off: pixels within ``band`` of the mask's edge are unknown.

    Args:
        path: the folder that holds ``image/`` and ``mask/``; sub-folders of both are searched alike.
        band: the distance from the edge up to which the mask is not relied on, relative to the photo's longer side.

    Raises:
        InputError: as :class:`PairFolder`, and :meth:`load` for a mask with a grey that is neither black nor white.
    """

    def __init__(self, path: str, band: float = 0.01) -> None:
        if not 0 <= band < 0.5:
            raise InputError(f"band is {band}; it is a share of the photo's longer side, from 0 to below 0.5.")
        self.path, self.band = path, band
        self.files = paired_files(Path(path), "image", "mask")

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> MaskedPhoto:
        photo, mask = self.files[index % len(self)]
        people = read_alpha(mask)
        if not np.isin(people, (0, 255)).all():
            raise InputError(
                f"{mask} holds greys, and a mask is black and white; a soft alpha belongs into alpha/ of a PairFolder."
            )
        band = self.band * max(people.shape)
        return MaskedPhoto(read_rgb(photo), banded_trimap(people, band, band))

    def fingerprint(self, index: int) -> str:
        files = sha256_of_files(*self.files[index % len(self)])
        return hashlib.sha256(f"{files} {self.band}".encode()).hexdigest()

    def name(self, index: int) -> str:
        return picture_name(self.files[index % len(self)][0], Path(self.path) / "image")


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
    for picture, alpha in files:
        of_picture, of_alpha = read_header(picture), read_header(alpha)
        require_single_channel(alpha, of_alpha.mode, of_alpha.has_alpha)
        if of_picture[:2] != of_alpha[:2]:
            raise InputError(
                f"{picture} is {of_picture.width}×{of_picture.height} pixels and {alpha} is "
                f"{of_alpha.width}×{of_alpha.height}; both must have one size: export them again from the same picture."
            )
    return files


def _named(folder: str, names: Path) -> list[Path]:
    if not names.is_file():
        raise InputError(f"{names} does not exist; give a text file with a picture's name on every line.")
    pictures = pictures_by_name(folder)
    wanted = names.read_text().split("\n")
    wanted = [name.strip() for name in wanted if name.strip()]
    unknown = [name for name in wanted if name not in pictures]
    if unknown or not wanted:
        shown = ", ".join(unknown[:3]) + (", ..." if unknown[3:] else "")
        raise InputError(
            f"{names} names {len(unknown)} picture(s) that {folder} does not hold ({shown}); names are paths below it "
            "without suffix, one a line. Write a list of that folder's, or take the source out of the config."
            if unknown
            else f"{names} is empty; write the name of a picture on every line."
        )
    return [pictures[name] for name in wanted]


def sha256_of_files(*files: Path) -> str:
    """One sha256 of several files' contents, in their order."""
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()
