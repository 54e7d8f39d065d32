"""Files of other runtimes as a user gets them, each run in its own."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from sdnet_pl.cli import main
from sdnet_pl.inference.export import parity
from sdnet_pl.inference.export.formats import FORMATS, companion, is_ours
from sdnet_pl.inference.export.parity import Loaded
from sdnet_pl.inference.onnx_network import OnnxNetwork
from tests.inference.test_export import make_checkpoint


def needs(suffix: str) -> None:
    missing = [name for name in FORMATS[suffix].packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing: pip install 'sdnet_pl[{FORMATS[suffix].extra}]'")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("formats") / "fast.ckpt", "sdnet-fast")


@pytest.fixture(scope="module")
def trimap_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("formats") / "trimap.ckpt", "sdnet", trimap=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "precision"),
    [
        *((suffix, next(iter(form.limits))) for suffix, form in FORMATS.items() if suffix != ".onnx"),
        (".tflite", "int8"),
        (".xml", "int8"),
    ],
)
def test_gives_the_networks_alphas(
    suffix: str, precision: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(suffix)
    file = tmp_path / f"model.x{suffix}"
    arguments = ["export", str(file), "--weights", str(checkpoint), "--precision", precision, "--shape", "64x96"]
    arguments += ["--licence", "CC BY 4.0 of Zoë"]
    assert main(arguments) == 0
    if suffix != ".param":  # which has no place for it
        files = file.rglob("*") if file.is_dir() else [file]
        assert any("CC BY 4.0 of Zoë".encode() in path.read_bytes() for path in files if path.is_file())
    out = capsys.readouterr().out
    assert f"model.x{suffix}: sdnet-fast, {precision}, 64×96 pixels" in out
    assert is_ours(file)
    assert {path.name for path in tmp_path.iterdir()} <= {file.name, "model.x.bin"}
    loaded: Loaded | None = import_module(f"sdnet_pl.inference.export.{FORMATS[suffix].module}").load(file, 1)
    if suffix == ".mlpackage":
        assert loaded is None or loaded.shape == (96, 64)
        assert "not compared" in out or loaded
        return
    assert re.search(r"over 16 pictures: mean error \d\.\de-\d+, largest", out)
    assert loaded
    assert (loaded.precision, loaded.channels) == (precision, 3)
    assert loaded.shape in ((96, 64), None if suffix == ".param" else (96, 64))
    assert loaded.run(np.zeros((1, 3, 96, 64), np.float32)).shape == (1, 1, 96, 64)
    assert main([*arguments, "--overwrite"]) == 0
    assert main(arguments) == 2
    assert "exists already; give --overwrite" in capsys.readouterr().err
    damaged = companion(file) or file
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    assert main(["benchmark", str(file), "--sizes", "64x96", "--rounds", "1"]) == 2
    assert "export it again" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".onnx"])
def test_takes_a_trimap_as_fourth_channel(suffix: str, trimap_checkpoint: Path, tmp_path: Path) -> None:
    needs(suffix)
    file = tmp_path / f"model{suffix}"
    assert main(["export", str(file), "--weights", str(trimap_checkpoint), "--shape", "64"]) == 0
    loaded: Loaded | None = import_module(f"sdnet_pl.inference.export.{FORMATS[suffix].module}").load(file, 1)
    assert loaded is None or loaded.channels == 4


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".xml", ".param"])
def test_without_a_shape_other_sizes_work(suffix: str, checkpoint: Path, tmp_path: Path) -> None:
    needs(suffix)
    file = tmp_path / f"model{suffix}"
    assert main(["export", str(file), "--weights", str(checkpoint)]) == 0
    loaded = import_module(f"sdnet_pl.inference.export.{FORMATS[suffix].module}").load(file, 1)
    assert loaded.shape is None
    for sides in ((64, 64), (128, 96)):
        assert loaded.run(np.zeros((1, 3, *sides), np.float32)).shape == (1, 1, *sides)


@pytest.mark.slow
def test_onnx_of_one_shape_has_no_free_size(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "npu.onnx"
    assert main(["export", str(file), "--weights", str(checkpoint), "--shape", "96x64"]) == 0
    network = OnnxNetwork(file)
    assert network.shape == (64, 96)
    assert network(np.zeros((1, 3, 64, 96), np.float32)).shape == (1, 1, 64, 96)


@pytest.mark.slow
def test_a_file_that_gives_other_alphas_is_not_left(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(".param")
    module = import_module("sdnet_pl.inference.export.ncnn")
    load = module.load

    def off(path: Path, threads: int | None) -> Loaded:
        right = load(path, threads)
        return Loaded(lambda picture: right.run(picture) + np.float32(0.1), *right[1:])

    monkeypatch.setattr(module, "load", off)
    assert main(["export", str(tmp_path / "model.param"), "--weights", str(checkpoint)]) == 2
    assert "is not written: in fp16-weights its alphas are off PyTorch's by 1.0e-01" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "output",
    ["m.onnx", "folder", *(pytest.param(f"m{s}", marks=pytest.mark.slow) for s in FORMATS if s != ".onnx")],
)
def test_every_format_gets_the_licence_of_weights_that_were_fine_tuned(
    output: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    licence = "research use only (of the weights that training started from)"
    tuned = torch.load(checkpoint, weights_only=True) | {"licence": licence}
    torch.save(tuned, tmp_path / "tuned.ckpt")
    told: list[dict[str, str]] = []
    monkeypatch.setattr("sdnet_pl.cli.export.require", lambda suffix: None)
    monkeypatch.setattr("sdnet_pl.inference.export.calibration.built_in", lambda *arguments: [])
    monkeypatch.setattr(parity, "write_checked", lambda *arguments: told.append(arguments[-1]))
    assert main(["export", str(tmp_path / output), "--weights", str(tmp_path / "tuned.ckpt")]) == 0
    assert told[0]["weights_licence"] == licence
    assert {"preset", "network", "training_size"} <= told[0].keys()


def test_says_what_is_missing_and_what_is_wrong(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(*arguments: object) -> str:
        assert main(["export", *map(str, arguments), "--weights", str(checkpoint)]) == 2
        return capsys.readouterr().err

    assert "ncnn files have no precision int8 here; give fp16-weights or fp32" in error(
        tmp_path / "m.param", "--precision", "int8"
    )
    assert "--shape 100x64: give N or WIDTHxHEIGHT in pixels, multiples of 32" in error(
        tmp_path / "m.onnx", "--shape", "100x64"
    )
    foreign = tmp_path / "theirs.xml"
    foreign.write_text("<net/>")
    assert "theirs.xml" in error(foreign, "--overwrite")
    assert foreign.read_text() == "<net/>"
    assert "from 32 to 4096" in error(tmp_path / "m.onnx", "--shape", "99999968x64")
    weights = tmp_path / "model.bin"
    weights.write_text("theirs")
    for name in ("model.xml", "model.param"):
        assert "exists already; give another name" in error(tmp_path / name, "--overwrite")
    assert weights.read_text() == "theirs"
    (tmp_path / "m.tflite").touch()
    assert main(["export", str(tmp_path / "m.onnx"), "--weights", str(tmp_path / "m.tflite")]) == 2
    assert "m.tflite is a file for LiteRT alone; give a checkpoint" in capsys.readouterr().err
    monkeypatch.setattr("sdnet_pl.inference.export.formats.find_spec", lambda name: None)
    assert "pip install 'sdnet_pl[executorch]'" in error(tmp_path / "m.pte")


def test_a_picture_of_other_sides_keeps_the_values_of_a_trimap() -> None:
    trimap = np.random.default_rng(0).choice(np.array([0, 0.5, 1], np.float32), (1, 1, 50, 70))
    assert set(np.unique(parity._resized(trimap, (64, 32)))) == {0, 0.5, 1}
