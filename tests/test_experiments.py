"""Every config that ships is composed, trained for a step and scored."""

from pathlib import Path

import pytest
import yaml

from benchmarks import reproduce, standins
from sdnet_pl.cli import main

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
# base/ holds parts that are added to another config, paper/ what comes behind one, and sweeps/ have their own test.
CONFIGS = sorted(path for path in EXPERIMENTS.rglob("*.yaml") if path.parent.name not in ("base", "paper", "sweeps"))
PAPER = sorted((EXPERIMENTS / "paper").glob("*.yaml"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the public data sets, prepared as these are."""
    root = tmp_path_factory.mktemp("public")
    standins.draw(root / "downloaded")
    standins.prepare(root / "downloaded", root / "prepared")
    return root / "prepared"


@pytest.mark.parametrize("config", PAPER, ids=lambda path: path.stem)
def test_a_step_of_the_papers(config: Path, prepared: Path, tmp_path: Path):
    base = EXPERIMENTS / "base"
    arguments = [f"--config={file}" for file in (base / "paper.yaml", base / "mini.yaml", config)]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_test_batches=1"]
    run = ["--data.root", str(prepared), "--run_dir", str(tmp_path / "run"), "--trainer.accelerator=cpu"]
    assert main(["fit", *arguments, *limits, *run, "--trainer.limit_val_batches=1"]) == 0
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]
    assert settings["preset"] == "sdnet"
    assert settings["trimap"] == config.stem.endswith("_trimap")
    assert (settings["distillation"] == "none") == config.stem.startswith("without_sd")
    assert (settings["network"] == {"ampa": False}) == config.stem.startswith("without_ampa")
    assert "composition-1k" in (tmp_path / "run" / "metrics.md").read_text()


def test_every_table_has_its_rows():
    assert {row for rows in reproduce.ROWS.values() for row in rows} == {path.stem for path in PAPER}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_a_step_of(config: Path, cutout_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "experiments/weights").mkdir(parents=True)
    (tmp_path / "experiments/weights/arms.txt").write_text("00\n03\n")  # names of these people, not of the real ones
    monkeypatch.chdir(tmp_path)
    small = ["--data.size=64", "--data.batch_size=2", "--data.samples_per_epoch=2", "--data.workers=0"]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    weights = EXPERIMENTS / "weights" / "sdnet-fast.yaml"
    arguments = ["--config", str(config), "--data.root", str(cutout_root), "--run_dir", str(tmp_path / "run")]
    if config.parent == weights.parent and config != weights:  # what comes behind it
        arguments = ["--config", str(weights), *arguments, "--model.weights=sdnet-fast"]
    assert main(["fit", *arguments, *small, *limits, "--trainer.accelerator=cpu"]) == 0
    assert (tmp_path / "run" / "metrics.md").is_file()


def test_every_config_is_named_in_the_list():
    text = (EXPERIMENTS / "README.md").read_text()
    for path in EXPERIMENTS.rglob("*.yaml"):
        assert f"`{path.relative_to(EXPERIMENTS)}`" in text
        assert path.read_text().startswith("# ")  # says what it is for
        assert isinstance(yaml.safe_load(path.read_text()), dict)
