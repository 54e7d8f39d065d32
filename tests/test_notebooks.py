"""The notebooks run from a clone, on built-in data and the weights that ship; in git they hold no outputs."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
# Those that train come after each other: what one has trained the next takes.
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What notebooks reach for by relative paths, where they may write beside it."""
    root = tmp_path_factory.mktemp("clone")
    (root / "notebooks").mkdir()
    shutil.copytree(ROOT / "experiments" / "quickstart", root / "experiments" / "quickstart")
    config = root / "experiments" / "quickstart" / "notebooks.yaml"
    text = config.read_text()
    assert text.count("epoch: 15") == text.count("epochs: 15") == 1
    # A fifth of the steps: what is trained means nothing either way.
    config.write_text(text.replace("epoch: 15", "epoch: 3").replace("epochs: 15", "epochs: 3"))
    return root


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, clone: Path):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(clone / "notebooks")}})
    client.execute()
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
