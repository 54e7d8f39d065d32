"""The Laplacian loss of several predictions at once, with its gradient: :func:`laplacian_loss` fast, and equal to it.

The blur is taken one axis at a time and only where a value is kept, and every kernel is launched once for all
predictions. The loss is piecewise linear in the difference: its gradient depends on the difference alone, so the
forward pass computes it beside the value and keeps this one tensor, where autograd would keep several of every level.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sdnet_pl.losses.functional import LAPLACIAN_LEVELS, check_laplacian_size


def laplacian_losses(differences: Tensor) -> Tensor:
    """L_lap of each of N predictions.

    Args:
        differences: pred − target, ``[N, B, 1, H, W]`` in [-1, 1], both sides >= 64.

    Returns:
        ``[N]``, differentiable once.

    Raises:
        InputError: For a smaller side.
    """
    check_laplacian_size(differences)
    losses: Tensor = _LaplacianLosses.apply(differences)
    return losses


class _LaplacianLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, differences: Tensor) -> Tensor:
        losses, gradient = _levels(differences, 0, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, losses_grad: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors
        return gradient * losses_grad.view(-1, 1, 1, 1, 1)


def _levels(x: Tensor, level: int, with_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Σ weight · mean|band| of ``[N, B, 1, H, W]`` over this and the coarser levels, as ``[N]``, and its gradient."""
    height, width = x.shape[-2:]
    odd = (0, width % 2, 0, height % 2)
    x = x[..., : height - height % 2, : width - width % 2]
    # Columns are strided in memory and slow: they are filtered where rows are halved already.
    coarser = _downsample(_downsample(x, -2), -1)
    band = _upsample(_upsample(coarser, -1), -2)
    torch.sub(x, band, out=band)
    weight = 2**level / LAPLACIAN_LEVELS / band[0].numel()
    losses = weight * torch.linalg.vector_norm(band, 1, dim=(1, 2, 3, 4))
    inner_gradient = None
    if level + 1 < LAPLACIAN_LEVELS:
        inner, inner_gradient = _levels(coarser, level + 1, with_gradient)
        losses = losses + inner
    if not with_gradient:
        return losses, None
    gradient = band.sign_().mul_(weight)
    lowered = _upsample_adjoint(_upsample_adjoint(gradient, -2), -1)
    lowered = -lowered if inner_gradient is None else torch.sub(inner_gradient, lowered, out=lowered)
    gradient += _downsample_adjoint(_downsample_adjoint(lowered, -1), -2)
    return losses, F.pad(gradient, odd) if any(odd) else gradient


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
