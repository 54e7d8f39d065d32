"""Weights that ship, weights that are exported, and what is said of files that are neither."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdnet_pl.cli import main
from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.dataset import to_tensor
from sdnet_pl.errors import InputError
from sdnet_pl.inference import load_pretrained, load_weights, pretrained
from sdnet_pl.inference.weights import Trained, newest_checkpoint, read_weights, start_from, write_weights
from sdnet_pl.nn import create_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training leaves of a tiny network, with a weight and a variance that fp16 cannot hold."""
    torch.manual_seed(0)
    model = create_model("sdnet-tiny").train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.rand(2, 3, 96, 96))
    state = model.state_dict()
    state["encoder.stem.0.weight"].view(-1)[:2] = torch.tensor([1e-6, 1e-40])
    state["encoder.stem.1.running_var"][0] = 1e-6
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    torch.save(
        {
            "state_dict": {f"model.{name}": value for name, value in state.items()},
            "hyper_parameters": {"preset": "sdnet-tiny", "trimap": False, "network": None},
            "training_size": 96,
        },
        path,
    )
    return path


@pytest.fixture(scope="module")
def export(checkpoint: Path) -> Path:
    path = checkpoint.with_name("mine.safetensors")
    assert main(["export", str(path), "--weights", str(checkpoint), "--licence", "CC0"]) == 0
    return path


@pytest.fixture
def exported(export: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(export, tmp_path))


def portrait(size: int = 256) -> tuple[Tensor, np.ndarray]:
    person = ProceduralPortraits(1, size, seed=5).load(0)
    picture = composite_uint8(person, ProceduralBackgrounds(1, size, seed=5).load(0))
    return to_tensor(picture)[None] / 255, person.alpha


def test_numbers_beyond_fp16_are_refused(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    contents = torch.load(checkpoint, weights_only=True)
    contents["state_dict"]["model.encoder.stem.1.running_mean"][0] = 1e5
    torch.save(contents, tmp_path / "big.ckpt")
    assert main(["export", str(tmp_path / "x.safetensors"), "--weights", str(tmp_path / "big.ckpt")]) != 0
    assert "above 65504" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


def test_a_damaged_file_of_ones_own_is_refused(exported: Path, tmp_path: Path):
    tensors = load_file(exported)
    with safe_open(exported, "pt") as file:
        metadata = file.metadata()
    broken = tmp_path / "broken.safetensors"
    for change in ({"training_size": "1x2"}, {"network": "{["}):
        save_file(tensors, broken, metadata | change)
        with pytest.raises(InputError, match="is damaged: its description"):
            load_weights(broken)
    save_file(tensors, broken, {key: value for key, value in metadata.items() if key != "preset"})
    with pytest.raises(InputError, match="'preset'"):
        load_weights(broken)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, broken, metadata)
    with pytest.raises(InputError, match="not finite"):
        load_weights(broken)


Tensors = dict[str, dict[str, Any]]
LENGTH = 8  # bytes at the beginning of a safetensors file, which tell how long its header is


def first(header: Tensors) -> dict[str, Any]:
    return header["encoder.stem.0.weight"]


def beyond(header: Tensors) -> None:
    last = max((t for k, t in header.items() if k != "__metadata__"), key=lambda tensor: tensor["data_offsets"])
    last["data_offsets"][1] += 2**40
    last["shape"] = [2**39 + last["shape"][0], *last["shape"][1:]]


@pytest.mark.parametrize(
    "change",
    [
        beyond,
        lambda header: first(header).update(data_offsets=[-2, 0]),
        lambda header: first(header).update(data_offsets=[10, 4]),
        lambda header: first(header).update(data_offsets=header["encoder.stem.1.weight"]["data_offsets"]),
        lambda header: first(header).update(dtype="F32"),  # twice the bytes that are there
        lambda header: first(header).update(dtype="I16"),  # as many
        lambda header: first(header).update(dtype="X7"),
        lambda header: first(header).update(shape=first(header)["shape"][::-1]),
        lambda header: first(header).update(shape=[2**62, 2**62]),
        lambda header: header.pop("encoder.stem.0.weight"),
        lambda header: header["__metadata__"].update(network='["depths"]'),
        lambda header: header["__metadata__"].update(network='{"depths": "many"}'),
        lambda header: header["__metadata__"].update(network='{"widths": [8]}'),
        lambda header: header["__metadata__"].update(training_size="-96"),
        lambda header: header["__metadata__"].update(preset="huge"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(change: Callable[[Tensors], object], exported: Path):
    content = exported.read_bytes()
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH:end])
    change(header)
    text = json.dumps(header).encode()
    exported.write_bytes(len(text).to_bytes(LENGTH, "little") + text + content[end:])
    with pytest.raises(InputError, match=r"mine\.safetensors"):
        load_weights(exported)


def test_a_file_that_is_cut_or_has_no_header_is_refused(exported: Path, capsys: pytest.CaptureFixture[str]):
    content = exported.read_bytes()
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    damaged = [content[:length] for length in (0, 5, LENGTH, end - 5, end, end + 1000, len(content) - 1)]
    damaged += [length.to_bytes(LENGTH, "little") + content[LENGTH:] for length in (0, 5, end + 7, 2**40, 2**64 - 1)]
    damaged += [content[:LENGTH] + text.ljust(end - LENGTH) + content[end:] for text in (b"[]", b"{", b"\xff", b"null")]
    damaged += [content + b"more"]
    for written in damaged:
        exported.write_bytes(written)
        with pytest.raises(InputError, match=r"mine\.safetensors.* is not a safetensors file, or it is damaged"):
            load_weights(exported)
    Image.new("RGB", (64, 64)).save(exported.with_name("a.png"))
    assert main(["matte", str(exported.with_name("a.png")), "-o", f"{exported}.d", f"--weights={exported}"]) == 2
    assert "get it again" in capsys.readouterr().err


@pytest.fixture
def diverged(checkpoint: Path, tmp_path: Path) -> Path:
    contents = torch.load(checkpoint, weights_only=True) | {"optimizer_states": [{}]}
    contents["state_dict"]["model.encoder.stem.1.running_var"][3] = torch.nan
    torch.save(contents, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


@pytest.mark.parametrize(
    "command",
    [
        "matte a.png -o out --weights",
        "export out.onnx --weights",
        "fit --model.preset=sdnet-tiny --run_dir=out --ckpt_path",
        "test --run_dir=out --model.weights",
        pytest.param("fit --model.preset=sdnet-tiny --run_dir=out --model.weights", marks=pytest.mark.slow),
        pytest.param("validate --run_dir=out --ckpt_path", marks=pytest.mark.slow),
        pytest.param("predict --data.predict=. --run_dir=out --ckpt_path", marks=pytest.mark.slow),
    ],
)
def test_weights_of_a_diverged_training_are_refused(
    command: str, diverged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("a.png")
    assert main([*command.split(), str(diverged)]) == 2
    error = capsys.readouterr().err
    assert f"{diverged} holds a number that is not finite, in model.encoder.stem.1.running_var" in error
    assert "such as the best.ckpt of the run" in error
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "a.png"}


def test_weights_that_diverged_beside_their_average_are_refused(checkpoint: Path, tmp_path: Path):
    contents = torch.load(checkpoint, weights_only=True)
    current = {key: value.clone() for key, value in contents["state_dict"].items()}
    current["model.encoder.stem.0.weight"][0, 0] = -torch.inf
    torch.save(contents | {"current_model_state": current}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"last\.ckpt holds a number that is not finite, in model\.encoder\.stem\.0"):
        load_weights(tmp_path / "last.ckpt")


@pytest.mark.parametrize("missing", ["state_dict", "training_size", "hyper_parameters"])
def test_half_a_checkpoint_is_refused(missing: str, checkpoint: Path, tmp_path: Path):
    contents = torch.load(checkpoint, weights_only=True)
    for value in (None, [1]):
        torch.save(contents | {missing: value}, tmp_path / "half.ckpt")
        with pytest.raises(InputError, match=r"half\.ckpt (holds no|is no whole) SDNet checkpoint"):
            load_weights(tmp_path / "half.ckpt")


@pytest.mark.parametrize("name", pretrained.pretrained_weights())
def test_what_ships_can_be_had(name: str):
    path = pretrained.locate(name)
    assert path.stat().st_size <= 4.2e6
    for value in load_file(path).values():
        assert value.isfinite().all()
        assert not ((value != 0) & (value.abs() < torch.finfo(value.dtype).smallest_normal)).any()
    preset, trimap = name.removesuffix("-trimap"), name.endswith("-trimap")
    model = load_pretrained(preset, trimap=trimap)
    assert (model.trimap, model.training) == (trimap, False)
    model.requires_grad_(True)
    with safe_open(path, "pt") as file:
        assert "research" in file.metadata()["licence"]
    other, size = load_weights(name)
    assert size >= 128
    x = torch.rand(1, model.in_channels, 64, 64)
    torch.testing.assert_close(model(x), other(x))


def test_photos_are_matted_without_a_flag(tmp_path: Path):
    picture, alpha = portrait()
    Image.fromarray((picture[0] * 255).byte().permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    assert main(["matte", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]) == 0
    cutout = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    people, found = alpha >= 128, cutout[..., 3] >= 128
    # A drawn person is no real one: far from the agreement with real people, and far above any constant matte.
    assert (people & found).sum() / (people | found).sum() > 0.7


def test_an_export_gives_the_checkpoints_alphas(checkpoint: Path, exported: Path, tmp_path: Path):
    trained, size = load_weights(checkpoint)
    ours, ours_size = load_weights(exported)
    assert size == ours_size == 96
    x = portrait(96)[0]
    with torch.no_grad():
        # Weights of 11 significant bits, through some fifty layers of a network that has learned nothing.
        assert (ours(x) - trained(x)).abs().mean() < 3e-3
    with safe_open(exported, "pt") as file:
        assert file.metadata()["licence"] == "CC0"
    again = tmp_path / "again.safetensors"
    assert main(["export", str(again), "--weights", str(exported)]) == 0  # a licence stays with its weights
    with safe_open(again, "pt") as file:
        assert file.metadata()["licence"] == "CC0"


def test_what_fp16_cannot_hold(checkpoint: Path, exported: Path):
    state = load_file(exported)
    assert state["encoder.stem.0.weight"].dtype == torch.float16
    assert state["encoder.stem.0.weight"].view(-1)[:2].tolist() == [0, 0]
    assert state["encoder.stem.1.running_var"][0].item() == pytest.approx(1e-6)  # a variance is divided by


def test_a_damaged_file_that_ships_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = shutil.copytree(pretrained.FOLDER, tmp_path / "weights")
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    file = folder / f"{pretrained.DEFAULT}.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"{pretrained.DEFAULT}\.safetensors is damaged: its sha256 .* install"):
        load_pretrained(pretrained.DEFAULT)


def test_files_of_something_else_are_refused(exported: Path, tmp_path: Path):
    (tmp_path / "cut.safetensors").write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.safetensors is not a safetensors file, or it is damaged"):
        load_weights(tmp_path / "cut.safetensors")
    save_file({"weight": torch.ones(1)}, tmp_path / "foreign.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"foreign\.safetensors holds no SDNet.*'pt'"):
        load_weights(tmp_path / "foreign.safetensors")
    with safe_open(exported, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(exported), tmp_path / "other.safetensors", metadata | {"preset": "sdnet-fast"})
    with pytest.raises(InputError, match=r"other\.safetensors do not fit the preset 'sdnet-fast'"):
        load_weights(tmp_path / "other.safetensors")


def test_names_that_do_not_ship(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(InputError, match="No weights modnet ship; there are sdnet-fast"):
        load_pretrained("modnet")
    with pytest.raises(InputError, match=r"There are no weights nobody\.ckpt; give one of sdnet-fast"):
        load_weights("nobody.ckpt")
    (tmp_path / "a.png").touch()
    assert main(["matte", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--weights", "sdnet-fats"]) == 2
    assert "There are no weights sdnet-fats; give one of sdnet-fast" in capsys.readouterr().err


def test_options_of_onnx_are_refused_for_weights(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["export", str(tmp_path / "a.safetensors"), "--weights", str(checkpoint)]
    assert main([*arguments, "--precision", "int8"]) == 2
    assert "weights are kept in fp16: leave them out" in capsys.readouterr().err
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "exists already; give --overwrite" in capsys.readouterr().err


def test_a_trimap_network_starts_as_the_one_without(checkpoint: Path):
    trained = read_weights(checkpoint)
    plain, model = trained.build(), create_model("sdnet-tiny", trimap=True)
    start_from(model, trained)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for value in (0.0, 0.5, 1.0):
            with_trimap = torch.cat([x, torch.full((1, 1, 64, 64), value)], dim=1)
            torch.testing.assert_close(model.eval()(with_trimap), plain(x))
    with pytest.raises(InputError, match=r"best\.ckpt holds weights of the preset 'sdnet-tiny'.*do not fit"):
        start_from(create_model("sdnet-fast"), trained)


def test_the_newest_checkpoint_is_one_that_a_fit_can_go_on_from(checkpoint: Path, tmp_path: Path):
    assert newest_checkpoint(tmp_path) is None
    torch.save({"state_dict": {}, "optimizer_states": [{}]}, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()

    def add(name: str, content: bytes, time: int) -> None:
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (time, time))

    add("hpc_ckpt_3.ckpt", b"", 9)
    add("last.ckpt", whole[:-100], 8)
    add("best.ckpt", checkpoint.read_bytes(), 7)  # weights alone
    (tmp_path / "last-moved.ckpt").symlink_to("gone.ckpt")
    (tmp_path / "last-folder.ckpt").mkdir()
    assert newest_checkpoint(tmp_path) is None
    add("step-0000008.ckpt", whole, 3)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-0000008.ckpt"
    add("hpc_ckpt_1.ckpt", whole, 1)
    assert newest_checkpoint(tmp_path) == tmp_path / "hpc_ckpt_1.ckpt"
    add("hpc_ckpt_2.ckpt", whole, 2)
    assert newest_checkpoint(tmp_path) == tmp_path / "hpc_ckpt_2.ckpt"


def test_a_changed_network_is_built_without_the_compiler(tmp_path: Path):
    """PyTorch takes seconds to load it."""
    file, changed = tmp_path / "changed.safetensors", {"attention_norm": True}
    state = create_model("sdnet-tiny", **changed).state_dict()
    write_weights(Trained("sdnet-tiny", False, changed, 64, state, tmp_path), file, {})
    code = f"import sdnet_pl, sys; sdnet_pl.load_weights({str(file)!r}); sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
