"""The form for inference gives what the trained form gives."""

from typing import Any

import pytest
import torch
from torch import nn

from sdnet_pl.nn import FEATURE_NAMES, PRESETS, SDNet, create_model, fold_batch_norm
from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.decoder import Decoder
from sdnet_pl.nn.encoder import Encoder
from sdnet_pl.nn.octave import GOctConv, SimplifiedGOctConv


def trained(preset: str, **changes) -> SDNet:
    """A network whose BatchNorms have something to fold."""
    torch.manual_seed(0)
    model = create_model(preset, depths=[2, 1, 1, 1], widths=[8, 8, 16, 16], **changes)  # every kind of layer
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5).mul_(torch.randint(0, 2, module.weight.shape) * 2 - 1)  # of both signs
                module.bias.uniform_(-0.2, 0.2)
        model(torch.rand(2, model.in_channels, 96, 96))
    return model.eval()


@pytest.mark.parametrize("changes", [{}, {"trimap": True}, {"attention_norm": True}])
@pytest.mark.parametrize("preset", PRESETS)
@torch.no_grad()
def test_folding_changes_nothing(preset: str, changes: dict[str, bool]):
    model = trained(preset, **changes)
    folded = fold_batch_norm(model)
    x = torch.rand(2, model.in_channels, 80, 112)
    expected, found = (m.forward_side_outputs(x, FEATURE_NAMES) for m in (model, folded))
    # Both forms round in float32, at other places; alphas are in [0, 1].
    assert (expected.alpha - found.alpha).abs().max() < 1e-5
    assert all((expected.side_alphas[i] - found.side_alphas[i]).abs().max() < 1e-5 for i in (2, 3, 4))
    for name, feature in expected.features.items():
        assert (feature - found.features[name]).abs().max() < 1e-5 * feature.abs().max(), name


def test_every_norm_is_folded_and_the_original_is_left_alone():
    model = trained("sdnet-fast", attention_norm=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold_batch_norm(model.train())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not folded.training
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(fold_batch_norm(folded)(x), folded(x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [GOctConv, SimplifiedGOctConv, AMPA, Encoder, Decoder, SDNet])
@torch.no_grad()
def test_each_module_fuses_its_own_norms(kind: type[nn.Module]):
    model = trained("sdnet-fast", attention_norm=True)
    x = torch.rand(1, 3, 64, 64)
    expected = model(x)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    fused: Any = [module for module in model.modules() if isinstance(module, kind)]
    for module in fused:
        module.fuse()
    torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-5)  # float32, summed in another order
    left = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert model.normalization.scaled == (kind is not SDNet)
    assert left < norms or kind is SDNet
    for module in fused:
        module.fuse()  # changes nothing more
    torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-5)


def test_folds_within_inference_mode_for_use_outside():
    model = trained("sdnet-tiny")
    with torch.inference_mode():
        folded = fold_batch_norm(model)
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    folded(x).sum().backward()  # refused for inference tensors
    assert x.grad is not None
