import logging

import numpy as np
import pytest
import torch
from torch import nn

from sdnet_pl.errors import InputError
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.nn import create_model


class Red(nn.Module):
    """A stand-in for a network: alpha is the red channel. Remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.seen: list[torch.Tensor] = []

    def forward(self, x):
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.seen.append(x)
        return x[:, :1]


@pytest.fixture
def model():
    return Red()


def ramp(height, width):
    """Red rises from left to right, or from top to bottom where that is longer."""
    y, x = np.mgrid[:height, :width]
    red = 255 * (x / max(width - 1, 1) if width >= height else y / max(height - 1, 1))
    return np.dstack([red, np.full_like(red, 30), np.full_like(red, 200)]).round().astype(np.uint8)


@pytest.mark.parametrize("shape", [(600, 800), (801, 333), (512, 512), (100, 80), (33, 47)])
def test_alpha_has_the_size_of_the_photo(model, shape):
    image = ramp(*shape)
    alpha = MattePredictor(model, 256, "cpu").alpha(image)
    assert alpha.shape == shape
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert np.abs(alpha - image[..., 0] / 255).max() < 0.02


def test_the_network_sees_the_longer_side_at_the_given_size(model):
    predictor = MattePredictor(model, 256, "cpu")
    for shape, seen in (((600, 800), (192, 256)), ((800, 600), (256, 192)), ((100, 80), (100, 80))):
        predictor.alpha(ramp(*shape))
        batch = model.seen[-1]
        assert batch.shape == (1, 3, *seen)
        assert batch.dtype == torch.float32
        assert batch.min() >= 0
        assert batch.max() <= 1
        assert batch.std() > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 5000), (5000, 3), (31, 31), (1, 40000)])
def test_tiny_photos_and_extreme_aspect_ratios(model, shape):
    predictor = MattePredictor(model, 64, "cpu")
    image = ramp(*shape)
    alpha = predictor.alpha(image)
    assert min(model.seen[-1].shape[2:]) >= 32
    assert max(model.seen[-1].shape[2:]) <= 64
    assert alpha.shape == shape
    assert np.abs(alpha - image[..., 0] / 255).max() < 0.02
    assert predictor.cutout(image).shape == (*shape, 4)


def test_alpha_is_clamped():
    class Loud(nn.Module):
        def forward(self, x):
            return x[:, :1] * 4 - 1

    alpha = MattePredictor(Loud(), 64, "cpu").alpha(ramp(100, 200))
    assert alpha.min() == 0
    assert alpha.max() == 1


def test_alpha_of_half_precision_is_accepted():
    class Half(nn.Module):
        def forward(self, x):
            return x[:, :1].bfloat16()

    assert MattePredictor(Half(), 64, "cpu").alpha(ramp(40, 40)).dtype == np.float32


def test_a_cutout_is_straight_rgba(model):
    image = ramp(60, 90)
    predictor = MattePredictor(model, 128, "cpu")
    cutout = predictor.cutout(image)
    assert cutout.shape == (60, 90, 4)
    assert cutout.dtype == np.uint8
    np.testing.assert_array_equal(cutout[..., 3], image[..., 0])
    # Not premultiplied: the constant channels stay what they are under a small alpha.
    assert np.abs(cutout[:, 5:, 1:3].astype(int) - (30, 200)).max() <= 1


def test_the_device_is_logged(model, caplog):
    with caplog.at_level(logging.INFO, logger="sdnet_pl"):
        predictor = MattePredictor(model)
    assert predictor.size == 512
    assert f"Matting with PyTorch on {'cuda' if torch.cuda.is_available() else 'cpu'}" in caplog.text


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_named(model, device):
    with pytest.raises(InputError, match=f"device '{device}' is not available here; give cpu"):
        MattePredictor(model, device=device)


def test_a_size_below_the_networks_least_is_refused(model):
    with pytest.raises(InputError, match=r"size is 31, .* at least 32"):
        MattePredictor(model, 31)


def test_the_form_for_inference_gives_the_same_and_leaves_the_network_alone():
    torch.manual_seed(0)
    model = create_model("sdnet-fast")
    with torch.no_grad():
        model(torch.rand(2, 3, 96, 96))  # moves the running statistics away from 0 and 1
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    predictor = MattePredictor(model, 96, "cpu")
    folded = predictor.network.model  # type: ignore[attr-defined]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert model.training
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255)[0, 0]
    # Folded and unfolded weights round differently in float32.
    np.testing.assert_allclose(predictor.alpha(photo), expected.numpy(), atol=1e-5)
