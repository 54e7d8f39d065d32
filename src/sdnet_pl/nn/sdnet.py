"""SDNet, the whole network: normalisation, encoder, AMPA, decoder."""

from collections.abc import Collection, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdnet_pl.errors import InputError
from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.decoder import LEVELS, Decoder, alpha_activation
from sdnet_pl.nn.encoder import Encoder
from sdnet_pl.nn.octave import Activation, upsample

MIN_SIZE = 32
STAGES = 4
FEATURE_NAMES = tuple(f"{part}{i}" for part in ("enc", "ampa", "dec", "aggregate") for i in LEVELS)


class MattingOutput(NamedTuple):
    """What :meth:`SDNet.forward_side_outputs` returns.

    Attributes:
        alpha: The alpha α_f, ``[B, 1, H, W]`` in [0, 1].
        side_alphas: The side outputs F̄_dec^i in [0, 1] by i = 2, 3, 4: ``[B, 1, h_i, w_i]`` at their own resolution,
            which for stem stride 1 is 1/2, 1/4 and 1/8 of the padded input.
        features: The requested intermediate features by name, at the padded input's resolutions.
    """

    alpha: Tensor
    side_alphas: dict[int, Tensor]
    features: dict[str, Tensor]


class MattingNetwork(nn.Module):
    """What :class:`sdnet_pl.lit.SDNetModule` trains and scores: SDNet, or another network in its place.

    Attributes:
        trimap: Whether it takes a trimap (0, 0.5, 1) as fourth channel.
    """

    trimap = False

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> Tensor:
            """:meth:`forward` with hooks; by :class:`torch.nn.Module` alone its type would be Any."""

    def forward(self, x: Tensor) -> Tensor:
        """The alpha of ``x``: ``[B, 3 or 4, H, W]``, RGB in [0, 1], to ``[B, 1, H, W]`` in [0, 1]."""
        return self.forward_side_outputs(x).alpha

    def forward_side_outputs(self, x: Tensor) -> MattingOutput:
        """The alpha with the side outputs; if there are none, distillation must be none."""
        raise NotImplementedError


class Normalization(nn.Module):
    """Centres and scales the input's channels; the trimap is centred on "unknown"."""

    mean: Tensor
    std: Tensor

    def __init__(self, trimap: bool) -> None:
        super().__init__()
        # ImageNet's mean and deviation. Constants, so no part of the state_dict.
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        if trimap:
            mean, std = [*mean, 0.5], [*std, 0.5]
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.scaled = True  # False once the stem's weights hold the scale

    def forward(self, x: Tensor) -> Tensor:
        """``x``, ``[B, 3 or 4, H, W]`` in [0, 1], centred and, unless the stem does it, scaled."""
        x = x - self.mean
        return x / self.std if self.scaled else x

    def move_scale_into(self, conv: nn.Module) -> None:
        """Has the convolution that reads the output divide instead of this module.

        The subtraction stays: the zeros that pad the convolution's input stand for the mean.
        """
        assert isinstance(conv, nn.Conv2d)
        if self.scaled:
            conv.weight.data /= self.std
            self.scaled = False


class SDNet(MattingNetwork):
    """The portrait matting network of the paper (section 3, Figure 2).

    Args:
        trimap: Takes a trimap as fourth input channel (0 background, 0.5 unknown, 1 foreground).
        ampa: False leaves out the AMPA modules (Table 6).
        stem_channels: Channels of the stem.
        widths: Channels of each of the two octaves of stages 1 to 4.
        depths: ILBlocks of stages 1 to 4.
        stem_stride: 1 (the paper) or 2, which costs a quarter of the work and half the detail.
        decoder_channels: Channels of F_dec^i.
        aggregation_channels: Channels of the gOctConv blocks of Eq. 5.
        aggregate: What feeds Eq. 5: ``side_outputs`` (the one-channel maps, literally) or ``features``, the F_dec^i.
        residual: Residual in every ILBlock.
        separable_ampa: Depthwise-separable atrous and asymmetric branches in AMPA.
        attention_norm: BatchNorm before AMPA's attention, which keeps its gates alive under Muon.
        stem_activation: After the stem: ``prelu`` (the paper, as for the others), ``leaky_relu`` with the slope 0.25,
            ``relu`` or ``none``. Runtimes fuse ``relu`` and ``leaky_relu`` with a convolution right before them.
        octconv_activation: After the OctConv of every ILBlock, which sums paths.
        depthwise_activation: After each of the two depthwise convolutions of every ILBlock.
        linear_residual: No activation between the last depthwise convolution and the residual sum.
        aggregation_activation: In the gOctConv blocks of Eq. 5.
        refinement_channels: Channels of a fourth gOctConv block after Eq. 5, which adds the finer octave of stage 1 at
            the stem's resolution and predicts every pixel of the input; 0 (the paper): alpha is upsampled bilinearly.

    Raises:
        InputError: For another stride, ``aggregate`` or activation, a number that is too small or not whole, or not one
            width and depth a stage.
    """

    def __init__(
        self,
        trimap: bool = False,
        ampa: bool = True,
        stem_channels: int = 40,
        widths: Sequence[int] = (20, 40, 80, 80),
        depths: Sequence[int] = (3, 4, 6, 4),
        stem_stride: Literal[1, 2] = 1,
        decoder_channels: int = 40,
        aggregation_channels: int = 32,
        aggregate: Literal["side_outputs", "features"] = "side_outputs",
        residual: bool = False,
        separable_ampa: bool = False,
        attention_norm: bool = False,
        stem_activation: Activation = "prelu",
        octconv_activation: Activation = "prelu",
        depthwise_activation: Activation = "prelu",
        linear_residual: bool = False,
        aggregation_activation: Activation = "prelu",
        refinement_channels: int = 0,
    ) -> None:
        super().__init__()
        _check_choice("stem_stride", stem_stride, (1, 2))
        _check_choice("aggregate", aggregate, ("side_outputs", "features"))
        for name, activation in (
            ("stem_activation", stem_activation),
            ("octconv_activation", octconv_activation),
            ("depthwise_activation", depthwise_activation),
            ("aggregation_activation", aggregation_activation),
        ):
            _check_choice(name, activation, get_args(Activation))
        for name, per_stage in (("widths", widths), ("depths", depths)):
            if not isinstance(per_stage, Sequence):
                raise InputError(f"SDNet's {name} is {per_stage!r}; give {STAGES} whole numbers, one a stage.")
            if len(per_stage) != STAGES:
                raise InputError(f"SDNet has {STAGES} stages, got {len(per_stage)} {name}; give one a stage.")
        for name, numbers, least in (
            ("stem_channels", [stem_channels], 1),
            ("decoder_channels", [decoder_channels], 1),
            ("aggregation_channels", [aggregation_channels], 1),
            ("refinement_channels", [refinement_channels], 0),
            ("widths", widths, 1),
            ("depths", depths, 1),
        ):
            for number in numbers:
                if not isinstance(number, Integral) or number < least:
                    raise InputError(f"SDNet's {name} holds {number!r}; it must be at least {least}, a whole number.")
        self.trimap = trimap
        self.stem_stride = stem_stride
        self.size_multiple = 16 * stem_stride
        self.in_channels = 4 if trimap else 3
        self.normalization = Normalization(trimap)
        self.encoder = Encoder(
            self.in_channels,
            stem_channels,
            widths,
            depths,
            stem_stride,
            residual,
            stem_activation,
            octconv_activation,
            depthwise_activation,
            linear_residual,
        )
        encoded = [2 * width for width in widths[1:]]
        self.ampa = nn.ModuleDict(
            {
                str(i): AMPA(c, separable_ampa, attention_norm) if ampa else nn.Identity()
                for i, c in enumerate(encoded, start=2)
            }
        )
        self.logits_stride = 1 if refinement_channels else 2 * stem_stride
        refinement = (widths[0], refinement_channels) if refinement_channels else None
        self.decoder = Decoder(
            encoded, decoder_channels, aggregation_channels, aggregate, aggregation_activation, refinement, stem_stride
        )

    def forward(self, x: Tensor) -> Tensor:
        """The alpha of ``x``.

        Args:
            x: RGB in [0, 1], ``[B, 3, H, W]``; with the trimap (0, 0.5, 1) as fourth channel where the network
                takes one. H and W are any sizes >= 32.

        Returns:
            α_f, ``[B, 1, H, W]`` in [0, 1].

        Raises:
            InputError: For a wrong number of channels or a side below 32.
        """
        return self.forward_side_outputs(x).alpha

    def forward_side_outputs(self, x: Tensor, features: Collection[str] = ()) -> MattingOutput:
        """The alpha, the side outputs F̄_dec^2..4, and on request intermediate features.

        Args:
            x: As in :meth:`forward`.
            features: Names out of ``FEATURE_NAMES``: ``enc`` (F_enc^i), ``ampa`` (F̄_enc^i), ``dec`` (F_dec^i) and
                ``aggregate`` (χ̄_i of Eq. 5), each followed by i = 2, 3, 4.

        Raises:
            InputError: As :meth:`forward`, and for a name that is not a feature's.
        """
        self._check_input(x)
        if unknown := sorted(set(features) - set(FEATURE_NAMES)):
            raise InputError(f"SDNet has no feature {', '.join(unknown)}; ask for some of {', '.join(FEATURE_NAMES)}.")

        def keep(part: str, maps: dict[int, Tensor]) -> dict[str, Tensor]:
            return {f"{part}{i}": maps[i] for i in LEVELS if f"{part}{i}" in features}

        height, width = x.shape[-2:]
        x = self.normalization(x)
        pad_h, pad_w = -height % self.size_multiple, -width % self.size_multiple
        if pad_h or pad_w:
            x = F.pad(x, (0, pad_w, 0, pad_h), mode="reflect")
        encoded = self.encoder(x)
        kept = keep("enc", encoded)
        for i in LEVELS:
            encoded[i] = self.ampa[str(i)](encoded[i])  # replaced: F_enc^i would take memory until the end
        out = self.decoder(encoded)
        kept |= keep("ampa", encoded) | keep("dec", out.decoded) | keep("aggregate", out.aggregated)
        alpha = alpha_activation(upsample(out.logits, self.logits_stride))
        return MattingOutput(alpha[..., :height, :width], out.side_alphas, kept)

    def fuse(self) -> None:
        """Moves the scale of the normalisation into the stem's weights; the parts have their own ``fuse``."""
        self.normalization.move_scale_into(self.encoder.stem[0])

    def _check_input(self, x: Tensor) -> None:
        channels = self.in_channels
        if x.ndim != 4 or x.shape[1] != channels:
            kind = "RGB and a trimap" if self.trimap else "RGB"
            raise InputError(
                f"SDNet takes {kind} as [B, {channels}, H, W], got {list(x.shape)}; "
                + ("add the trimap as fourth channel." if self.trimap else "give three channels and a batch dimension.")
            )
        if min(x.shape[-2:]) < MIN_SIZE:
            height, width = x.shape[-2:]
            raise InputError(
                f"SDNet takes sides of at least {MIN_SIZE} pixels, got {height}x{width}; scale or pad the picture to "
                f"{max(height, MIN_SIZE)}x{max(width, MIN_SIZE)} first."
            )


def _check_choice(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise InputError(f"SDNet's {name} is {value!r}; choose one of {', '.join(map(str, known))}.")
