"""From checkpoints and photos to alphas and cut-outs."""

import os
from typing import TYPE_CHECKING

from sdnet_pl.lazy import lazy

# ONNX Runtime 1.32 reports its use to its makers, on Linux too; disable_telemetry_events() comes too late for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Resolved on first use: the command line's help must not pay for importing torch.
if TYPE_CHECKING:
    from sdnet_pl.inference.predictor import MattePredictor as MattePredictor
    from sdnet_pl.inference.removal import new_session as new_session
    from sdnet_pl.inference.removal import remove as remove
    from sdnet_pl.inference.weights import load_pretrained as load_pretrained
    from sdnet_pl.inference.weights import load_weights as load_weights
else:
    __all__, __getattr__, __dir__ = lazy(
        __name__,
        {
            "sdnet_pl.inference.predictor": ("MattePredictor",),
            "sdnet_pl.inference.removal": ("new_session", "remove"),
            "sdnet_pl.inference.weights": ("load_pretrained", "load_weights"),
        },
    )
