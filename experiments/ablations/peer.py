"""`sdnet-pl fit` for a network of another kind, under the same conditions: data, losses, schedule, scores.

MobileNetV2 (of transformers, with random weights) under a plain U-Net decoder: what many portrait matting systems are.

Needs the data that its config names; `compare` in this folder runs it.
"""

import sys

import torch
from torch import Tensor, nn

from sdnet_pl.cli.lightning import run
from sdnet_pl.lit import SDNetModule
from sdnet_pl.nn import MattingNetwork, MattingOutput

DECODER_WIDTHS = (352, 256, 128, 64)


class MobileNetV2UNet(MattingNetwork):
    """``[B, 3, H, W]`` in [0, 1] to an alpha ``[B, 1, H, W]``; sides that are multiples of 32. 6.3 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import MobileNetV2Config, MobileNetV2Model

        self.encoder = MobileNetV2Model(MobileNetV2Config(), add_pooling_layer=False)
        del self.encoder.conv_1x1  # the classifier's
        widths = [16, 24, 32, 96, 320]  # at 1/2, 1/4, 1/8, 1/16, 1/32
        self.decoder = nn.ModuleList()
        below = widths.pop()
        for width in DECODER_WIDTHS:
            skip = widths.pop()
            self.decoder.append(nn.Sequential(_conv(below + skip, width), _conv(width, width)))
            below = width
        self.head = nn.Conv2d(below, 1, 3, padding=1)

    def forward_side_outputs(self, x: Tensor) -> MattingOutput:
        size = x.shape[-2:]
        features = [self.encoder.conv_stem((x - 0.5) / 0.25)]
        for layer in self.encoder.layer:
            y = layer(features[-1])
            if y.shape[-1] == features[-1].shape[-1]:
                features[-1] = y  # the last of each resolution
            else:
                features.append(y)
        x = features.pop()
        for block in self.decoder:
            skip = features.pop()
            x = block(torch.cat([_resize(x, skip.shape[-2:]), skip], dim=1))
        return MattingOutput(_resize(self.head(x), size).sigmoid(), {}, {})


class PeerModule(SDNetModule):
    """Trains the peer; options that concern SDNet's own network or its side outputs have no effect."""

    method = "peer: MobileNetV2 U-Net, 6.3 M"

    def build_network(self) -> MattingNetwork:
        return MobileNetV2UNet()


def _conv(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], PeerModule))
