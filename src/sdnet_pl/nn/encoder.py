"""The four-stage ILBlock encoder, section 3.1 and Figure 2 of the paper."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sdnet_pl.nn.fold import fuse_norm
from sdnet_pl.nn.octave import Activation, ILBlock, OctaveFeatures, activation, upsample


class Encoder(nn.Module):
    """Stem and four stages of ILBlocks. Octave 0 is the stem's output resolution.

    Args:
        in_channels: Channels of the normalised input.
        stem_channels: Channels of the stem, a 3x3 convolution.
        widths: Channels of each of the two octaves of stages 1 to 4. Stage i works at octaves i - 1 and i.
        depths: ILBlocks of stages 1 to 4.
        stem_stride: 1 (the paper) or 2.
        residual: Residual in every ILBlock.
        stem_activation: After the stem.
        octconv_activation: As for :class:`ILBlock`.
        depthwise_activation: Likewise.
        linear_residual: Likewise.
    """

    def __init__(
        self,
        in_channels: int,
        stem_channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        stem_stride: int,
        residual: bool,
        stem_activation: Activation,
        octconv_activation: Activation,
        depthwise_activation: Activation,
        linear_residual: bool,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem_channels, 3, stride=stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(stem_channels),
            activation(stem_activation, stem_channels),
        )
        self.stages = nn.ModuleList()
        channels = {0: stem_channels}
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            out = {stage: width, stage + 1: width}
            blocks = []
            for _ in range(depth):
                blocks.append(
                    ILBlock(channels, out, residual, octconv_activation, depthwise_activation, linear_residual)
                )
                channels = out
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The multi-scale features F_enc^i, i = 2, 3, 4: ``[B, 2 * widths[i - 1], H / 2^(i-1), W / 2^(i-1)]``.

        Each is the finer octave of stage i beside its coarser one, upsampled. (H, W) is the stem's output size.
        Beside them i = 1: the finer octave of stage 1 alone, ``[B, widths[0], H, W]``.
        """
        features: OctaveFeatures = {0: self.stem(x)}
        encoded = {}
        for i, stage in enumerate(self.stages, start=1):
            features = stage(features)
            high, low = features[i - 1], features[i]
            encoded[i] = high if i == 1 else torch.cat([high, upsample(low, 2)], dim=1)
        return encoded

    def fuse(self) -> None:
        """Folds the stem's BatchNorm; the blocks have their own ``fuse``."""
        fuse_norm(self.stem)
