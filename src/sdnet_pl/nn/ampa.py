"""Adaptive Multi-Perspective Aggregation (AMPA), Eq. 2 and 3, Figures 3 and 4 of the paper."""

import torch
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Channel attention, Figure 4: global average pool, C to C/8 to C, ReLU and sigmoid; scales ``[B, C, H, W]``."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True))


class DilatedDepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with dilation that stays out of bfloat16 on a CPU.

    Its weight gradient under autocast in channels_last is wrong there (torch 2.13: relative error above 1).
    """

    def forward(self, x: Tensor) -> Tensor:
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

    Args:
        channels: C of the input and the output ``[B, C, H, W]``.
        separable: Makes the atrous and the asymmetric branch depthwise-separable too. The paper's are full.
    """

    def __init__(self, channels: int, separable: bool = False) -> None:
        super().__init__()

        def pointwise(bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 1, bias=bias)

        tail = [pointwise()] if separable else []
        self.depthwise = nn.Sequential(_conv(channels, (3, 3), separable=True), pointwise())
        self.atrous = nn.Sequential(_conv(channels, (3, 3), dilation=2, separable=separable), *tail)
        tail = [pointwise()] if separable else []
        self.asymmetric = nn.Sequential(
            _conv(channels, (1, 3), separable=separable), _conv(channels, (3, 1), separable=separable), *tail
        )
        # Eq. 2 writes LN, its text defines BN: BatchNorm, since it folds into the branches.
        self.norm = nn.BatchNorm2d(3 * channels)
        self.act = nn.ReLU(inplace=True)
        self.squeeze = nn.Conv2d(3 * channels, channels, 1)
        self.attention = SqueezeExcitation(channels)
        self.project = pointwise(bias=True)

    def forward(self, x: Tensor) -> Tensor:
        views = torch.cat([self.depthwise(x), self.atrous(x), self.asymmetric(x)], dim=1)
        fused: Tensor = self.squeeze(self.act(self.norm(views)))
        return torch.add(self.project(self.attention(fused)), x)
