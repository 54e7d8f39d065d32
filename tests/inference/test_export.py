"""ONNX files as a user gets them, run by ONNX Runtime."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from sdnet_pl import __version__
from sdnet_pl.cli import main
from sdnet_pl.inference.export import onnx_file
from sdnet_pl.inference.export.calibration import built_in, from_folder
from sdnet_pl.inference.export.onnx_file import FusedPReLU
from sdnet_pl.inference.weights import load_weights
from sdnet_pl.nn import PRESETS, create_model
from tests.conftest import SMALL

# One network has every form of a layer that exports treat on their own: int8 is not for the preset that has PReLU.
PRELU: dict[str, Any] = {"octconv_activation": "prelu"}


def make_checkpoint(path: Path, preset: str, trimap: bool = False, **more: Any) -> Path:
    """What training leaves, of a network whose BatchNorm has seen pictures and whose weights are partly subnormal."""
    torch.manual_seed(0)
    network: dict[str, Any] = SMALL | more
    model = create_model(preset, trimap=trimap, **network).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(2, model.in_channels, 96, 96))
        slopes = [module.weight for module in model.modules() if isinstance(module, nn.PReLU)]
        for weight in slopes:
            weight.uniform_(-0.2, 0.8)
        if slopes:
            slopes[-1][0] = 1.5
        head = [module for module in model.decoder.modules() if isinstance(module, nn.Conv2d)][-1]
        head.weight.view(-1)[:2] = torch.tensor([1e-40, 1e-6])
    torch.save(
        {
            "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
            "hyper_parameters": {"preset": preset, "trimap": trimap, "network": network},
            "training_size": 64,
        },
        path,
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def fast(folder: Path) -> Path:
    return make_checkpoint(folder / "fast.ckpt", "sdnet-fast", **PRELU)


@pytest.fixture(scope="module")
def trimap(folder: Path) -> Path:
    return make_checkpoint(folder / "trimap.ckpt", "sdnet-tiny", trimap=True)


@pytest.fixture(scope="module")
def fp32(folder: Path, fast: Path) -> Path:
    assert main(["export", str(folder / "fp32.onnx"), "--weights", str(fast), "--licence", "CC BY 4.0"]) == 0
    return folder / "fp32.onnx"


@pytest.fixture(scope="module")
def fp16(folder: Path, trimap: Path) -> Path:
    assert main(["export", str(folder / "fp16.onnx"), "--weights", str(trimap), "--precision", "fp16"]) == 0
    return folder / "fp16.onnx"


@pytest.fixture(scope="module")
def photos(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    (folder / "photos" / "sub").mkdir(parents=True)
    for i, size in enumerate([(70, 90), (64, 40), (200, 130)]):
        pixels = np.repeat(np.repeat(rng.integers(0, 256, (10, 9, 3), np.uint8), 20, 0), 20, 1)
        Image.fromarray(pixels).resize(size).save(folder / "photos" / "sub" / f"{i}.jpg")
    return folder / "photos"


@pytest.fixture(scope="module")
def int8(folder: Path, fast: Path, photos: Path, fp32: Path) -> Path:
    output = folder / "new" / "int8.onnx"
    arguments = ["--weights", str(fast), "--precision", "int8", "--calibration", str(photos)]
    with pytest.MonkeyPatch.context() as patch:
        # It starts from the same graph, which takes longer to trace than all else.
        patch.setattr(onnx_file, "to_onnx", lambda *_: onnx.load(fp32))
        assert main(["export", str(output), *arguments]) == 0
    return output


def alphas(file: Path, x: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["alpha"], {"image": x.numpy()})[0])


def expected(checkpoint: Path, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        alpha: torch.Tensor = load_weights(checkpoint)[0](x)
    return alpha


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["export", *map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def properties(file: Path) -> dict[str, str]:
    return {item.key: item.value for item in onnx.load(file).metadata_props}


def shapes(file: Path) -> dict[str, list[str | int]]:
    graph = onnx.load(file).graph
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }


def constants(file: Path) -> list[np.ndarray]:
    graph = onnx.load(file).graph
    held = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    return [onnx.numpy_helper.to_array(tensor) for tensor in held]


def test_each_size_has_a_name_of_its_own(fp32: Path):
    assert shapes(fp32) == {"image": ["batch", 3, "height", "width"], "alpha": ["batch", 1, "height", "width"]}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(512, 512), (288, 512), (144, 208), (100, 131), (32, 33)])
def test_fp32_gives_the_alphas_of_pytorch(fp32: Path, fast: Path, size: tuple[int, int], batch: int):
    x = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    reference = expected(fast, x)
    assert reference.std() > 0.02
    torch.testing.assert_close(alphas(fp32, x), reference, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("trimap", [False, True])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_exported(preset: str, trimap: bool, tmp_path: Path):
    checkpoint = make_checkpoint(tmp_path / "a.ckpt", preset, trimap)
    assert main(["export", str(tmp_path / "a.onnx"), "--weights", str(checkpoint)]) == 0
    x = torch.rand(2, 3 + trimap, 80, 64)
    torch.testing.assert_close(alphas(tmp_path / "a.onnx", x), expected(checkpoint, x), rtol=0, atol=1e-4)


def test_prelu_takes_its_fast_form_where_it_can(fp32: Path):
    x = torch.randn(2, 6, 5, 7)
    prelu = nn.PReLU(6)
    prelu.weight.data = torch.tensor([-0.5, 0.0, 0.25, 0.9, 1.0, 1e-3])
    torch.testing.assert_close(FusedPReLU(prelu.weight)(x), prelu(x))
    # One layer has a slope above 1 and stays.
    assert Counter(node.op_type for node in onnx.load(fp32).graph.node)["PRelu"] == 1


def test_the_file_tells_what_it_takes(fp32: Path, capsys: pytest.CaptureFixture[str]):
    found = properties(fp32)
    assert found.pop("input") == "image: RGB, float32 in [0, 1], NCHW [batch, 3, height, width]"
    assert found.pop("output") == "alpha: float32 in [0, 1], NCHW [batch, 1, height, width]"
    assert "at least 32" in found.pop("size")
    assert json.loads(found.pop("network")) == SMALL | PRELU
    assert found == {
        "sdnet_pl_version": __version__,
        "preset": "sdnet-fast",
        "trimap": "false",
        "size_multiple": "32",
        "training_size": "64",
        "precision": "fp32",
        "opset": "18",
        "batch_norm": "folded",
        "code_licence": "Apache-2.0",
        "weights_licence": "CC BY 4.0",
    }
    assert onnx.load(fp32).opset_import[0].version == 18
    # The exporter leaves its source lines in every node.
    assert str(Path(torch.__file__).parent).encode() not in fp32.read_bytes()


@pytest.mark.slow
def test_a_trimap_is_the_fourth_channel(fp16: Path, trimap: Path, tmp_path: Path, photos: Path, capsys):
    assert "leave out --calibration" in error_of(
        capsys, tmp_path / "t.onnx", "--weights", trimap, "--calibration", photos
    )
    assert shapes(fp16)["image"] == ["batch", 4, "height", "width"]
    assert "RGB and a trimap (0 background" in properties(fp16)["input"]
    assert "not recorded" in properties(fp16)["weights_licence"]


@pytest.mark.slow
def test_fp16_takes_and_returns_float16(fp16: Path, trimap: Path):
    assert "float16 in [0, 1]" in properties(fp16)["input"]
    x = torch.stack([torch.zeros(4, 256, 256), torch.ones(4, 256, 256), torch.rand(4, 256, 256)])
    alpha = alphas(fp16, x.half())
    assert alpha.dtype == torch.float16
    assert alpha.isfinite().all()
    difference = (alpha.float() - expected(trimap, x)).abs()
    assert difference.mean() < 2e-3
    assert difference.max() < 2e-2


@pytest.mark.slow
def test_fp16_takes_the_mean_over_the_picture_in_float32(fp16: Path):
    graph = onnx.shape_inference.infer_shapes(onnx.load(fp16)).graph
    types = {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    means = [node for node in graph.node if node.op_type == "ReduceMean"]
    assert len(means) == 3
    assert {types[node.input[0]] for node in means} == {onnx.TensorProto.FLOAT}


def test_int8_stays_close(int8: Path, fast: Path):
    assert properties(int8)["precision"] == "int8"
    assert shapes(int8) == {"image": ["batch", 3, "height", "width"], "alpha": ["batch", 1, "height", "width"]}
    x = torch.cat([torch.from_numpy(picture) for picture in built_in(64, trimap=False)])
    reference = expected(fast, x)
    difference = (alphas(int8, x) - reference).abs()
    assert difference.mean() < 2e-2
    assert difference.mean() < reference.std() / 4
    x = torch.rand(1, 3, 77, 91)
    assert alphas(int8, x).shape == (1, 1, 77, 91)


def test_int8_works_on_8_bits(int8: Path):
    graph = onnx.load(int8).graph
    eight_bits = {output for node in graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    weights = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    # All but that of alpha and the three gates of channel attention.
    assert len(eight_bits.intersection(weights)) == len(weights) - 4
    assert "AveragePool" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=pytest.mark.slow), "int8"])
def test_no_weight_is_subnormal(precision: str, request: pytest.FixtureRequest):
    for values in constants(request.getfixturevalue(precision)):
        if np.issubdtype(values.dtype, np.floating):
            magnitude = np.abs(values)
            assert not ((magnitude > 0) & (magnitude < np.finfo(values.dtype).smallest_normal)).any()


def test_the_command_states_the_error(fp32: Path, fast: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    def traced(*_: object) -> onnx.ModelProto:
        return onnx.load(fp32)

    monkeypatch.setattr(onnx_file, "to_onnx", traced)
    again = fp32.parent / "again.onnx"
    arguments = ["export", str(again), "--weights", str(fast)]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert re.search(r"again.onnx: sdnet-fast, fp32, \d\.\d MB; .* 16 pictures: mean error \d.\de-\d+, largest", out)
    assert "tracing" in err
    before = again.read_bytes()
    assert "again.onnx exists already; give --overwrite" in error_of(capsys, *arguments[1:])
    assert again.read_bytes() == before
    assert main([*arguments, "--overwrite", "--licence", "MIT"]) == 0
    assert properties(again)["weights_licence"] == "MIT"


@pytest.mark.parametrize("name", ["theirs.onnx", "theirs.safetensors"])
def test_a_file_of_someone_elses_is_never_replaced(name: str, fast: Path, tmp_path: Path, capsys):
    theirs = tmp_path / name
    tensors = {"a": torch.zeros(2)}
    theirs.write_bytes(save(tensors, {"format": "pt"}) if theirs.suffix == ".safetensors" else b"their model")
    before = theirs.read_bytes()
    for more in ([], ["--overwrite"]):
        message = error_of(capsys, theirs, "--weights", fast, *more)
        assert f"{theirs} exists and was not written by sdnet-pl" in message
        assert "--overwrite" not in message
    assert theirs.read_bytes() == before


def test_weights_are_replaced_but_not_by_themselves(fast: Path, tmp_path: Path, capsys):
    mine = tmp_path / "mine.safetensors"
    arguments = ["export", str(mine), "--weights"]
    assert main([*arguments, str(fast)]) == 0
    assert "mine.safetensors exists already; give --overwrite" in error_of(capsys, *arguments[1:], fast)
    assert main([*arguments, str(fast), "--overwrite"]) == 0
    message = error_of(capsys, mine, "--weights", mine, "--overwrite", "--licence", "MIT")
    assert "would be overwritten by its own export" in message


@pytest.mark.parametrize("damage", [1.5, float("nan")])
def test_a_file_that_gives_other_alphas_is_not_left(
    damage: float, fp32: Path, fast: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    proto = onnx.load(fp32)
    stem = next(weights for weights in proto.graph.initializer if "stem" in weights.name)
    values = onnx.numpy_helper.to_array(stem) * np.float32(damage)
    stem.CopyFrom(onnx.numpy_helper.from_array(values, stem.name))
    monkeypatch.setattr(onnx_file, "to_onnx", lambda *_: proto)
    output = tmp_path / "out" / "model.onnx"
    message = error_of(capsys, output, "--weights", fast)
    assert f"{output} is not written: in fp32" in message
    assert "1e-04 are allowed" in message
    assert not output.parent.exists()
    output.parent.mkdir()
    output.write_bytes(older := b"older sdnet_pl_version")
    error_of(capsys, output, "--weights", fast, "--overwrite")
    assert [path.read_bytes() for path in output.parent.iterdir()] == [older]


def test_pictures_of_a_folder_are_seen_as_by_the_predictor(photos: Path):
    pictures = from_folder(photos, 64)
    assert [picture.shape for picture in pictures] == [(1, 3, 64, 50), (1, 3, 40, 64), (1, 3, 42, 64)]
    for picture in pictures:
        assert picture.dtype == np.float32
        assert 0 <= picture.min() < 0.3
        assert 0.7 < picture.max() <= 1


def test_a_thin_photo_is_shown_as_matte_shows_it(tmp_path: Path):
    Image.new("RGB", (200, 20), "red").save(tmp_path / "a.png")
    (picture,) = from_folder(tmp_path, 64)
    assert picture.shape == (1, 3, 32, 64)
    assert (picture == np.array([1, 0, 0]).reshape(1, 3, 1, 1)).all()


def test_a_folder_has_the_layout_of_transformers_js(
    fp32: Path, fast: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_file, "to_onnx", lambda *_: onnx.load(fp32))
    folder = tmp_path / "sdnet"
    assert main(["export", str(folder), "--weights", str(fast)]) == 0
    assert "sdnet: sdnet-fast, fp16-weights" in capsys.readouterr().out
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"config.json", "preprocessor_config.json", "onnx/model.onnx"}
    assert json.loads((folder / "config.json").read_text())["model_type"] == "modnet"
    assert json.loads((folder / "preprocessor_config.json").read_text())["size"] == {"longest_edge": 64}
    assert "model.onnx exists already; give --overwrite" in error_of(capsys, folder, "--weights", fast)
    assert main(["export", str(folder), "--weights", str(fast), "--overwrite", "--precision", "fp32"]) == 0
    assert properties(folder / "onnx/model.onnx")["precision"] == "fp32"


def test_a_folder_that_transformers_js_could_not_run_is_refused(fast: Path, trimap: Path, tmp_path: Path, capsys):
    assert "needs a trimap" in error_of(capsys, tmp_path / "t", "--weights", trimap)
    assert not (tmp_path / "t").exists()
    assert "gives a network float32" in error_of(capsys, tmp_path / "t", "--weights", fast, "--precision", "fp16")
    assert "give sdnet.onnx --weights sdnet, or another folder" in error_of(capsys, "sdnet", "--weights", fast)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/config.json").write_text("{}")
    assert "config.json exists and was not written by" in error_of(capsys, tmp_path / "theirs", "--weights", fast)


def test_bad_input(tmp_path: Path, fast: Path, trimap: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "m.onnx"
    assert "m.pt ends in none of .onnx, .tflite" in error_of(capsys, tmp_path / "m.pt", "--weights", fast)
    assert ".onnx is the end of a name alone" in error_of(capsys, tmp_path / ".onnx", "--weights", fast)
    assert "no weights nowhere.ckpt" in error_of(capsys, output, "--weights", "nowhere.ckpt")
    assert "/nowhere does not exist" in error_of(capsys, output, "--weights", fast, "--calibration", "/nowhere")
    message = error_of(capsys, output, "--weights", trimap, "--precision", "int8")
    assert "'sdnet-tiny', which is slower in int8" in message
    assert "--precision fp32" in message
    (tmp_path / "folder.onnx").mkdir()
    assert "is a folder" in error_of(capsys, tmp_path / "folder.onnx", "--weights", fast)
    (tmp_path / "file").touch()
    message = error_of(capsys, tmp_path / "file" / "m.onnx", "--weights", fast)
    assert f"{tmp_path / 'file' / 'm.onnx'} cannot be written" in message
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "need onnxscript; install with: pip install 'sdnet_pl[export]'" in error_of(
        capsys, output, "--weights", fast
    )
    assert not output.exists()
