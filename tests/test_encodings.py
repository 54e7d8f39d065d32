"""Text is UTF-8 whatever the system's encoding: in every call that opens a file, and in a run from end to end."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import sdnet_pl
from sdnet_pl.cli import main

PACKAGE = Path(sdnet_pl.__file__).parent
SCRIPTS = [Path(__file__).parents[1] / folder for folder in ("benchmarks", "experiments")]
FILES = sorted(file for folder in (PACKAGE, *SCRIPTS) for file in folder.rglob("*.py"))


def of_the_system(tree: ast.AST) -> Iterator[str]:
    """The calls that leave the encoding of a text to the system."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or "encoding" in {keyword.arg for keyword in node.keywords}:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = getattr(getattr(node.func, "value", None), "id", "")
        words = [
            value.value for value in [*node.args, *(k.value for k in node.keywords)] if isinstance(value, ast.Constant)
        ]
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            encoded = len(node.args) > (name == "write_text")
        elif name in ("open", "fdopen") and owner not in ("Image", "PillowImage", "av", "tarfile", "os", "zipfile"):
            encoded = any(isinstance(word, str) and "b" in word and len(word) < 4 for word in words)
        elif name in ("run", "Popen", "check_output") and owner == "subprocess":
            encoded = not {"text", "universal_newlines"} & {keyword.arg for keyword in node.keywords}
        elif name in ("NamedTemporaryFile", "TemporaryFile", "TextIOWrapper", "StringIO"):
            encoded = name == "StringIO" or not any(isinstance(word, str) and "b" not in word for word in words)
        else:
            continue
        if not encoded:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(file.parents[2])))
def test_no_call_leaves_the_encoding_to_the_system(file: Path):
    assert not list(of_the_system(ast.parse(file.read_text("utf-8"))))


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("path.open('w', newline='')", True),
        ("path.open(encoding='utf-8')", False),
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, 'utf-8')", False),
        ("write_text(path, text)", False),
        ("Image.open(path)", False),
        ("subprocess.run(command, text=True)", True),
    ],
)
def test_what_leaves_it_to_the_system(call: str, found: bool):
    assert bool(list(of_the_system(ast.parse(call)))) == found


LIFE = r"""
import os, sys, warnings
assert sys.getfilesystemencoding() == "ascii"
# A call in the package that leaves the encoding to the system warns, and that ends the process.
warnings.filterwarnings("error", category=EncodingWarning, module=r"sdnet_pl\.")
from sdnet_pl.cli import main

root, run = sys.argv[1:]
small = ["--model.preset=sdnet-tiny", "--data.size=64", "--data.batch_size=2", "--data.samples_per_epoch=2"]
small += ["--trainer.max_epochs=1", "--data.workers=0", "--trainer.accelerator=cpu"]
small += ["--trainer.enable_progress_bar=false", "--model.network={depths: [1, 1, 1, 1], widths: [8, 8, 16, 16]}"]
config = os.path.join(root, "config.yaml")
assert main(["fit", "--config", config, *small, "--run_dir", run, "--data.root", root]) == 0
assert main(["report", run, "--table", "5", "--benchmark", "\u0141\u00f3d\u017a", "-o", f"{run}/report"]) == 0
assert main(["matte", f"{root}/cutouts/val", "-o", f"{run}/cutouts", "--weights", f"{run}/best.ckpt"]) == 0
assert main(["predict", "--data.predict", f"{root}/cutouts/val", "--ckpt_path", f"{run}/best.ckpt", "--data.workers=0",
             "--run_dir", f"{run}/p", "--trainer.accelerator=cpu", "--predictions.only_mask=true"]) == 0
assert main(["evaluate", "--pred", f"{run}/p/predictions", "--alpha", f"{root}/alphas", "-o", f"{run}/e"]) == 0
"""
CONFIG = """
data:
  root: ${oc.env:SDNET_DATA,data}
  foregrounds:
    - {class_path: sdnet_pl.data.CutoutFolder, init_args: {path: "${data.root}/cutouts/train"}}
  backgrounds:
    - {class_path: sdnet_pl.data.BackgroundFolder, init_args: {path: "${data.root}/backgrounds/train"}}
  validation:
    Łódź:
      class_path: sdnet_pl.data.CompositeBenchmark
      init_args:
        foregrounds: {class_path: sdnet_pl.data.CutoutFolder, init_args: {path: "${data.root}/cutouts/val"}}
        backgrounds: {class_path: sdnet_pl.data.BackgroundFolder, init_args: {path: "${data.root}/backgrounds/val"}}
"""


@pytest.mark.slow
def test_a_run_where_the_system_speaks_ascii(cutout_root: Path, tmp_path: Path):
    """Names beyond it, one of them no UTF-8 at all, in the data, in the config and in what is written."""
    people = cutout_root / "cutouts" / "val"
    (cutout_root / "alphas").mkdir()
    for old, new in (("00.png", "Łukasz.png"), ("01.png", os.fsdecode(b"caf\xe9.png")), ("02.png", "Zoe\u0308.png")):
        (people / old).rename(people / new)
        Image.open(people / new).getchannel("A").save(cutout_root / "alphas" / new)
    (cutout_root / "config.yaml").write_text(CONFIG, "utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    command = [sys.executable, "-c", LIFE, str(cutout_root), str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    read = {name: (tmp_path / "run" / name).read_text("utf-8") for name in ("images.csv", "metrics.csv", "metrics.md")}
    assert "Łódź,Łukasz over" in read["images.csv"]
    assert r"Łódź,caf\xe9 over" in read["images.csv"]
    assert read["metrics.csv"].startswith("benchmark,hash,")
    assert "Łódź" in (tmp_path / "run/logs/version_0/metrics.csv").read_text("utf-8")
    assert (tmp_path / "run/benchmarks/Łódź.yaml").is_file()
    assert "Łódź" in result.stdout.decode("utf-8")
    assert (tmp_path / "run/p/predictions/Łukasz.png").is_file()
    scored = (tmp_path / "run/e/images.csv").read_text("utf-8").splitlines()[1:]
    assert sorted(line.split(",")[1] for line in scored) == ["Zoë", r"caf\xe9", "Łukasz"]


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "--run_dir", "caf\udce9"],
        ["predict", "--data.predict", "caf\udce9.jpg", "--model.weights", "sdnet-fast"],
        ["export", "caf\udce9.onnx"],
        ["export", "caf\udce9.safetensors"],
        ["export", "fast.onnx", "--weights", "caf\udce9.safetensors"],
    ],
    ids=" ".join,
)
def test_names_that_configs_and_weights_cannot_hold(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PACKAGE / "weights" / "sdnet-fast.safetensors", "caf\udce9.safetensors")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert r"caf\xe9" in said
    assert "is not read as UTF-8, which configs and files of weights need; rename it." in said
    assert len(list(tmp_path.iterdir())) == 1


def test_labels_where_the_system_speaks_ascii(tmp_path: Path):
    """One that is given and one that is a folder's name."""
    for folder in ("predicted", "Łódź"):
        (tmp_path / folder).mkdir()
        Image.linear_gradient("L").save(tmp_path / folder / "one.png")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    options = ["--pred=predicted", "--method=Zoë", "--alpha=Łódź", "--workers=0", "--output=out"]
    subprocess.run([sys.executable, "-m", "sdnet_pl", "evaluate", *options], check=True, env=environment, cwd=tmp_path)
    table = (tmp_path / "out" / "metrics.csv").read_text("utf-8")
    assert "\nŁódź," in table
    assert ",Zoë," in table
    assert (tmp_path / "out" / "benchmarks" / "Łódź.yaml").is_file()
