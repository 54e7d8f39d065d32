"""Runs a W&B sweep file without W&B: one trial after the other, each in a run directory of its own.

Optuna chooses what ``bayes`` and ``random`` leave open. A sweep that was stopped resumes: finished trials count, and
the one that was running continues from its last checkpoint. A trial that fails does not stop the others; the next call
tries it again.
"""

import csv
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sdnet_pl.data.files import only_one, read_text
from sdnet_pl.errors import InputError
from sdnet_pl.launch.fits import finish

BAD_INPUT = 2  # exit status of sdnet-pl
FAILED = "failed"
METHODS = ("grid", "random", "bayes")


def read_sweep(file: Path) -> dict[str, Any]:
    """A sweep file, with the parts that are needed here.

    Raises:
        InputError: It cannot be read, lacks a part, or runs something else than `sdnet-pl fit`.
    """
    try:
        sweep = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML ({' '.join(str(error).split())}); correct it.") from None
    if not isinstance(sweep, dict) or not isinstance(sweep.get("command"), list):
        raise InputError(f"{file} has no command; a sweep file names it: command: [sdnet-pl, fit, ..., ${{args}}].")
    if sweep["command"][:2] != ["sdnet-pl", "fit"]:
        raise InputError(f"{file} has an unsupported command; only [sdnet-pl, fit, ..., ${{args}}] can run here.")
    if sweep.get("method") not in METHODS:
        raise InputError(f"{file} has the method {sweep.get('method')!r}; choose one of {', '.join(METHODS)}.")
    metric, parameters = sweep.get("metric"), sweep.get("parameters")
    if not isinstance(metric, dict) or "name" not in metric or metric.get("goal") not in ("minimize", "maximize"):
        raise InputError(f"{file} has no metric with a name and a goal; add metric: {{name: val/mad, goal: minimize}}.")
    if not isinstance(parameters, dict) or not all(isinstance(spec, dict) for spec in parameters.values()):
        raise InputError(f"{file} has no parameters; name options of fit there, as model.lr: {{values: [1e-3, 2e-3]}}.")
    for name, spec in parameters.items():
        limits = [spec.get("min"), spec.get("max")]
        ranged = all(isinstance(limit, int | float) for limit in limits) and sweep["method"] != "grid"
        if not (ranged or "value" in spec or isinstance(spec.get("values"), list)):
            raise InputError(
                f"{file} gives {name} no value; a grid takes value or values, random and bayes take min and max too, "
                "which are numbers (YAML reads 1e-4 as a word, and 1.0e-4 as a number)."
            )
    return sweep


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
    for part in sweep["command"][2:]:  # after `sdnet-pl fit`
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
        InputError: Another process runs this sweep, the first trial is refused as bad input, or as :func:`read_sweep`,
            :func:`run_trial` and :func:`suggest`.
    """
    sweep = read_sweep(file)
    folder = root / file.stem
    with only_one(folder, f"{folder} belongs to a sweep that is running; wait for it, or name another --root."):
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

    done = sum(trial.state == TrialState.COMPLETE for trial in begun)
    turns = itertools.count(done + 1)

    def objective(trial: optuna.Trial) -> float:
        chosen = {key: suggest(trial, key, spec) for key, spec in open_.items()}
        values = ", ".join(f"{key} {value}" for key, value in chosen.items())
        print(f"Trial {next(turns)} of {trials}: {values}", file=sys.stderr)
        text = json.dumps(chosen, sort_keys=True)
        try:
            return run_trial(sweep, chosen, folder / hashlib.sha256(text.encode()).hexdigest()[:12])
        except subprocess.CalledProcessError as error:
            if error.returncode == BAD_INPUT and not study.get_trials(states=[TrialState.COMPLETE]):
                raise InputError(
                    "The first trial was refused, for the reason printed above, as the others would be; fix it and run "
                    "the same command again."
                ) from None
            raise

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a failed trial has said why, and the table lists it
    study.optimize(objective, n_trials=max(0, trials - done), catch=(subprocess.CalledProcessError,))
    finished = study.get_trials(states=[TrialState.COMPLETE])
    finished.sort(key=lambda trial: trial.value or 0.0, reverse=direction == "maximize")
    rows: list[dict[str, Any]] = [{name: float(trial.value or 0.0), **trial.params} for trial in finished]
    for trial in study.get_trials(states=[TrialState.FAIL]):
        if not any(trial.params.items() <= row.items() for row in rows):
            rows.append({name: FAILED, **trial.params})
    return rows
