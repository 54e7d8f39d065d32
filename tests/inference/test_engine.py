"""ONNX Runtime and PyTorch matte alike; which of them runs; and what is refused."""

import logging
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.errors import InputError
from sdnet_pl.inference.engine import GPU_NODES, open_engine
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.pretrained import FOLDER, QUALITIES
from sdnet_pl.inference.two_pass import predicted_trimap
from sdnet_pl.inference.weights import load_weights
from sdnet_pl.nn import sdnet


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    person, place = ProceduralPortraits(1, 400).load(0), ProceduralBackgrounds(1, 400).load(0)
    return composite_uint8(person, place)[:, 40:]


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.onnx")))
def test_both_backends_give_the_same(name: str, photo: np.ndarray):
    engines = [open_engine(name, "cpu", backend) for backend in ("onnx", "torch")]
    assert engines[0][1:] == engines[1][1:]
    pictures = np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    if engines[0].trimap:
        pictures = np.concatenate([pictures, np.full_like(pictures[:, :1], 0.5)], axis=1)
    first, second = (engine.network(pictures) for engine in engines)
    assert first.shape == second.shape == (1, 1, 400, 360)
    assert np.abs(first - second).mean() < 1 / 255  # the ONNX file's weights are those after folding, in fp16
    assert second.mean() > 0.05  # there is somebody to find


def test_onnx_runtime_is_the_default_on_a_cpu(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="sdnet_pl"):
        open_engine(device="cpu")
        open_engine("sdnet", device="cpu")  # does not ship as ONNX
    assert [record.message for record in caplog.records] == [
        "Matting with ONNX Runtime on cpu.",
        "Matting with PyTorch on cpu.",
    ]


def test_the_best_quality_is_a_second_pass_where_the_first_is_not_certain(photo: np.ndarray):
    fast, best = (open_engine(device="cpu", quality=quality).predictor(256).alpha(photo) for quality in QUALITIES)
    unknown = predicted_trimap(fast) == 128
    np.testing.assert_array_equal(best[~unknown], fast[~unknown])
    assert 0.001 < np.abs(best - fast)[unknown].mean() < 0.2
    with pytest.raises(InputError, match="quality 'high' does not exist; give fast or best"):
        open_engine(quality="high")


def test_an_exported_file_is_as_good_as_a_name(tmp_path: Path, photo: np.ndarray):
    shutil.copy(FOLDER / "sdnet-fast.onnx", tmp_path / "own.onnx")
    own, ships = (open_engine(weights, "cpu") for weights in (tmp_path / "own.onnx", "sdnet-fast"))
    first, second = (MattePredictor(engine.network, engine.size).alpha(photo) for engine in (own, ships))
    np.testing.assert_array_equal(first, second)
    predictor = pickle.loads(pickle.dumps(MattePredictor(own.network, own.size)))
    np.testing.assert_array_equal(predictor.alpha(photo), first)


@pytest.mark.parametrize("node", GPU_NODES)
def test_a_machine_that_may_have_a_gpu_asks_pytorch(
    node: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == node or os.path.exists(path))
    asked = []

    def choose_device() -> torch.device:
        asked.append(True)
        return torch.device("cpu")

    monkeypatch.setattr("sdnet_pl.inference.torch_network.choose_device", choose_device)
    open_engine()
    assert asked


def test_matte_does_not_import_pytorch(tmp_path: Path, photo: np.ndarray):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    code = (
        "import sys; from sdnet_pl.cli import main\n"
        f"status = main(['matte', {str(tmp_path / 'photo.png')!r}, '-o', {str(tmp_path / 'out.png')!r}])\n"
        "sys.exit(status or int('torch' in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert np.asarray(Image.open(tmp_path / "out.png"))[..., 3].mean() > 255 * 0.05


def test_what_does_not_go_together_is_refused(tmp_path: Path):
    shutil.copy(FOLDER / "sdnet-fast.onnx", tmp_path / "own.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((FOLDER / "sdnet-fast.onnx").read_bytes()[:9999])
    with pytest.raises(InputError, match="backend 'tensorrt' does not exist; give onnx or torch"):
        open_engine(backend="tensorrt")
    with pytest.raises(InputError, match="sdnet is not an ONNX file; write one with sdnet-pl export"):
        open_engine("sdnet", backend="onnx")
    with pytest.raises(InputError, match="is an ONNX file, which PyTorch does not run"):
        open_engine(tmp_path / "own.onnx", backend="torch")
    with pytest.raises(InputError, match="device 'mps' is not available to ONNX Runtime here"):
        open_engine(device="mps", backend="onnx")
    with pytest.raises(InputError, match="is an ONNX file, which ONNX Runtime runs"):
        load_weights(tmp_path / "own.onnx")
    with pytest.raises(InputError, match=r"cut\.onnx is damaged, or sdnet-pl export did not write it"):
        open_engine(cut, "cpu")


def test_a_damaged_file_that_ships_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(FOLDER, tmp_path / "weights")
    file = tmp_path / "weights" / "sdnet-fast.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    for module in ("engine", "pretrained"):
        monkeypatch.setattr(f"sdnet_pl.inference.{module}.FOLDER", tmp_path / "weights")
    with pytest.raises(InputError, match=r"sdnet-fast\.onnx is damaged: its sha256 is not"):
        open_engine(device="cpu")


def test_the_smallest_side_is_that_of_the_networks():
    from sdnet_pl.inference import inputs

    assert inputs.MIN_SIZE == sdnet.MIN_SIZE


def test_onnx_runtime_is_told_to_report_nothing_before_it_is_imported():
    code = (
        "import os, sys, sdnet_pl.inference; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout == "1 False\n"
