"""The mean of two weights."""

from pathlib import Path

import pytest
import torch

from experiments.weights.average import main
from sdnet_pl.inference.weights import Trained, read_weights, write_weights
from sdnet_pl.nn import create_model


def written(path: Path, seed: int, size: int, **network: bool) -> Trained:
    torch.manual_seed(seed)
    state = create_model("sdnet-tiny", **network).state_dict()
    write_weights(Trained("sdnet-tiny", False, network, size, state, path), path, {"licence": f"{seed}"}, torch.float32)
    return read_weights(path)


def test_every_number_is_the_mean_of_both(tmp_path: Path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "mean")]
    first, second = written(paths[0], 0, 384), written(paths[1], 1, 256)
    main([*map(str, paths), "--share", "0.25"])
    mean = read_weights(paths[2])
    assert (mean.training_size, mean.licence) == (384, "1; 0")
    assert mean.state.keys() == first.state.keys()
    for key, value in mean.state.items():
        torch.testing.assert_close(value, 0.75 * first.state[key] + 0.25 * second.state[key])
    mean.build()


def test_what_was_learned_is_added_to_a_network_with_a_trimap(tmp_path: Path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "sum", "trimap")]
    first, second = written(paths[0], 0, 384), written(paths[1], 1, 256)
    state = create_model("sdnet-tiny", trimap=True).state_dict()
    write_weights(Trained("sdnet-tiny", True, {}, 192, state, paths[3]), paths[3], {}, torch.float32)
    main([*map(str, paths[:3]), "--share", "1", "--onto", str(paths[3])])
    result, before = read_weights(paths[2]), read_weights(paths[3])
    assert (result.trimap, result.training_size) == (True, 192)
    stem = "encoder.stem.0.weight"
    torch.testing.assert_close(result.state[stem][:, 3], before.state[stem][:, 3])
    for key, value in result.state.items():
        change = second.state[key] - first.state[key]
        if key == stem:
            torch.testing.assert_close(value[:, :3], before.state[key][:, :3] + change)
        else:
            torch.testing.assert_close(value, before.state[key] + change)
    result.build()


def test_a_variance_stays_positive_and_the_network_finite(tmp_path: Path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "sum", "onto")]
    torch.manual_seed(0)
    state = create_model("sdnet-tiny").state_dict()
    for path, variance in ((paths[0], 1.0), (paths[1], 0.2), (paths[3], 0.5)):
        for key, value in state.items():
            if key.endswith("running_var"):
                value.fill_(variance)
        write_weights(Trained("sdnet-tiny", False, {}, 64, state, path), path, {}, torch.float32)
    main([*map(str, paths[:3]), "--share", "1", "--onto", str(paths[3])])
    result = read_weights(paths[2])
    assert all((value > 0.04).all() for key, value in result.state.items() if key.endswith("running_var"))
    assert result.build()(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_other_networks_shares_and_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "mean")]
    written(paths[0], 0, 64)
    written(paths[1], 1, 64, attention_norm=True)
    for arguments, said in (
        (map(str, paths), "not two weights of one network"),
        ([*map(str, paths), "--share", "2"], "share is 2"),
        (map(str, [*paths[:2], paths[1]]), "name a new file"),
        (map(str, [*paths[:2], tmp_path / "mean.md"]), "name a new file"),
    ):
        with pytest.raises(SystemExit):
            main([*arguments])
        assert said in capsys.readouterr().err
    assert not paths[2].exists()
