"""What a prepared data set consists of: a journal while it is being made, a manifest when it is complete."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from sdnet_pl.data.files import LOCK, naming, only_one, write_text
from sdnet_pl.data.listing import walk
from sdnet_pl.data.prepare.samples import Record, describe
from sdnet_pl.errors import InputError

MANIFEST = "manifest.json"
JOURNAL = ".journal.jsonl"
UNPACKED = ".unpacked-"
# The names that atomic_write works under; a killed process leaves them.
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}(\.[^.]*)?")


class Journal:
    """The samples that are done, a line each, so that an interrupted run resumes after them.

    Args:
        destination: the folder of the prepared data set; made if it is missing.
        header: all that decides on its bytes; a run can only be resumed with the same.

    Attributes:
        complete: whether an earlier run has written the manifest.
        done: what earlier runs have done, by the samples' keys.

    Raises:
        InputError: the folder holds something else, or was begun with another header.
    """

    def __init__(self, destination: Path, header: Mapping[str, Any]) -> None:
        self.destination, self.header = destination, dict(header)
        self._stream: TextIO | None = None
        self._held = ExitStack()
        self._read()

    def _read(self) -> None:
        destination = self.destination
        self.complete = (destination / MANIFEST).exists()
        self.done: dict[str, Record] = {}
        if self.complete:
            _require_same(destination, read_manifest(destination), self.header)
        elif (destination / JOURNAL).exists():
            lines = _lines(destination / JOURNAL)
            begun = next(lines, self.header)
            self.done = {line.pop("sample"): line for line in lines if _is_record(line)}
            # A run that wrote nothing binds nobody.
            if self.done:
                _require_same(destination, begun, self.header)
        elif destination.exists() and any(file.name != LOCK for file in destination.iterdir()):
            raise InputError(
                f"{destination} holds files that are not a prepared data set; give a folder that is new or empty."
            )

    def __enter__(self) -> "Journal":
        """Open it for writing, after clearing away what a killed run left half-written.

        Raises:
            InputError: another process prepares this data set, or has done so meanwhile.
        """
        busy = (
            f"{self.destination} is being prepared by another process; wait until it is done, or give another folder."
        )
        self._held.enter_context(only_one(self.destination, busy))
        try:
            return self._opened()
        except BaseException:
            self._held.close()
            raise

    def _opened(self) -> "Journal":
        self._read()  # once more: another process may have ended since
        if self.complete:
            raise InputError(f"{self.destination} has been completed by another process; there is nothing left to do.")
        for file in list(_files(self.destination)):
            if _UNFINISHED.fullmatch(file.name):
                file.unlink()
        lines = [self.header, *({"sample": key, **record} for key, record in self.done.items())]
        write_text(self.destination / JOURNAL, "".join(json.dumps(line) + "\n" for line in lines))
        self._stream = (self.destination / JOURNAL).open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._stream
        self._stream.close()
        self._held.close()

    def is_done(self, key: str, root: Path, sources: Set[str]) -> bool:
        """Whether a sample or shard is done, and neither its sources nor its files were touched since.

        Args:
            key: of the sample or shard.
            root: the folder that the sources are below.
            sources: their paths below it.
        """
        record = self.done.get(key, {})
        return (
            bool(record)
            and record["sources"].keys() == sources
            and all(
                (folder / name).is_file() and describe(folder / name) == entry
                for folder, entries in ((root, record["sources"]), (self.destination, record["files"]))
                for name, entry in entries.items()
            )
        )

    def add(self, key: str, record: Record) -> None:
        """Note that a sample is done; its files are in place."""
        assert self._stream
        self.done[key] = record
        with naming(self.destination / JOURNAL):
            self._stream.write(json.dumps({"sample": key, **record}) + "\n")
            self._stream.flush()

    def finish(self, keys: Iterable[str], sources: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        """Write the manifest and remove the journal.

        Args:
            keys: the samples that the data set consists of, all of them done.
            sources: files that were read beside those of the samples.
            more: what else the manifest says.
        """
        records = [self.done[key] for key in keys]
        read = {**sources, **{name: entry for record in records for name, entry in record["sources"].items()}}
        written = {name: entry for record in records for name, entry in record["files"].items()}
        lists = {"sources": dict(sorted(read.items())), "files": dict(sorted(written.items()))}
        content = json.dumps({**self.header, **more, **lists}, indent=1, ensure_ascii=False)
        write_text(self.destination / MANIFEST, content + "\n")
        (self.destination / JOURNAL).unlink()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared data set.

    Raises:
        InputError: the folder holds none, or an unreadable one.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        manifest["files"].items()
    except FileNotFoundError:
        reason = "its preparation has not ended: run it again" if (folder / JOURNAL).exists() else "prepare one first"
        raise InputError(f"{folder} holds no {MANIFEST}; {reason}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{folder / MANIFEST} is damaged; prepare the data set again, into another folder.") from None
    return manifest


def verify(folder: Path, progress: Any = iter) -> list[str]:
    """What differs between a prepared data set and its manifest.

    Args:
        folder: the data set.
        progress: wraps the list of files as they are gone through.

    Returns:
        ``missing``, ``changed`` or ``extra`` with a path below the folder, each.

    Raises:
        InputError: as :func:`read_manifest`.
    """
    files = read_manifest(folder)["files"]
    problems = []
    for name, entry in progress(sorted(files.items())):
        if not (folder / name).is_file():
            problems.append(f"missing {name}")
        elif describe(folder / name) != entry:
            problems.append(f"changed {name}")
    return problems + [f"extra {name}" for name in extra_files(folder, files)]


def extra_files(folder: Path, files: Iterable[str]) -> list[str]:
    """The files below a folder of prepared data that do not belong to it."""
    present = {file.relative_to(folder).as_posix() for file in _files(folder)}
    return sorted(present - set(files) - {MANIFEST, JOURNAL, LOCK})


def _files(folder: Path) -> Iterator[Path]:
    tree = walk(folder, hidden=True)
    for file in (*tree.files, *tree.left):
        if not any(part.startswith(UNPACKED) for part in file.relative_to(folder).parts):
            yield file


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal up to one that a killed process did not end, or that was damaged."""
    for line in file.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        yield found


def _is_record(line: Mapping[str, Any]) -> bool:
    return isinstance(line.get("sample"), str) and all(isinstance(line.get(k), dict) for k in ("sources", "files"))


def _require_same(destination: Path, begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = [f"{key} {begun.get(key)} (now {value})" for key, value in now.items() if begun.get(key) != value]
    if differing:
        raise InputError(
            f"{destination} holds another preparation, with {', '.join(differing)}; repeat that one, or give another "
            "folder."
        )
