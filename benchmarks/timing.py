"""Fair timing on noisy machines: candidates take turns, and medians and ratios of one run are compared."""

import time
from collections.abc import Callable, Mapping
from statistics import median

from tqdm import tqdm


def interleave(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each candidate over ``rounds``, in seconds.

    Every round lets each candidate take its turn, so that a slow minute of the machine hits all of them alike. It is
    called twice and the second call counts: during the first the threads of the candidate before may still wait busily,
    and the caches hold that one's data.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in tqdm(range(rounds), desc="Rounds", leave=False):
        for name, call in candidates.items():
            call()
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def positive(text: str) -> int:
    """A number of at least 1 of the command line; ValueError for anything else."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is below 1")
    return number
