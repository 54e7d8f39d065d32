"""What runs and evaluations have left on the disk: their scores, and what a run was trained with."""

import csv
import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf.errors import OmegaConfBaseException

from sdnet_pl.data.listing import walk
from sdnet_pl.errors import InputError
from sdnet_pl.reporting.saved_config import read_config
from sdnet_pl.reporting.tables import CONSTANT, NETWORK, scores_of

# What two trainings may differ in and still be one training with two seeds: where it ran and what it showed.
INCIDENTAL = re.compile(
    r"(seed_everything|run_dir|ckpt_path|weights_only|data\.(seed|root|workers|cache|check|test|predict)|checkpoint\.dirpath"
    r"|trainer\.(logger|default_root_dir|enable_progress_bar|enable_model_summary|log_every_n_steps)|model\.compile|divergence"
    r")(\.|$)"
)

# What every training did before it could be told otherwise.
FORMER = {"data.color_jitter": 0.8, "data.mirror": 0.5, "data.background_blur": 0.25}

MODEL_KEYS = ("preset", "network", "trimap", "distillation")


class Result(NamedTuple):
    """The scores of one network or method on one benchmark.

    Attributes:
        folder: Where they lie.
        benchmark: Name of the benchmark.
        hash: Its hash, or "partial".
        method: "network", or the method that was evaluated.
        scores: By the keys of ``METRIC_LABELS``, in the units of the functionals.
        training: The config that the network was trained with, its keys joined by dots; none for another method.
        origin: Where the network was trained; None for another method.
    """

    folder: Path
    benchmark: str
    hash: str
    method: str
    scores: Mapping[str, float]
    training: Mapping[str, Any] | None
    origin: Path | None

    @property
    def seeds(self) -> tuple[Any, Any]:
        """Seed of the network and of its samples."""
        training = self.training or {}
        seed, samples = training.get("seed_everything"), training.get("data.seed")
        return seed, seed if samples is None else samples

    @property
    def setting(self) -> dict[str, Any]:
        """What makes the training another one, and not another seed of the same."""
        return {key: value for key, value in (self.training or {}).items() if not INCIDENTAL.match(key)}


def find_results(places: Iterable[Path]) -> tuple[list[Result], dict[Path, str]]:
    """All results in folders and below; those of a training come before those of a later ``test``.

    Args:
        places: Directories of runs or of ``evaluate -o``, or directories above such.

    Returns:
        The results; and the directories that give none, each with the reason.

    Raises:
        InputError: A place is missing or holds no run.
    """
    folders: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise InputError(f"{place} is not a directory; give those of runs, or one above them.")
        files = walk(place, hidden=True).files
        found = {file.parent for file in files if file.name == "metrics.csv" or file.match("config*.yaml")}
        found = {folder for folder in found if _scores_here(folder) or (folder / "config.yaml").exists()}
        if not found:
            raise InputError(
                f"{place} holds no run: neither a config.yaml nor a metrics.csv with scores is in it or below; give "
                "the directories that `sdnet-pl fit`, `test` or `evaluate -o` wrote."
            )
        for folder in sorted(found):
            folders.setdefault(folder.resolve(), folder)
    results, left = [], {}
    for folder in folders.values():
        if not _scores_here(folder):
            left[folder] = "there is no metrics.csv: it has not been scored"
            continue
        try:
            results += _read(folder)
        except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException) as error:
            left[folder] = f"its config.yaml or metrics.csv cannot be read ({' '.join(str(error).split())})"
        except InputError as error:
            left[folder] = str(error)
    return sorted(results, key=lambda result: (result.origin != result.folder, str(result.folder))), left


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a config by their path, ``model.lr``; lists are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        leaves |= flatten(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return leaves


def _scores_here(folder: Path) -> bool:
    file = folder / "metrics.csv"
    # A logger of Lightning has a metrics.csv too.
    return file.is_file() and file.read_bytes().startswith(b"benchmark,hash,")


def _read(folder: Path) -> list[Result]:
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] != CONSTANT]
    training, origin = _training(folder) if any(row["method"] == NETWORK for row in rows) else (None, None)
    return [
        Result(
            folder,
            row["benchmark"],
            row["hash"],
            row["method"],
            scores_of(row),
            training if row["method"] == NETWORK else None,
            origin if row["method"] == NETWORK else None,
        )
        for row in rows
    ]


def _training(folder: Path) -> tuple[dict[str, Any], Path]:
    """The config of the training whose scores a folder holds, and where it ran.

    The config of a ``test`` says how it scored; how the network was trained is in the config beside its checkpoint.
    """
    configs = _configs(folder)
    if not configs:
        raise InputError("there is no config.yaml that says how its network was trained")
    fits, origin = [config for config in configs if not _evaluates(config)], folder
    if not fits:
        weights = str(configs[-1].get("ckpt_path") or configs[-1]["model"].get("weights"))
        if not weights.endswith(".ckpt"):
            raise InputError(f"it scored {weights}, which does not say how it was trained")
        origin = _run_of(Path(weights), folder)
        fits = [config for config in _configs(origin) if not _evaluates(config)]
        if not fits:
            raise InputError(
                f"it scored {weights}, and there is no config.yaml of a training beside that (seen from {Path.cwd()})"
            )
    for config in fits[:-1]:
        if _arguments(config) != _arguments(fits[-1]):
            raise InputError("it was resumed with other settings of the model")
    config = fits[-1]
    missing = [key for key in MODEL_KEYS if key not in config["model"]]
    if missing:
        raise InputError(f"its config.yaml has no model.{missing[0]}")
    # The arguments of a network are one setting, whichever of them are given.
    model = {f"model.{key}": value for key, value in config["model"].items()}
    rest = FORMER | flatten({key: value for key, value in config.items() if key != "model"})
    derived = {
        "model.network": model["model.network"] or {},
        "samples a step": _samples_a_step(rest),
        "averaged weights": _averaging(rest),
        "data.growing_sizes": config.get("data", {}).get("growing_sizes") or {},
        # Without photos to draw from none is drawn.
        "data.photo": rest.get("data.photo") if rest.get("data.photos") else 0.0,
    }
    return rest | model | derived, origin


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the model: a resumed run's checkpoint says of a preset's own network that nothing is changed."""
    return {**config["model"], "network": config["model"].get("network") or {}}


def _run_of(checkpoint: Path, folder: Path) -> Path:
    """The directory of a checkpoint, also where it was moved together with what lies around it.

    Args:
        checkpoint: Where it was.
        folder: What was scored with it, as it lies now.
    """
    if checkpoint.exists():
        return checkpoint.parent
    parts = checkpoint.parts
    for start in range(1, len(parts) - 1):  # the longest way first
        for above in folder.resolve().parents:
            if (moved := above.joinpath(*parts[start:])).exists():
                return moved.parent
    return checkpoint.parent


def _samples_a_step(config: Mapping[str, Any]) -> Any:
    """Over all processes and accumulated batches, if they are numbers; ``auto`` counts as one process."""
    keys = ("data.batch_size", "trainer.accumulate_grad_batches", "trainer.devices", "trainer.num_nodes")
    factors = (str(config.get(key)) for key in keys)
    return prod(int(factor) for factor in factors if factor.isdecimal())


def _averaging(config: Mapping[str, Any]) -> str | None:
    """The callback that averages weights over the training, if there is one."""
    callbacks = config.get("trainer.callbacks")
    named = [str(callback.get("class_path")) for callback in callbacks or () if isinstance(callback, dict)]
    return next((name.rpartition(".")[2] for name in named if name.endswith("WeightAveraging")), None)


def _configs(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("config*.yaml"), key=lambda file: (len(file.name), file.name))
    return [read_config(file) for file in files]


def _evaluates(config: Mapping[str, Any]) -> bool:
    return "verbose" in config  # an argument of `test` and `validate`, and not of `fit`
