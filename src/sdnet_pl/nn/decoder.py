"""The multi-level aggregation decoder, section 3.3 of the paper, Eq. 4 and 5."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sdnet_pl.nn.fold import fuse_norm
from sdnet_pl.nn.octave import Activation, GOctConv, upsample

LEVELS = (2, 3, 4)


class DecoderOutput(NamedTuple):
    """What Eq. 4 and 5 name, by i = 2, 3, 4. Level i stands at 1 / 2^(i-1) of the stem's resolution.

    Attributes:
        decoded: F_dec^i, ``[B, channels, h_i, w_i]``.
        side_alphas: F̄_dec^i in [0, 1], ``[B, 1, h_i, w_i]`` (Eq. 4).
        aggregated: χ̄_i, ``[B, aggregation_channels, h_i, w_i]`` (Eq. 5).
        aggregated4_star: χ̄_4*, what the block of level 3 makes of level 4.
        logits: Of α_f, ``[B, 1, h_2, w_2]``, or with the refinement at the input's resolution.
    """

    decoded: dict[int, Tensor]
    side_alphas: dict[int, Tensor]
    aggregated: dict[int, Tensor]
    aggregated4_star: Tensor
    logits: Tensor


def alpha_activation(logits: Tensor) -> Tensor:
    """Sigmoid with slope 1 at its centre, as a linear output would have; a plain one has 1/4 and starts slowly.

    Under autocast in float32: bfloat16 has no value between 0.996 and 1.
    """
    kind = logits.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        logits = logits.float()
    return torch.sigmoid(4 * logits)


class Decoder(nn.Module):
    """Squeezes three levels to one-channel side outputs (Eq. 4) and aggregates them to one map (Eq. 5).

    Args:
        in_channels: Channels of F_enc^i after AMPA, i = 2, 3, 4.
        channels: Channels of F_dec^i (the paper preset: 40).
        aggregation_channels: Channels of the three gOctConv blocks (the paper preset: 32).
        aggregate: What feeds Eq. 5: the one-channel side outputs, literally, or F_dec^i.
        aggregation_activation: In the gOctConv blocks.
        refinement: Channels of the finer octave of stage 1 and of a fourth gOctConv block, which takes that octave and
            the map of Eq. 5 to the stem's resolution; none: no such block (the paper).
        subpixels: The block's head predicts ``subpixels`` x ``subpixels`` pixels for each of its positions.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        aggregation_channels: int,
        aggregate: Literal["side_outputs", "features"],
        aggregation_activation: Activation,
        refinement: tuple[int, int] | None,
        subpixels: int,
    ) -> None:
        super().__init__()
        self.aggregate = aggregate
        self.reduce = nn.ModuleDict(
            {
                str(i): nn.Sequential(
                    nn.Conv2d(c, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
                )
                for i, c in zip(LEVELS, in_channels, strict=True)
            }
        )
        squeezed = {2: channels + 1, 3: channels + 1, 4: channels}
        self.side_heads = nn.ModuleDict({str(i): nn.Conv2d(c, 1, 1) for i, c in squeezed.items()})
        n = aggregation_channels
        fed = 1 if aggregate == "side_outputs" else channels
        # Level i is octave i - 1.
        self.gather4 = GOctConv({3: fed}, {3: n}, 3, aggregation_activation)
        self.gather3 = GOctConv({2: fed, 3: n}, {2: n, 3: n}, 3, aggregation_activation)
        self.gather2 = GOctConv({1: fed, 2: n, 3: n}, {1: n}, 3, aggregation_activation)
        self.gather1: GOctConv | None = None
        self.head: nn.Module = nn.Conv2d(n, 1, 1)
        if refinement:
            detail, width = refinement
            self.gather1 = GOctConv({0: detail, 1: n}, {0: width}, 3, aggregation_activation)
            self.head = nn.Sequential(nn.Conv2d(width, subpixels**2, 1), nn.PixelShuffle(subpixels))

    def forward(self, encoded: dict[int, Tensor]) -> DecoderOutput:
        """Decodes F_enc^i after AMPA, i = 2, 3, 4, and for the refinement the finer octave of stage 1, i = 1."""
        decoded = {i: self.reduce[str(i)](encoded[i]) for i in LEVELS}
        # Eq. 4
        side_alphas = {4: self._side_alpha(4, decoded[4])}
        for i in (3, 2):
            side_alphas[i] = self._side_alpha(i, torch.cat([upsample(side_alphas[i + 1], 2), decoded[i]], dim=1))
        # Eq. 5
        fed = side_alphas if self.aggregate == "side_outputs" else decoded
        x4 = self.gather4({3: fed[4]})[3]
        both = self.gather3({2: fed[3], 3: x4})
        x3, x4_star = both[2], both[3]
        x2 = self.gather2({1: fed[2], 2: x3, 3: x4_star})[1]
        x1 = x2 if self.gather1 is None else self.gather1({0: encoded[1], 1: x2})[0]
        return DecoderOutput(decoded, side_alphas, {4: x4, 3: x3, 2: x2}, x4_star, self.head(x1))

    def _side_alpha(self, level: int, x: Tensor) -> Tensor:
        return alpha_activation(self.side_heads[str(level)](x))

    def fuse(self) -> None:
        """Folds the BatchNorm of F_dec^i; the gOctConv blocks have their own ``fuse``."""
        for layers in self.reduce.values():
            fuse_norm(layers)
