"""Mattes on the 256 levels of an 8-bit file: the check of a batch with its trimaps, and its one quantisation."""

from typing import NamedTuple

import torch
from torch import Tensor

from sdnet_pl.errors import InputError

UNKNOWN = 128
TRIMAP_CODES = (0, UNKNOWN, 255)


class QuantisedMattes(NamedTuple):
    """Checked mattes on the 256 levels of an 8-bit file.

    Attributes:
        pred: predicted alpha, int32 `[B, 1, H, W]` in 0..255.
        target: true alpha, int32 `[B, 1, H, W]` in 0..255.
        unknown: where the trimap is 128, bool `[B, 1, H, W]`; None without a trimap.
    """

    pred: Tensor
    target: Tensor
    unknown: Tensor | None


def quantise(pred: Tensor, target: Tensor, trimap: Tensor | None = None) -> QuantisedMattes:
    """Check a batch and quantise both mattes: `round(255 * alpha)`.

    Args:
        pred: predicted alpha, floating `[B, 1, H, W]` in [0, 1].
        target: true alpha, floating `[B, 1, H, W]` in [0, 1].
        trimap: uint8 `[B, 1, H, W]` of 0 (background), 128 (unknown) and 255 (foreground).

    Returns:
        The mattes as 8-bit levels, and the unknown region if a trimap was given.

    Raises:
        InputError: for a wrong shape, dtype, range or trimap code, NaN, or tensors on different devices.

    Example:
        >>> import torch
        >>> levels = quantise(torch.full((1, 1, 2, 2), 0.6), torch.ones(1, 1, 2, 2))
        >>> levels.pred.unique().tolist(), levels.target.unique().tolist(), levels.unknown
        ([153], [255], None)
    """
    check_alpha("target", target)
    check_alpha("pred", pred)
    _check_same("pred", pred, target)
    unknown = None
    if trimap is not None:
        _check_trimap(trimap, target)
        unknown = trimap == UNKNOWN
    return QuantisedMattes(to_levels(pred), to_levels(target), unknown)


def to_levels(alpha: Tensor) -> Tensor:
    """Quantise an alpha to the levels of an 8-bit file. Halves go to the even level.

    Args:
        alpha: floating tensor in [0, 1]. Levels k/255 stored in bfloat16 or float16 come back exactly.

    Returns:
        int32 tensor of the same shape in 0..255.

    Example:
        >>> import torch
        >>> to_levels(torch.tensor([0.0, 0.6, 1.0]))
        tensor([  0, 153, 255], dtype=torch.int32)
    """
    return (alpha.to(torch.promote_types(alpha.dtype, torch.float32)) * 255).round().to(torch.int32)


def check_alpha(name: str, alpha: Tensor) -> None:
    """Refuse a tensor that is not a batch of mattes.

    Args:
        name: how the message calls the tensor.
        alpha: what should be floating `[B, 1, H, W]` in [0, 1], with at least one pixel.

    Raises:
        InputError: for a wrong shape, dtype or range, or NaN.

    Example:
        >>> import torch
        >>> check_alpha("target", torch.rand(2, 3, 8, 8))
        Traceback (most recent call last):
            ...
        sdnet_pl.errors.InputError: target has shape [2, 3, 8, 8]; an alpha is [B, 1, H, W]: take one of its channels
    """
    shape = list(alpha.shape)
    if alpha.ndim != 4 or alpha.shape[1] != 1:
        remedy = "take one of its channels" if alpha.ndim == 4 else "reshape it"
        raise InputError(f"{name} has shape {shape}; an alpha is [B, 1, H, W]: {remedy}")
    if alpha.numel() == 0:
        raise InputError(f"{name} has shape {shape}; metrics need at least one pixel: leave empty batches out")
    if not alpha.is_floating_point():
        raise InputError(
            f"{name} is {alpha.dtype}; an alpha is floating in [0, 1]: convert it, and divide 8-bit by 255"
        )
    low, high = torch.stack(torch.aminmax(alpha.detach())).tolist()
    # the negated form catches NaN, which aminmax hands on
    if not (low >= 0 and high <= 1):
        raise InputError(f"{name} holds values from {low} to {high}; an alpha lies in [0, 1]: clamp or rescale it")


def _check_same(name: str, tensor: Tensor, target: Tensor) -> None:
    if tensor.shape != target.shape:
        raise InputError(
            f"{name} has shape {list(tensor.shape)}, target {list(target.shape)}; both must agree: "
            f"bring {name} to the target's native size first"
        )
    if tensor.device != target.device:
        raise InputError(f"{name} is on {tensor.device}, target on {target.device}; move both to one device")


def _check_trimap(trimap: Tensor, target: Tensor) -> None:
    if trimap.dtype != torch.uint8:
        raise InputError(f"trimap is {trimap.dtype}; a trimap is uint8 with the codes 0, 128 and 255: convert it")
    _check_same("trimap", trimap, target)
    foreign = (trimap != TRIMAP_CODES[0]) & (trimap != TRIMAP_CODES[1]) & (trimap != TRIMAP_CODES[2])
    if foreign.any():
        found = trimap[foreign].unique().tolist()
        raise InputError(
            f"trimap holds {', '.join(map(str, found[:5]))}{' ...' if len(found) > 5 else ''}; its codes are 0 "
            "(background), 128 (unknown) and 255 (foreground): map it, and resize it by nearest neighbour only"
        )
