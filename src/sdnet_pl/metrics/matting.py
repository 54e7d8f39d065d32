"""Thin torchmetrics shells: means over images, with the images that have no unknown pixel counted apart."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from sdnet_pl.errors import InputError
from sdnet_pl.metrics.functional import SCORES, alpha_histogram, constant_matte, reduce_errors
from sdnet_pl.metrics.quantisation import check_alpha, quantise, to_levels

Region = Literal["whole", "unknown"]
REGIONS: tuple[Region, ...] = ("whole", "unknown")

# MPS holds no float64, and a metric's states move to the device with its model
STATE_DTYPE = torch.float32 if torch.backends.mps.is_available() else torch.float64


class ImageMeans(Metric):
    """State of one or more means over images: sums, and how many images were counted and how many skipped.

    Args:
        size: number of means, N.
        kwargs: options of `torchmetrics.Metric`.

    Attributes:
        total: sums over images, `[N]`, float64 (float32 where MPS is present).
        images: images counted, int64 `[N]`.
        skipped: images whose region was empty, int64 `[N]`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    total: Tensor
    images: Tensor
    skipped: Tensor

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros(size, dtype=STATE_DTYPE), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("skipped", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        """Add `[N, B]` values, NaN for an image to skip."""
        values = values.to(self.total)
        empty = values.isnan()
        self.total = self.total + values.nansum(1)
        self.images = self.images + (~empty).sum(1)
        self.skipped = self.skipped + empty.sum(1)

    def _means(self) -> Tensor:
        return self.total / self.images


class MattingMetric(ImageMeans):
    """Mean of one matting score over images; base of `SAD`, `MAD`, `MSE`, `GradientError`, `ConnectivityError`.

    Args:
        region: "whole" scores the whole image and ignores the trimap; "unknown" scores the pixels where it is 128.
        kwargs: options of `torchmetrics.Metric`.

    Raises:
        InputError: for another region.
    """

    score_name: ClassVar[str]

    def __init__(self, region: Region = "whole", **kwargs: Any) -> None:
        super().__init__(size=1, **kwargs)
        if region not in REGIONS:
            raise InputError(f"region is {region!r}; a score is taken over 'whole' or 'unknown': choose one of them")
        self.region = region

    def update(self, pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
            target: true alpha, floating `[B, 1, H, W]` in [0, 1].
            trimap: uint8 `[B, 1, H, W]` of 0, 128, 255; needed for the unknown region only.

        Raises:
            InputError: for a wrong shape, dtype, range or trimap code, or a missing trimap.
        """
        if self.region == "whole":
            trimap = None
        elif trimap is None:
            raise InputError(
                "trimap is None; a score over the unknown region needs one: pass it, or take region='whole'"
            )
        levels = quantise(pred, target, trimap)
        score = SCORES[self.score_name]
        self._add(reduce_errors(score, score.errors(levels), levels.unknown)[None])

    def compute(self) -> Tensor:
        """Give the mean over the images that have a pixel in the region; NaN if there was none.

        Returns:
            A scalar in the units of the functional of the same name.
        """
        return self._means()[0]

    def counts(self) -> tuple[int, int]:
        """Give how many images were counted and how many were skipped for want of unknown pixels.

        Every process of a distributed run must call it, since it adds up their numbers.

        Returns:
            Images counted and images skipped, over all processes.
        """
        with self.sync_context():
            return int(self.images), int(self.skipped)


class SAD(MattingMetric):
    """Mean over images of `functional.sad`: sum of absolute differences / 1000.

    Example:
        >>> import torch
        >>> metric = SAD(region="unknown")
        >>> trimap = torch.full((2, 1, 20, 50), 128, dtype=torch.uint8)
        >>> trimap[1] = 0
        >>> metric.update(torch.full((2, 1, 20, 50), 0.2), torch.zeros(2, 1, 20, 50), trimap)
        >>> metric.compute()
        tensor(0.2000, dtype=torch.float64)
        >>> metric.counts()
        (1, 1)
    """

    score_name = "sad"


class MAD(MattingMetric):
    """Mean over images of `functional.mad`: mean absolute difference.

    Example:
        >>> import torch
        >>> metric = MAD()
        >>> metric.update(torch.full((2, 1, 8, 8), 0.2), torch.zeros(2, 1, 8, 8))
        >>> metric.compute()
        tensor(0.2000, dtype=torch.float64)
    """

    score_name = "mad"


class MSE(MattingMetric):
    """Mean over images of `functional.mse`: mean squared error.

    Example:
        >>> import torch
        >>> metric = MSE()
        >>> metric.update(torch.full((2, 1, 8, 8), 0.2), torch.zeros(2, 1, 8, 8))
        >>> metric.compute()
        tensor(0.0400, dtype=torch.float64)
    """

    score_name = "mse"


class GradientError(MattingMetric):
    """Mean over images of `functional.gradient_error`: squared difference of gradient amplitudes / 1000.

    Example:
        >>> import torch
        >>> metric = GradientError()
        >>> metric.update(torch.eye(16)[None, None], torch.eye(16)[None, None])
        >>> metric.compute()
        tensor(0., dtype=torch.float64)
    """

    score_name = "gradient"


class ConnectivityError(MattingMetric):
    """Mean over images of `functional.connectivity_error`, in thousands.

    Example:
        >>> import torch
        >>> metric = ConnectivityError()
        >>> metric.update(torch.zeros(1, 1, 20, 50), torch.ones(1, 1, 20, 50))
        >>> metric.compute()
        tensor(1., dtype=torch.float64)
    """

    score_name = "connectivity"


class ConstantMatteReference(Metric):
    """The zero line of a benchmark: the scores of a constant matte at the mean alpha.

    A network that shows the same grey for every photo gets these whole-image scores. The mean alpha minimises the
    MSE. One histogram of 256 levels, in which every image weighs the same, is enough to know them exactly.

    Args:
        kwargs: options of `torchmetrics.Metric`.

    Attributes:
        histogram: sum over images of the share of pixels at each level, `[256]`.

    Example:
        >>> import torch
        >>> metric = ConstantMatteReference()
        >>> metric.update(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4))
        >>> {name: value.item() for name, value in metric.compute().items()}
        {'alpha': 0.5, 'mad': 0.5, 'mse': 0.25}
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    histogram: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("histogram", torch.zeros(256, dtype=STATE_DTYPE), dist_reduce_fx="sum")

    def update(self, target: Tensor) -> None:
        """Add a batch.

        Args:
            target: true alpha, floating `[B, 1, H, W]` in [0, 1].

        Raises:
            InputError: for a wrong shape, dtype or range.
        """
        check_alpha("target", target)
        self.histogram = self.histogram + alpha_histogram(to_levels(target)).to(self.histogram)

    def compute(self) -> dict[str, Tensor]:
        """Score the constant matte.

        Returns:
            "alpha": the constant, the mean over images of their mean alpha; "mad" and "mse": the whole-image scores
            of that constant, not quantised. NaN without an image.
        """
        return constant_matte(self.histogram)
