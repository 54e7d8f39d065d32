"""All scores of one benchmark, from one pass over its images and one check of each batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sdnet_pl.metrics.functional import (
    SCORES,
    alpha_histogram,
    constant_matte,
    intersection_over_union,
    reduce_errors,
)
from sdnet_pl.metrics.matting import STATE_DTYPE, ImageMeans
from sdnet_pl.metrics.quantisation import QuantisedMattes, quantise

QUICK_SCORES = ("mad_whole", "mse_whole", "sad_whole", "sad_unknown", "mse_unknown", "iou_whole")
FULL_SCORES = (
    *QUICK_SCORES,
    "gradient_whole",
    "gradient_unknown",
    "connectivity_whole",
    "connectivity_unknown",
)


def image_scores(levels: QuantisedMattes, names: Sequence[str]) -> Tensor:
    """Score every image of a batch.

    Args:
        levels: of `quantise`, with a trimap if a name asks for the unknown region.
        names: keys of `METRIC_LABELS`.

    Returns:
        `[N, B]`, a row for each name, in the units of the functionals; float64 (float32 on MPS). NaN where an image has
        no unknown pixel.

    Example:
        >>> import torch
        >>> levels = quantise(torch.full((1, 1, 2, 2), 0.2), torch.zeros(1, 1, 2, 2))
        >>> image_scores(levels, ["mad_whole", "iou_whole"])
        tensor([[0.2000],
                [1.0000]], dtype=torch.float64)
    """
    wanted = {name: name.rsplit("_", 1) for name in names if name != "iou_whole"}
    # MAD and SAD share their map, and so do the two regions
    errors = {function: function(levels) for function in {SCORES[metric].errors for metric, _ in wanted.values()}}
    values = {
        name: reduce_errors(
            SCORES[metric], errors[SCORES[metric].errors], levels.unknown if region == "unknown" else None
        )
        for name, (metric, region) in wanted.items()
    }
    return torch.stack([intersection_over_union(levels) if name == "iou_whole" else values[name] for name in names])


class BenchmarkMetrics(ImageMeans):
    """The scores of one benchmark.

    Means over images of MAD, MSE, SAD and IoU on the whole image and of SAD and MSE on the unknown region, beside the
    zero line of a constant matte at the mean alpha. A metric of torchmetrics with one state for all scores, so that it
    is checked once a batch and synchronised once an epoch.

    Args:
        full: also score gradient and connectivity in both regions, on the CPU, which costs several times the rest.
        kwargs: options of `torchmetrics.Metric`.

    Attributes:
        latest: the scores of the batch that was added last, `[N, B]`: a row for each of `score_names`.

    Example:
        >>> import torch
        >>> metrics = BenchmarkMetrics()
        >>> target = torch.zeros(1, 1, 8, 8)
        >>> target[..., 4:] = 1.0
        >>> metrics.update(target * 0.8, target, torch.full((1, 1, 8, 8), 128, dtype=torch.uint8))
        >>> scores = metrics.compute()
        >>> round(scores["mad_whole"].item(), 4), scores["constant_mad_whole"].item(), scores["images"].item()
        (0.1, 0.5, 1)
    """

    histogram: Tensor
    latest: Tensor

    def __init__(self, full: bool = False, **kwargs: Any) -> None:
        self.score_names = FULL_SCORES if full else QUICK_SCORES
        super().__init__(size=len(self.score_names), **kwargs)
        self.add_state("histogram", torch.zeros(256, dtype=STATE_DTYPE), dist_reduce_fx="sum")

    def update(self, pred: Tensor, target: Tensor, trimap: Tensor) -> None:
        """Add a batch.

        Args:
            pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
            target: true alpha, floating `[B, 1, H, W]` in [0, 1].
            trimap: uint8 `[B, 1, H, W]` of 0, 128, 255.

        Raises:
            InputError: for a wrong shape, dtype, range or trimap code.
        """
        levels = quantise(pred, target, trimap)
        self.latest = image_scores(levels, self.score_names)
        self._add(self.latest)
        self.histogram = self.histogram + alpha_histogram(levels.target).to(self.histogram)

    def compute(self) -> dict[str, Tensor]:
        """Give every score, over all processes of a distributed run.

        Returns:
            Scalars in the units of the functionals: the means of `score_names`, which are keys of `METRIC_LABELS`;
            "constant_mad_whole" and "constant_mse_whole"; "images" counted for the whole image and
            "images_without_unknown", int64. Means are NaN without an image.
        """
        constant = constant_matte(self.histogram)
        return {
            **dict(zip(self.score_names, self._means(), strict=True)),
            "constant_mad_whole": constant["mad"],
            "constant_mse_whole": constant["mse"],
            "images": self.images[self.score_names.index("mad_whole")],
            "images_without_unknown": self.skipped[self.score_names.index("sad_unknown")],
        }
