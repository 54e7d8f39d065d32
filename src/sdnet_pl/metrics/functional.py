"""The mathematics of the matting metrics: one value an image, for the whole image or for the unknown region.

Both mattes are quantised once to the 256 levels of an 8-bit file, so a score is what the saved picture would get.
Absolute and squared errors are integers from there on: their sums are exact, in any order, on any device. Known
pixels are taken as they come; a model that reads the trimap overwrites them in its own output.

Sources: Rhemann et al., "A perceptually motivated online benchmark for image matting" (CVPR 2009), for SAD, MSE,
gradient and connectivity; the constants are those of the benchmarks' public evaluation code.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from sdnet_pl.metrics.quantisation import QuantisedMattes, quantise

GRADIENT_SIGMA = 1.4
# where the Gaussian falls below 1e-2: a 9x9 kernel
GRADIENT_RADIUS = 4
CONNECTIVITY_STEPS = 10
CONNECTIVITY_TOLERANCE = 0.15

_impulse = np.zeros((2 * GRADIENT_RADIUS + 1,) * 2)
_impulse[GRADIENT_RADIUS, GRADIENT_RADIUS] = 1
# scipy normalises the Gaussian to sum 1, the benchmark its derivative to L2 norm 1; both axes have the same norm
_GRADIENT_KERNEL_NORM = float(
    np.linalg.norm(ndimage.gaussian_filter(_impulse, GRADIENT_SIGMA, order=(0, 1), radius=GRADIENT_RADIUS))
)


class Score(NamedTuple):
    """How one metric comes from a map of errors: `errors(levels)` summed over the region, divided by `unit`.

    Attributes:
        errors: gives the errors of every pixel, `[B, 1, H, W]`.
        unit: what one in the published scale amounts to in the map.
        per_pixel: divide by the number of pixels of the region, too.
    """

    errors: Callable[[QuantisedMattes], Tensor]
    unit: float
    per_pixel: bool


def sad(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> Tensor:
    """Sum of absolute differences, `sum |d| / 1000`.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0, 128, 255: the sum is over its unknown region; None: the whole image.

    Returns:
        float64 `[B]` (float32 on a device without float64) in thousands; NaN where the region is empty.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code.

    Example:
        >>> import torch
        >>> sad(torch.full((1, 1, 20, 50), 0.2), torch.zeros(1, 1, 20, 50))
        tensor([0.2000], dtype=torch.float64)
    """
    return _evaluate("sad", quantise(pred, target, trimap))


def mad(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> Tensor:
    """Mean absolute difference, `mean |d|`.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0, 128, 255: the mean is over its unknown region; None: the whole image.

    Returns:
        float64 `[B]` (float32 on a device without float64) in [0, 1]; NaN where the region is empty.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code.

    Example:
        >>> import torch
        >>> mad(torch.full((1, 1, 2, 2), 0.2), torch.zeros(1, 1, 2, 2))
        tensor([0.2000], dtype=torch.float64)
    """
    return _evaluate("mad", quantise(pred, target, trimap))


def mse(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> Tensor:
    """Mean squared error, `mean d^2`.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0, 128, 255: the mean is over its unknown region; None: the whole image.

    Returns:
        float64 `[B]` (float32 on a device without float64) in [0, 1]; NaN where the region is empty.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code.

    Example:
        >>> import torch
        >>> trimap = torch.tensor([[[[0, 128], [128, 255]]]], dtype=torch.uint8)
        >>> mse(torch.full((1, 1, 2, 2), 0.2), torch.zeros(1, 1, 2, 2), trimap)
        tensor([0.0400], dtype=torch.float64)
    """
    return _evaluate("mse", quantise(pred, target, trimap))


def gradient_error(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> Tensor:
    """Gradient error: squared difference of the gradient amplitudes, `sum (|grad a'| - |grad a|)^2 / 1000`.

    Each matte is stretched to [0, 1] (a constant one becomes 0), then filtered with first-order Gaussian derivatives:
    sigma 1.4, 9x9, L2 norm 1, replicated border. Runs on the CPU.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0, 128, 255: the sum is over its unknown region; None: the whole image.

    Returns:
        float64 `[B]` (float32 on a device without float64) in thousands; NaN where the region is empty.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code.

    Example:
        >>> import torch
        >>> edge = (torch.arange(32) >= 16).float().expand(1, 1, 32, 32)
        >>> bool(gradient_error(edge, edge) == 0), bool(gradient_error(edge.roll(4, -1), edge) > 0)
        (True, True)
    """
    return _evaluate("gradient", quantise(pred, target, trimap))


def connectivity_error(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> Tensor:
    """Connectivity error: how far pixels are cut off from the body that both mattes share, in thousands.

    For the thresholds t = 0.1, 0.2 ... 1.0 take the largest 4-connected component of `pred >= t and target >= t`
    (of equal ones the first in reading order); l is the last t, from 0, up to which a pixel stayed in it. With
    `delta = value - l` and `phi = 1 - delta * (delta >= 0.15)` the error is `sum |phi_pred - phi_target| / 1000`.
    Runs on the CPU.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0, 128, 255: the sum is over its unknown region; None: the whole image.

    Returns:
        float64 `[B]` (float32 on a device without float64) in thousands; NaN where the region is empty.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code.

    Example:
        >>> import torch
        >>> target = torch.zeros(1, 1, 40, 50)
        >>> target[..., :25] = 1.0
        >>> pred = target.clone()
        >>> pred[..., 30:] = 1.0  # a second body of 40x20 pixels, absent from the target
        >>> connectivity_error(pred, target)
        tensor([0.8000], dtype=torch.float64)
    """
    return _evaluate("connectivity", quantise(pred, target, trimap))


def _absolute(levels: QuantisedMattes) -> Tensor:
    return (levels.pred - levels.target).abs()


def _squared(levels: QuantisedMattes) -> Tensor:
    return (levels.pred - levels.target).square()


def _gradient(levels: QuantisedMattes) -> Tensor:
    return _per_image(lambda pred, target: np.square(_amplitude(pred) - _amplitude(target)), levels)


def _connectivity(levels: QuantisedMattes) -> Tensor:
    return _per_image(_connectivity_of, levels)


SCORES: dict[str, Score] = {
    "sad": Score(_absolute, 255 * 1000, per_pixel=False),
    "mad": Score(_absolute, 255, per_pixel=True),
    "mse": Score(_squared, 255**2, per_pixel=True),
    "gradient": Score(_gradient, 1000, per_pixel=False),
    "connectivity": Score(_connectivity, 1000, per_pixel=False),
}


def reduce_errors(score: Score, errors: Tensor, region: Tensor | None) -> Tensor:
    """Reduce a map of errors to one value an image.

    Args:
        score: the metric, one of `SCORES`.
        errors: what `score.errors` gave, `[B, 1, H, W]`.
        region: bool `[B, 1, H, W]`, the pixels that count; None: all.

    Returns:
        float64 `[B]` (float32 on a device without float64) on the errors' device; NaN where the region is empty.

    Example:
        >>> import torch
        >>> levels = quantise(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        >>> reduce_errors(SCORES["mad"], SCORES["mad"].errors(levels), None)
        tensor([1.], dtype=torch.float64)
    """
    real = _real(errors.device)
    flat = errors.flatten(1)
    inside = torch.ones_like(flat, dtype=torch.bool) if region is None else region.to(errors.device).flatten(1)
    # an int64 sum of the integer maps is exact in any order
    total = (flat * inside).sum(1).to(real)
    pixels = inside.sum(1).to(real)
    value = total / score.unit / pixels if score.per_pixel else total / score.unit
    return value.where(pixels > 0, torch.nan)


def intersection_over_union(levels: QuantisedMattes) -> Tensor:
    """How far the people agree: |A ∩ B| / |A ∪ B| of the pixels with alpha >= 0.5, for masks without a soft edge.

    Args:
        levels: of `quantise`; the trimap is ignored.

    Returns:
        `[B]` in [0, 1], float64 (float32 on MPS); 1 where neither shows anybody.

    Example:
        >>> import torch
        >>> target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
        >>> intersection_over_union(quantise(torch.tensor([0.6, 0.4, 0.3, 0.7]).view(1, 1, 2, 2), target)).item()
        0.3333333333333333
    """
    pred, target = (x.flatten(1) >= 128 for x in (levels.pred, levels.target))
    real = _real(pred.device)
    union = (pred | target).sum(1).to(real)
    return ((pred & target).sum(1).to(real) / union).where(union > 0, 1.0)


def alpha_histogram(levels: Tensor) -> Tensor:
    """Sum over the images of a batch of the share of pixels at each level.

    Args:
        levels: int32 `[B, 1, H, W]` in 0..255.

    Returns:
        float64 `[256]` (float32 on a device without float64) that sums to B.

    Example:
        >>> import torch
        >>> alpha_histogram(torch.tensor([[[[0, 255, 255, 255]]]], dtype=torch.int32))[[0, 255]].tolist()
        [0.25, 0.75]
    """
    counts = torch.stack([torch.bincount(image.flatten(), minlength=256) for image in levels])
    return counts.sum(0).to(_real(levels.device)) / levels[0].numel()


def constant_matte(histogram: Tensor) -> dict[str, Tensor]:
    """Score the constant matte at the mean alpha of a histogram.

    Args:
        histogram: `[256]`, a sum of what `alpha_histogram` gives.

    Returns:
        "alpha", "mad" and "mse", scalars in [0, 1]; NaN for an empty histogram.

    Example:
        >>> import torch
        >>> histogram = torch.zeros(256, dtype=torch.float64)
        >>> histogram[0], histogram[255] = 3, 1
        >>> {name: value.item() for name, value in constant_matte(histogram).items()}
        {'alpha': 0.25, 'mad': 0.375, 'mse': 0.1875}
    """
    share = histogram / histogram.sum()
    level = torch.arange(256, dtype=share.dtype, device=share.device) / 255
    alpha = (share * level).sum()
    distance = (level - alpha).abs()
    return {"alpha": alpha, "mad": (share * distance).sum(), "mse": (share * distance.square()).sum()}


def _evaluate(name: str, levels: QuantisedMattes) -> Tensor:
    score = SCORES[name]
    return reduce_errors(score, score.errors(levels), levels.unknown)


def _per_image(errors_of: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray], levels: QuantisedMattes) -> Tensor:
    preds, targets = levels.pred[:, 0].cpu().numpy(), levels.target[:, 0].cpu().numpy()
    errors = [errors_of(pred, target) for pred, target in zip(preds, targets, strict=True)]
    device = levels.pred.device
    return torch.from_numpy(np.stack(errors)).unsqueeze(1).to(_real(device)).to(device)


def _real(device: torch.device) -> torch.dtype:
    # MPS holds no float64
    return torch.float32 if device.type == "mps" else torch.float64


def _amplitude(levels: NDArray[np.int32]) -> NDArray[np.float64]:
    stretched = (levels - levels.min()) / max(np.ptp(levels), 1)
    amplitude = ndimage.gaussian_gradient_magnitude(stretched, GRADIENT_SIGMA, mode="nearest", radius=GRADIENT_RADIUS)
    return amplitude / _GRADIENT_KERNEL_NORM


def _connectivity_of(pred: NDArray[np.int32], target: NDArray[np.int32]) -> NDArray[np.float64]:
    shared = np.minimum(pred, target).astype(np.uint8)
    inside = np.ones(shared.shape, dtype=bool)
    steps = np.zeros(shared.shape, dtype=np.int32)
    for step in range(1, CONNECTIVITY_STEPS + 1):
        # the lowest level not under the threshold, in integers: the float64 arange(0, 1.1, 0.1)[6] exceeds 153 / 255
        level = -(-255 * step // CONNECTIVITY_STEPS)
        above = (shared >= level).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=4)
        if count == 1:
            break
        # label 0 is the background, which does not count as a component
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        inside &= labels == largest
        steps += inside
    kept = steps / CONNECTIVITY_STEPS
    return np.abs(_degree(pred / 255, kept) - _degree(target / 255, kept))


def _degree(alpha: NDArray[np.float64], kept: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = alpha - kept
    return 1 - distance * (distance >= CONNECTIVITY_TOLERANCE)
