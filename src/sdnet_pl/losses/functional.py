"""The mathematics of the objective (section 3.3 and 3.4 of the paper). Every loss is a scalar, a mean over pixels.

The functions here are the definitions. ``MattingObjective`` computes the same terms of all its predictions at once.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sdnet_pl.errors import InputError

LAPLACIAN_LEVELS = 5
LAPLACIAN_MIN_SIDE = 2 ** (LAPLACIAN_LEVELS + 1)  # the fifth level then has two values to reflect at its border
_COSINE_FLOOR = 0.01


def l1_loss(pred: Tensor, target: Tensor) -> Tensor:
    """L_l1, the mean absolute difference of two alphas.

    Args:
        pred: ``[B, 1, H, W]`` in [0, 1].
        target: The same shape and range.

    Example:
        >>> l1_loss(torch.full((1, 1, 2, 2), 0.75), torch.ones(1, 1, 2, 2))
        tensor(0.2500)
    """
    return (pred - target).abs().mean()


def laplacian_loss(pred: Tensor, target: Tensor) -> Tensor:
    """L_lap = Σ_{n=1..5} 2^(n-1)/5 · mean|L_n(pred) − L_n(target)|, over five band-pass levels without a residual.

    The pyramid is linear, so one pyramid of the difference serves. Training takes the same value from
    ``losses/_laplacian.py``, several times faster.

    Args:
        pred: ``[B, 1, H, W]`` in [0, 1], both sides >= 64.
        target: The same shape and range.

    Raises:
        InputError: For a smaller side.

    Example:
        >>> laplacian_loss(torch.full((1, 1, 64, 64), 0.5), torch.zeros(1, 1, 64, 64))
        tensor(0.)
    """
    loss = pred.new_zeros(())
    for n, level in enumerate(laplacian_pyramid(pred - target), start=1):
        loss = loss + 2 ** (n - 1) / LAPLACIAN_LEVELS * level.abs().mean()
    return loss


def laplacian_pyramid(x: Tensor) -> list[Tensor]:
    """L_1 to L_5: what each blur and halving loses, finest first; the details of 1, 2, 4, 8 and 16 pixels.

    Args:
        x: ``[B, C, H, W]``, both sides >= 64. An odd side loses its last row or column at that level.

    Returns:
        ``[B, C, h, w]`` each, the sides halved (rounded down) from one to the next.

    Raises:
        InputError: For a smaller side.
    """
    check_laplacian_size(x)
    levels = []
    for _ in range(LAPLACIAN_LEVELS):
        x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
        coarser = _blur(x)[..., ::2, ::2]
        stuffed = torch.zeros_like(x)
        stuffed[..., ::2, ::2] = 4 * coarser
        levels.append(x - _blur(stuffed))
        x = coarser
    return levels


def _blur(x: Tensor) -> Tensor:
    """The 5x5 binomial kernel [1 4 6 4 1]²/256 with a reflected border, at full precision under autocast too."""
    kernel = x.new_tensor([1, 4, 6, 4, 1]) / 16
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    x = (x.unfold(-2, 5, 1) * kernel).sum(-1)
    return (x.unfold(-1, 5, 1) * kernel).sum(-1)


def check_laplacian_size(x: Tensor) -> None:
    """Refuses maps ``[..., H, W]`` that are too small for the pyramid.

    Raises:
        InputError: A side is below 64.
    """
    if min(x.shape[-2:]) < LAPLACIAN_MIN_SIDE:
        raise InputError(
            f"The Laplacian loss has {LAPLACIAN_LEVELS} levels and takes sides of at least {LAPLACIAN_MIN_SIDE} "
            f"pixels, got {tuple(x.shape[-2:])}; train on larger crops."
        )


def composition_loss(pred: Tensor, foreground: Tensor, background: Tensor, composite: Tensor) -> Tensor:
    """L_c = mean|pred·F + (1 − pred)·B − I|, on RGB in [0, 1].

    Args:
        pred: ``[B, 1, H, W]`` in [0, 1].
        foreground: F, ``[B, 3, H, W]``.
        background: B, ``[B, 3, H, W]``.
        composite: I, ``[B, 3, H, W]``, clean: before noise, blur or JPEG.

    Example:
        >>> one = torch.ones(1, 3, 2, 2)
        >>> composition_loss(torch.full((1, 1, 2, 2), 0.5), one, 0 * one, one)
        tensor(0.5000)
    """
    # torch.lerp would need the alpha expanded to three channels.
    return (background + pred * (foreground - background) - composite).abs().mean()


def cosine_distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """One pair of L_d: mean over the batch of 1 − cos(vec(UP student), vec(teacher)), no gradient into the teacher.

    Over the channels of a one-channel map the cosine would be ±1 with zero gradient, so each map is flattened over
    space. Its gradient grows as 1/‖map‖: norms below that of a map of constant 0.01 count as that, which bounds the
    gradient where there is nothing to see. A pair of empty maps agrees: its loss is 0.

    Args:
        student: ``[B, 1, h, w]`` in [0, 1], upsampled bilinearly to the teacher's size.
        teacher: ``[B, 1, H, W]`` in [0, 1].

    Example:
        >>> a = torch.rand(2, 1, 8, 8)
        >>> bool(cosine_distillation_loss(a, 0.5 * a) < 1e-6)
        True
    """
    if student.shape[-2:] != teacher.shape[-2:]:
        student = F.interpolate(student, size=teacher.shape[-2:], mode="bilinear", align_corners=False)
    # A half-precision sum over a map overflows or loses the small differences that cos near 1 is made of.
    student, teacher = student.flatten(1).float(), teacher.detach().flatten(1).float()
    floor = _COSINE_FLOOR * teacher.shape[1] ** 0.5
    student_norm, teacher_norm = student.norm(dim=1), teacher.norm(dim=1)
    cosine = (student * teacher).sum(dim=1) / (student_norm.clamp_min(floor) * teacher_norm.clamp_min(floor))
    both_empty = (student_norm < floor) & (teacher_norm < floor)
    return (1 - cosine).masked_fill(both_empty, 0.0).mean()
