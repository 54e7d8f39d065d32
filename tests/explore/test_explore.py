"""What notebooks show is what the network made and what the runs logged."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from ipywidgets import VBox
from matplotlib.figure import Figure
from PIL import Image

import sdnet_pl.explore
from sdnet_pl.cli import main
from sdnet_pl.cli.explore import SIDE
from sdnet_pl.data.image_io import read_alpha, read_rgb, write_png
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.errors import InputError
from sdnet_pl.explore import (
    branches_figure,
    capture,
    cosine_figure,
    cosine_summary,
    cosines,
    curves,
    decoder_figure,
    details,
    details_figure,
    drawn_portrait,
    first_details,
    inspect_picture,
    last_cosines,
    pictures_figure,
    scores,
    sliders,
    squeeze_figure,
    squeeze_summary,
    squeeze_weights,
    table,
)
from sdnet_pl.explore.measures import full_size_maps
from sdnet_pl.inference import load_weights
from sdnet_pl.losses.functional import cosine_distillation_loss
from sdnet_pl.nn import SDNet, create_model
from sdnet_pl.reporting.panels import error_map, panel_figure, to_array
from sdnet_pl.reporting.paper import read_paper
from sdnet_pl.reporting.runs import find_results
from sdnet_pl.reporting.tradeoff import tradeoff_figure, tradeoff_lines

VIEWS = [f"ampa.{i}.views.{view}" for i in (2, 3, 4) for view in ("depthwise", "atrous", "asymmetric")]
GATES = [f"ampa.{i}.attention.gate" for i in (2, 3, 4)]


@pytest.fixture(scope="module")
def model() -> SDNet:
    torch.manual_seed(0)
    return create_model("sdnet-tiny").eval()


def ampa_of(model: SDNet, level: int) -> Any:
    return model.ampa[str(level)]


def decoder_look(model: SDNet, number: int = 0, size: int = 96):
    picture, alpha = drawn_portrait(number, size)
    return inspect_picture(model, picture, size, alpha, [*VIEWS, *GATES, "dec2"])


# Stem stride and channels of AMPA at levels 2, 3 and 4.
@pytest.mark.parametrize(("preset", "stride", "channels"), [("sdnet", 1, (80, 160, 160)), ("sdnet-tiny", 2, None)])
def test_captured_features_have_the_networks_shapes(preset: str, stride: int, channels: tuple[int, ...] | None):
    model = create_model(preset).eval()
    channels = channels or tuple(ampa_of(model, i).project.out_channels for i in (2, 3, 4))
    with torch.no_grad():
        out = capture(model, torch.rand(1, 3, 96, 64), [*VIEWS, *GATES, "enc3", "decoder.reduce.4"])
    assert set(out.features) == {*VIEWS, *GATES, "enc3", "decoder.reduce.4"}
    for i, c in zip((2, 3, 4), channels, strict=True):
        # F_enc^i stands at 1 / 2^(i-1) of the stem, and at level 4 with level 3's width of octave
        factor = stride * 2 ** (i - 1)
        for view in ("depthwise", "atrous", "asymmetric"):
            found = out.features[f"ampa.{i}.views.{view}"]
            assert found.shape == (1, c, 96 // factor, 64 // factor)
            assert (found >= 0).all()  # behind a ReLU
        gate = out.features[f"ampa.{i}.attention.gate"]
        assert gate.shape == (1, c, 1, 1)
        assert ((gate >= 0) & (gate <= 1)).all()


def test_capturing_changes_nothing_and_sees_the_tensors_themselves(model: SDNet):
    x = torch.rand(1, 3, 70, 50)
    with torch.no_grad():
        plain = model.forward_side_outputs(x, ["enc2", "ampa2"])
        out = capture(model, x, ["ampa.2", "ampa.2.attention.gate", *VIEWS[:3], "enc2"])
        assert torch.equal(out.alpha, plain.alpha)
        assert torch.equal(out.features["ampa.2"], plain.features["ampa2"])
        assert torch.equal(out.features["enc2"], plain.features["enc2"])
        # AMPA put together again from what was seen of its inside.
        ampa = ampa_of(model, 2)
        views = sum(ampa.squeeze[name.split(".")[-1]](out.features[name]) for name in VIEWS[:3])
        expected = ampa.project(views * out.features["ampa.2.attention.gate"]) + plain.features["enc2"]
    torch.testing.assert_close(expected, plain.features["ampa2"])
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ampa.2.views.atrus", "did you mean .*ampa.2.views.atrous"),
        ("qqq", "lists them"),
        ("", "'' only holds modules"),
        ("ampa.2.views", "only holds modules"),
    ],
)
def test_an_unknown_name_is_refused(model: SDNet, name: str, said: str):
    with pytest.raises(InputError, match=said):
        capture(model, torch.rand(1, 3, 64, 64), [name])


def test_a_module_without_a_tensor_is_refused_and_leaves_no_hook(model: SDNet):
    with pytest.raises(InputError, match="gives dict, not a tensor"):
        capture(model, torch.rand(1, 3, 64, 64), ["decoder.gather4"])
    assert not any(module._forward_hooks for module in model.modules())


def test_features_of_the_weights_that_ship_and_of_a_checkpoint(trained: Path):
    for weights in ("sdnet-fast", trained / "best.ckpt"):
        network, size = load_weights(weights)
        seen = inspect_picture(network, drawn_portrait(1, 64)[0], size, names=GATES)
        assert set(seen.features) == set(GATES)


def test_a_look_holds_what_the_network_gives(model: SDNet):
    picture, alpha = drawn_portrait(3, 96)
    seen = inspect_picture(model, picture, 96, alpha)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        out = model.forward_side_outputs(x)
    assert torch.equal(seen.image, x[0])
    assert torch.equal(seen.alpha, out.alpha[0])
    for i in (2, 3, 4):
        assert torch.equal(seen.side_alphas[i], out.side_alphas[i][0])
    assert seen.target is not None
    assert torch.equal(seen.target[0], torch.from_numpy(alpha) / 255)
    assert not model.training


def test_a_look_is_taken_at_the_size_of_training_and_leaves_the_mode(model: SDNet):
    picture, alpha = drawn_portrait(3, 128)
    model.train()
    try:
        seen = inspect_picture(model, picture[:64], 96, alpha[:64])
        assert model.training
    finally:
        model.eval()
    assert seen.image.shape == (3, 48, 96)
    assert seen.target is not None
    assert seen.target.shape == seen.alpha.shape == (1, 48, 96)


def test_a_trimap_network_gets_the_evaluation_trimap():
    network = create_model("sdnet-tiny", trimap=True).eval()
    picture, alpha = drawn_portrait(3, 64)
    seen = inspect_picture(network, picture, 64, alpha)
    assert seen.alpha.shape == (1, 64, 64)
    # As validation shows and scores it: what the trimap knows is right.
    trimap = torch.from_numpy(evaluation_trimap(alpha))[None]
    assert seen.target is not None
    assert (trimap != 128).any()
    assert torch.equal(seen.alpha[trimap != 128], seen.target[trimap != 128])
    assert not torch.equal(seen.alpha, seen.target)
    narrow = inspect_picture(network, picture, 64, alpha, trimap_kernel=5)
    trimap = torch.from_numpy(evaluation_trimap(alpha, 5))[None]
    assert torch.equal(narrow.alpha[trimap != 128], seen.target[trimap != 128])
    with pytest.raises(InputError, match="needs a trimap"):
        inspect_picture(network, picture, 64)


def test_a_narrow_picture_is_refused_with_the_size_that_it_would_have(model: SDNet):
    picture = np.zeros((40, 1200, 3), np.uint8)
    with pytest.raises(InputError, match=r"at most 96 pixels, is 96x3, .* at least 32; give a larger size"):
        inspect_picture(model, picture, 96)
    assert inspect_picture(model, picture, 1200).alpha.shape == (1, 40, 1200)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    """Looking needs none of the extra."""
    for name in ("pandas", "IPython"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("inspection", "measures", "widgets"):
        monkeypatch.delitem(sys.modules, f"sdnet_pl.explore.{name}", raising=False)
    with pytest.raises(InputError, match=r"details needs pandas; .*sdnet_pl\[notebooks\]"):
        _ = sdnet_pl.explore.details
    with pytest.raises(InputError, match="table needs "):
        _ = sdnet_pl.explore.table
    assert callable(sdnet_pl.explore.inspect_picture)


def test_another_pictures_alpha_is_refused(model: SDNet):
    picture, alpha = drawn_portrait(3, 64)
    with pytest.raises(InputError, match="64x32 pixels and its picture 64x64"):
        inspect_picture(model, picture, 64, alpha[:32])


@pytest.mark.parametrize("shape", [(64, 96), (70, 50), (65, 127)])
def test_full_size_maps_are_those_of_the_objective(model: SDNet, shape: tuple[int, int]):
    """Padding lies below and to the right, so that the objective's upsampling of the padded picture begins alike."""
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = inspect_picture(model, picture, 256)
    for i, (name, full) in zip((4, 3, 2), full_size_maps(seen).items(), strict=False):
        side = seen.side_alphas[i][None]
        padded = [-(-s // model.size_multiple) * model.size_multiple for s in shape]
        expected = F.interpolate(side, size=padded, mode="bilinear", align_corners=False)
        torch.testing.assert_close(full, expected[0, :, : shape[0], : shape[1]], msg=name)


def test_cosines_are_the_objectives(model: SDNet):
    seen = decoder_look(model)
    found = cosines(seen)
    assert list(found) == ["2 → 3", "2 → 4", "3 → 4"]
    loss = cosine_distillation_loss(seen.side_alphas[4][None], seen.side_alphas[2][None])
    assert found["2 → 4"] == pytest.approx(1 - float(loss))
    other = cosines(decoder_look(model, 1))["2 → 4"]
    both = sorted((found["2 → 4"], other))
    summary = cosine_summary([seen, decoder_look(model, 1)])["2 → 4"]
    assert summary.tolist() == pytest.approx([sum(both) / 2, *both])


def test_details_of_the_true_alpha_are_right_and_of_nothing_are_not(model: SDNet):
    seen = decoder_look(model)
    assert seen.target is not None
    right = details([seen._replace(alpha=seen.target)])
    assert list(right.index) == ["F̄_dec^4", "F̄_dec^3", "F̄_dec^2", "α_f"]
    assert right.loc["α_f"].to_numpy() == pytest.approx(np.ones(5))
    assert (right.loc["F̄_dec^4"] < 1).all()
    opposite = details([seen._replace(alpha=1 - seen.target)])
    assert opposite.loc["α_f"].to_numpy() == pytest.approx(-np.ones(5))
    assert details([seen._replace(alpha=torch.zeros_like(seen.target))]).loc["α_f"].to_numpy() == pytest.approx(0)


def test_a_blurred_alpha_loses_fine_details_first(model: SDNet):
    seen = decoder_look(model)
    assert seen.target is not None
    sides = {i: F.avg_pool2d(seen.target[None], 2**i)[0] for i in (2, 3, 4)}
    found = details([seen._replace(alpha=seen.target, side_alphas=sides)])
    for name in ("F̄_dec^4", "F̄_dec^3", "F̄_dec^2"):
        assert found.loc[name].is_monotonic_increasing
    for band in found:
        assert found[band].is_monotonic_increasing  # finer maps, better details
    first = first_details(found)["first in"]
    order = ["F̄_dec^4", "F̄_dec^3", "F̄_dec^2", "α_f"]
    assert first["1 px"] == "α_f"
    assert [order.index(name) for name in first] == sorted((order.index(n) for n in first), reverse=True)
    assert (first_details(found, cosine=1.1)["first in"] == "none").all()


def test_details_need_a_true_alpha_of_some_size(model: SDNet):
    with pytest.raises(InputError, match="true alpha"):
        details([decoder_look(model)._replace(target=None)])
    with pytest.raises(InputError, match="at least 64"):
        details([decoder_look(model, size=48)])


def test_squeeze_weights_by_picture_and_channel(model: SDNet):
    inspections = [decoder_look(model, n) for n in range(2)]
    weights = squeeze_weights(inspections, 3)
    channels = ampa_of(model, 3).project.out_channels
    assert weights.shape == (2, channels)
    assert weights.iloc[1].tolist() == inspections[1].features["ampa.3.attention.gate"].flatten().tolist()
    gates = torch.tensor([[1.0, 0.0, 0.5, 0.5], [1.0, 0.0, 0.5, 0.9]])[..., None, None]
    fixed = [seen._replace(features={"ampa.3.attention.gate": g}) for seen, g in zip(inspections, gates, strict=True)]
    found = squeeze_summary(fixed, [3]).loc["AMPA 3"]
    assert found.tolist() == [4, 0.25, 0.25, 0.25]


def shown(axis) -> np.ndarray:
    return np.asarray(axis.images[0].get_array())


def test_the_decoder_figure_shows_its_maps_and_errors(model: SDNet):
    seen = decoder_look(model)
    assert seen.target is not None
    figure = decoder_figure(seen)
    by_title = {axis.get_title(): axis for axis in figure.axes[:6]}
    assert list(by_title) == ["input", "F̄_dec^4", "F̄_dec^3", "F̄_dec^2", "α_f", "true α"]
    for i in (2, 3, 4):
        levels = shown(by_title[f"F̄_dec^{i}"])
        assert levels.shape == seen.side_alphas[i].shape[-2:]
        # Eight bits.
        assert np.abs(levels / 255 - seen.side_alphas[i][0].numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.abs(shown(by_title["input"]) / 255 - seen.image.permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
    maps = list(full_size_maps(seen).values())
    for axis, values in zip(figure.axes[7:11], maps, strict=True):
        assert np.array_equal(shown(axis), error_map(values, seen.target))
        mad = 1000 * float((values - seen.target).abs().mean())
        assert axis.get_title() == f"error, MAD×1000 = {mad:.1f}"
    assert len(decoder_figure(seen._replace(target=None)).axes) == 5


def test_the_branches_figure_shows_their_mean(model: SDNet):
    inspections = [decoder_look(model, n) for n in range(2)]
    figure = branches_figure(inspections, 3)
    assert len(figure.axes) == 8
    for axis, view in zip(figure.axes[5:], ("depthwise", "atrous", "asymmetric"), strict=True):
        mean = inspections[1].features[f"ampa.3.views.{view}"].mean(dim=0).numpy()
        assert np.array_equal(shown(axis), mean)
        assert axis.get_title() == f"{view}, up to {mean.max():.2f}"


def test_plots_hold_their_numbers(model: SDNet):
    inspections = [decoder_look(model, n) for n in range(2)]
    found = details(inspections)
    lines = details_figure(found).axes[0].lines
    for (name, values), line in zip(found.iterrows(), lines, strict=False):
        assert line.get_label() == name
        assert np.array_equal(line.get_ydata(), values)
    assert len({line.get_marker() for line in lines[:4]}) == 4  # not by colour alone
    for level, axis in zip((2, 3, 4), squeeze_figure(inspections).axes, strict=True):
        mean = squeeze_weights(inspections, level).mean().sort_values(ascending=False)
        assert np.allclose(axis.lines[0].get_ydata(), mean)
    pictures = {
        "grey": np.full((8, 8), 77, np.uint8),
        "tensor": torch.full((3, 8, 8), 0.4),
        "third": inspections[0].alpha,
    }
    figure = pictures_figure(pictures, columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["grey", "tensor", "third", ""]
    assert (shown(figure.axes[0]) == 77).all()
    assert (shown(figure.axes[1]) == 102).all()
    assert to_array(figure).ndim == 3


def test_runs_are_read_as_frames(trained: Path, tmp_path: Path):
    frame = scores([trained.parent])
    assert len(frame) == 1
    found = frame.iloc[0]
    assert found[["benchmark", "method", "preset", "distillation"]].tolist() == [
        "held_out",
        "network",
        "sdnet-tiny",
        "none",
    ]
    assert not found["trimap"]
    assert found["ampa"]
    written = pd.read_csv(trained / "metrics.csv").iloc[0]
    assert found["mad_whole"] == pytest.approx(written["mad_whole"])
    assert "| MAD×1000 (whole image) |" in table(frame[["mad_whole"]]).data
    log = curves(trained)
    assert log.index.name == "step"
    csv = pd.read_csv(trained / "logs/version_0/metrics.csv")
    assert log["train/total"].dropna().tolist() == csv["train/total"].dropna().tolist()
    with pytest.raises(InputError, match="give the directory that `sdnet-pl fit` wrote"):
        curves(tmp_path)


def test_the_cosines_of_a_training_are_drawn_though_it_taught_nothing(trained: Path, tmp_path: Path):
    log = curves(trained)
    assert "train/distillation" not in log
    figure = cosine_figure({"plain": trained}, smooth=1)
    for axis, (teacher, student) in zip(figure.axes, ((2, 3), (2, 4), (3, 4)), strict=True):
        values = log[f"train/cosine_{teacher}_{student}"].dropna()
        assert len(values) == 4
        assert np.array_equal(axis.lines[0].get_ydata(), values)
        assert np.array_equal(axis.lines[0].get_xdata(), values.index)
    mean = last_cosines({"plain": trained}, last=3).loc["plain"]
    assert mean.index.tolist() == ["2 → 3", "2 → 4", "3 → 4"]
    assert mean["2 → 4"] == pytest.approx(log["train/cosine_2_4"].dropna().iloc[1:].mean())
    old = tmp_path / "old/logs/version_0"
    old.mkdir(parents=True)
    (old / "metrics.csv").write_text("epoch,step,train/total\n0,0,1.5\n")
    with pytest.raises(InputError, match="older version"):
        cosine_figure({"old": tmp_path / "old"})


def test_figure_1_shows_runs_on_another_benchmark_and_says_so(trained: Path):
    paper, (results, _) = read_paper(), find_results([trained])
    assert not any(line for panel in tradeoff_lines(paper, results)[0].values() for line in panel.values())
    lines, left = tradeoff_lines(paper, results, "held_out")
    assert not left
    for axis in tradeoff_figure(paper, lines).axes:
        _, labels = axis.get_legend_handles_labels()
        assert "measured MAD×1000 (whole image) on held_out, ± standard deviation" in labels
        assert axis.get_xlim()[0] < 0.5  # sdnet-tiny has 0.55 M parameters
    for axis in tradeoff_figure(paper, tradeoff_lines(paper, [])[0]).axes:
        assert axis.get_xlim() == (1, 160)


def test_a_frame_as_a_table():
    frame = pd.DataFrame({"cosine": [0.98765, float("nan")], "runs": [2, 3]}, index=pd.Index(["a|b", "c"], name="map"))
    assert table(frame).data.splitlines() == [
        "| map | cosine | runs |",
        "| --- | --- | --- |",
        r"| a\|b | 0.988 | 2 |",
        "| c | nan | 3 |",
    ]


def test_sliders_draw_what_they_say(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def draw(number: int, level: int) -> Figure:
        asked.append((number, level))
        return pictures_figure({f"{number} {level}": np.full((8, 8), 20 * number, np.uint8)})

    box = sliders(draw, number=(0, 9), level=(2, 4))
    assert isinstance(box, VBox)
    number, level, picture = box.children
    before = picture.value
    number.value = 7
    level.value = 3
    assert asked == [(0, 2), (7, 2), (7, 3)]
    assert Image.open(BytesIO(picture.value)).format == "PNG"
    assert picture.value != before
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # as where it is not installed
    assert isinstance(sliders(draw, number=(4, 9), level=(2, 4)), Figure)
    assert asked[-1] == (4, 2)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    picture, alpha = drawn_portrait(2, 96)
    write_png(tmp_path / "photo.png", picture)
    write_png(tmp_path / "alpha.png", alpha)
    write_png(tmp_path / "small.png", alpha[:50])
    return tmp_path / "photo.png"


def test_the_command_draws_a_panel(photo: Path, tmp_path: Path):
    panel = tmp_path / "new" / "panel.png"
    assert main(["explore", str(photo), "-o", str(panel)]) == 0
    network, size = load_weights()
    seen = inspect_picture(network, read_rgb(photo), size)
    assert np.array_equal(read_rgb(panel), to_array(panel_figure([seen.panel_row], side=SIDE)))
    alpha = tmp_path / "alpha.png"
    assert main(["explore", str(photo), "-o", str(panel)]) == 2  # it exists
    assert main(["explore", str(photo), "--alpha", str(alpha), "-o", str(panel), "--overwrite"]) == 0
    seen = inspect_picture(network, read_rgb(photo), size, read_alpha(alpha))
    assert np.array_equal(read_rgb(panel), to_array(panel_figure([seen.panel_row], side=SIDE)))


def test_an_odd_alpha_is_named(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    alpha = tmp_path / "inverted.png"
    write_png(alpha, 255 - read_alpha(tmp_path / "alpha.png"))
    assert main(["explore", str(photo), "--alpha", str(alpha), "-o", str(tmp_path / "panel.png")]) == 0
    assert f"{alpha} is opaque around the picture and transparent within" in capsys.readouterr().err


def test_the_command_takes_a_runs_checkpoint(photo: Path, trained: Path, tmp_path: Path):
    panel = tmp_path / "panel.png"
    arguments = ["explore", str(photo), "--weights", str(trained / "best.ckpt"), "--size", "64", "-o", str(panel)]
    assert main(arguments) == 0
    assert Image.open(panel).width > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jpg", "-o", "p.png"], "missing.jpg"),
        (["photo.png", "-o", "p.jpg"], "does not end in .png"),
        (["photo.png", "-o", "photo.png", "--overwrite"], "overwritten by its own panel"),
        (["photo.png", "-o", "small.png", "--overwrite"], "small.png exists and was not written by sdnet-pl"),
        (["photo.png", "-o", "p.png", "--alpha", "small.png"], "96x50 pixels and its picture 96x96"),
        (["photo.png", "-o", "p.png", "--alpha", "photo.png"], "photo.png"),
        (["photo.png", "-o", "p.png", "--size", "8"], "size is 8"),
        (["photo.png", "-o", "p.png", "--trimap-kernel", "0"], "trimap_kernel is 0"),
        (["photo.png", "-o", "p.png", "--weights", "sdnet-huge"], "There are no weights sdnet-huge"),
    ],
)
def test_the_command_refuses(
    arguments: list[str], said: str, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(photo.parent)
    assert main(["explore", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not Path("p.png").exists()
