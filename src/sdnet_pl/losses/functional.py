"""The mathematics of the objective (section 3.3 and 3.4 of the paper). Every loss is a scalar, a mean over pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sdnet_pl.errors import InputError

LAPLACIAN_LEVELS = 5
MIN_SIDE = 2 ** (LAPLACIAN_LEVELS + 1)  # the fifth level then has two values to reflect at its border
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

    The pyramid (5x5 binomial kernel, reflected border) is linear, so one pyramid of the difference serves.

    Args:
        pred: ``[B, 1, H, W]`` in [0, 1], both sides >= 64.
        target: The same shape and range.

    Raises:
        InputError: For a smaller side.

    Example:
        >>> laplacian_loss(torch.full((1, 1, 64, 64), 0.5), torch.zeros(1, 1, 64, 64))
        tensor(0.)
    """
    if min(pred.shape[-2:]) < MIN_SIDE:
        raise InputError(
            f"The Laplacian loss has {LAPLACIAN_LEVELS} levels and takes sides of at least {MIN_SIDE} pixels, got "
            f"{tuple(pred.shape[-2:])}; train on larger crops."
        )
    current = pred - target
    loss = current.new_zeros(())
    for n in range(LAPLACIAN_LEVELS):
        height, width = current.shape[-2:]
        current = current[..., : height - height % 2, : width - width % 2]
        coarser = _downsample(_downsample(current, -2), -1)
        band = current - _upsample(_upsample(coarser, -2), -1)
        loss = loss + 2**n / LAPLACIAN_LEVELS * band.abs().mean()
        current = coarser
    return loss


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


def _downsample(x: Tensor, dim: int) -> Tensor:
    """Blurs by [1 4 6 4 1]/16 with a reflected border and keeps every second value along ``dim`` (even length)."""
    even, odd = _stride_two(x, dim, 0), _stride_two(x, dim, 1)
    # Around x[2k] stand odd[k-1], odd[k] and even[k-1], even[k+1]; x[-1] = x[1], x[-2] = x[2], x[n] = x[n-2].
    size = even.shape[dim]
    odd_before = torch.cat([odd.narrow(dim, 0, 1), odd.narrow(dim, 0, size - 1)], dim)
    even_before = torch.cat([even.narrow(dim, 1, 1), even.narrow(dim, 0, size - 1)], dim)
    even_after = torch.cat([even.narrow(dim, 1, size - 1), even.narrow(dim, size - 1, 1)], dim)
    return (6 * even + 4 * (odd_before + odd) + even_before + even_after) / 16


def _upsample(x: Tensor, dim: int) -> Tensor:
    """Doubles ``dim`` by zero stuffing and the kernel [1 4 6 4 1]/8, in its polyphase form."""
    size = x.shape[dim]
    before = torch.cat([x.narrow(dim, 1, 1), x.narrow(dim, 0, size - 1)], dim)
    after = torch.cat([x.narrow(dim, 1, size - 1), x.narrow(dim, size - 1, 1)], dim)
    even = (before + 6 * x + after) / 8
    odd = (x + after) / 2
    return torch.stack([even, odd], dim).flatten(dim - 1, dim)


def _stride_two(x: Tensor, dim: int, start: int) -> Tensor:
    return x[..., start::2, :] if dim == -2 else x[..., start::2]
