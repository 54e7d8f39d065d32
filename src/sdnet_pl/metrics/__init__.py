"""Matting scores. Each carries its region, whole image or unknown region, and its scale."""

from importlib import import_module
from typing import Any

# Resolved on first use: the names of the scores must not cost the seconds in which torchmetrics is loaded.
_HOME = {
    "MAD": "matting",
    "METRIC_LABELS": "headings",
    "MSE": "matting",
    "SAD": "matting",
    "BenchmarkMetrics": "collection",
    "ConnectivityError": "matting",
    "ConstantMatteReference": "matting",
    "GradientError": "matting",
    "MattingMetric": "matting",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
