"""Memory and open files of processes over a long run."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch.callbacks import Callback

GROWTH = 1.1
"""Of memory after warm-up: allocators keep some of what they had."""


class Footprint(NamedTuple):
    """What a process and those that it has started hold.

    Attributes:
        mib: resident memory.
        files: open files, sockets and pipes.
        processes: how many they are.
    """

    mib: float
    files: int
    processes: int


def footprint(pid: int) -> Footprint:
    """Of a process and its descendants."""
    proc = Path(f"/proc/{pid}")
    lines = (proc / "status").read_text().splitlines()
    own = Footprint(
        next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), len(os.listdir(proc / "fd")), 1
    )
    children = [int(child) for task in proc.glob("task/*/children") for child in task.read_text().split()]
    return Footprint(*map(sum, zip(own, *map(footprint, children), strict=True)))


def require_flat(seen: list[Footprint], of: str) -> str:
    """That neither memory nor files grow after the first quarter; returns what to print of a run.

    Args:
        seen: at equal distances, with as many processes after the first quarter.
        of: what ran.
    """
    quarter = len(seen) // 4
    assert quarter >= 2
    warm, late = seen[quarter : 2 * quarter], seen[-quarter:]
    mib, files = ([max(one[field] for one in part) for part in (warm, late)] for field in (0, 1))
    held = [f"{size:.0f} MiB and {count:.0f} files" for size, count in zip(mib, files, strict=True)]
    said = f"{of}: {held[0]} in the second quarter, {held[1]} in the last"
    assert mib[1] < GROWTH * mib[0], said
    assert files[1] <= files[0], said
    return said


class WriteFootprint(Callback):
    """Adds a line to a file every few steps of training.

    Args:
        file: takes the fields of :class:`Footprint`, separated by spaces.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx % 5 == 0:
            with open(self.file, "a", encoding="utf-8") as stream:
                print(*footprint(os.getpid()), file=stream)
