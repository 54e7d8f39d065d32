"""Scores of predicted alphas that lie in a folder as pictures, whatever method they come from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sdnet_pl.data.alpha_values import inverted_to
from sdnet_pl.data.benchmark_folder import sha256_of_pixels
from sdnet_pl.data.image_io import read_alpha
from sdnet_pl.data.parallel import one_thread
from sdnet_pl.data.trimap import EVALUATION_KERNEL, evaluation_trimap
from sdnet_pl.errors import InputError
from sdnet_pl.metrics.collection import FULL_SCORES, image_scores
from sdnet_pl.metrics.functional import alpha_histogram, constant_matte
from sdnet_pl.metrics.quantisation import quantise
from sdnet_pl.reporting.folder_files import Files


class PictureScores(NamedTuple):
    """What one picture gives.

    Attributes:
        values: Its scores, NaN if it has no unknown pixel.
        histogram: The share of its true alpha's pixels at each level, float64 ``[256]``.
        sha256: Of the pixels of its true alpha, and of its trimap where one was given.
        inverted: Whether the prediction is far from the true alpha, and its inverse is not.
    """

    values: list[float]
    histogram: NDArray[np.float64]
    sha256: str
    inverted: bool


@dataclass
class FolderScores(Dataset[PictureScores]):
    """The scores of each picture of a folder.

    Args:
        files: The files by the picture's name; sizes and channels are taken for right.
        regions: "whole", "unknown" or both.

    Attributes:
        inverted: Names of predictions that are nearer to the true alpha when inverted, once all are scored.
    """

    files: Mapping[str, Files]
    regions: Sequence[str]

    def __post_init__(self) -> None:
        self.names = list(self.files)
        self.inverted: list[str] = []
        self.scores = [score for score in FULL_SCORES if score.rpartition("_")[2] in self.regions]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> PictureScores:
        files = self.files[self.names[index]]
        pred, alpha = read_alpha(files.pred), read_alpha(files.alpha)
        trimap = None
        if "unknown" in self.regions:
            trimap = evaluation_trimap(alpha) if files.trimap is None else read_alpha(files.trimap)
        sha256 = sha256_of_pixels(alpha, None if files.trimap is None else trimap)
        try:
            levels = quantise(_batch(pred) / 255, _batch(alpha) / 255, None if trimap is None else _batch(trimap))
        except InputError as error:
            raise InputError(f"{files.trimap}: {error}") from error
        histogram = alpha_histogram(levels.target).numpy()
        values = image_scores(levels, self.scores)[:, 0].tolist()
        return PictureScores(values, histogram, sha256, inverted_to(pred, alpha))

    def score_all(self, workers: int = 0) -> tuple[dict[str, dict[str, float]], dict[str, float], dict[str, Any]]:
        """Scores every picture, with a progress bar.

        Args:
            workers: Processes; 0: this one. The results are the same for any number.

        Returns:
            The scores by picture and name (keys of ``METRIC_LABELS``); their means, with the constant matte's and the
            counts, as ``BenchmarkMetrics.compute`` names them; and what the benchmark is: rules and pictures, for its
            hash.

        Raises:
            InputError: A file does not decode, an alpha has a palette of colours, or a trimap has other codes than 0,
                128 and 255.
        """
        loader = DataLoader(self, batch_size=None, num_workers=workers, collate_fn=_as_it_is, worker_init_fn=one_thread)
        pictures = list(tqdm(loader, desc="Scoring", unit="picture", total=len(self)))
        values = torch.tensor([picture.values for picture in pictures], dtype=torch.float64)
        total = dict(zip(self.scores, values.nanmean(0).tolist(), strict=True)) | {"images": float(len(self))}
        if "whole" in self.regions:
            constant = constant_matte(torch.from_numpy(np.sum([picture.histogram for picture in pictures], axis=0)))
            total |= {f"constant_{key}_whole": float(constant[key]) for key in ("mad", "mse")}
        if "unknown" in self.regions:
            total["images_without_unknown"] = float(values[:, self.scores.index("sad_unknown")].isnan().sum())
        self.inverted = [name for name, picture in zip(self.names, pictures, strict=True) if picture.inverted]
        each = {
            name: dict(zip(self.scores, picture.values, strict=True))
            for name, picture in zip(self.names, pictures, strict=True)
        }
        return each, total, self._description({name: p.sha256 for name, p in zip(self.names, pictures, strict=True)})

    def _description(self, sha256: Mapping[str, str]) -> dict[str, Any]:
        rules: dict[str, Any] = {"version": 1}
        if "unknown" in self.regions:
            given = next(iter(self.files.values())).trimap is not None
            rules["trimap"] = "given" if given else f"ellipse of {EVALUATION_KERNEL} px"
        return {"rules": rules, "pictures": dict(sha256)}


def folder_hash(description: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits over the rules and the pixels; names of files and their compression do not count."""
    content = [description["rules"], sorted(description["pictures"].values())]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _batch(pixels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pixels)[None, None]


def _as_it_is(picture: Any) -> Any:
    return picture  # the loader would make tensors of it
