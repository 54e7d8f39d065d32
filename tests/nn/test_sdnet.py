"""The network: size, shapes, gradients, and what it refuses."""

import io
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
import torch
from torch import nn

from sdnet_pl.errors import InputError
from sdnet_pl.nn import FEATURE_NAMES, PRESETS, SDNet, create_model
from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.decoder import alpha_activation
from sdnet_pl.nn.octave import GOctConv, ILBlock, SimplifiedGOctConv


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_paper_preset_has_the_size_of_table_4():
    model = create_model("sdnet")
    assert parameters(model) == 2_028_728  # 2.03 M
    assert parameters(create_model("sdnet", trimap=True)) == 2_029_088
    assert parameters(create_model("sdnet", ampa=False)) == 855_078  # the ablation of Table 6
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert file.tell() / 2**20 == pytest.approx(8.1, rel=0.01)  # the paper's 8.1 MB


# Of every key and shape, in order: as long as they stay, so do checkpoints and files of weights.
STATE_DICTS = {"sdnet": "100520e728947ed0", "sdnet-fast": "3272f2e4eb0cdc89", "sdnet-tiny": "e7ae840701205396"}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_keys_of_a_state_dict_stay(preset: str):
    lines = [f"{key} {list(value.shape)}" for key, value in create_model(preset).state_dict().items()]
    assert sha256("\n".join(lines).encode()).hexdigest()[:16] == STATE_DICTS[preset]


def test_parts_have_the_calibrated_sizes():
    model = create_model("sdnet")
    stages = [parameters(stage) for stage in model.encoder.stages]
    assert stages == [20_840, 56_640, 269_120, 324_480]
    assert [parameters(model.ampa[i]) for i in "234"] == [131_050, 521_300, 521_300]
    assert parameters(model.decoder.reduce) == 144_240


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 96), (101, 77)])
def test_any_size_gives_an_alpha_of_the_same_size(preset: str, size: tuple[int, int]):
    model = create_model(preset).eval()
    with torch.inference_mode():
        alpha = model(torch.rand(2, 3, *size))
    assert alpha.shape == (2, 1, *size)
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_padding_reflects_so_that_a_padded_picture_scores_as_its_reflection():
    model = create_model("sdnet-tiny").eval()
    x = torch.rand(1, 3, 50, 70)
    padded = nn.functional.pad(x, (0, 26, 0, 14), mode="reflect")
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model(padded)[..., :50, :70])


@pytest.mark.parametrize("preset", PRESETS)
def test_side_outputs_and_features(preset: str):
    model = create_model(preset)
    out = model.forward_side_outputs(torch.rand(1, 3, 64, 96), FEATURE_NAMES)
    stride = model.stem_stride
    assert {i: tuple(s.shape) for i, s in out.side_alphas.items()} == {
        i: (1, 1, 64 // 2 ** (i - 1) // stride, 96 // 2 ** (i - 1) // stride) for i in (2, 3, 4)
    }
    assert all(s.min() >= 0 and s.max() <= 1 for s in out.side_alphas.values())
    assert set(out.features) == set(FEATURE_NAMES)
    assert all(f.shape[-1] == out.side_alphas[int(name[-1])].shape[-1] for name, f in out.features.items())
    assert model.forward_side_outputs(torch.rand(1, 3, 64, 96)).features == {}


@pytest.mark.parametrize("aggregate", ["side_outputs", "features"])
@torch.no_grad()
def test_the_decoder_gives_what_equations_4_and_5_name(aggregate: str):
    torch.manual_seed(0)
    decoder: Any = create_model("sdnet-tiny", aggregate=aggregate).decoder.eval()
    encoded = {i: torch.rand(1, c, 64 >> i, 96 >> i) for i, c in ((2, 48), (3, 80), (4, 128))}
    out = decoder(encoded)
    dec, side, chi = out.decoded, out.side_alphas, out.aggregated
    up = partial(nn.functional.interpolate, scale_factor=2, mode="bilinear")
    for i in (2, 3, 4):
        assert torch.equal(dec[i], decoder.reduce[str(i)](encoded[i]))
        read = dec[i] if i == 4 else torch.cat([up(side[i + 1]), dec[i]], dim=1)
        assert torch.equal(side[i], alpha_activation(decoder.side_heads[str(i)](read)))
    fed = side if aggregate == "side_outputs" else dec
    assert torch.equal(chi[4], decoder.gather4({3: fed[4]})[3])
    three = decoder.gather3({2: fed[3], 3: chi[4]})
    assert torch.equal(chi[3], three[2])
    assert torch.equal(out.aggregated4_star, three[3])
    assert torch.equal(chi[2], decoder.gather2({1: fed[2], 2: chi[3], 3: out.aggregated4_star})[1])
    assert torch.equal(out.logits, decoder.head(chi[2]))


def test_the_return_type_is_the_same_in_training_and_evaluation():
    model, x = create_model("sdnet-tiny"), torch.rand(2, 3, 64, 64)
    assert type(model.train()(x)) is type(model.eval()(x)) is torch.Tensor


@pytest.mark.parametrize("trimap", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ampa": False},
        {"aggregate": "features"},
        {"residual": True},
        {"refinement_channels": 8},
        {
            "stem_activation": "leaky_relu",
            "octconv_activation": "none",
            "depthwise_activation": "leaky_relu",
            "residual": True,
            "linear_residual": True,
            "aggregation_activation": "relu",
        },
    ],
    ids=str,
)
def test_gradients_reach_every_parameter(trimap: bool, changes: dict):
    model = create_model("sdnet", trimap=trimap, **changes)
    out = model.forward_side_outputs(torch.rand(2, 4 if trimap else 3, 64, 64))
    # The loss supervises all four; with features into Eq. 5 the last side output feeds nothing else.
    (out.alpha.sum() + sum(side.sum() for side in out.side_alphas.values())).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A convolution's bias before a BatchNorm would be dead too; there is none.
    assert dead == []


def activations(module: nn.Module) -> set[str]:
    kinds = (nn.PReLU, nn.LeakyReLU, nn.ReLU, nn.Identity)
    return {type(layer).__name__ for layer in module.modules() if isinstance(layer, kinds)}


def test_activations_stand_where_they_are_named():
    paper, fast = create_model("sdnet"), create_model("sdnet-fast")
    blocks = [module for module in paper.modules() if isinstance(module, GOctConv | SimplifiedGOctConv)]
    assert all(activations(part) == {"PReLU"} for part in (paper.encoder.stem, *blocks))
    assert activations(fast.encoder.stem) == {"LeakyReLU"}
    for stage in fast.encoder.stages:
        assert isinstance(stage, nn.Sequential)
        for i, block in enumerate(stage):
            assert isinstance(block, ILBlock)
            first, last = block.refine
            # The first block of a stage changes the resolution and has no residual.
            assert [activations(part) for part in (block.mix, first, last)] == [
                {"Identity"},
                {"LeakyReLU"},
                {"Identity" if i else "LeakyReLU"},
            ]
    assert all(activations(getattr(fast.decoder, f"gather{i}")) == {"ReLU"} for i in (1, 2, 3, 4))


def test_the_trimap_changes_the_alpha():
    model = create_model("sdnet-tiny", trimap=True).eval()
    rgb = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        a, b = (model(torch.cat([rgb, torch.full((1, 1, 64, 64), v)], 1)) for v in (0.0, 1.0))
    assert (a - b).abs().max() > 1e-3


def test_clear_errors():
    model = create_model("sdnet-tiny")
    with pytest.raises(InputError, match=r"RGB as \[B, 3, H, W\], got \[1, 4, 64, 64\]"):
        model(torch.rand(1, 4, 64, 64))
    with pytest.raises(InputError, match="at least 32 pixels, got 31x64"):
        model(torch.rand(1, 3, 31, 64))
    with pytest.raises(InputError, match="trimap as fourth channel"):
        create_model("sdnet-tiny", trimap=True)(torch.rand(1, 3, 64, 64))
    with pytest.raises(InputError, match="no feature dec9"):
        model.forward_side_outputs(torch.rand(1, 3, 64, 64), ["dec9"])
    with pytest.raises(InputError, match="no preset 'sdnet-huge'; the presets are sdnet"):
        create_model("sdnet-huge")
    with pytest.raises(InputError, match="no argument 'widhts'; did you mean widths"):
        create_model("sdnet", widhts=(1, 2, 3, 4))
    with pytest.raises(InputError, match="no argument 'qqq'; it has trimap, ampa, stem_channels"):
        create_model("sdnet", qqq=1)
    for changes, expected in (
        ({"aggregate": "feature"}, "aggregate is 'feature'; choose one of side_outputs, features"),
        ({"stem_stride": 3}, "stem_stride is 3; choose one of 1, 2"),
        ({"widths": (8, 8)}, "4 stages, got 2 widths"),
        ({"depths": (3, 4, 6)}, "4 stages, got 3 depths"),
        ({"depths": (3, 4, 6, 0)}, "depths holds 0; it must be at least 1"),
        ({"stem_channels": 0}, "stem_channels holds 0; it must be at least 1"),
        ({"stem_channels": "16"}, "stem_channels holds '16'; it must be at least 1, a whole number"),
        ({"stem_channels": None}, "stem_channels holds None"),
        ({"decoder_channels": 2.5}, r"decoder_channels holds 2\.5"),
        ({"widths": 5}, "widths is 5; give 4 whole numbers, one a stage"),
        ({"depths": "3464"}, "depths holds '3'; it must be at least 1, a whole number"),
        ({"octconv_activation": "gelu"}, "octconv_activation is 'gelu'; choose one of prelu, leaky_relu, relu, none"),
        ({"stem_activation": "swish"}, "stem_activation is 'swish'"),
        ({"depthwise_activation": None}, "depthwise_activation is None"),
        ({"aggregation_activation": "Relu"}, "aggregation_activation is 'Relu'"),
        ({"refinement_channels": -1}, "refinement_channels holds -1; it must be at least 0"),
    ):
        with pytest.raises(InputError, match=expected):
            create_model("sdnet-tiny", **changes)


@pytest.mark.parametrize("changes", [{}, {"separable_ampa": False, "residual": False}], ids=str)
def test_gradients_of_every_convolution_in_bfloat16_agree_with_float32(changes: dict):
    # Some CPU kernels give wrong bfloat16 weight gradients for dilated depthwise convolutions in channels_last.
    torch.manual_seed(0)
    model: Any = create_model("sdnet-tiny", **changes)
    model.to(memory_format=torch.channels_last)
    inputs: dict[str, torch.Tensor] = {}
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0].detach()}))
    model(torch.rand(2, 3, 96, 96).to(memory_format=torch.channels_last))

    def gradients(layer: nn.Module, x: torch.Tensor, half: bool) -> list[torch.Tensor]:
        x = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = layer(x)
        out.backward(torch.rand(out.shape, generator=torch.Generator().manual_seed(1)).to(out) - 0.5)
        found = [x.grad, layer.weight.grad]
        layer.weight.grad = None
        return found  # type: ignore[return-value]

    for name, layer in layers.items():
        x = inputs[name]
        for half, full in zip(gradients(layer, x, True), gradients(layer, x, False), strict=True):
            # bfloat16 keeps 8 bits: 0.4 % a value; the broken kernels are off by more than 100 %.
            assert (half - full).norm() <= 0.02 * full.norm(), name


class TestOctave:
    def test_is_the_sum_of_its_pairs(self):
        torch.manual_seed(0)
        conv: Any = GOctConv({0: 3, 1: 4}, {0: 5, 1: 6, 2: 7}, 3).eval()
        conv.norm_act = nn.ModuleDict({str(o): nn.Identity() for o in range(3)})
        x = {0: torch.rand(1, 3, 16, 16), 1: torch.rand(1, 4, 8, 8)}
        out = conv(x)
        pool, conv2d = nn.functional.avg_pool2d, nn.functional.conv2d
        w = {pair: layer.weight for pair, layer in conv.convs.items()}
        up = nn.functional.interpolate(conv2d(x[1], w["1_0"], padding=1), scale_factor=2, mode="bilinear")
        torch.testing.assert_close(out[0], conv2d(x[0], w["0_0"], padding=1) + up)
        down = conv2d(pool(x[0], 2), w["0_1"], padding=1)
        torch.testing.assert_close(out[1], down + conv2d(x[1], w["1_1"], padding=1))
        down = conv2d(pool(x[0], 4), w["0_2"], padding=1) + conv2d(pool(x[1], 2), w["1_2"], padding=1)
        torch.testing.assert_close(out[2], down)

    def test_initial_scale_counts_all_inputs(self):
        conv: Any = GOctConv({0: 64, 1: 64}, {0: 64, 1: 64}, 3)
        expected = (2 / (1 + 0.25**2) / (128 * 9)) ** 0.5
        for layer in conv.convs.values():
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)  # 36,864 draws and more

    def test_ilblock_mixes_with_1x1_inside_a_stage_and_3x3_between(self):
        inside: Any
        between: Any
        inside, between = ILBlock({0: 4, 1: 4}, {0: 4, 1: 4}), ILBlock({0: 4, 1: 4}, {1: 8, 2: 8})
        assert inside.mix.convs["0_0"].kernel_size == (1, 1)
        assert between.mix.convs["1_1"].kernel_size == (3, 3)
        out = between({0: torch.rand(1, 4, 32, 32), 1: torch.rand(1, 4, 16, 16)})
        assert {o: tuple(x.shape) for o, x in out.items()} == {1: (1, 8, 16, 16), 2: (1, 8, 8, 8)}


def test_ampa_is_the_norm_relu_and_1x1_of_the_concatenated_views():
    torch.manual_seed(0)
    module: Any = AMPA(16)
    x = torch.rand(4, 16, 12, 12)
    module(x)  # moves the running statistics away from 0 and 1
    module.eval()
    views = torch.cat([view[:-2](x) for view in module.views.values()], dim=1)
    norms = [view[-2] for view in module.views.values()]
    mean, var, weight, bias = (
        torch.cat([getattr(norm, part) for norm in norms]) for part in ("running_mean", "running_var", "weight", "bias")
    )
    normed = nn.functional.batch_norm(views, mean, var, weight, bias).relu()
    squeezed = nn.functional.conv2d(
        normed,
        torch.cat([layer.weight for layer in module.squeeze.values()], dim=1),
        module.squeeze["depthwise"].bias,
    )
    torch.testing.assert_close(module(x), module.project(module.attention(squeezed)) + x)


@pytest.mark.parametrize("separable", [False, True])
def test_ampa_keeps_its_shape_and_sees_five_pixels_around(separable: bool):
    module: Any = AMPA(16, separable).eval()
    torch.manual_seed(0)
    x = torch.rand(1, 16, 15, 15, requires_grad=True)
    assert module(x).shape == x.shape
    module.attention = nn.Identity()  # its global pool would reach everywhere
    module(x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    reach = x.grad.abs().sum(dim=(0, 1)) > 0
    assert reach[5:10:2, 5:10:2].all()  # dilation 2
    assert not reach[:5].any()


def test_state_dict_moves_between_instances():
    a, b = SDNet().eval(), SDNet().eval()
    b.load_state_dict(a.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(a(x), b(x))
