"""How many multiply–accumulate operations a network takes, without doing them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d, F.linear)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_PRODUCTS = ("matmul", "bmm", "mm")
# By their names, since an operator is called by several functions.
_ELEMENTWISE = ("add", "sub", "mul", "div", "truediv", "relu", "relu6", "leaky_relu", "sigmoid", "hardsigmoid", "clamp")
_OF_THE_FIRST = ("batch_norm", "prelu")


class CountProducts(TorchFunctionMode):
    """Counts the multiply–accumulate operations of convolutions and matrix products of tensors on the meta device.

    Most of that device's operations are written in Python, and the first of them loads PyTorch's compiler, which takes
    a second. Of the usual ones nothing but the shape is made here; what is not known here goes that way.

    Attributes:
        total: the operations so far.
    """

    total = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        shape = _shape(_name(func), args, kwargs)
        result = func(*args, **kwargs) if shape is None else torch.empty(shape, device="meta")
        if func in _CONVOLUTIONS:
            self.total += result.numel() * args[1][0].numel()
        elif func in _TRANSPOSED:
            self.total += args[0].numel() * args[1][0].numel()
        elif _name(func) in _PRODUCTS:
            self.total += result.numel() * args[0].shape[-1]
        elif func is F.scaled_dot_product_attention:
            products = args[0].shape[-1] + result.shape[-1]  # of a query and a key, and of a weight and a value
            self.total += result[..., 0].numel() * args[1].shape[-2] * products
        return result


def _name(func: Callable[..., Any]) -> str:
    name: str = getattr(func, "__name__", "").strip("_")
    return name.removeprefix("r") if name in ("radd", "rsub", "rmul", "rmatmul") else name


def _shape(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[int] | None:
    """The output shape of a common operation; None for any other."""
    if name in _ELEMENTWISE:
        shapes = [x.shape[::-1] for x in args if isinstance(x, Tensor)]  # torch.broadcast_shapes is slow
        return [max(sides) for sides in zip_longest(*shapes, fillvalue=1)][::-1]
    if name == "conv2d" and len(args) == 7 and args[0].ndim == 4 and not isinstance(args[4], str):
        (batch, _, *sides), (channels, _, *kernel) = args[0].shape, args[1].shape
        reach = [side + 2 * padding for side, padding in zip(sides, args[4], strict=True)]
        taken = [dilation * (side - 1) + 1 for dilation, side in zip(args[5], kernel, strict=True)]
        return batch, channels, *((r - t) // stride + 1 for r, t, stride in zip(reach, taken, args[3], strict=True))
    if name == "avg_pool2d" and len(args) == 2 and not kwargs and isinstance(args[1], int):
        return *args[0].shape[:-2], *(side // args[1] for side in args[0].shape[-2:])
    if name == "pixel_shuffle":
        (batch, channels, *sides), factor = args[0].shape, args[1]
        return batch, channels // factor**2, *(side * factor for side in sides)
    if name in _OF_THE_FIRST:
        return args[0].shape
    if name == "cat" and kwargs.get("dim") == 1 and args[0][0].ndim == 4:
        batch, _, height, width = args[0][0].shape
        return batch, sum(x.shape[1] for x in args[0]), height, width
    if name == "mean" and kwargs == {"dim": (2, 3), "keepdim": True}:
        return (*args[0].shape[:2], 1, 1)
    if name == "interpolate" and isinstance(kwargs.get("scale_factor"), int):
        batch, channels, *sides = args[0].shape
        return (batch, channels, *(side * kwargs["scale_factor"] for side in sides))
    return None
