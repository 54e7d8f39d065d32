"""Nothing that is read can run code: what the source calls, and files that would leave a trace if they could."""

import ast
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from safetensors import SafetensorError

import sdnet_pl
from sdnet_pl.cli import main
from sdnet_pl.errors import InputError
from sdnet_pl.hub import SDNet
from sdnet_pl.inference.weights import newest_checkpoint
from sdnet_pl.lit import SDNetModule
from sdnet_pl.lit.checkpoints import WholeFiles

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file
    for folder in (Path(sdnet_pl.__file__).parent, ROOT / "benchmarks", ROOT / "experiments", ROOT / "web")
    for file in folder.rglob("*.py")
)
FORBIDDEN = {"eval", "exec", "__import__"}
FORBIDDEN |= {f"{module}.{name}" for module in ("pickle", "marshal", "dill") for name in ("load", "loads", "Unpickler")}
FORBIDDEN |= {f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader")}
FORBIDDEN |= {"torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url", "joblib.load", "shelve.open"}
FORBIDDEN |= {"pandas.read_pickle", "os.system", "os.popen", "shutil.unpack_archive"}
SUSPICIOUS = re.compile(r"load|eval|exec|import__|Unpickler|Loader|shelve|system|popen|unpack_archive|pickle|shell")


def unsafe(tree: ast.AST) -> Iterator[str]:
    """The calls that run what a file or a text says."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if (
            called in FORBIDDEN
            or (called == "torch.load" and options.get("weights_only") != "True")
            or called.endswith(".load_from_checkpoint")
            or options.get("allow_pickle") == "True"
            or options.get("shell") == "True"
            or (options.get("weights_only") == "False" and not called.endswith(".save_checkpoint"))
        ):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def test_no_call_runs_what_a_file_says():
    texts = {file: file.read_text("utf-8") for file in [*FILES, ROOT / "hubconf.py"]}
    found = {file.name: [*unsafe(ast.parse(text))] for file, text in texts.items() if SUSPICIOUS.search(text)}
    assert {file: calls for file, calls in found.items() if calls} == {}
    assert "weights.py" in found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("torch.load(path, weights_only=True)", False),
        ("trainer.fit(module, ckpt_path=path, weights_only=False)", True),
        ("trainer.save_checkpoint(path, weights_only=False)", False),
        ("SDNetModule.load_from_checkpoint(path)", True),
        ("pickle.loads(content)", True),
        ("yaml.load(text, yaml.Loader)", True),
        ("yaml.safe_load(text)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("eval(text)", True),
        ("model.eval()", False),
    ],
)
def test_what_runs_it(call: str, found: bool):
    assert bool(list(unsafe(ast.parse(call)))) == found


class Trace:
    """What unpickles to an empty file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "the code has run"


@pytest.fixture(params=["of torch", "plain", "named safetensors"])
def hostile(request: pytest.FixtureRequest, trace: Path, tmp_path: Path) -> Path:
    """A checkpoint as those of a run, with code in it."""
    content = {
        "state_dict": {"model.head.weight": torch.ones(1)},
        "hyper_parameters": {"preset": "sdnet-tiny", "trimap": False, "network": None, "more": Trace(trace)},
        "optimizer_states": [{}],
        "training_size": 64,
    }
    file = tmp_path / ("last.safetensors" if request.param == "named safetensors" else "last.ckpt")
    if request.param == "of torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))  # that of torch
    return file


def test_the_checkpoint_of_these_tests_would_run_its_code(trace: Path, tmp_path: Path):
    torch.save(Trace(trace), tmp_path / "x")
    torch.load(tmp_path / "x", weights_only=False)
    assert trace.exists()


def test_code_in_a_checkpoint_does_not_run(
    hostile: Path, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    for command in (["matte", f"{tmp_path / 'a.png'}", "-o", f"{out}"], ["export", f"{out}.safetensors"]):
        assert main([*command, "--weights", str(hostile)]) == 2
        assert hostile.name in capsys.readouterr().err
    for load in (
        lambda: sdnet_pl.remove(np.zeros((64, 64, 3), np.uint8), session=sdnet_pl.new_session(str(hostile))),
        lambda: sdnet_pl.load_weights(hostile),
        lambda: SDNet.from_weights(hostile),
        lambda: SDNetModule("sdnet-tiny", weights=str(hostile)),
    ):
        with pytest.raises(InputError, match=hostile.name):
            load()
    with pytest.raises((pickle.UnpicklingError, SafetensorError)):
        WholeFiles().load_checkpoint(hostile, weights_only=False)
    assert newest_checkpoint(tmp_path) is None
    assert not trace.exists()
    assert not out.exists()


@pytest.mark.parametrize("hostile", ["of torch"], indirect=True)
@pytest.mark.parametrize(
    "command",
    [
        "fit --ckpt_path=HOSTILE --weights_only=false",
        "test --model.weights=HOSTILE",
        "fit --model.weights=HOSTILE --model.preset=sdnet-tiny",
        "validate --ckpt_path=HOSTILE",
        "predict --ckpt_path=HOSTILE --data.predict=.",
    ],
)
def test_code_in_a_checkpoint_does_not_run_in_trainings_and_tests(
    command: str, hostile: Path, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*command.replace("HOSTILE", str(hostile)).split(), f"--run_dir={tmp_path / 'run'}"]) == 2
    assert f"{hostile} is not a checkpoint that can be read safely" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("hostile", ["of torch"], indirect=True)
def test_a_trainer_reads_no_code_whatever_it_is_told(hostile: Path, trace: Path, tmp_path: Path):
    """The plugin that every run has."""
    trainer = Trainer(accelerator="cpu", logger=False, plugins=WholeFiles(), default_root_dir=tmp_path)
    for weights_only in (False, None):
        with pytest.raises(pickle.UnpicklingError):
            trainer.strategy.load_checkpoint(hostile, weights_only=weights_only)
    assert not trace.exists()


def test_code_in_a_folder_of_the_hub_does_not_run(hostile: Path, trace: Path, tmp_path: Path):
    folder = tmp_path / "hub"
    SDNet("sdnet-tiny").save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.safetensors"):
        (folder / name).write_bytes(hostile.read_bytes())
        with pytest.raises(InputError, match=r"model\.safetensors"):
            SDNet.from_pretrained(folder)
    assert not trace.exists()


def test_code_in_a_config_does_not_run(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{json.dumps(str(trace))}]]"
    config = tmp_path / "c.yaml"
    config.write_text(f"data: {{size: {text}}}")
    for command in (
        ["fit", f"--config={config}", f"--run_dir={tmp_path / 'run'}"],
        ["fit", f"--data.size={text}", f"--run_dir={tmp_path / 'run'}"],
        ["compose", "procedural", str(tmp_path / "out"), "--config", str(config)],
    ):
        assert main(command) == 2
        assert capsys.readouterr().err.startswith("sdnet-pl: error: ")
        assert not trace.exists()
