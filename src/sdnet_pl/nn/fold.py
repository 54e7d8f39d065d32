"""The form of the network for inference: the same function with fewer passes over the feature maps.

A module that holds a BatchNorm has a ``fuse()``, which folds it within the module; :func:`fold_batch_norm` calls all.
"""

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Network = TypeVar("Network", bound=nn.Module)


@torch.inference_mode(False)  # tensors made under it could not be used outside
@torch.no_grad()
def fold_batch_norm(model: Network) -> Network:
    """A copy for evaluation whose convolutions hold every BatchNorm and the scale of the input's normalisation.

    Alphas, side outputs and features are the same to 1e-5. A folded network is not for training, and its state_dict
    fits no other.

    Args:
        model: An SDNet or a part of one; it stays as it is.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if fuse := getattr(module, "fuse", None):
            fuse()
    return folded


def fuse_norm(layers: nn.Module, convs: Iterable[nn.Module] = ()) -> None:
    """Folds the BatchNorm of a Sequential, if it holds one, into the convolutions before it.

    Args:
        layers: The Sequential; an Identity takes the norm's place.
        convs: The convolutions whose sum the norm reads; none: the layer before it.
    """
    assert isinstance(layers, nn.Sequential)
    for i, norm in enumerate(layers):
        if isinstance(norm, nn.BatchNorm2d):
            _fold(norm, list(convs) or [layers[i - 1]])
            layers[i] = nn.Identity()


def _fold(norm: nn.BatchNorm2d, convs: Iterable[nn.Module]) -> None:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    for i, conv in enumerate(convs):
        assert isinstance(conv, nn.Conv2d)
        conv.weight, shift = fuse_conv_bn_weights(conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias)
        if i == 0:  # all are scaled, the sum is shifted once
            conv.bias = shift
