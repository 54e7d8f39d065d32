"""Octave convolutions: gOctConv, its simplified depthwise form, and the ILBlock built from both.

Features are dictionaries from an octave to a tensor: octave ``s`` holds ``[B, C_s, H / 2^s, W / 2^s]``.
Sources: Chen et al., "Drop an Octave" (OctConv, ref. [7] of the paper); Cheng et al., "A Highly Efficient Model to
Study the Semantics of Salient Object Detection" (gOctConv and ILBlock, ref. [8]).
"""

from collections.abc import Mapping
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sdnet_pl.nn.fold import fuse_norm

OctaveFeatures = dict[int, Tensor]
Activation = Literal["prelu", "leaky_relu", "relu", "none"]
NEGATIVE_SLOPES: dict[Activation, float] = {"prelu": 0.25, "leaky_relu": 0.25, "relu": 0.0, "none": 1.0}
"""At the start of training."""


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling by a whole ``factor``; ``[B, C, H, W]`` to ``[B, C, factor * H, factor * W]``."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else x


def activation(name: Activation, channels: int) -> nn.Module:
    """The layer of that name; PReLU learns a slope a channel."""
    match name:
        case "prelu":
            return nn.PReLU(channels, NEGATIVE_SLOPES[name])
        case "leaky_relu":
            return nn.LeakyReLU(NEGATIVE_SLOPES[name], inplace=True)
        case "relu":
            return nn.ReLU(inplace=True)
        case _:
            return nn.Identity()


def norm_act(name: Activation, channels: Mapping[int, int]) -> nn.ModuleDict:
    """BatchNorm and activation for every octave."""
    return nn.ModuleDict(
        {str(octave): nn.Sequential(nn.BatchNorm2d(c), activation(name, c)) for octave, c in channels.items()}
    )


class GOctConv(nn.Module):
    """Convolves feature maps at any set of octaves to any set of octaves, then BatchNorm and activation per octave.

    Every pair of an input and an output octave has its own convolution, and the pairs are summed per output octave.
    Fine to coarse pools (average) before it convolves; coarse to fine convolves before it upsamples (bilinear).
    Paths that read the same tensor stay convolutions of their own: as one convolution whose output is split they are
    no faster in PyTorch, and in ONNX Runtime the split costs a change of memory layout.

    Args:
        in_channels: Channels at each input octave.
        out_channels: Channels at each output octave.
        kernel_size: An odd side length of all kernels.
        act: The activation.
    """

    def __init__(
        self,
        in_channels: Mapping[int, int],
        out_channels: Mapping[int, int],
        kernel_size: int,
        act: Activation = "prelu",
    ) -> None:
        super().__init__()
        # The pairs of one output act as one convolution, so they share the fan-in of all input octaves.
        fan_in = sum(in_channels.values()) * kernel_size**2
        std = (2 / (1 + NEGATIVE_SLOPES[act] ** 2) / fan_in) ** 0.5  # He, for the activation
        self.convs = nn.ModuleDict()
        for i, c_in in in_channels.items():
            for o, c_out in out_channels.items():
                layer = nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, bias=False)
                nn.init.normal_(layer.weight, std=std)
                self.convs[f"{i}_{o}"] = layer
        self.in_octaves, self.out_octaves = sorted(in_channels), sorted(out_channels)
        self.norm_act = norm_act(act, out_channels)

    def forward(self, features: OctaveFeatures) -> OctaveFeatures:
        """Features by octave, ``[B, C, H / 2^octave, W / 2^octave]`` each, to those of the output octaves."""
        sums: OctaveFeatures = {}
        for i in self.in_octaves:
            pooled, at = features[i], i
            for o in self.out_octaves:
                if o > at:
                    pooled, at = F.avg_pool2d(pooled, 2 ** (o - at)), o
                path = upsample(self.convs[f"{i}_{o}"](pooled), 2 ** max(0, i - o))
                sums[o] = sums[o] + path if o in sums else path
        return {o: self.norm_act[str(o)](x) for o, x in sums.items()}

    def fuse(self) -> None:
        """Folds the BatchNorm of each output octave into the convolutions that lead there."""
        for o in self.out_octaves:
            fuse_norm(self.norm_act[str(o)], [self.convs[f"{i}_{o}"] for i in self.in_octaves])


class SimplifiedGOctConv(nn.Module):
    """Depthwise 3x3 at every octave, no path between octaves, then BatchNorm and activation per octave."""

    def __init__(self, channels: Mapping[int, int], act: Activation = "prelu") -> None:
        super().__init__()
        self.convs = nn.ModuleDict(
            {str(octave): nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False) for octave, c in channels.items()}
        )
        for layer in self.convs.values():
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, a=NEGATIVE_SLOPES[act])
        self.norm_act = norm_act(act, channels)

    def forward(self, features: OctaveFeatures) -> OctaveFeatures:
        """Features by octave; the output has the same octaves and shapes."""
        return {o: self.norm_act[str(o)](self.convs[str(o)](x)) for o, x in features.items()}

    def fuse(self) -> None:
        """Folds each octave's BatchNorm into its convolution."""
        for octave, conv in self.convs.items():
            fuse_norm(self.norm_act[octave], [conv])


class ILBlock(nn.Module):
    """An OctConv and two simplified gOctConvs (ref. [8]).

    Args:
        in_channels: Channels at each input octave.
        out_channels: Channels at each output octave. The OctConv is 1x1 where these octaves are the input's,
            and 3x3 where the resolution changes.
        residual: Adds the input where its octaves and channels are the output's, within a stage. The original has no
            residual.
        octconv_activation: After the OctConv. The original has a PReLU there and after each of the others.
        depthwise_activation: After each simplified gOctConv.
        linear_residual: No activation between the last convolution and the sum with the input.
    """

    def __init__(
        self,
        in_channels: Mapping[int, int],
        out_channels: Mapping[int, int],
        residual: bool = False,
        octconv_activation: Activation = "prelu",
        depthwise_activation: Activation = "prelu",
        linear_residual: bool = False,
    ) -> None:
        super().__init__()
        kernel_size = 1 if in_channels.keys() == out_channels.keys() else 3
        self.residual = residual and dict(in_channels) == dict(out_channels)
        last: Activation = "none" if self.residual and linear_residual else depthwise_activation
        self.mix = GOctConv(in_channels, out_channels, kernel_size, octconv_activation)
        self.refine = nn.Sequential(
            SimplifiedGOctConv(out_channels, depthwise_activation), SimplifiedGOctConv(out_channels, last)
        )

    def forward(self, features: OctaveFeatures) -> OctaveFeatures:
        """Features by octave, ``[B, C, H / 2^octave, W / 2^octave]`` each, to those of the output octaves."""
        out: OctaveFeatures = self.refine(self.mix(features))
        return {octave: x + features[octave] for octave, x in out.items()} if self.residual else out
