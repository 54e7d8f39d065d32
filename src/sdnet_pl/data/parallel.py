"""How many processes and threads decode and augment pictures, so that they do not wait for one another.

A spawned loader process imports what holds its start function: nothing heavy is imported here.
"""

import os
import signal
from types import FrameType

import cv2

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""What ends a training after its batch; SIGUSR1 is what SLURM is asked to send before a job's time ends."""


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """Loader processes if nothing else is asked for: half the cores, at most 8."""
    return min(8, usable_cores() // 2)


def one_thread(worker: int = 0) -> None:
    """Keep OpenCV in one thread: for processes that run beside others, whose cores its own threads would take.

    Args:
        worker: The process's number, as a loader's ``worker_init_fn`` is told.
    """
    cv2.setNumThreads(0)


def start_worker(worker: int) -> None:
    """Set up a process that loads samples for a training: one thread, and one signal to stop is ignored.

    Such a signal often reaches all processes of a command, and the main one still finishes its batch.

    Args:
        worker: As for :func:`one_thread`.
    """
    one_thread()
    for number in STOP_SIGNALS:
        signal.signal(number, _ignore_once)


def _ignore_once(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
