"""The table of networks that have a name."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from sdnet_pl.errors import InputError, did_you_mean
from sdnet_pl.nn.sdnet import SDNet

PRESETS: dict[str, dict[str, Any]] = {
    # The paper's network: 2.03 M parameters (Table 4).
    "sdnet": {},
    # As many parameters as the paper's, at most a fifth of MODNet's time in ONNX Runtime (docs/speed.md). Widths are
    # multiples of 16, the block in which ONNX Runtime keeps channels.
    "sdnet-fast": {
        "stem_channels": 16,
        "widths": (16, 16, 64, 160),
        "depths": (2, 4, 6, 4),
        "stem_stride": 2,
        "decoder_channels": 32,
        "aggregation_channels": 32,
        "aggregate": "features",
        "residual": True,
        "separable_ampa": True,
        # Those that ONNX Runtime fuses with the convolution before them; none after a sum.
        "stem_activation": "leaky_relu",
        "octconv_activation": "none",
        "depthwise_activation": "leaky_relu",
        "linear_residual": True,
        "aggregation_activation": "relu",
        "refinement_channels": 16,
    },
    # Small enough to learn in minutes on two cores: for the quick start and for tests.
    "sdnet-tiny": {
        "stem_channels": 16,
        "widths": (12, 24, 40, 64),
        "stem_stride": 2,
        "decoder_channels": 24,
        "aggregation_channels": 24,
        "aggregate": "features",
        "residual": True,
        "separable_ampa": True,
    },
}


def create_model(preset: str = "sdnet", *, trimap: bool = False, **changes: Any) -> SDNet:
    """Builds a network by name, freshly initialised.

    Args:
        preset: A key of ``PRESETS``.
        trimap: Takes a trimap as fourth input channel.
        **changes: Constructor arguments of :class:`SDNet` that replace the preset's, ``ampa=False`` for example.

    Raises:
        InputError: For an unknown preset or argument, or a value that SDNet refuses.

    Example:
        >>> model = create_model("sdnet")
        >>> sum(p.numel() for p in model.parameters())
        2028728
    """
    return SDNet(trimap=trimap, **arguments(preset, changes))


def arguments(preset: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments of a preset, with changes.

    Raises:
        InputError: For an unknown preset or argument.
    """
    if preset not in PRESETS:
        raise InputError(
            f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}{did_you_mean(preset, PRESETS, '.')}"
        )
    known = signature(SDNet).parameters
    for name in changes:
        if name not in known:
            remedy = did_you_mean(name, known, f"; it has {', '.join(known)}.")
            raise InputError(f"SDNet has no argument {name!r}{remedy}")
    return {**PRESETS[preset], **changes}
