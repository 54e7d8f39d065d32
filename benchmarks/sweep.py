"""Runs a W&B sweep file without W&B: one trial after the other, each in a run directory of its own.

Optuna chooses what ``bayes`` and ``random`` leave open. A sweep that was stopped goes on: finished trials count, and
the one that was running resumes from its last checkpoint. A trial that fails does not stop the others; the next call
tries it again.
"""

import argparse
import csv
import fcntl
import hashlib
import itertools
import json
import subprocess
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
from sdnet_pl.data.files import read_text
from sdnet_pl.errors import InputError
from sdnet_pl.reporting.tables import to_markdown

FAILED = "failed"


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
    """Runs what is left of the trial with these values; returns the best score that it logged.

    Raises:
        InputError: It logged no such score.
        subprocess.CalledProcessError: The fit failed.
    """
    name = sweep["metric"]["name"]
    constants = {key: spec["value"] for key, spec in sweep["parameters"].items() if "value" in spec}
    values = {key: value for key, value in {**constants, **chosen}.items() if not key.startswith("trainer.logger")}
    arguments: list[str] = []
    for part in sweep["command"][2:]:  # behind `sdnet-pl fit`
        arguments += [f"--{key}={value}" for key, value in values.items()] if part == "${args}" else [part]
    finish(folder, arguments)
    scores: list[float] = []
    logged: set[str] = set()
    for file in folder.glob("logs/version_*/metrics.csv"):
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                logged |= row.keys()
                scores += [float(row[name])] if row.get(name) else []
    if not scores:
        raise InputError(
            f"{folder} logged no {name!r}, the metric of the sweep; it logged {', '.join(sorted(logged))}."
        )
    return min(scores) if sweep["metric"]["goal"] == "minimize" else max(scores)


def run_sweep(file: Path, root: Path, trials: int) -> list[dict[str, Any]]:
    """Runs a sweep to its end, or to that number of trials; returns a row a trial, the best first and failed ones last.

    Raises:
        InputError: The sweep runs something else than `sdnet-pl fit`, or as :func:`run_trial` and :func:`suggest`.
    """
    sweep = yaml.safe_load(read_text(file))
    if sweep.get("command", [])[:2] != ["sdnet-pl", "fit"]:
        raise InputError(f"{file} has another command than [sdnet-pl, fit, ..., ${{args}}], which alone runs here.")
    folder = root / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder} belongs to a sweep that is running; wait for it, or name another --root."
            ) from None
        return _run(sweep, folder, trials)


def _run(sweep: Mapping[str, Any], folder: Path, trials: int) -> list[dict[str, Any]]:
    name = sweep["metric"]["name"]
    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    direction: Literal["minimize", "maximize"] = "maximize" if sweep["metric"]["goal"] == "maximize" else "minimize"
    study = optuna.create_study(storage=storage, study_name=folder.name, direction=direction, load_if_exists=True)
    begun = study.get_trials()
    for trial in begun:
        if trial.state == TrialState.RUNNING:  # its process was killed
            study.tell(trial.number, state=TrialState.FAIL)
    # Another seed than that of the earlier calls, whose values would come again.
    sampler = optuna.samplers.TPESampler if sweep["method"] == "bayes" else optuna.samplers.RandomSampler
    study.sampler = sampler(seed=len(begun))
    open_ = {key: spec for key, spec in sweep["parameters"].items() if "value" not in spec}
    wanted = [trial.params for trial in begun if trial.state in (TrialState.RUNNING, TrialState.FAIL)]
    if sweep["method"] == "grid":
        wanted = [
            dict(zip(open_, values, strict=True))
            for values in itertools.product(*(spec["values"] for spec in open_.values()))
        ]
        trials = len(wanted)
    settled = [t.params for t in begun if t.state == TrialState.COMPLETE]
    settled += [t.system_attrs["fixed_params"] for t in begun if t.state == TrialState.WAITING]
    for values in wanted:
        if values and values not in settled:
            study.enqueue_trial(values)
            settled.append(values)

    def objective(trial: optuna.Trial) -> float:
        chosen = {key: suggest(trial, key, spec) for key, spec in open_.items()}
        text = json.dumps(chosen, sort_keys=True)
        return run_trial(sweep, chosen, folder / hashlib.sha256(text.encode()).hexdigest()[:12])

    done = sum(trial.state == TrialState.COMPLETE for trial in begun)
    study.optimize(objective, n_trials=max(0, trials - done), catch=(subprocess.CalledProcessError,))
    finished = study.get_trials(states=[TrialState.COMPLETE])
    finished.sort(key=lambda trial: trial.value or 0.0, reverse=direction == "maximize")
    rows: list[dict[str, Any]] = [{name: float(trial.value or 0.0), **trial.params} for trial in finished]
    for trial in study.get_trials(states=[TrialState.FAIL]):
        if not any(trial.params.items() <= row.items() for row in rows):
            rows.append({name: FAILED, **trial.params})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("file", type=Path, help="a W&B sweep file, as in experiments/sweeps")
    parser.add_argument("--trials", type=positive, default=20, help="of bayes and random (default: %(default)s)")
    parser.add_argument("--root", type=Path, default=Path("runs/sweeps"), help="where the runs are kept")
    args = parser.parse_args(arguments)
    try:
        rows = run_sweep(args.file, args.root, args.trials)
    except InputError as error:
        parser.error(str(error))
    print(to_markdown(rows))
    if FAILED in (next(iter(row.values())) for row in rows):
        parser.exit(1, "A trial failed; the same command tries it again.\n")


if __name__ == "__main__":
    main()
