"""The check of every picture before a long job: all that do not decode are named at once, and alphas that are odd.

One thread a core decodes them and drops the pixels at once: OpenCV and Pillow let other threads run meanwhile. What was
good is noted in the user's cache folder by path, size and time of change, so that the next start only asks the file
system.
"""

import hashlib
import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from sdnet_pl.data.alpha_values import judge, oddity_in_role, require_mask, require_trimap
from sdnet_pl.data.image_io import atomic_write, read_alpha, read_rgb, read_rgba
from sdnet_pl.data.parallel import usable_cores
from sdnet_pl.data.sources.base import PictureFile
from sdnet_pl.errors import InputError, InputWarning

VERSION = 2  # of what is noted; raised when a check gets stricter
THREADS = 8  # at most: each holds a picture


@dataclass
class Checked:
    """What a check has found.

    Attributes:
        total: How many files there were.
        unusable: Why a file cannot be used, a sentence each.
        odd: By folder and file what :func:`sdnet_pl.data.alpha_values.oddity` says of an alpha.
    """

    total: int = 0
    unusable: list[str] = field(default_factory=list)
    odd: dict[str, dict[Path, str | None]] = field(default_factory=dict)

    def warn(self) -> None:
        """Names alphas that are odd and may be right, in an :class:`InputWarning` for each folder and kind."""
        for sentence in judge(self.odd)[0]:
            warnings.warn(sentence, InputWarning, stacklevel=2)

    def require_good(self, otherwise: str, odd_otherwise: str = "") -> None:
        """Refuse pictures that cannot be used, and folders in which most alphas are odd.

        Args:
            otherwise: How to do without the check, as the end of a sentence.
            odd_otherwise: The same for odd alphas, if it differs.

        Raises:
            InputError: There are some; all of them are named.
        """
        refused = judge(self.odd)[1]
        said = []
        for reasons, count, end in (
            (self.unusable, f"{len(self.unusable)} of {self.total} pictures cannot be used", otherwise),
            (refused, "Odd alphas are refused", odd_otherwise or otherwise),
        ):
            if len(self.unusable + refused) == 1:
                said += [f"{reason.removesuffix('.')}; or {end}." for reason in reasons]
            elif reasons:
                said += [f"{count}; see below, or {end}.", *reasons]
        if said:
            raise InputError("\n".join(said))


def check_pictures(files: Iterable[PictureFile], progress: bool = True) -> Checked:
    """Decodes every picture that has not been found good before.

    Args:
        files: What to check; a file that comes twice in one role is checked once.
        progress: Shows a bar if there is something to decode.
    """
    files = list(dict.fromkeys(files))
    caches = {folder: _Cache(folder) for folder in {file.folder for file in files}}
    stamps = {file: _stamp(file.path) for file in files}
    kinds = {file: caches[file.folder].look_up(file, stamps[file]) for file in files}
    todo = [file for file, kind in kinds.items() if kind is None]
    reasons: dict[Path, str] = {}
    pool = ThreadPoolExecutor(min(THREADS, usable_cores()))
    try:
        bar = tqdm(total=len(todo), desc="Checking pictures", unit="picture", disable=not (progress and todo))
        with bar:
            for file, outcome in zip(todo, pool.map(_inspect, todo), strict=True):
                bar.update()
                if isinstance(outcome, InputError):
                    reasons.setdefault(file.path, str(outcome))
                else:
                    kinds[file] = outcome
                    caches[file.folder].note(file, stamps[file], outcome)
    finally:
        pool.shutdown(cancel_futures=True)
        for cache in caches.values():
            cache.write()
    odd: dict[str, dict[Path, str | None]] = defaultdict(dict)
    for file, kind in kinds.items():
        if file.role not in ("picture", "trimap") and kind is not None:
            odd[file.folder][file.path] = kind or None
    return Checked(len(files), list(reasons.values()), dict(odd))


def _inspect(file: PictureFile) -> str | InputError:
    """What is odd about a picture, nothing of most; or why it cannot be used."""
    try:
        if file.role == "picture":
            read_rgb(file.path)
            return ""
        if file.role == "cutout":
            alpha = read_rgba(file.path)[1]
        else:
            alpha = read_alpha(file.path, equal_channels=file.role == "published")
        if file.role == "trimap":
            require_trimap(file.path, alpha)
            return ""
        if file.role == "mask":
            require_mask(file.path, alpha)
    except InputError as error:
        return error
    return oddity_in_role(alpha, file.role) or ""


class _Stamp(NamedTuple):
    size: int
    changed: int  # in nanoseconds


def _stamp(path: Path) -> _Stamp | None:
    with suppress(OSError):
        status = path.stat()
        return _Stamp(status.st_size, status.st_mtime_ns)
    return None


class _Cache:
    """The pictures of a folder that were found good, in a file of the user's cache folder. Without one it is empty."""

    def __init__(self, folder: str) -> None:
        self.root = Path(folder).absolute()
        self.file: Path | None = None
        self.known: dict[str, list[int | str]] = {}
        self.changed = False
        with suppress(OSError, ValueError, KeyError, TypeError, RuntimeError):  # RuntimeError: there is no home
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:20]
            self.file = Path(base) / "sdnet_pl" / "checked" / f"{name}.json"
            held = json.loads(self.file.read_text("utf-8"))
            if held["version"] == VERSION:
                self.known = dict(held["pictures"])

    def look_up(self, file: PictureFile, stamp: _Stamp | None) -> str | None:
        """What was found; none where the file is new or has changed."""
        held = self.known.get(self._key(file))
        return str(held[2]) if stamp and isinstance(held, list) and held[:-1] == [*stamp] else None

    def note(self, file: PictureFile, stamp: _Stamp | None, kind: str) -> None:
        if stamp is not None:
            self.known[self._key(file)] = [*stamp, kind]
            self.changed = True

    def write(self) -> None:
        if self.file and self.changed:
            with suppress(OSError, ValueError):  # of a disk that is full or a home that is not ours
                content = json.dumps({"version": VERSION, "folder": str(self.root), "pictures": self.known})
                with atomic_write(self.file) as temporary:
                    temporary.write_text(content, "utf-8")

    def _key(self, file: PictureFile) -> str:
        path = file.path.absolute()
        below = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return f"{file.role} {below.as_posix()}"
