"""Real processes for tests that end them, without the seconds that imports take: forked, and joined as a DDP run."""

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

PATIENCE = 120  # seconds after which processes count as hanging


def run(work: Callable[[], int | None], count: int = 1, die_together: bool = False) -> list[int]:
    """Does the same in forked processes and gives their exit statuses; those of a DDP run if there are two.

    Threads of OpenMP do not outlive a fork, so each process has one.

    Args:
        work: What to do; its result is the exit status.
        count: Of processes.
        die_together: Once one has ended, the others are killed if it failed, as launchers do: they may wait for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    def begin(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
        if count > 1:  # as torchrun does, so Lightning starts no processes of its own
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank), NODE_RANK="0")
            rank_zero_only.rank = rank  # type: ignore[attr-defined]
        sys.exit(work())

    processes = [get_context("fork").Process(target=begin, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    if die_together:
        wait([process.sentinel for process in processes])
        if any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
    for process in processes:
        process.join(PATIENCE)
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
        process.join()
    assert not hanging, "they wait for each other"
    return [process.exitcode or 0 for process in processes]
