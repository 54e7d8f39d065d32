"""What a process of ``sdnet-pl prepare`` does: it writes samples and shards, one after another."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

from sdnet_pl.data.parallel import one_thread
from sdnet_pl.data.prepare.base import Unit
from sdnet_pl.data.prepare.samples import Record, write_sample
from sdnet_pl.data.prepare.shards import write_shard


def write_unit(
    unit: Unit, root: Path, destination: Path, max_side: int, skip_bad: bool
) -> tuple[Record | None, list[str]]:
    """Write the files of a sample or of a shard, each whole or not at all.

    Args:
        unit: what to write.
        root: the folder that its sources are below.
        destination: the folder that its files go below.
        max_side: as for :func:`~sdnet_pl.data.prepare.samples.write_sample`.
        skip_bad: write a shard without the pictures that cannot be used.

    Returns:
        What was read and written, or None if nothing was; and why pictures cannot be used.

    Raises:
        OSError: a file cannot be written.
    """
    if unit.shard:
        return write_shard(unit, root, destination, max_side, skip_bad)
    outcome = write_sample(unit.samples[0], root, destination, max_side)
    return (None, [outcome]) if isinstance(outcome, str) else (outcome, [])


def start_worker() -> None:
    """Set up a process that calls :func:`write_unit`: one thread, gone with its parent, Ctrl-C left to that."""
    one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's processes would wait for work for ever after their parent was killed.
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)
