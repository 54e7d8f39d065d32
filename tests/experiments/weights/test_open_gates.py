"""Gates that were stuck can learn, and the network gives what it gave."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.weights.open_gates import main
from sdnet_pl.data.image_io import write_png
from sdnet_pl.inference.weights import Trained, read_weights, write_weights
from sdnet_pl.nn import SDNet, create_model


def stuck() -> SDNet:
    """A network whose BatchNorms have seen pictures, and whose gates are 0, 1 or between, whatever it sees."""
    torch.manual_seed(0)
    model = create_model("sdnet-tiny")
    model(torch.rand(4, 3, 64, 64))
    state = model.state_dict()
    for level in model.ampa:
        state[f"ampa.{level}.attention.gate.2.weight"].zero_()
        bias = state[f"ampa.{level}.attention.gate.2.bias"]
        bias.copy_(torch.tensor([-40.0, 40.0, 0.3, -1.0]).repeat(len(bias) // 4))
    return model.eval()


def test_alphas_stay_and_gates_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model, before, after = stuck(), tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    write_weights(Trained("sdnet-tiny", False, {}, 64, model.state_dict(), before), before, {}, torch.float32)
    for i in range(3):
        write_png(tmp_path / f"photos/{i}.png", np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8))
    main([str(tmp_path / "photos"), str(before), str(after)])
    assert "3 photos differ by" in capsys.readouterr().out
    trained = read_weights(after)
    assert trained.network == {"attention_norm": True}
    opened, picture = trained.build(), torch.rand(2, 3, 64, 64)
    # Single precision, through a norm and a convolution that replace one.
    torch.testing.assert_close(opened(picture), model(picture), atol=1e-4, rtol=0)
    (opened(picture) - torch.rand(2, 1, 64, 64)).abs().mean().backward()
    gradients = {name: parameter.grad for name, parameter in opened.named_parameters()}
    for level in opened.ampa:
        gates, shut = gradients[f"ampa.{level}.attention.gate.2.bias"], gradients[f"ampa.{level}.project.weight"]
        assert gates is not None
        assert gates.any()
        assert shut is not None
        assert shut[:, 0].any()


def test_gates_that_follow_the_picture_stay(tmp_path: Path):
    model = stuck()
    state = model.state_dict()
    for level in model.ampa:
        torch.nn.init.normal_(state[f"ampa.{level}.attention.gate.2.weight"], std=30)
        state[f"ampa.{level}.attention.gate.2.bias"].zero_()
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    write_weights(Trained("sdnet-tiny", False, {}, 64, state, before), before, {}, torch.float32)
    for i in range(3):
        photo = np.random.default_rng(i).integers(0, 80 * (i + 1), (64, 64, 3), np.uint8)
        write_png(tmp_path / f"photos/{i}.png", photo)
    main([str(tmp_path / "photos"), str(before), str(after)])
    trained, picture = read_weights(after), torch.rand(2, 3, 64, 64)
    assert trained.network == {"attention_norm": True}
    for level in model.ampa:
        gate = f"ampa.{level}.attention.gate.2.weight"
        torch.testing.assert_close(trained.state[gate], state[gate], atol=0, rtol=0)
    # Single precision, through a norm that changes nothing.
    torch.testing.assert_close(trained.build()(picture), model(picture), atol=1e-4, rtol=0)


def test_other_networks_and_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i in range(2):
        write_png(tmp_path / f"photos/{i}.png", np.full((64, 64, 3), 200 * i, np.uint8))
    model = stuck()
    state = model.state_dict()
    # A few gates of each level follow the picture
    for level in model.ampa:
        torch.nn.init.normal_(state[f"ampa.{level}.attention.gate.2.weight"][::3], std=30)
        state[f"ampa.{level}.attention.gate.2.bias"][::3] = 0
    normed = create_model("sdnet-tiny", attention_norm=True).state_dict()
    files = {}
    bare = create_model("sdnet-tiny", ampa=False).state_dict()
    for name, network, weights in (
        ("alive", {}, state),
        ("normed", {"attention_norm": True}, normed),
        ("bare", {"ampa": False}, bare),
    ):
        files[name] = tmp_path / f"{name}.safetensors"
        write_weights(Trained("sdnet-tiny", False, network, 64, weights, files[name]), files[name], {}, torch.float32)
    for name, more, said in (
        ("alive", (), "follow the picture"),
        ("normed", (), "has attention_norm"),
        ("bare", (), "no AMPA"),
        ("alive", ("--number", "1"), "fewer than 2 photos"),
    ):
        with pytest.raises(SystemExit):
            main([str(tmp_path / "photos"), str(files[name]), str(tmp_path / "out.safetensors"), *more])
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
