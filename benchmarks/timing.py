"""Fair timing on noisy machines: candidates take turns, and medians and ratios of one run are compared."""

import time
from collections.abc import Callable, Mapping
from statistics import median

from tqdm import tqdm

PAUSE = 0.1
"""Seconds, longer than OpenMP and ONNX Runtime keep idle threads spinning."""


def interleave(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each candidate over ``rounds``, in seconds.

    Every round calls each candidate once, so that a slow minute of the machine hits all of them alike; one more round
    comes first and does not count. Threads of the candidate before may go on waiting busily, so each gets a pause.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for round_ in tqdm(range(rounds + 1), desc="Rounds", leave=False):
        for name, call in candidates.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            call()
            if round_ > 0:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def positive(text: str) -> int:
    """A number of at least 1 of the command line; ValueError for anything else."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is below 1")
    return number
