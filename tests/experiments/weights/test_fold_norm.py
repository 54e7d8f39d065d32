"""Weights with a norm before the attention become those of the preset."""

from pathlib import Path

import pytest
import torch

from experiments.weights.fold_norm import main
from sdnet_pl.inference.weights import Trained, read_weights, write_weights
from sdnet_pl.nn import create_model


def test_the_alphas_stay(tmp_path: Path):
    torch.manual_seed(0)
    network, before, after = {"attention_norm": True}, tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    model = create_model("sdnet-tiny", **network)
    for _ in range(5):
        model(torch.rand(4, 3, 64, 64))  # the norms see pictures
    for level in model.ampa:
        norm = model.get_submodule(f"ampa.{level}.attention_norm.0")
        assert isinstance(norm, torch.nn.BatchNorm2d)
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.normal_(norm.bias)
    write_weights(
        Trained("sdnet-tiny", False, network, 64, model.state_dict(), before), before, {"licence": "CC0"}, torch.float32
    )
    main([str(before), str(after)])
    trained, picture = read_weights(after), torch.rand(2, 3, 64, 64)
    assert (trained.network, trained.licence, trained.training_size) == ({}, "CC0", 64)
    # Single precision, through one convolution that replaces a norm and a convolution.
    torch.testing.assert_close(trained.build()(picture), model.eval()(picture), atol=1e-5, rtol=0)


def test_weights_without_the_norm_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["sdnet-fast", str(tmp_path / "after.safetensors")])
    assert "sdnet-fast has no attention_norm" in capsys.readouterr().err
