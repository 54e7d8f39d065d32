"""Every config that ships is composed, and one of each kind is trained for a step and scored."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
import yaml

from sdnet_pl.cli import main
from sdnet_pl.cli.reproduce import prepare_stand_ins
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.inference.weights import Trained, write_weights
from sdnet_pl.launch import reproduce, standins
from sdnet_pl.nn import create_model
from sdnet_pl.reporting.paper import read_paper
from sdnet_pl.reporting.runs import flatten
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("blank_figures")
Compose = Callable[[list[str]], Any]
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
# base/ and paper/ hold configs that are used after another; sweeps have their own tests.
CONFIGS = sorted(
    path
    for path in EXPERIMENTS.rglob("*.yaml")
    if path.parent.name not in ("base", "paper", "sweeps") and path.name != "sweep.yaml"
)
PAPER = sorted((EXPERIMENTS / "paper").glob("*.yaml"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the public data sets, prepared as these are."""
    root = tmp_path_factory.mktemp("public")
    standins.draw(root / "downloaded")
    prepare_stand_ins(root / "downloaded", root / "prepared")
    return root / "prepared"


def check_data(data: MattingDataModule) -> None:
    """Samples can be drawn, and there is something to score."""
    data.trainer = None
    data.setup("fit")
    assert data.training[0]["foreground"].shape[-1] == data.size_in_epoch(0)
    for benchmark in [*data.validation.values(), *data.test.values()]:
        assert len(benchmark) > 0


def paper(config: Path, prepared: Path, run: Path) -> list[str]:
    files = [f"--config={file}" for file in (EXPERIMENTS / "base/paper.yaml", EXPERIMENTS / "base/mini.yaml", config)]
    return ["fit", *files, f"--data.root={prepared}", f"--run_dir={run}", "--trainer.accelerator=cpu"]


@pytest.mark.parametrize("config", PAPER, ids=lambda path: path.stem)
def test_the_papers_are_composed(config: Path, prepared: Path, tmp_path: Path, compose: Compose):
    composed = compose(paper(config, prepared, tmp_path))
    settings = composed.model.hparams
    assert settings["preset"] == "sdnet"
    assert settings["trimap"] == config.stem.endswith("_trimap")
    assert (settings["distillation"] == "none") == config.stem.startswith("without_sd")
    assert (settings["network"] == {"ampa": False}) == config.stem.startswith("without_ampa")
    assert "composition-1k" in composed.datamodule.test
    check_data(composed.datamodule)


def test_a_step_of_the_papers(prepared: Path, tmp_path: Path):
    limits = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_test_batches=1"]
    arguments = paper(EXPERIMENTS / "paper/sdnet_trimap.yaml", prepared, tmp_path / "run")
    assert main([*arguments, *limits, "--trainer.limit_val_batches=1", f"--model.network={json.dumps(SMALL)}"]) == 0
    assert "composition-1k" in (tmp_path / "run" / "metrics.md").read_text()


def untrained(folder: Path, preset: str, network: dict[str, Any]) -> Path:
    """A file of weights as a run's that a recipe starts from."""
    path = folder / f"{preset}.safetensors"
    torch.manual_seed(0)
    write_weights(Trained(preset, False, network, 64, create_model(preset, **network).state_dict(), path), path, {})
    return path


def test_the_papers_samples_are_those_of_its_section_4_1():
    """Every sample gets an affine warp, a crop and other colours, and nothing else that this package could do to it."""
    config = yaml.safe_load((EXPERIMENTS / "base/paper.yaml").read_text())
    told = read_paper().training
    chances = {name for name, p in signature(MattingDataModule).parameters.items() if isinstance(p.default, float)}
    for name in chances:
        assert config["data"][name] == told[f"data.{name}"] == (name == "color_jitter"), name
    assert not {"photos", "growing_sizes"} & config["data"].keys()
    assert "callbacks" not in config["trainer"]
    flat = flatten(config)
    assert {key: flat[key] for key in told if key in flat} == {key: told[key] for key in told if key in flat}
    data = MattingDataModule(size=64, **{name: config["data"][name] for name in chances})
    data.setup("fit")
    mirrored, colored, blurred = [], [], []
    for number in range(30):
        sample = data.training[number]
        clean = data.on_after_batch_transfer({key: value[None] for key, value in dict[str, Any](sample).items()}, 0)
        assert torch.equal(clean["image"], clean["composite"])
        placement, *own = data.training.augmentation.foreground.transforms
        _, flip, *others = data.training.augmentation.background.transforms
        mirrored += [np.linalg.det(placement.params["matrix"][:, :2]) < 0, bool(flip.params)]
        colored += [bool(t.params) for t in (*own, *others) if isinstance(t, A.ColorJitter)]
        blurred += [bool(t.params) for t in others if isinstance(t, A.GaussianBlur)]
    assert not any(mirrored + blurred)
    assert all(colored)
    assert len(colored) == 60


@pytest.mark.slow
def test_accumulated_batches_are_the_papers(prepared: Path, tmp_path: Path):
    # An epoch of the paper's mini version, scored on a picture of each benchmark.
    limits = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=0", "--trainer.limit_test_batches=1"]
    arguments = paper(EXPERIMENTS / "base/accumulate.yaml", prepared, tmp_path / "run")
    assert main([*arguments, *limits, f"--model.network={json.dumps(SMALL)}"]) == 0
    assert torch.load(tmp_path / "run/last.ckpt", weights_only=True)["global_step"] == 16 // 4


def test_four_processes_share_the_papers_batch(prepared: Path, tmp_path: Path, compose: Compose):
    """On CPUs; two processes train in tests/cli."""
    composed = compose(paper(EXPERIMENTS / "base/ddp.yaml", prepared, tmp_path / "run"))
    assert type(composed.trainer.strategy).__name__ == "DDPStrategy"
    assert composed.trainer.world_size * composed.datamodule.batch_size == 4


def test_p3m_500_takes_the_place_of_the_test_benchmarks(prepared: Path, tmp_path: Path):
    for part in ("P", "NP"):
        shutil.copytree(prepared / "aim500/test", tmp_path / f"p3m10k/test/P3M-500-{part}")
    weights = untrained(tmp_path, "sdnet", {})
    files = [f"--config={EXPERIMENTS / 'base' / name}" for name in ("paper.yaml", "p3m500.yaml")]
    for folder in ("adobe", "distinction646", "coco", "aim500"):
        (tmp_path / folder).symlink_to(prepared / folder)
    places = ["--data.root", str(tmp_path), "--run_dir", str(tmp_path / "run"), "--model.weights", str(weights)]
    assert main(["test", *files, *places, "--data.workers=0", "--trainer.accelerator=cpu"]) == 0
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        assert {row["benchmark"] for row in csv.DictReader(stream)} == {"p3m-500-np", "p3m-500-p"}


def test_a_job_of_slurm_goes_on_from_the_newest_checkpoint_that_loads(tmp_path: Path):
    """`srun` only tells here how it was called."""
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    job = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4"}
    variables = {**os.environ, **job}
    script = ["bash", str(EXPERIMENTS / "base/slurm.sh"), str(tmp_path / "my run"), "--config", "a.yaml"]

    def submit() -> str:
        return subprocess.run(script, capture_output=True, text=True, check=True, env=variables).stdout

    (tmp_path / "my run").mkdir()
    (tmp_path / "my run/config.yaml").touch()
    # It was stopped before its first checkpoint, and its place is free now.
    assert submit().startswith(
        f".venv/bin/sdnet-pl fit --config a.yaml --run_dir {tmp_path}/my run --trainer.num_nodes"
    )
    assert not (tmp_path / "my run").exists()
    assert len([*tmp_path.glob("my run.stopped-*/config.yaml")]) == 1
    (tmp_path / "my run").mkdir()
    torch.save({"optimizer_states": [{"step": torch.zeros(100)}]}, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    files = {"hpc_ckpt_1.ckpt": whole, "last.ckpt": whole, "hpc_ckpt_2.ckpt": whole[:300], "hpc_ckpt_3.ckpt": b""}
    for time, (name, content) in enumerate(files.items()):
        (tmp_path / "my run" / name).write_bytes(content)
        os.utime(tmp_path / "my run" / name, (time, time))
    assert f"--ckpt_path {tmp_path}/my run/last.ckpt " in submit()


@pytest.mark.parametrize(("status", "requeued"), [(0, ""), (138, "requeue 7\n"), (143, ""), (1, "")])
def test_a_job_of_slurm_comes_again_if_its_time_was_up(tmp_path: Path, status: int, requeued: str):
    """`srun` ends as the fit would: with 138 after the signal that announces the end, with 143 if it is cancelled."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, content in (("srun", f"exit {status}"), ("scontrol", 'echo "$@"'), (".venv/bin/python", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{content}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_ID": "7"}
    variables = {**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ["bash", str(EXPERIMENTS / "base/slurm.sh"), str(tmp_path / "run")]
    result = subprocess.run(script, capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (status, requeued)


def test_every_table_has_its_rows():
    assert {row for rows in reproduce.ROWS.values() for row in rows} == {path.stem for path in PAPER}


def quick(config: Path, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **network: object) -> list[str]:
    """The command line of a fit of two samples, run in ``folder``, after what the Makefile puts before the config.

    With ``network``, a smaller one is trained, in single precision, which CPUs without bfloat16 compute faster.
    """
    (folder / "experiments/weights").mkdir(parents=True)
    (folder / "experiments/weights/arms.txt").write_text("00\n03\n")  # names of these people, not of the real ones
    monkeypatch.chdir(folder)
    weights = EXPERIMENTS / "weights" / "sdnet-fast.yaml"
    files, more = [config], [f"--data.root={root}", f"--run_dir={folder / 'run'}"]
    if config.parent == weights.parent and config != weights:
        files = [weights, config.with_stem(config.stem.removesuffix("-trimap")), config]
        more += ["--model.compile=false", "--trainer.strategy=auto", "--trainer.devices=1"]
    if config.parent.name == "ablations":
        files = [weights, config]
    settings = yaml.safe_load(files[-2 if len(files) > 1 else 0].read_text()).get("model", {})
    built = (settings.get("network") or {}) | network
    if network:
        more += [f"--model.network={json.dumps(built)}", "--trainer.precision=32-true"]
    for key in {"weights", "first_pass"} & yaml.safe_load(config.read_text()).get("model", {}).keys():
        more.append(f"--model.{key}={untrained(folder, settings['preset'], built)}")
    small = ["--data.size=64", "--data.batch_size=2", "--data.samples_per_epoch=2", "--data.workers=0"]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    return ["fit", *(f"--config={file}" for file in files), *more, *small, *limits, "--trainer.accelerator=cpu"]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_it_is_composed(
    config: Path, recipe_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: Compose
):
    composed = compose(quick(config, recipe_root, tmp_path, monkeypatch))
    asked = yaml.safe_load(config.read_text())
    for key in ("preset", "trimap", "optimizer"):
        assert composed.model.hparams[key] == asked.get("model", {}).get(key, composed.model.hparams[key])
    assert asked["data"].get("validation", {}).keys() <= composed.datamodule.validation.keys()
    check_data(composed.datamodule)


# The others are trained in tests of their own: cutouts.yaml in tests/lit, scale.yaml in tests/experiments.
@pytest.mark.parametrize(
    "config", ["quickstart/synthetic.yaml", pytest.param("weights/sdnet-fast-trimap.yaml", marks=pytest.mark.slow)]
)
def test_a_step_of(config: str, recipe_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert main(quick(EXPERIMENTS / config, recipe_root, tmp_path, monkeypatch, **SMALL)) == 0
    assert (tmp_path / "run" / "metrics.md").is_file()


def test_every_config_is_named_in_the_list():
    text = (EXPERIMENTS / "README.md").read_text()
    for path in EXPERIMENTS.rglob("*.yaml"):
        assert f"`{path.relative_to(EXPERIMENTS)}`" in text
        assert path.read_text().startswith("# ")  # says what it is for
        assert isinstance(yaml.safe_load(path.read_text()), dict)
