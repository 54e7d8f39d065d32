"""What a row changes against its reference, with an interval over seeds and pictures."""

from typing import NamedTuple

import numpy as np

from experiments.ablations.kept import Kept, Measure
from experiments.ablations.rows import ROWS

RESAMPLES, LEVEL = 10_000, 0.95


class Effect(NamedTuple):
    """A row against its reference, over the seeds that both have; all in percent of the reference.

    Attributes:
        seeds: How many.
        change: Of the mean over seeds and pictures.
        low: Lower end of the interval.
        high: Upper end.
        agree: Whether the change has the same sign with every seed.
    """

    seeds: int
    change: float
    low: float
    high: float
    agree: bool

    @property
    def direction(self) -> int:
        """-1 or 1 if the interval leaves out 0 and all of several seeds agree, else 0: not told apart."""
        if self.seeds < 2 or not self.agree or self.low <= 0 <= self.high:
            return 0
        return 1 if self.low > 0 else -1


def effect(kept: Kept, row: str, measure: Measure) -> Effect | None:
    """The effect of a row; None where it or its reference has no run yet, or no such score."""
    reference = ROWS[row].reference
    if reference is None:
        return None
    seeds = sorted(set(kept.seeds(row)) & set(kept.seeds(reference)))
    if not seeds:
        return None
    both = np.stack([kept.pictures(measure, name, seeds) for name in (row, reference)])
    if np.isnan(both).any():
        return None
    changed = 100 * (both[0].mean(1) / both[1].mean(1) - 1)
    low, high = interval(both, kept.people(measure))
    return Effect(len(seeds), relative(both), low, high, bool((np.sign(changed) == np.sign(changed[0])).all()))


def relative(both: np.ndarray) -> float:
    """The mean of the first, ``[2, seeds, pictures]``, against that of the second, in percent of the latter."""
    return float(100 * (both[0].mean() / both[1].mean() - 1))


def interval(both: np.ndarray, groups: list[str], resamples: int = RESAMPLES) -> tuple[float, float]:
    """A bootstrap interval of :func:`relative`, paired: both rows get the same seeds and pictures in every resample.

    Seeds and groups of pictures are drawn independently of each other. Of n seeds n − 1 are drawn: the variance of a
    mean of n draws would be too small by (n − 1) / n, which for three seeds is a third (T. Hesterberg, What Teachers
    Should Know About the Bootstrap, 2015).

    Args:
        both: ``[2, seeds, pictures]``, a row and its reference.
        groups: Of each picture; those of one group are drawn together.
        resamples: How many.

    Returns:
        The ends, in percent.
    """
    rng = np.random.default_rng(0)
    names, group = np.unique(groups, return_inverse=True)
    count, seeds = len(names), both.shape[1]
    sums = np.array([[np.bincount(group, values, count) for values in row] for row in both])
    drawn_seeds = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), resamples)
    drawn_groups = rng.multinomial(count, np.full(count, 1 / count), resamples)
    row, reference = np.einsum("ns,rsg,ng->rn", drawn_seeds, sums, drawn_groups, optimize=True)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(100 * (row / reference - 1), (tail, 100 - tail))
    return float(low), float(high)
