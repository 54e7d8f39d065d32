"""The mathematics of the objective (section 3.3 and 3.4 of the paper). Every loss is a scalar, a mean over pixels.

``MattingObjective`` computes L_l1 and L_c of all its predictions at once; the functions here define them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    return laplacian_norms((pred - target)[None])[0]


def laplacian_norms(differences: Tensor) -> Tensor:
    """L_lap of several predictions at once, which launches every kernel once for all of them.

    Args:
        differences: pred − target of N predictions, ``[N, B, 1, H, W]`` in [-1, 1], both sides >= 64.

    Returns:
        ``[N]``, differentiable once.

    Raises:
        InputError: For a smaller side.
    """
    if min(differences.shape[-2:]) < MIN_SIDE:
        raise InputError(
            f"The Laplacian loss has {LAPLACIAN_LEVELS} levels and takes sides of at least {MIN_SIDE} pixels, got "
            f"{tuple(differences.shape[-2:])}; train on larger crops."
        )
    norms: Tensor = _LaplacianNorms.apply(differences)
    return norms


def laplacian_bands(x: Tensor) -> list[Tensor]:
    """The five band-pass levels that L_lap compares, finest first: the details of 1, 2, 4, 8 and 16 pixels.

    Args:
        x: ``[B, 1, H, W]``, both sides >= 64.

    Returns:
        ``[B, 1, h, w]`` each, the sides halved (rounded down) from one to the next.
    """
    bands = []
    for _ in range(LAPLACIAN_LEVELS):
        x, coarser, smooth = _level(x)
        bands.append(x - smooth)
        x = coarser
    return bands


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


class _LaplacianNorms(torch.autograd.Function):
    """See :func:`laplacian_norms`.

    The norm is piecewise linear: its gradient depends on the difference alone, so the forward pass computes it beside
    the value and keeps this one tensor, where autograd would keep several of every level.
    """

    @staticmethod
    def forward(ctx: Any, differences: Tensor) -> Tensor:
        norms, gradient = _pyramid(differences, 0, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return norms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, norms_grad: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors
        return gradient * norms_grad.view(-1, 1, 1, 1, 1)


def _pyramid(x: Tensor, level: int, with_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Σ weight · mean|band| of ``[N, B, 1, H, W]`` over this and the coarser levels, as ``[N]``, and its gradient."""
    height, width = x.shape[-2:]
    odd = (0, width % 2, 0, height % 2)
    x, coarser, band = _level(x)
    torch.sub(x, band, out=band)
    weight = 2**level / LAPLACIAN_LEVELS / band[0].numel()
    norms = weight * torch.linalg.vector_norm(band, 1, dim=(1, 2, 3, 4))
    inner, inner_gradient = None, None
    if level + 1 < LAPLACIAN_LEVELS:
        inner, inner_gradient = _pyramid(coarser, level + 1, with_gradient)
        norms = norms + inner
    if not with_gradient:
        return norms, None
    gradient = band.sign_().mul_(weight)
    lowered = _upsample_adjoint(_upsample_adjoint(gradient, -2), -1)
    lowered = -lowered if inner_gradient is None else torch.sub(inner_gradient, lowered, out=lowered)
    gradient += _downsample_adjoint(_downsample_adjoint(lowered, -1), -2)
    return norms, F.pad(gradient, odd) if any(odd) else gradient


def _level(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``x`` without an odd last row or column, ``x`` at half the size, and that at the full size again."""
    height, width = x.shape[-2:]
    x = x[..., : height - height % 2, : width - width % 2]
    # Columns are strided in memory and slow: they are filtered where rows are halved already.
    coarser = _downsample(_downsample(x, -2), -1)
    return x, coarser, _upsample(_upsample(coarser, -1), -2)


def _downsample(x: Tensor, dim: int) -> Tensor:
    """Blurs by [1 4 6 4 1]/16 with a reflected border and keeps every second value along ``dim`` (even length)."""
    even, odd = _even_odd(x, dim)
    last = even.shape[dim] - 1
    # Around x[2k] stand odd[k-1], odd[k] and even[k-1], even[k+1]; x[-1] = x[1], x[-2] = x[2], x[n] = x[n-2].
    out = torch.mul(even, 6 / 16).add_(odd, alpha=4 / 16)
    after = out.narrow(dim, 1, last)
    after.add_(odd.narrow(dim, 0, last), alpha=4 / 16).add_(even.narrow(dim, 0, last), alpha=1 / 16)
    out.narrow(dim, 0, last).add_(even.narrow(dim, 1, last), alpha=1 / 16)
    out.select(dim, 0).add_(odd.select(dim, 0), alpha=4 / 16).add_(even.select(dim, 1), alpha=1 / 16)
    out.select(dim, last).add_(even.select(dim, last), alpha=1 / 16)
    return out


def _upsample(x: Tensor, dim: int) -> Tensor:
    """Doubles ``dim`` by zero stuffing and the kernel [1 4 6 4 1]/8 with a reflected border."""
    shape = list(x.shape)
    shape[dim] *= 2
    out = x.new_empty(shape)
    even, odd = _even_odd(out, dim)
    last = x.shape[dim] - 1
    # odd[i] = (x[i] + x[i+1])/2; even[i] = (x[i-1] + 6x[i] + x[i+1])/8 = ((odd[i-1] + odd[i])/2 + x[i])/2, where
    # x[-1] = x[1] makes odd[-1] = odd[0], and x[n] = x[n-1] makes odd[n-1] = x[n-1].
    torch.lerp(x.narrow(dim, 0, last), x.narrow(dim, 1, last), 0.5, out=odd.narrow(dim, 0, last))
    odd.select(dim, last).copy_(x.select(dim, last))
    torch.lerp(odd.narrow(dim, 0, last), odd.narrow(dim, 1, last), 0.5, out=even.narrow(dim, 1, last))
    even.select(dim, 0).copy_(odd.select(dim, 0))
    even.lerp_(x, 0.5)
    return out


def _downsample_adjoint(x: Tensor, dim: int) -> Tensor:
    """The transpose of :func:`_downsample`: half of :func:`_upsample` but at the border, where both reflect."""
    out = _upsample(x, dim).mul_(0.5)
    even, odd = _even_odd(out, dim)
    last = x.shape[dim] - 1
    even.select(dim, 0).sub_(x.select(dim, 1), alpha=1 / 16)
    even.select(dim, 1).add_(x.select(dim, 0), alpha=1 / 16)
    odd.select(dim, 0).add_(x.select(dim, 0), alpha=1 / 4)
    odd.select(dim, last).sub_(x.select(dim, last), alpha=1 / 4)
    return out


def _upsample_adjoint(x: Tensor, dim: int) -> Tensor:
    """The transpose of :func:`_upsample`: twice :func:`_downsample` but at the border, where both reflect."""
    out = _downsample(x, dim).mul_(2)
    even, odd = _even_odd(x, dim)
    last = out.shape[dim] - 1
    out.select(dim, 0).sub_(odd.select(dim, 0), alpha=1 / 2).sub_(even.select(dim, 1), alpha=1 / 8)
    out.select(dim, 1).add_(even.select(dim, 0), alpha=1 / 8)
    out.select(dim, last).add_(odd.select(dim, last), alpha=1 / 2)
    return out


def _even_odd(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    return (x[..., 0::2, :], x[..., 1::2, :]) if dim == -2 else (x[..., 0::2], x[..., 1::2])
