"""The network, in pure torch."""

from sdnet_pl.nn.fold import fold_batch_norm
from sdnet_pl.nn.presets import PRESETS, create_model
from sdnet_pl.nn.sdnet import FEATURE_NAMES, MattingNetwork, MattingOutput, SDNet

__all__ = ["FEATURE_NAMES", "PRESETS", "MattingNetwork", "MattingOutput", "SDNet", "create_model", "fold_batch_norm"]
