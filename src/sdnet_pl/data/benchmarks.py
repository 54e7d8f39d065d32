"""Fixed lists of pictures that scores can be compared on: foreground x background, and photos with masks."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from sdnet_pl.data.batches import EvaluationSample
from sdnet_pl.data.composition import composite_uint8, cover
from sdnet_pl.data.dataset import load_or_next, to_tensor
from sdnet_pl.data.image_io import picture_name, read_alpha, read_rgb
from sdnet_pl.data.sources.base import (
    BackgroundSource,
    Foreground,
    ForegroundSource,
    Image,
    PhotoSource,
    PictureFile,
)
from sdnet_pl.data.sources.folders import files_by_role, paired_files, sha256_of_files
from sdnet_pl.data.trimap import EVALUATION_KERNEL, check_kernel, evaluation_trimap
from sdnet_pl.errors import InputError


class Benchmark(Dataset[EvaluationSample], ABC):
    """Pictures with their alpha in an order that is fixed, and a hash of all that their pixels depend on."""

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Everything that the pixels depend on: the rules and the list with a sha256 of every picture."""

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures are scored."""

    @abstractmethod
    def __getitem__(self, index: int) -> EvaluationSample:
        """The picture; an index at or beyond the list's end wraps around and is marked as padding."""

    def name(self, index: int) -> str:
        """What people call the picture; names are not part of the hash."""
        return str(index)

    def picture_files(self) -> Sequence[PictureFile]:
        """The files that it reads, which can be checked before a long job."""
        return ()

    @cached_property
    def hash(self) -> str:
        """Twelve hexadecimal digits, printed with every score: two scores compare only if they agree."""
        return hash_of(self.description)


class FaultTolerantBenchmark(Dataset[EvaluationSample]):
    """A benchmark that outlasts the loss of a picture: the next one stands in for it, as padding that is not scored.

    Items are those of the benchmark; one that stands in says in ``replaced`` why.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    def __len__(self) -> int:
        return len(self.benchmark)

    def __getitem__(self, index: int) -> EvaluationSample:
        item, lost = load_or_next(self.benchmark.__getitem__, index, len(self))
        if lost:
            item["padding"], item["replaced"] = torch.ones_like(item["padding"]), lost
        return item


def hash_of(description: dict[str, Any]) -> str:
    """The hash of a benchmark from its description, which may have gone through yaml."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:12]


@dataclass
class CompositeBenchmark(Benchmark):
    """Each of a source's foregrounds over a fixed choice of backgrounds.

    Args:
        foregrounds: People that are not trained on.
        backgrounds: Backgrounds that are not trained on.
        backgrounds_per_foreground: How many composites each foreground gives (the paper: 10).
        size: The longer side of a composite in pixels, reduced by area where the foreground is larger; none keeps
            its own size.
        seed: Seed of the choice of backgrounds.
        trimap_kernel: Diameter in pixels of the ellipse that the trimap is made with, the same whatever the size: in
            composites of 100 pixels 25 leave hardly anything known.
        person_height: Height of the person as a share of the picture's, to score people who are far away: they stand on
            the lower edge of the whole background. None: the person's own picture is the frame.
    """

    foregrounds: ForegroundSource
    backgrounds: BackgroundSource
    backgrounds_per_foreground: int = 1
    size: int | None = None
    seed: int = 0
    trimap_kernel: int = EVALUATION_KERNEL
    person_height: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.backgrounds_per_foreground <= self.backgrounds.pictures:
            raise InputError(
                f"backgrounds_per_foreground is {self.backgrounds_per_foreground}; it must lie between 1 and the "
                f"number of backgrounds, {self.backgrounds.pictures}, since no composite may come twice."
            )
        check_kernel(self.trimap_kernel)
        if self.person_height is not None and not 0 < self.person_height <= 1:
            raise InputError(
                f"person_height is {self.person_height}; it is a share of the picture's, above 0, up to 1."
            )
        _require_size(self.size)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The list: (foreground, background) indices."""
        pairs = []
        for i in range(self.foregrounds.pictures):  # a weight is for training
            rng = np.random.default_rng([self.seed, i])
            chosen = rng.choice(self.backgrounds.pictures, self.backgrounds_per_foreground, replace=False)
            pairs += [(i, int(j)) for j in chosen]
        return pairs

    @cached_property
    def description(self) -> dict[str, Any]:
        """The rules, and the sha256 of both pictures of each composite in their order."""
        foregrounds = {i: self.foregrounds.fingerprint(i) for i in {i for i, _ in self.pairs}}
        backgrounds = {j: self.backgrounds.fingerprint(j) for j in {j for _, j in self.pairs}}
        rules: dict[str, Any] = {"version": 1, "size": self.size, "trimap_kernel": self.trimap_kernel}
        if self.person_height is not None:
            rules["person_height"] = self.person_height
        return {
            "rules": rules,
            "pairs": [{"foreground": foregrounds[i], "background": backgrounds[j]} for i, j in self.pairs],
        }

    def picture_files(self) -> list[PictureFile]:
        """The files of both sources."""
        return [*self.foregrounds.picture_files(), *self.backgrounds.picture_files()]

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        """``FOREGROUND over BACKGROUND``, by the names of the sources."""
        i, j = self.pairs[index]
        return f"{self.foregrounds.name(i)} over {self.backgrounds.name(j)}"

    def __getitem__(self, index: int) -> EvaluationSample:
        i, j = self.pairs[index % len(self)]
        foreground, background = self.foregrounds.load(i), self.backgrounds.load(j)
        if self.person_height is None:
            foreground = Foreground(*_reduced(self.size, *foreground))
            background = cover(background, *foreground.alpha.shape)
        else:
            scale = (self.size or max(background.shape[:2])) / max(background.shape[:2])
            height, width = (max(32, round(side * scale)) for side in background.shape[:2])
            background = cover(background, height, width)
            place = np.random.default_rng([self.seed, i, j]).uniform()
            foreground = _standing(foreground, height, width, round(self.person_height * height), place)
        image = composite_uint8(foreground, background)
        trimap = evaluation_trimap(foreground.alpha, self.trimap_kernel)
        return _item(image, foreground.alpha, trimap, index >= len(self))


@dataclass
class PhotoBenchmark(Benchmark):
    """Photos with masks that are not trained on. Masks err at the edge, so the unknown region is not scored.

    Args:
        photos: The photos; their alpha counts everywhere, also where it is not certain.
        size: The longer side of a picture in pixels, reduced by area where the photo is larger; none keeps its own.
    """

    photos: PhotoSource
    size: int | None = None

    def __post_init__(self) -> None:
        _require_size(self.size)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The rules, and the fingerprint of each photo with its mask."""
        return {
            "rules": {"version": 1, "size": self.size},
            "photos": [self.photos.fingerprint(i) for i in range(len(self))],
        }

    def picture_files(self) -> Sequence[PictureFile]:
        """The files of the photos and their masks."""
        return self.photos.picture_files()

    def __len__(self) -> int:
        return self.photos.pictures

    def name(self, index: int) -> str:
        """The photo's name in its source."""
        return self.photos.name(index)

    def __getitem__(self, index: int) -> EvaluationSample:
        photo, alpha, _ = self.photos.load(index % len(self))
        photo, mask = _reduced(self.size, photo, alpha)
        mask = np.where(mask < 128, np.uint8(0), np.uint8(255))
        return _item(photo, mask, mask, index >= len(self))


@dataclass
class AlphaBenchmark(Benchmark):
    """Photos with their alpha, as `sdnet-pl prepare` leaves test sets: ``image/``, ``alpha/`` and perhaps ``trimap/``.

    Args:
        path: The folder that holds these.
        size: The longer side of a picture in pixels, reduced by area where the photo is larger; none keeps its own.
            A trimap that ships is for the photo's own size, so with a size it is made again.

    Raises:
        InputError: As :class:`PairFolder`, and for a photo without a trimap where ``trimap/`` is there.
    """

    path: str
    size: int | None = None

    def __post_init__(self) -> None:
        _require_size(self.size)
        root = Path(self.path)
        self.files = paired_files(root, "image", "alpha")
        self.trimaps: list[Path] = []
        if (root / "trimap").is_dir() and self.size is None:
            self.trimaps = [alpha for _, alpha in paired_files(root, "image", "trimap")]

    @cached_property
    def description(self) -> dict[str, Any]:
        """The rules, the sha256 of each picture with its alpha, and those of the trimaps or their kernel."""
        pictures = [sha256_of_files(*files) for files in self.files]
        trimaps = [sha256_of_files(file) for file in self.trimaps] or EVALUATION_KERNEL
        return {"rules": {"version": 1, "size": self.size}, "pictures": pictures, "trimaps": trimaps}

    def picture_files(self) -> list[PictureFile]:
        """The files in ``image/``, ``alpha/`` and, if they are read, ``trimap/``."""
        pairs = files_by_role(self.files, self.path, ("image", "picture"), ("alpha", "alpha"))
        return pairs + files_by_role([(file,) for file in self.trimaps], self.path, ("trimap", "trimap"))

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """The photo's path below ``image/``, without suffix."""
        return picture_name(self.files[index][0], Path(self.path) / "image")

    def __getitem__(self, index: int) -> EvaluationSample:
        number = index % len(self)
        photo, alpha_file = self.files[number]
        image, alpha = _reduced(self.size, read_rgb(photo), read_alpha(alpha_file))
        trimap = read_alpha(self.trimaps[number]) if self.trimaps else evaluation_trimap(alpha)
        return _item(image, alpha, trimap, index >= len(self))


def _standing(person: Foreground, height: int, width: int, tall: int, place: float) -> Foreground:
    """The person, ``tall`` pixels high, on a canvas's lower edge, ``place`` in [0, 1] of the way across."""
    left, top, wide, high = cv2.boundingRect(person.alpha)
    scale = tall / max(1, high)
    cut = (slice(top, top + high), slice(left, left + wide))
    shape = max(1, round(wide * scale)), max(1, tall)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    color, alpha = (np.asarray(cv2.resize(x[cut], shape, interpolation=interpolation), np.uint8) for x in person)
    first = round(place * max(0, width - shape[0]))
    visible = min(shape[0], width)
    canvas = Foreground(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
    for whole, part in zip(canvas, (color, alpha), strict=True):
        whole[height - tall :, first : first + visible] = part[:, :visible]
    return canvas


def _require_size(size: int | None) -> None:
    if size is not None and size < 32:
        raise InputError(f"The benchmark's size is {size}; the network takes sides of at least 32 pixels.")


def _reduced(size: int | None, color: Image, alpha: Image) -> tuple[Image, Image]:
    """Both, shrunk so that their longer side is at most ``size``."""
    height, width = alpha.shape
    if size is None or size >= max(height, width):
        return color, alpha
    scale = size / max(height, width)
    shape = max(32, round(width * scale)), max(32, round(height * scale))
    color, alpha = (np.asarray(cv2.resize(x, shape, interpolation=cv2.INTER_AREA), np.uint8) for x in (color, alpha))
    return color, alpha


def _item(image: Image, alpha: Image, trimap: Image, padding: bool) -> EvaluationSample:
    return {
        "image": to_tensor(image),
        "alpha": to_tensor(alpha),
        "trimap": to_tensor(trimap),
        "padding": to_tensor(np.array([[padding]])),
    }
