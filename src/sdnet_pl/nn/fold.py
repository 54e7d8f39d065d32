"""The form of the network for inference: the same function with fewer passes over the feature maps."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.octave import GOctConv, SimplifiedGOctConv
from sdnet_pl.nn.sdnet import SDNet


@torch.inference_mode(False)  # tensors made under it could not be used outside
@torch.no_grad()
def fold_batch_norm(model: SDNet) -> SDNet:
    """A copy for evaluation whose convolutions hold every BatchNorm and the scale of the input's normalisation.

    Alphas, side outputs and features are the same to 1e-5. A folded network is not for training, and its state_dict
    fits no other.
    """
    folded = copy.deepcopy(model).eval()
    stem: nn.Conv2d = folded.encoder.stem[0]  # type: ignore[assignment]
    if folded.normalization.scaled:
        # The subtraction stays: the zeros that pad the stem's input stand for the mean.
        stem.weight.data /= folded.normalization.std
        folded.normalization.scaled = False
    for module in folded.modules():
        if isinstance(module, GOctConv):
            for o in module.out_octaves:
                _fold([module.convs[f"{i}_{o}"] for i in module.in_octaves], module.norm_act[str(o)], 0)
        elif isinstance(module, SimplifiedGOctConv):
            for octave, conv in module.convs.items():
                _fold([conv], module.norm_act[octave], 0)
        elif isinstance(module, AMPA):
            if module.attention_norm:
                _fold(list(module.squeeze.values()), module.attention_norm, 0)
        elif isinstance(module, nn.Sequential):
            for i in range(1, len(module)):
                _fold([module[i - 1]], module, i)
    return folded


def _fold(convs: Sequence[nn.Module], layers: nn.Module, index: int) -> None:
    """Folds the BatchNorm ``layers[index]``, if it is one, into the convolutions whose sum it gets."""
    assert isinstance(layers, nn.Sequential)
    norm = layers[index]
    if not isinstance(norm, nn.BatchNorm2d):
        return
    for i, conv in enumerate(convs):
        assert isinstance(conv, nn.Conv2d)
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None
        assert var is not None
        conv.weight, shift = fuse_conv_bn_weights(conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias)
        if i == 0:  # all are scaled, the sum is shifted once
            conv.bias = shift
    layers[index] = nn.Identity()
