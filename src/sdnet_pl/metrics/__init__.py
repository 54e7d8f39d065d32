"""Matting scores. Each carries its region, whole image or unknown region, and its scale."""

from typing import TYPE_CHECKING

from sdnet_pl.lazy import lazy

# Resolved on first use: the names of the scores must not cost the seconds in which torchmetrics is loaded.
if TYPE_CHECKING:
    from sdnet_pl.metrics.collection import BenchmarkMetrics as BenchmarkMetrics
    from sdnet_pl.metrics.headings import METRIC_LABELS as METRIC_LABELS
    from sdnet_pl.metrics.matting import MAD as MAD
    from sdnet_pl.metrics.matting import MSE as MSE
    from sdnet_pl.metrics.matting import SAD as SAD
    from sdnet_pl.metrics.matting import ConnectivityError as ConnectivityError
    from sdnet_pl.metrics.matting import ConstantMatteReference as ConstantMatteReference
    from sdnet_pl.metrics.matting import GradientError as GradientError
    from sdnet_pl.metrics.matting import MattingMetric as MattingMetric
else:
    __all__, __getattr__, __dir__ = lazy(
        __name__,
        {
            "sdnet_pl.metrics.collection": ("BenchmarkMetrics",),
            "sdnet_pl.metrics.headings": ("METRIC_LABELS",),
            "sdnet_pl.metrics.matting": (
                "MAD",
                "MSE",
                "SAD",
                "ConnectivityError",
                "ConstantMatteReference",
                "GradientError",
                "MattingMetric",
            ),
        },
    )
