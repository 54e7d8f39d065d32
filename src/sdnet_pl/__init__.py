"""SDNet: portrait matting with 2.03 M parameters, trained by self-distillation.

Example:
    >>> import sdnet_pl
    >>> model = sdnet_pl.create_model("sdnet-fast", pretrained=True)
    >>> predictor = sdnet_pl.MattePredictor(model, size=512)
"""

from typing import TYPE_CHECKING

from sdnet_pl.lazy import lazy
from sdnet_pl.version import __version__ as __version__

# Resolved on first use: the command line's help must not pay for importing torch.
if TYPE_CHECKING:
    from sdnet_pl.data import MattingDataModule as MattingDataModule
    from sdnet_pl.inference import MattePredictor as MattePredictor
    from sdnet_pl.inference import load_pretrained as load_pretrained
    from sdnet_pl.inference import load_weights as load_weights
    from sdnet_pl.inference import new_session as new_session
    from sdnet_pl.inference import remove as remove
    from sdnet_pl.inference.weights import create_model as create_model
    from sdnet_pl.inference.weights import list_models as list_models
    from sdnet_pl.lit import SDNetModule as SDNetModule
    from sdnet_pl.losses import MattingObjective as MattingObjective
    from sdnet_pl.metrics import MAD as MAD
    from sdnet_pl.metrics import METRIC_LABELS as METRIC_LABELS
    from sdnet_pl.metrics import MSE as MSE
    from sdnet_pl.metrics import SAD as SAD
    from sdnet_pl.metrics import BenchmarkMetrics as BenchmarkMetrics
    from sdnet_pl.metrics import ConnectivityError as ConnectivityError
    from sdnet_pl.metrics import ConstantMatteReference as ConstantMatteReference
    from sdnet_pl.metrics import GradientError as GradientError
    from sdnet_pl.metrics import MattingMetric as MattingMetric
    from sdnet_pl.nn import SDNet as SDNet
else:
    __all__, __getattr__, __dir__ = lazy(
        __name__,
        {
            "sdnet_pl.data": ("MattingDataModule",),
            "sdnet_pl.inference": ("MattePredictor", "load_pretrained", "load_weights", "new_session", "remove"),
            "sdnet_pl.inference.weights": ("create_model", "list_models"),
            "sdnet_pl.lit": ("SDNetModule",),
            "sdnet_pl.losses": ("MattingObjective",),
            "sdnet_pl.metrics": (
                "MAD",
                "METRIC_LABELS",
                "MSE",
                "SAD",
                "BenchmarkMetrics",
                "ConnectivityError",
                "ConstantMatteReference",
                "GradientError",
                "MattingMetric",
            ),
            "sdnet_pl.nn": ("SDNet",),
        },
    )
