"""From checkpoints and photos to alphas and cut-outs."""

from importlib import import_module
from typing import Any

# Resolved on first use: the command line's help must not pay for importing torch.
_HOME = {"MattePredictor": "predictor", "load_pretrained": "weights", "load_weights": "weights"}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
