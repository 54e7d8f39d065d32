"""The table of networks that have a name."""

from typing import Any

from sdnet_pl.errors import InputError
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
        "fusible_activations": True,
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
        InputError: For an unknown preset or argument.

    Example:
        >>> model = create_model("sdnet")
        >>> sum(p.numel() for p in model.parameters())
        2028728
    """
    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.")
    arguments = PRESETS[preset] | changes
    try:
        return SDNet(trimap=trimap, **arguments)
    except TypeError as error:
        raise InputError(f"Preset {preset!r} cannot be built: {error}; see SDNet's arguments.") from error
