"""Folders of the user's own pictures as sources."""

import hashlib
from pathlib import Path

from sdnet_pl.data.foreground import extend_foreground
from sdnet_pl.data.pictures import (
    list_pictures,
    read_alpha,
    read_header,
    read_rgb,
    read_rgba,
    require_alpha,
    require_single_channel,
)
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image
from sdnet_pl.errors import InputError


class CutoutFolder(ForegroundSource):
    """Cut-outs with an alpha channel (PNG, WebP, TIFF, ...) in a folder and its sub-folders.

    Args:
        path: the folder.

    Raises:
        InputError: the folder is missing or empty, or a file in it is no picture or has no alpha channel. Only headers
            are read here; pixels that do not decode are found by :meth:`load`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = list_pictures(path)
        for file in self.files:
            require_alpha(file, read_header(file).has_alpha)

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Foreground:
        color, alpha = read_rgba(self.files[index % len(self)])
        return Foreground(extend_foreground(color, alpha), alpha)

    def fingerprint(self, index: int) -> str:
        return _sha256(self.files[index % len(self)])


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
        foregrounds, alphas = (_by_name(Path(path) / folder) for folder in ("fg", "alpha"))
        alone = sorted(foregrounds.keys() ^ alphas.keys())
        if alone:
            shown = ", ".join(str(foregrounds.get(name) or alphas[name]) for name in alone[:3])
            raise InputError(
                f"{path} holds {len(alone)} file(s) without a partner ({shown}{', ...' if alone[3:] else ''}); "
                "every picture in fg/ needs one of the same name in alpha/, and the other way round."
            )
        self.files = [(foregrounds[name], alphas[name]) for name in sorted(foregrounds)]
        for foreground, alpha in self.files:
            of_foreground, of_alpha = read_header(foreground), read_header(alpha)
            require_single_channel(alpha, of_alpha.mode, of_alpha.has_alpha)
            if of_foreground[:2] != of_alpha[:2]:
                raise InputError(
                    f"{foreground} is {of_foreground.width}×{of_foreground.height} pixels and {alpha} is "
                    f"{of_alpha.width}×{of_alpha.height}; a foreground and its alpha must have one size: "
                    "export them again from the same picture."
                )

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Foreground:
        foreground, alpha_file = self.files[index % len(self)]
        color = read_rgba(foreground)[0] if read_header(foreground).has_alpha else read_rgb(foreground)
        alpha = read_alpha(alpha_file)
        return Foreground(color if self.extended else extend_foreground(color, alpha), alpha)

    def fingerprint(self, index: int) -> str:
        foreground, alpha = self.files[index % len(self)]
        return hashlib.sha256((_sha256(foreground) + _sha256(alpha)).encode()).hexdigest()


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
        return _sha256(self.files[index % len(self)])


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their path below it, without the suffix."""
    named: dict[str, Path] = {}
    for file in list_pictures(folder):
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise InputError(f"{named[name]} and {file} have one name, so their partner is unclear; remove one.")
        named[name] = file
    return named


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
