"""The training set: numbered samples, each a pure function of the seed and its number."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from sdnet_pl.data.augment import Augmentation
from sdnet_pl.data.composition import merge_foregrounds
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image
from sdnet_pl.data.trimap import random_trimap

Source = TypeVar("Source", ForegroundSource, BackgroundSource)


def to_tensor(image: Image) -> Tensor:
    """uint8 ``[H, W]`` or ``[H, W, C]`` to uint8 ``[C, H, W]``."""
    if image.ndim == 2:
        return torch.from_numpy(np.ascontiguousarray(image[None]))
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))  # fills the planes; several times as fast as a transposed copy
    return torch.from_numpy(planes)


class CompositionDataset(Dataset[dict[str, Tensor]]):
    """F, α and B of endless numbered samples, augmented and at the training size, as uint8.

    Sample n belongs to round n // len: every round visits each foreground once in an order of its own, with random
    backgrounds. Whatever happens to a sample is drawn from (seed, n), so it does not depend on worker or process.

    Args:
        foregrounds: Sources of people; one is drawn from in proportion to its length.
        backgrounds: Sources of backgrounds, likewise.
        size: Side of the crop in pixels.
        seed: Seed of everything random.
        second_person: Probability of a second foreground behind the first, merged exactly.
    """

    def __init__(
        self,
        foregrounds: Sequence[ForegroundSource],
        backgrounds: Sequence[BackgroundSource],
        size: int,
        seed: int,
        second_person: float = 0.0,
    ) -> None:
        self.foregrounds, self.backgrounds = foregrounds, backgrounds
        self.seed, self.second_person = seed, second_person
        self.augmentation = Augmentation(size)
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        """Foregrounds in a round."""
        return sum(map(len, self.foregrounds))

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """``foreground`` and ``background`` uint8 ``[3, S, S]``, ``alpha`` and ``trimap`` uint8 ``[1, S, S]``, and
        ``seed``, int64, for what the device still draws."""
        rng = np.random.default_rng([self.seed, 1, number])
        round_, position = divmod(number, len(self))
        foreground = self._foreground(int(self._shuffled(round_)[position]), round_, rng)
        if rng.random() < self.second_person:
            other = self._foreground(int(rng.integers(len(self))), round_, rng)
            foreground = merge_foregrounds(foreground, other)
        source, index = _locate(self.backgrounds, int(rng.integers(sum(map(len, self.backgrounds)))))
        background = source.load(index + round_ * len(source))
        background = self.augmentation.augment_background(background, _draw_seed(rng))
        return {
            "foreground": to_tensor(foreground.color),
            "alpha": to_tensor(foreground.alpha),
            "background": to_tensor(background),
            "trimap": to_tensor(random_trimap(foreground.alpha, rng)),
            "seed": torch.tensor(_draw_seed(rng)),
        }

    def _foreground(self, number: int, round_: int, rng: np.random.Generator) -> Foreground:
        source, index = _locate(self.foregrounds, number)
        # Folders wrap around; endless sources draw somebody new in every round.
        return self.augmentation.augment_foreground(source.load(index + round_ * len(source)), _draw_seed(rng))

    def _shuffled(self, round_: int) -> np.ndarray:
        if self._order is None or self._order[0] != round_:
            self._order = round_, np.random.default_rng([self.seed, 0, round_]).permutation(len(self))
        return self._order[1]


class EpochSampler(DistributedSampler[int]):
    """Sample numbers of one epoch: epoch e takes the numbers from e · n to (e + 1) · n − 1, dealt out to the processes.

    A DistributedSampler, because Lightning then leaves the dealing to it and tells it the epoch.
    """

    def __init__(self, samples_per_epoch: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(range(samples_per_epoch), num_replicas=world_size, rank=rank, shuffle=False, drop_last=True)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * len(self.dataset)  # type: ignore[arg-type]
        return (first + i for i in super().__iter__())


class EvaluationSampler(DistributedSampler[int]):
    """Every index once, dealt out to the processes; those at or beyond ``length`` are padding.

    The padding keeps the processes in step (each must run equally many forwards), and whoever receives an index >=
    ``length`` must leave it out of the metrics: with the usual sampler, which repeats indices, some images count twice.
    """

    def __init__(self, length: int, rank: int = 0, world_size: int = 1) -> None:
        padded = -(-length // world_size) * world_size
        super().__init__(range(padded), num_replicas=world_size, rank=rank, shuffle=False)  # type: ignore[arg-type]


def _locate(sources: Sequence[Source], number: int) -> tuple[Source, int]:
    for source in sources:
        if number < len(source):
            return source, number
        number -= len(source)
    raise IndexError(number)


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
