"""Sweep files: their command lines run, and a sweep that was stopped resumes."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdnet_pl.cli import main
from sdnet_pl.errors import InputError
from sdnet_pl.launch import fits, sweep
from tests.conftest import SMALL

SWEEPS = sorted((Path(__file__).parents[2] / "experiments" / "sweeps").glob("*.yaml"))


def small(tmp_path: Path, method: str, **parameters: object) -> Path:
    """A sweep over fits that take seconds."""
    settings: dict[str, Any] = {"data.size": 64, "data.batch_size": 2, "data.samples_per_epoch": 2, "data.workers": 0}
    settings |= {"trainer.max_epochs": 1, "trainer.limit_val_batches": 1, "trainer.limit_test_batches": 1}
    settings |= {"model.network": json.dumps(SMALL)}
    command = ["sdnet-pl", "fit", "--model.preset=sdnet-tiny", *(f"--{k}={v}" for k, v in settings.items()), "${args}"]
    content = {
        "command": command,
        "method": method,
        "metric": {"name": "val/mad", "goal": "minimize"},
        "parameters": {"trainer.logger": {"value": "WandbLogger"}, **parameters},
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_the_command_line_of_a_sweep_is_composed(
    file: Path, recipe_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: Callable[[list[str]], Any]
):
    """As the W&B agent fills it in, with the first value of every parameter, and W&B offline."""
    content = yaml.safe_load(file.read_text())
    chosen = {
        k: s["value"] if "value" in s else s.get("values", [s.get("min")])[0] for k, s in content["parameters"].items()
    }
    monkeypatch.setenv("WANDB_MODE", "offline")
    shutil.copytree(SWEEPS[0].parents[1], tmp_path / "experiments", ignore=shutil.ignore_patterns("*.npz", "*.csv"))
    (tmp_path / "experiments/weights/arms.txt").write_text("00\n03\n")  # names of these people, not of the real ones
    monkeypatch.chdir(tmp_path)
    arguments = []
    for part in content["command"][1:]:
        arguments += [f"--{k}={v}" for k, v in chosen.items()] if part == "${args}" else [part]
    more = [f"--data.root={recipe_root}", f"--run_dir={tmp_path / 'run'}", "--trainer.accelerator=cpu"]
    composed = compose([*arguments, *more])
    for key, value in chosen.items():
        if key.startswith("model."):
            node = composed.model.hparams
            for part in key.split(".")[1:]:
                node = node[part]
            assert node == value
    assert [type(logger).__name__ for logger in composed.trainer.loggers] == ["RunLog", "WandbLogger"]


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_a_sweep_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = small(tmp_path, "grid", **{"model.distillation": {"values": ["none", "dense"]}})
    calls = []

    def stopped(command: list[str], **options: Any) -> None:
        calls.append(command)
        if len(calls) == 2:
            raise KeyboardInterrupt
        assert command[1:4] == ["-m", "sdnet_pl", "fit"]
        assert main(command[3:]) == 0  # in this process: another one would import for seconds

    monkeypatch.setattr(fits.subprocess, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep.run_sweep(file, tmp_path / "runs", 20)
    rows = sweep.run_sweep(file, tmp_path / "runs", 20)
    assert len(calls) == 3  # the first trial ran once, the second again
    assert {row["model.distillation"] for row in rows} == {"none", "dense"}
    assert [row["val/mad"] for row in rows] == sorted(row["val/mad"] for row in rows)
    assert sweep.run_sweep(file, tmp_path / "runs", 20) == rows
    assert len(calls) == 3


def test_a_sweep_ends_where_its_first_trial_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started = []

    def refused(run_dir: Path, arguments: list[str]) -> None:
        started.append(run_dir)
        raise subprocess.CalledProcessError(2, "fit")

    monkeypatch.setattr(sweep, "finish", refused)
    with pytest.raises(InputError, match="The first trial was refused, for the reason printed above"):
        sweep.run_sweep(SWEEPS[0], tmp_path / "runs", 20)
    assert len(started) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), subprocess.CalledProcessError(1, "fit")])
def test_every_combination_of_a_grid_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException):
    """Whichever was stopped or failed: it comes again, and no other in its place."""
    file, values = small(tmp_path, "grid", **{"model.aux_weight": {"values": [*range(8)]}}), []

    def trial(content: object, chosen: dict[str, int], folder: Path) -> float:
        values.append(chosen["model.aux_weight"])
        if len(values) == 3:
            raise error
        return values[-1]

    monkeypatch.setattr(sweep, "run_trial", trial)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            sweep.run_sweep(file, tmp_path / "runs", 20)
    else:
        assert sweep.run_sweep(file, tmp_path / "runs", 20)[-1] == {"val/mad": "failed", "model.aux_weight": 2}
        assert len(values) == 8
    rows = sweep.run_sweep(file, tmp_path / "runs", 20)
    assert [row["model.aux_weight"] for row in rows] == [*range(8)]
    assert len(values) == 9


def test_a_sweep_that_was_stopped_draws_no_value_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = small(tmp_path, "bayes", **{"model.lr": {"min": 0.0, "max": 1.0}})
    monkeypatch.setattr(sweep, "run_trial", lambda content, chosen, folder: chosen["model.lr"])
    for trials in (1, 2, 3):
        rows = sweep.run_sweep(file, tmp_path / "runs", trials)
    assert len({row["model.lr"] for row in rows}) == 3


def test_a_sweep_file_that_cannot_be_run_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    file = small(tmp_path, "grid", **{"model.distillation": {"values": ["dense"]}})
    content = yaml.safe_load(file.read_text())
    monkeypatch.setattr(sweep, "finish", lambda folder, arguments: None)
    for change, said in (
        ({}, "logged no 'val/mad'"),
        ({"command": ["${env}", "python", "${program}", "${args}"]}, "an unsupported command; only [sdnet-pl, fit"),
        ({"command": None}, "has no command"),
        ({"method": "bayes", "parameters": {"x": {"distribution": "normal", "min": 0, "max": 1}}}, "'normal'"),
        ({"method": "bayes", "parameters": {"model.lr": {"min": "1e-4", "max": 1.0}}}, "gives model.lr no value"),
        ({"parameters": {"model.lr": {"min": 0.1, "max": 1.0}}}, "gives model.lr no value"),
        ({"parameters": None}, "has no parameters"),
        ({"method": "hyperband"}, "the method 'hyperband'; choose one of grid, random, bayes"),
        ({"metric": {"name": "val/mad"}}, "no metric with a name and a goal"),
    ):
        file.write_text(yaml.safe_dump(content | change))
        assert main(["sweep", str(file), "--root", str(tmp_path / "runs")]) == 2
        assert said in capsys.readouterr().err
    file.write_text("command: [")
    assert main(["sweep", str(file)]) == 2
    assert f"{file} is not YAML" in capsys.readouterr().err
    assert main(["sweep", str(file), "--trials", "0"]) == 2
    assert "--trials is 0" in capsys.readouterr().err
    monkeypatch.setattr("sdnet_pl.cli.sweep.find_spec", lambda name: None)
    assert main(["sweep", str(file)]) == 2
    assert "pip install 'sdnet_pl[sweep]'" in capsys.readouterr().err


def test_the_command_prints_the_trials_the_best_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """A failed one comes last, with the exit status 1."""
    file = small(tmp_path, "grid", **{"model.aux_weight": {"values": [3, 1, 2]}})

    def trial(content: object, chosen: dict[str, int], folder: Path) -> float:
        if chosen["model.aux_weight"] == 3:
            raise subprocess.CalledProcessError(1, "fit")
        return chosen["model.aux_weight"]

    monkeypatch.setattr(sweep, "run_trial", trial)
    assert main(["sweep", str(file), "--root", str(tmp_path / "runs")]) == 1
    out, err = capsys.readouterr()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()[2:] if line]
    assert [row[1] for row in cells] == ["1", "2", "3"]
    assert cells[2][0] == "failed"
    assert "Trial 1 of 3: model.aux_weight 3" in err
    assert "a trial failed" in err


def test_a_sweep_runs_once_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = small(tmp_path, "grid", **{"model.distillation": {"values": ["dense"]}})
    monkeypatch.setattr(sweep, "run_trial", lambda *_: sweep.run_sweep(file, tmp_path / "runs", 20))
    with pytest.raises(InputError, match="belongs to a sweep that is running"):
        sweep.run_sweep(file, tmp_path / "runs", 20)


def test_a_bayesian_sweep_keeps_to_its_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lr = {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}
    file = small(tmp_path, "bayes", **{"model.lr": lr, "model.aux_weight": {"min": 0.5, "max": 1.5}})
    monkeypatch.setattr(sweep, "run_trial", lambda content, chosen, folder: abs(chosen["model.lr"] - 3e-3))
    rows = sweep.run_sweep(file, tmp_path / "runs", 25)
    assert len(rows) == 25
    assert all(1e-4 <= float(row["model.lr"]) <= 1e-2 and 0.5 <= float(row["model.aux_weight"]) <= 1.5 for row in rows)
    assert float(rows[0]["model.lr"]) == pytest.approx(3e-3, rel=0.3)  # it looks where it is good
    assert len(sweep.run_sweep(file, tmp_path / "runs", 26)) == 26
