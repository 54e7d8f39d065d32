"""What ``import sdnet_pl`` offers: typed for a user's own code, and imported on first use."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

import sdnet_pl
from sdnet_pl.errors import InputError

ROOT = Path(__file__).parents[1]
PACKAGES = ("sdnet_pl", "sdnet_pl.data", "sdnet_pl.explore", "sdnet_pl.inference", "sdnet_pl.metrics")
NAMES = [f"{package}.{name}" for package in PACKAGES for name in import_module(package).__all__]
USES = {
    'sdnet_pl.create_model("sdnet-fast", pretrained=True)': "sdnet_pl.nn.sdnet.SDNet",
    "sdnet_pl.SDNet()(torch.rand(1, 3, 64, 64))": "torch._tensor.Tensor",
    "sdnet_pl.load_weights()[1]": "int",
    'sdnet_pl.remove(b"")': "bytes",
    "sdnet_pl.MattePredictor(sdnet_pl.load_pretrained()).size": "int",
    'sdnet_pl.SAD("unknown")': "sdnet_pl.metrics.matting.SAD",
    "sdnet_pl.MattingDataModule().batch_size": "int",
}


def found(name: str) -> object:
    package, _, attribute = name.rpartition(".")
    return getattr(import_module(package), attribute)


def gives_pandas(name: str) -> bool:
    """Whether a function returns what a type checker knows with the types of pandas alone."""
    returned = getattr(get_type_hints(found(name)).get("return"), "__module__", "")
    return returned.startswith("pandas")


def test_a_type_checker_knows_every_public_name(tmp_path: Path):
    names = [*NAMES, *USES]
    code = ["import torch", *(f"import {package}" for package in PACKAGES), *(f"reveal_type({name})" for name in names)]
    snippet = tmp_path / "snippet.py"
    snippet.write_text("\n".join(code) + "\n")
    environment = os.environ | {"MYPYPATH": str(ROOT / "src")}
    # From the root: with the settings and the cache of `make lint`, without which it takes minutes.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(snippet)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    types = re.findall(r': note: Revealed type is "(.*)"$', result.stdout, re.MULTILINE)
    assert len(types) == len(names), result.stdout
    unknown = [name for name, kind in zip(names, types, strict=True) if kind == "Any" or kind.endswith("-> Any")]
    assert [name for name in unknown if not gives_pandas(name)] == []
    assert dict(zip(names, types, strict=True)).items() >= USES.items()


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_are_told_of_the_same_names(package: str):
    body = ast.parse(Path(str(import_module(package).__file__)).read_text()).body
    blocks = [node for node in body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    told = {alias.name: node.module for node in imports for alias in node.names}
    assert told.keys() == set(import_module(package).__all__)
    assert all(getattr(import_module(str(home)), name) is found(f"{package}.{name}") for name, home in told.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str):
    assert found(name) is not None
    package, _, attribute = name.rpartition(".")
    assert attribute in dir(import_module(package))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'sdnet_pl' has no attribute 'SDNett'"):
        _ = sdnet_pl.SDNett  # type: ignore[attr-defined]


def test_create_model():
    assert sdnet_pl.create_model("sdnet-tiny", trimap=True, ampa=False).training
    pretrained = sdnet_pl.create_model("sdnet-fast", pretrained=True, trimap=True)
    assert not pretrained.training
    assert pretrained.in_channels == 4
    with pytest.raises(InputError, match="ampa would change it; leave out pretrained"):
        sdnet_pl.create_model("sdnet-fast", pretrained=True, ampa=False)
    with pytest.raises(InputError, match="No weights sdnet-tiny ship"):
        sdnet_pl.create_model("sdnet-tiny", pretrained=True)
