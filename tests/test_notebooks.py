"""The notebooks run from a clone, on built-in data and the weights that ship; in git they hold no outputs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRAINING = [path for path in NOTEBOOKS if path.stem in ("ablations", "decoder_outputs")]
# What these train where nobody has: by name, what is said of it to the model.
RUNS: dict[str, dict[str, Any]] = {
    "without_sd": {"distillation": "none"},
    "transitive": {"distillation": "transitive"},
    "dense": {"distillation": "dense"},
    "sdnet": {"distillation": "best_teacher"},
    "without_ampa": {"distillation": "best_teacher", "network": {"ampa": False}},
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What notebooks reach for by relative paths, where they may write beside it."""
    root = tmp_path_factory.mktemp("clone")
    (root / "notebooks").mkdir(parents=True)
    for folder in ("quickstart", "ablations"):
        shutil.copytree(ROOT / "experiments" / folder, root / "experiments" / folder)
    shutil.copy(ROOT / "experiments/__init__.py", root / "experiments")
    config = root / "experiments" / "quickstart" / "notebooks.yaml"
    text = config.read_text()
    assert text.count("epoch: 15") == text.count("epochs: 15") == 1
    # A fifth of the steps: what is trained means nothing either way.
    config.write_text(text.replace("epoch: 15", "epoch: 3").replace("epochs: 15", "epochs: 3"))
    return root


def leave_runs(folder: Path, trained: Path) -> None:
    """Directories of runs as the notebooks train them, all of one run of the tests."""
    config = yaml.safe_load((trained / "config.yaml").read_text())
    scores = (trained / "metrics.csv").read_text().replace("held_out", "procedural")
    for name, model in RUNS.items():
        shutil.copytree(trained, folder / name)
        changed = config | {"model": config["model"] | {"network": {}} | model}
        (folder / name / "config.yaml").write_text(yaml.safe_dump(changed))
        (folder / name / "metrics.csv").write_text(scores)


@pytest.fixture(scope="module")
def execute(clone: Path) -> Iterator[Callable[[Path], nbformat.NotebookNode]]:
    """Runs notebooks one after the other in one kernel, each without the names of the one before."""
    manager = KernelManager()
    manager.start_kernel(cwd=str(clone / "notebooks"))
    clear = nbformat.v4.new_code_cell("%reset -f")

    def executed(path: Path) -> nbformat.NotebookNode:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, clear)
        NotebookClient(notebook, timeout=500, km=manager).execute()
        return notebook

    yield executed
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebooks_train_what_is_missing(execute: Callable[[Path], nbformat.NotebookNode], clone: Path):
    runs = clone / "runs/notebooks"
    shutil.rmtree(runs, ignore_errors=True)
    for path in TRAINING:
        execute(path)
    assert {path.name for path in runs.iterdir()} == RUNS.keys()
    for name, model in RUNS.items():
        trained = yaml.safe_load((runs / name / "config.yaml").read_text())["model"]
        assert model.items() <= trained.items()


# What the others show is tested beside the code: the tables of `report`, and the samples of the data path.
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (path.stem in ("ablations", "data_tour")), id=path.stem)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs(path: Path, execute: Callable[[Path], nbformat.NotebookNode], clone: Path, trained: Path):
    if path in TRAINING and not (clone / "runs/notebooks" / "sdnet").exists():
        leave_runs(clone / "runs/notebooks", trained)
    notebook = execute(path)
    figures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert figures  # and not the text of one
    if path.stem == "decoder_outputs":
        widgets = [o for c in notebook.cells for o in c.get("outputs", []) if "widget-view+json" in str(o)]
        assert len(widgets) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert "widgets" not in notebook.metadata


def test_every_notebook_is_named_in_the_list():
    text = (ROOT / "notebooks" / "README.md").read_text()
    for path in NOTEBOOKS:
        assert f"`{path.stem}`" in text
