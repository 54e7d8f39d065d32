"""The training set: numbered samples of F, α and B, each a pure function of the seed and its number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from sdnet_pl.data.augmentation import Augmentation, random_object, random_tone
from sdnet_pl.data.batches import EvaluationSample, TrainingSample
from sdnet_pl.data.composition import hide_behind, merge_foregrounds
from sdnet_pl.data.recipe import PLAIN, SampleRecipe
from sdnet_pl.data.sources.base import (
    BackgroundSource,
    Foreground,
    ForegroundSource,
    Image,
    LabelledPhoto,
    PhotoSource,
    Source,
)
from sdnet_pl.data.trimap import random_trimap
from sdnet_pl.errors import InputError

Loaded = TypeVar("Loaded")
Sample = TypeVar("Sample", TrainingSample, EvaluationSample)
AnySource = TypeVar("AnySource", bound=Source[Any])


def to_tensor(image: Image) -> Tensor:
    """uint8 ``[H, W]`` or ``[H, W, C]`` to uint8 ``[C, H, W]``."""
    if image.ndim == 2:
        return torch.from_numpy(np.ascontiguousarray(image[None]))
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))  # fills the planes; several times as fast as a transposed copy
    return torch.from_numpy(planes)


@dataclass(frozen=True)
class CropSizes:
    """The side of the training crop in pixels, which may grow from epoch to epoch.

    Plain values, since loader processes that are spawned get a copy by pickle: a method of the data module would carry
    the trainer and all it holds along.

    Args:
        size: In the end.
        growing: Smaller ones before, by the epoch that ends them, in rising order.
        samples_per_epoch: How many samples an epoch has.
    """

    size: int
    growing: Mapping[int, int]
    samples_per_epoch: int

    def in_epoch(self, epoch: int) -> int:
        """The side in an epoch, counted from 0."""
        return next((size for end, size in self.growing.items() if epoch < end), self.size)

    def __call__(self, number: int) -> int:
        """The side of a sample."""
        return self.in_epoch(number // self.samples_per_epoch)


class MattingDataset(Dataset[TrainingSample]):
    """F, α and B of endless numbered samples, augmented and at the training size, as uint8.

    Sample n belongs to round n // len: every round visits each foreground once in an order of its own, with random
    backgrounds. Whatever happens to a sample is drawn from (seed, n), so it does not depend on worker or process.

    Args:
        foregrounds: Sources of people; one is drawn from in proportion to its length.
        backgrounds: Sources of backgrounds, likewise.
        size: Side of the crop in pixels, or what gives it for a sample's number, such as :class:`CropSizes`.
        seed: Seed of everything random.
        recipe: What may happen to a sample, and how probable it is; without photos none is drawn.
        photos: Sources of photos with masks, likewise.
        cache: Keeps every decoded picture in memory, except those of endless sources.
    """

    def __init__(
        self,
        foregrounds: Sequence[ForegroundSource],
        backgrounds: Sequence[BackgroundSource],
        size: int | Callable[[int], int],
        seed: int,
        *,
        recipe: SampleRecipe = PLAIN,
        photos: Sequence[PhotoSource] = (),
        cache: bool = False,
    ) -> None:
        self.foregrounds, self.backgrounds, self.photos = foregrounds, backgrounds, photos
        self.size, self.seed = size, seed
        self.recipe = recipe if photos else replace(recipe, photo=0.0)
        # Whether every sample says where its alpha is certain: a batch must agree.
        self.uncertain = self.recipe.photo > 0 or any(source.estimated_edge for source in foregrounds)
        self.cached: dict[tuple[int, int], Any] | None = {} if cache else None
        self.augmentation = Augmentation(self._size_of(0), self.recipe)
        self._order: tuple[int, np.ndarray] | None = None
        self._lost: list[str] = []

    def __len__(self) -> int:
        """Foregrounds in a round."""
        return sum(map(len, self.foregrounds))

    def __getitem__(self, number: int) -> TrainingSample:
        """The sample of a number; ``known`` is there where photos or estimated edges are drawn from.

        If a picture cannot be read, the next of its source takes its place, and ``replaced`` lists why.
        """
        self._lost = []
        rng = np.random.default_rng([self.seed, 1, number])
        if self.augmentation.size != self._size_of(number):
            self.augmentation = Augmentation(self._size_of(number), self.recipe)
        round_, position = divmod(number, len(self))
        known = np.full((self.augmentation.size, self.augmentation.size), 255, np.uint8)
        if _happens(self.recipe.photo, rng):
            photo, alpha, known = self._photo(round_, rng)
            foreground, background = Foreground(photo, alpha), photo
        else:
            foreground = self._foreground(int(self._shuffled(round_)[position]), round_, rng, known)
            for _ in range(2):
                if not _happens(self.recipe.second_person, rng):
                    break
                other = self._foreground(int(rng.integers(len(self))), round_, rng, known)
                foreground = merge_foregrounds(foreground, other)
            if _happens(self.recipe.no_person, rng):
                foreground = Foreground(foreground.color, np.zeros_like(foreground.alpha))
                known[:] = 255
            background = self._background(round_, rng)
            if _happens(self.recipe.object_in_front, rng):
                texture = self._background(round_, rng)
                foreground, background = hide_behind(
                    Foreground(texture, random_object(self.augmentation.size, rng)), foreground, background
                )
        if _happens(self.recipe.tone, rng):
            tone = random_tone(rng)
            foreground = Foreground(np.asarray(cv2.LUT(foreground.color, tone), np.uint8), foreground.alpha)
            background = np.asarray(cv2.LUT(background, tone), np.uint8)
        sample: TrainingSample = {
            "foreground": to_tensor(foreground.color),
            "alpha": to_tensor(foreground.alpha),
            "background": to_tensor(background),
            "trimap": to_tensor(random_trimap(foreground.alpha, rng)),
            "seed": torch.tensor(_draw_seed(rng)),
            "number": torch.tensor(number),
        }
        if self.uncertain:
            sample["known"] = to_tensor(known)
        if self._lost:
            sample["replaced"] = self._lost
        return sample

    def __getstate__(self) -> dict[str, Any]:
        # A process that gets a copy fills a cache of its own: the keys of this one are of objects here.
        return self.__dict__ | {"cached": None if self.cached is None else {}}

    def _size_of(self, number: int) -> int:
        return self.size(number) if callable(self.size) else self.size

    def _foreground(self, number: int, round_: int, rng: np.random.Generator, known: Image) -> Foreground:
        """A person at the training size; ``known`` becomes 0 where the estimated edge is not to be taught."""
        source, index = _locate(self.foregrounds, number)
        loaded = self._load(source, index, round_)
        foreground = self.augmentation.augment_foreground(loaded, _draw_seed(rng))
        if source.estimated_edge and rng.random() < 0.5:
            known[(foreground.alpha > 0) & (foreground.alpha < 255)] = 0
        return foreground

    def _background(self, round_: int, rng: np.random.Generator) -> Image:
        number = int(rng.integers(sum(map(len, self.backgrounds))))
        loaded = self._load(*_locate(self.backgrounds, number), round_)
        return self.augmentation.augment_background(loaded, _draw_seed(rng))

    def _photo(self, round_: int, rng: np.random.Generator) -> LabelledPhoto:
        number = int(rng.integers(sum(map(len, self.photos))))
        loaded = self._load(*_locate(self.photos, number), round_)
        return self.augmentation.augment_photo(loaded, _draw_seed(rng))

    def _load(self, source: Source[Loaded], index: int, round_: int) -> Loaded:
        # Folders start again after their last picture; endless sources draw somebody new in every round.
        loaded, lost = load_or_next(partial(self._read, source), index + round_ * len(source), source.pictures)
        self._lost += lost
        return loaded

    def _read(self, source: Source[Any], index: int) -> Any:
        if self.cached is None or source.endless:
            return source.load(index)
        index %= source.pictures
        key = id(source), index
        if key not in self.cached:
            self.cached[key] = source.load(index)
        return self.cached[key]

    def _shuffled(self, round_: int) -> np.ndarray:
        if self._order is None or self._order[0] != round_:
            self._order = round_, np.random.default_rng([self.seed, 0, round_]).permutation(len(self))
        return self._order[1]


def load_or_next(load: Callable[[int], Loaded], index: int, length: int) -> tuple[Loaded, list[str]]:
    """What is loaded by a number, or by the next one that can be: a long training outlasts the loss of a picture.

    Args:
        load: Loads by a number.
        index: The first to try.
        length: How many there are; not more than ten are tried, since more are lost with a whole disk.

    Returns:
        What was loaded, and why the first could not be, if so.

    Raises:
        InputError: None of them can be loaded.
    """
    lost: list[str] = []
    for number in range(index, index + min(length, 10)):
        try:
            return load(number), lost[:1]
        except InputError as error:
            lost.append(str(error))
    raise InputError(lost[0])


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch of samples, still uint8, ``[B, ...]``; ``replaced`` lists the reasons of all, absent without any."""
    replaced = [reason for sample in samples for reason in sample.get("replaced", ())]
    batch = default_collate([{key: value for key, value in sample.items() if key != "replaced"} for sample in samples])
    return cast(Sample, batch | {"replaced": replaced} if replaced else batch)


def _happens(probability: float, rng: np.random.Generator) -> bool:
    # What never happens draws nothing: the samples of a seed do not change when a possibility is added.
    return probability > 0 and rng.random() < probability


def _locate(sources: Sequence[AnySource], number: int) -> tuple[AnySource, int]:
    for source in sources:
        if number < len(source):
            return source, number
        number -= len(source)
    raise IndexError(number)


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
