"""Fixed lists of foreground x background that scores can be compared on."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from sdnet_pl.data.composition import composite_uint8, cover
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource
from sdnet_pl.data.training import to_tensor
from sdnet_pl.data.trimap import EVALUATION_KERNEL, evaluation_trimap
from sdnet_pl.errors import InputError


@dataclass
class Benchmark(Dataset[dict[str, Tensor]]):
    """Each of a source's foregrounds over a fixed choice of backgrounds.

    Args:
        foregrounds: People that are not trained on.
        backgrounds: Backgrounds that are not trained on.
        backgrounds_per_foreground: How many composites each foreground gives (the paper: 10).
        size: The longer side of a composite in pixels, reduced by area where the foreground is larger; none keeps
            its own size.
        seed: Seed of the choice of backgrounds.
    """

    foregrounds: ForegroundSource
    backgrounds: BackgroundSource
    backgrounds_per_foreground: int = 1
    size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.backgrounds_per_foreground <= len(self.backgrounds):
            raise InputError(
                f"backgrounds_per_foreground is {self.backgrounds_per_foreground}; it must lie between 1 and the "
                f"number of backgrounds, {len(self.backgrounds)}, since no composite may come twice."
            )
        if self.size is not None and self.size < 32:
            raise InputError(f"The benchmark's size is {self.size}; the network takes sides of at least 32 pixels.")

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The list: (foreground, background) indices."""
        pairs = []
        for i in range(len(self.foregrounds)):
            rng = np.random.default_rng([self.seed, i])
            chosen = rng.choice(len(self.backgrounds), self.backgrounds_per_foreground, replace=False)
            pairs += [(i, int(j)) for j in chosen]
        return pairs

    @cached_property
    def description(self) -> dict[str, Any]:
        """Everything that the pixels depend on: the rules and the list with a sha256 of every picture."""
        foregrounds = {i: self.foregrounds.fingerprint(i) for i in {i for i, _ in self.pairs}}
        backgrounds = {j: self.backgrounds.fingerprint(j) for j in {j for _, j in self.pairs}}
        return {
            "rules": {"version": 1, "size": self.size, "trimap_kernel": EVALUATION_KERNEL},
            "pairs": [{"foreground": foregrounds[i], "background": backgrounds[j]} for i, j in self.pairs],
        }

    @cached_property
    def hash(self) -> str:
        """Twelve hexadecimal digits that stand beside every score: two scores compare only where they agree."""
        return hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``image`` uint8 ``[3, H, W]``, ``alpha`` and ``trimap`` uint8 ``[1, H, W]``, ``padding`` bool.

        An index at or beyond the list's end wraps around and is marked as padding.
        """
        i, j = self.pairs[index % len(self)]
        foreground = self.foregrounds.load(i)
        height, width = foreground.alpha.shape
        if self.size is not None and self.size < max(height, width):
            scale = self.size / max(height, width)
            shape = max(32, round(width * scale)), max(32, round(height * scale))
            reduced = (cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in foreground)
            foreground = Foreground(*(np.asarray(x, np.uint8) for x in reduced))
        image = composite_uint8(foreground, cover(self.backgrounds.load(j), *foreground.alpha.shape))
        return {
            "image": to_tensor(image),
            "alpha": to_tensor(foreground.alpha),
            "trimap": to_tensor(evaluation_trimap(foreground.alpha)),
            "padding": to_tensor(np.array([[index >= len(self)]])),
        }
