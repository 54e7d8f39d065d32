"""Two passes in training: the first network's alpha becomes the second's trimap."""

import csv
from pathlib import Path

import pytest
import torch

from sdnet_pl.cli import main
from sdnet_pl.data.trimap import predicted_trimap
from sdnet_pl.errors import InputError
from sdnet_pl.inference.weights import Trained, write_weights
from sdnet_pl.lit.first_pass import FirstPass
from sdnet_pl.lit.module import SDNetModule
from sdnet_pl.nn import create_model


def save(path: Path, trimap: bool = False) -> str:
    torch.manual_seed(0)
    state = create_model("sdnet-tiny", trimap=trimap).state_dict()
    write_weights(Trained("sdnet-tiny", trimap, {}, 64, state, path), path, {})
    return str(path)


def test_a_predicted_trimap_is_certain_where_everything_around_is():
    alpha = torch.zeros(1, 1, 40, 60)
    alpha[..., 30:] = 1
    alpha[..., 28:32] = 0.5
    trimap = predicted_trimap(alpha, 0.1, 0.9, 4)
    assert trimap.dtype == torch.uint8
    columns = torch.full((60,), 128, dtype=torch.uint8)
    columns[: 28 - 4], columns[32 + 4 :] = 0, 255  # the picture's own border makes nothing unknown
    assert torch.equal(trimap, columns.expand(1, 1, 40, 60))
    # What is between the thresholds is unknown, whatever the width.
    assert (predicted_trimap(torch.full((1, 1, 32, 32), 0.5), 0.4, 0.6, 1) == 128).all()
    assert (predicted_trimap(torch.full((1, 1, 32, 32), 0.5), 0.6, 0.9, 1) == 0).all()


def test_trimaps_of_training_are_drawn_from_the_seed(tmp_path: Path):
    first = FirstPass(save(tmp_path / "w.safetensors"))
    image = torch.rand(4, 3, 96, 96)
    one, again, other = (first.training_trimap(image, seed) for seed in (0, 0, 1))
    assert one.shape == (4, 1, 96, 96)
    assert set(one.unique().tolist()) <= {0, 128, 255}
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not any(p.requires_grad and p.grad is not None for p in first.network.parameters())


def test_a_picture_of_any_size_gets_its_trimap(tmp_path: Path):
    first = FirstPass(save(tmp_path / "w.safetensors"), size=64)
    for shape in ((1, 3, 300, 40), (1, 3, 33, 500), (1, 3, 64, 64)):
        assert first.trimap(torch.rand(shape)).shape == (1, 1, *shape[-2:])


@pytest.mark.usefixtures("blank_figures")
def test_the_second_pass_trains_and_is_scored_on_the_whole(tiny_fit, tmp_path: Path):
    weights = save(tmp_path / "first.safetensors")
    run = tmp_path / "run"
    assert main(tiny_fit(run, "--model.trimap=true", f"--model.first_pass={weights}")) == 0
    scores = next(csv.DictReader((run / "metrics.csv").open()))
    # The first pass's mistakes outside of the true trimap's unknown region count.
    assert float(scores["sad_whole"]) > float(scores["sad_unknown"])
    state = torch.load(run / "best.ckpt", weights_only=True)["state_dict"]
    assert not [key for key in state if "first_pass" in key]  # the frozen network is in no checkpoint


def test_a_first_pass_needs_a_network_without_and_one_with_a_trimap(tmp_path: Path):
    weights = save(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"set model\.trimap to true"):
        SDNetModule("sdnet-tiny", first_pass=weights)
    with pytest.raises(InputError, match="takes a trimap itself"):
        SDNetModule("sdnet-tiny", trimap=True, first_pass=save(tmp_path / "t.safetensors", trimap=True))
