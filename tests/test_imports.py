"""The floor plan: imports go from later rooms to earlier ones only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sdnet_pl
from sdnet_pl.cli.main import OTHER_COMMANDS

PACKAGE = Path(sdnet_pl.__file__).parent
# A room may import itself and those before it; `inference` stands before `lit`, whose predict step uses it.
ROOMS = [
    "version",
    "errors",
    "lazy",
    "nn",
    "losses",
    "metrics",
    "synthetic",
    "data",
    "inference",
    "hub",
    "reporting",
    "explore",
    "lit",
    "launch",
    "server",
    "cli",
    "__main__",
]
# Rooms that know nothing of each other although the order would let them.
STRANGERS = {
    ("metrics", "losses"),
    ("metrics", "nn"),
    ("losses", "nn"),
    ("synthetic", "nn"),
    ("synthetic", "losses"),
    ("synthetic", "metrics"),
    ("data", "nn"),
    ("data", "losses"),
    ("data", "metrics"),
}


def imported(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "sdnet_pl" else [base]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("sdnet_pl.")}
    return rooms


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path):
    room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    for other in imported(file):
        assert ROOMS.index(other) <= ROOMS.index(room), f"{room} must not import {other}"
        assert (room, other) not in STRANGERS, f"{room} must not know {other}"


def test_every_room_is_in_the_plan():
    no_code = ("__init__.py", "py.typed", "__pycache__", "weights")
    rooms = {path.stem for path in PACKAGE.iterdir() if path.name not in no_code}
    assert rooms == set(ROOMS)


HEAVY = {"torch", "lightning", "numpy", "cv2", "kornia", "albumentations", "wandb", "jsonargparse"}
HEAVY |= {"pandas", "matplotlib", "av", "fastapi", "gradio", "uvicorn", "huggingface_hub"}


def imported_by(code: str) -> set[str]:
    """The heavy packages that a new process has imported after some code."""
    code = f"import sys\n{code}\nprint(*{HEAVY} & set(sys.modules), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in OTHER_COMMANDS), ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    code = f"from sdnet_pl.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass"
    assert imported_by(code) == set()


def test_the_face_imports_nothing_heavy():
    assert imported_by("import sdnet_pl.data, sdnet_pl.explore, sdnet_pl.inference, sdnet_pl.metrics") == set()


def test_every_command_has_a_file_and_every_file_a_command():
    files = {path.stem for path in (PACKAGE / "cli").glob("*.py")}
    assert files - {"__init__", "main", "options", "aliases", "lightning"} == set(OTHER_COMMANDS)
