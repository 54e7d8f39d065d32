"""Adaptive Multi-Perspective Aggregation (AMPA), Eq. 2 and 3, Figures 3 and 4 of the paper."""

import torch
from torch import Tensor, nn

from sdnet_pl.nn.fold import fuse_norm


class SqueezeExcitation(nn.Module):
    """Channel attention, Figure 4: global average pool, C to C/8 to C, ReLU and sigmoid; scales ``[B, C, H, W]``."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """``x``, ``[B, C, H, W]``, with each channel scaled by its weight in [0, 1]."""
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True))


class DilatedDepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with dilation that stays out of bfloat16 on a CPU.

    Its weight gradient under autocast in channels_last is wrong there (torch 2.13: relative error above 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of ``x``, ``[B, C, H, W]``; float32 under autocast on a CPU."""
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def _conv(channels: int, kernel_size: tuple[int, int], dilation: int = 1, separable: bool = False) -> nn.Module:
    padding = (dilation * (kernel_size[0] // 2), dilation * (kernel_size[1] // 2))
    if separable:
        layer = DilatedDepthwiseConv2d if dilation > 1 else nn.Conv2d
        return layer(channels, channels, kernel_size, 1, padding, dilation, groups=channels, bias=False)
    return nn.Conv2d(channels, channels, kernel_size, 1, padding, dilation, bias=False)


class AMPA(nn.Module):
    """Three parallel views of one feature map, weighed by channel attention and added to it.

    The norm, the ReLU and the 1x1 convolution of the concatenated views are written view by view, and the results
    summed: the same function without the copy of 3C channels.

    Args:
        channels: C of the input and the output ``[B, C, H, W]``.
        separable: Makes the atrous and the asymmetric branch depthwise-separable too. The paper's are full.
        attention_norm: BatchNorm on what the attention reads, so that its scale cannot grow until every gate is 0 or 1
            for every picture and learns no more. The paper has none there.
    """

    def __init__(self, channels: int, separable: bool = False, attention_norm: bool = False) -> None:
        super().__init__()

        def view(*convs: nn.Module) -> nn.Sequential:
            # Eq. 2 writes LN, its text defines BN: BatchNorm, since it folds into the convolution before it.
            return nn.Sequential(*convs, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

        def pointwise(bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 1, bias=bias)

        def tail() -> list[nn.Module]:
            return [pointwise()] if separable else []

        self.views = nn.ModuleDict(
            {
                "depthwise": view(_conv(channels, (3, 3), separable=True), pointwise()),
                "atrous": view(_conv(channels, (3, 3), dilation=2, separable=separable), *tail()),
                "asymmetric": view(
                    _conv(channels, (1, 3), separable=separable), _conv(channels, (3, 1), separable=separable), *tail()
                ),
            }
        )
        self.squeeze = nn.ModuleDict({name: pointwise(bias=name == "depthwise") for name in self.views})
        for parameter in self.squeeze.parameters():
            # The three act as one convolution, so they share its fan-in: torch's default bound for 3C channels.
            nn.init.uniform_(parameter, -((3 * channels) ** -0.5), (3 * channels) ** -0.5)
        self.attention_norm = nn.Sequential(*[nn.BatchNorm2d(channels)] if attention_norm else [])
        self.attention = SqueezeExcitation(channels)
        self.project = pointwise(bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Eq. 2 and 3 for ``x``, ``[B, C, H, W]``; the output has the same shape."""
        depthwise, atrous, asymmetric = (self.squeeze[name](view(x)) for name, view in self.views.items())
        aggregated = self.attention_norm(depthwise + atrous + asymmetric)
        return torch.add(self.project(self.attention(aggregated)), x)

    def fuse(self) -> None:
        """Folds the BatchNorm of each view into its last convolution, and the attention's into the squeezing ones."""
        for view in self.views.values():
            fuse_norm(view)
        fuse_norm(self.attention_norm, self.squeeze.values())
