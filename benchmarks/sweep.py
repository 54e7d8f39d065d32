"""Runs a W&B sweep file without W&B: one trial after the other, each in a run directory of its own.

Optuna chooses what ``bayes`` and ``random`` leave open. A sweep that was stopped goes on: finished trials count, and
the one that was running resumes from its last checkpoint.
"""

import argparse
import csv
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks.fits import finish
from benchmarks.timing import positive
from sdnet_pl.errors import InputError
from sdnet_pl.reporting.tables import to_markdown

Parameters = Mapping[str, Mapping[str, Any]]


def suggest(trial: optuna.Trial, name: str, spec: Mapping[str, Any]) -> Any:
    """A value for one parameter of a sweep file.

    Raises:
        InputError: For a distribution that is not known here.
    """
    if "values" in spec:
        return trial.suggest_categorical(name, spec["values"])
    low, high = spec["min"], spec["max"]
    match spec.get("distribution", "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"):
        case "int_uniform":
            return trial.suggest_int(name, low, high)
        case "uniform":
            return trial.suggest_float(name, low, high)
        case "log_uniform_values":
            return trial.suggest_float(name, low, high, log=True)
        case other:
            raise InputError(f"{name} has the distribution {other!r}; take uniform, int_uniform or log_uniform_values.")


def run_trial(sweep: Mapping[str, Any], chosen: Mapping[str, Any], folder: Path) -> float:
    """Runs what is left of the trial with these values; returns the best score that it logged."""
    name = sweep["metric"]["name"]
    constants = {key: spec["value"] for key, spec in sweep["parameters"].items() if "value" in spec}
    values = {key: value for key, value in {**constants, **chosen}.items() if not key.startswith("trainer.logger")}
    arguments: list[str] = []
    for part in sweep["command"][2:]:  # behind `sdnet-pl fit`
        arguments += [f"--{key}={value}" for key, value in values.items()] if part == "${args}" else [part]
    finish(folder, arguments)
    scores = []
    for file in folder.glob("logs/version_*/metrics.csv"):
        with file.open() as stream:
            scores += [float(row[name]) for row in csv.DictReader(stream) if row.get(name)]
    return min(scores) if sweep["metric"]["goal"] == "minimize" else max(scores)


def run_sweep(file: Path, root: Path, trials: int) -> list[dict[str, str | float]]:
    """Runs a sweep to its end, or to that number of trials; returns a row a trial, the best first."""
    sweep = yaml.safe_load(file.read_text())
    folder = root / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    direction: Literal["minimize", "maximize"] = "maximize" if sweep["metric"]["goal"] == "maximize" else "minimize"
    sampler = (
        optuna.samplers.TPESampler(seed=0) if sweep["method"] == "bayes" else optuna.samplers.RandomSampler(seed=0)
    )
    study = optuna.create_study(
        storage=storage, sampler=sampler, study_name=file.stem, direction=direction, load_if_exists=True
    )
    for stopped in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(stopped.number, state=TrialState.FAIL)
        study.enqueue_trial(stopped.params)
    open_ = {key: spec for key, spec in sweep["parameters"].items() if "value" not in spec}
    if sweep["method"] == "grid":
        combinations = [
            dict(zip(open_, values, strict=True))
            for values in itertools.product(*(s["values"] for s in open_.values()))
        ]
        for combination in combinations:
            study.enqueue_trial(combination, skip_if_exists=True)
        trials = len(combinations)

    def objective(trial: optuna.Trial) -> float:
        chosen = {key: suggest(trial, key, spec) for key, spec in open_.items()}
        text = json.dumps(chosen, sort_keys=True)
        return run_trial(sweep, chosen, folder / hashlib.sha256(text.encode()).hexdigest()[:12])

    done = len(study.get_trials(states=[TrialState.COMPLETE]))
    study.optimize(objective, n_trials=max(0, trials - done))
    finished = study.get_trials(states=[TrialState.COMPLETE])
    finished.sort(key=lambda trial: trial.value or 0.0, reverse=direction == "maximize")
    return [{sweep["metric"]["name"]: float(trial.value or 0.0), **trial.params} for trial in finished]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("file", type=Path, help="a W&B sweep file, as in experiments/sweeps")
    parser.add_argument("--trials", type=positive, default=20, help="of bayes and random (default: %(default)s)")
    parser.add_argument("--root", type=Path, default=Path("runs/sweeps"), help="where the runs are kept")
    args = parser.parse_args(arguments)
    print(to_markdown(run_sweep(args.file, args.root, args.trials)))


if __name__ == "__main__":
    main()
