"""How many processes and threads decode and augment pictures, so that they do not wait for one another.

A spawned loader process imports what holds its start function: nothing heavy is imported here.
"""

import os

import cv2


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
