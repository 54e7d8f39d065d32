"""Every config that ships is composed, trained for a step and scored."""

from pathlib import Path

import pytest
import yaml

from sdnet_pl.cli import main

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
# base/ holds parts that are added to another config, and sweeps/ have their own test.
CONFIGS = sorted(path for path in EXPERIMENTS.rglob("*.yaml") if path.parent.name not in ("base", "sweeps"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_a_step_of(config: Path, cutout_root: Path, tmp_path: Path):
    small = ["--data.size=64", "--data.batch_size=2", "--data.samples_per_epoch=2", "--data.workers=0"]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    arguments = ["--config", str(config), "--data.root", str(cutout_root), "--run_dir", str(tmp_path / "run")]
    assert main(["fit", *arguments, *small, *limits, "--trainer.accelerator=cpu"]) == 0
    assert (tmp_path / "run" / "metrics.md").is_file()


def test_every_config_is_named_in_the_list():
    text = (EXPERIMENTS / "README.md").read_text()
    for path in EXPERIMENTS.rglob("*.yaml"):
        assert f"`{path.relative_to(EXPERIMENTS)}`" in text
        assert path.read_text().startswith("# ")  # says what it is for
        assert isinstance(yaml.safe_load(path.read_text()), dict)
