"""`sdnet-pl fit` for a network of another kind, under the same conditions: data, losses, schedule, scores.

A plain U-Net; ``compare`` in this folder runs it.
"""

import sys
from itertools import pairwise

import torch
from torch import Tensor, nn

from sdnet_pl.cli.lightning import run
from sdnet_pl.lit import SDNetModule
from sdnet_pl.nn import MattingNetwork, MattingOutput
from sdnet_pl.nn.decoder import alpha_activation

HALVINGS = 4


class UNet(MattingNetwork):
    """``[B, 3, H, W]`` in [0, 1] to an alpha ``[B, 1, H, W]``; sides of any size >= 32.

    Two 3x3 convolutions a resolution, each with BatchNorm and ReLU; pooled by 2 on the way down, upsampled bilinearly
    on the way up.

    Args:
        width: Channels at full resolution, doubled with every halving.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(HALVINGS + 1)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(width, 1, 1)

    def forward_side_outputs(self, x: Tensor) -> MattingOutput:
        x = (x - 0.5) / 0.25
        skips: list[Tensor] = []
        for block in self.down:
            x = block(nn.functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for block in reversed(self.up):
            skip = skips.pop()
            below = nn.functional.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, below], dim=1))
        return MattingOutput(alpha_activation(self.head(x)), {}, {})


class PeerModule(SDNetModule):
    """Trains the peer; ``network`` holds its arguments, and options that concern side outputs have no effect."""

    method = "peer: plain U-Net"

    def build_network(self) -> MattingNetwork:
        return UNet(**self.hparams["network"])


def _block(before: int, after: int) -> nn.Sequential:
    def conv(a: int) -> list[nn.Module]:
        return [nn.Conv2d(a, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

    return nn.Sequential(*conv(before), *conv(after))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], PeerModule))
