"""Octave convolutions: gOctConv, its simplified depthwise form, and the ILBlock built from both.

Features are dictionaries from an octave to a tensor: octave ``s`` holds ``[B, C_s, H / 2^s, W / 2^s]``.
Sources: Chen et al., "Drop an Octave" (OctConv, ref. [7] of the paper); Cheng et al., "A Highly Efficient Model to
Study the Semantics of Salient Object Detection" (gOctConv and ILBlock, ref. [8]).
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

Features = dict[int, Tensor]


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling by a whole ``factor``; ``[B, C, H, W]`` to ``[B, C, factor * H, factor * W]``."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else x


class NormAct(nn.Module):
    """BatchNorm and per-channel PReLU for every octave."""

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.octaves = nn.ModuleDict(
            {str(octave): nn.Sequential(nn.BatchNorm2d(c), nn.PReLU(c)) for octave, c in channels.items()}
        )

    def forward(self, features: Features) -> Features:
        return {octave: self.octaves[str(octave)](x) for octave, x in features.items()}


class GOctConv(nn.Module):
    """Convolves feature maps at any set of octaves to any set of octaves, then BatchNorm and PReLU per octave.

    Every pair of an input and an output octave has its own weights, and the pairs are summed per output octave.
    Fine to coarse pools (average) before it convolves; coarse to fine convolves before it upsamples (bilinear).

    Args:
        in_channels: Channels at each input octave.
        out_channels: Channels at each output octave.
        kernel_size: An odd side length of all kernels.
    """

    def __init__(self, in_channels: Mapping[int, int], out_channels: Mapping[int, int], kernel_size: int) -> None:
        super().__init__()
        self.in_octaves = sorted(in_channels)
        self.out_channels = dict(sorted(out_channels.items()))
        # The pairs of one output act as one convolution, so they share the fan-in of all input octaves.
        fan_in = sum(in_channels.values()) * kernel_size**2
        std = (2 / (1 + 0.25**2) / fan_in) ** 0.5  # He initialisation for a PReLU of slope 0.25

        def conv(c_in: int, c_out: int) -> nn.Conv2d:
            layer = nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, bias=False)
            nn.init.normal_(layer.weight, std=std)
            return layer

        # The same-resolution and the coarse-to-fine paths read the same tensor: one convolution, its output split.
        self.level = nn.ModuleDict()
        self.down = nn.ModuleDict()
        for i, c_in in in_channels.items():
            shared = [c for o, c in self.out_channels.items() if o <= i]
            if shared:
                self.level[str(i)] = conv(c_in, sum(shared))
            for o, c in self.out_channels.items():
                if o > i:
                    self.down[f"{i}_{o}"] = conv(c_in, c)
        self.norm_act = NormAct(self.out_channels)

    def forward(self, features: Features) -> Features:
        sums: Features = {}

        def add(octave: int, x: Tensor) -> None:
            sums[octave] = sums[octave] + x if octave in sums else x

        for i in self.in_octaves:
            x = features[i]
            shared = [o for o in self.out_channels if o <= i]
            if shared:
                parts = self.level[str(i)](x).split([self.out_channels[o] for o in shared], dim=1)
                for o, part in zip(shared, parts, strict=True):
                    add(o, upsample(part, 2 ** (i - o)))
            pooled, at = x, i
            for o in self.out_channels:
                if o > i:
                    pooled, at = F.avg_pool2d(pooled, 2 ** (o - at)), o
                    add(o, self.down[f"{i}_{o}"](pooled))
        return self.norm_act(sums)


class SimplifiedGOctConv(nn.Module):
    """Depthwise 3x3 at every octave, no path between octaves, then BatchNorm and PReLU per octave."""

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleDict(
            {str(octave): nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False) for octave, c in channels.items()}
        )
        for layer in self.convs.values():
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, a=0.25)
        self.norm_act = NormAct(channels)

    def forward(self, features: Features) -> Features:
        return self.norm_act({octave: self.convs[str(octave)](x) for octave, x in features.items()})


class ILBlock(nn.Module):
    """An OctConv and two simplified gOctConvs (ref. [8]).

    Args:
        in_channels: Channels at each input octave.
        out_channels: Channels at each output octave. The OctConv is 1x1 where these octaves are the input's,
            and 3x3 where the resolution changes.
        residual: Adds the input where its octaves and channels are the output's, within a stage. The original has no
            residual.
    """

    def __init__(self, in_channels: Mapping[int, int], out_channels: Mapping[int, int], residual: bool = False) -> None:
        super().__init__()
        kernel_size = 1 if in_channels.keys() == out_channels.keys() else 3
        self.mix = GOctConv(in_channels, out_channels, kernel_size)
        self.refine = nn.Sequential(SimplifiedGOctConv(out_channels), SimplifiedGOctConv(out_channels))
        self.residual = residual and dict(in_channels) == dict(out_channels)

    def forward(self, features: Features) -> Features:
        out: Features = self.refine(self.mix(features))
        return {octave: x + features[octave] for octave, x in out.items()} if self.residual else out
