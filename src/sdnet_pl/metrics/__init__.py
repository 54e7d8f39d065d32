"""Matting scores. Each carries its region, whole image or unknown region, and its scale."""

from sdnet_pl.metrics.collection import METRIC_LABELS, BenchmarkMetrics
from sdnet_pl.metrics.matting import (
    MAD,
    MSE,
    SAD,
    ConnectivityError,
    ConstantMatteReference,
    GradientError,
    MattingMetric,
)

__all__ = [
    "MAD",
    "METRIC_LABELS",
    "MSE",
    "SAD",
    "BenchmarkMetrics",
    "ConnectivityError",
    "ConstantMatteReference",
    "GradientError",
    "MattingMetric",
]
