"""The finished part of a video that is being written, kept beside it so that a killed run can continue."""

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from sdnet_pl.data.files import hold, read_text, write_bytes, write_text
from sdnet_pl.data.provenance import foreign
from sdnet_pl.errors import InputError

SEGMENT = 240
"""Frames of a segment: what is lost at most when a run is killed."""
_JOB, _LOCK = "job.txt", "lock"
_LIST = "npy"


class Finished(NamedTuple):
    """A frame that is written.

    Attributes:
        pts: when it is shown, in units of the video's time base.
        duration: how long, in the same units.
        seen: whether it shows anybody.
    """

    pts: int
    duration: int
    seen: bool


class Parts:
    """A hidden folder beside a target, with segments and for each a list of its frames; used in a ``with`` block.

    A segment counts when its list is written, which is done last. In the block no other process writes to the folder.

    Args:
        target: the file or folder that is made of them at the end.
        job: what they are made of and how. Parts of another job are removed.

    Attributes:
        folder: where they are.
        finished: the frames of all segments.
        segments: the number of the last frame of each segment, counted from 1.

    Raises:
        InputError: a folder of that name holds something else, or another process writes to it.
        OSError: the folder cannot be made.
    """

    def __init__(self, target: Path, job: str) -> None:
        self.folder = target.with_name(f".{target.name}.parts")
        names = {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()
        if names - {_LOCK} and _JOB not in names:
            raise foreign(self.folder)
        # Windows has no such locks, but removes no file that another process has open.
        self._lock = None if os.name == "nt" else self._locked(target)
        try:
            self._take_over(job)
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.segments:  # there is nothing to continue from
            shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    @property
    def done(self) -> int:
        """How many frames are finished."""
        return len(self.finished)

    def segment(self, last: int, suffix: str) -> Path:
        """The file of the segment that ends with a frame, counted from 1; ``suffix`` without a dot."""
        return self.folder / f"{last:08d}.{suffix}"

    def finish_segment(self, frames: Sequence[Finished]) -> None:
        """Count a segment as finished, after its own file is on the disk."""
        self._count(frames)
        packed = io.BytesIO()
        np.save(packed, np.array(frames, np.int64))
        write_bytes(self.segment(self.done, _LIST), packed.getbuffer())

    def replace(self, part: str, target: Path) -> None:
        """Put a finished file or folder in the place of the target, and remove the rest."""
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(self.folder / part, target)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take_over(self, job: str) -> None:
        """What an earlier call finished of the same job; of another one it is removed."""
        note = self.folder / _JOB
        if note.exists() and read_text(note) != job:
            note.unlink()
            for file in self.folder.iterdir():
                if file.is_dir():
                    shutil.rmtree(file)
                elif file.name != _LOCK:
                    file.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(note, job)
        self.finished: list[Finished] = []
        self.segments: list[int] = []
        for file in sorted(self.folder.glob(f"*.{_LIST}")):
            self._count([Finished(pts, duration, bool(seen)) for pts, duration, seen in np.load(file).tolist()])

    def _locked(self, target: Path) -> BinaryIO:
        try:
            return hold(self.folder / _LOCK)
        except BlockingIOError:
            raise InputError(
                f"{target} is being written by another call; wait until it is done, or give another name."
            ) from None

    def _unlock(self) -> None:
        if self._lock:
            self._lock.close()

    def _count(self, frames: Sequence[Finished]) -> None:
        self.finished += frames
        self.segments.append(self.done)
