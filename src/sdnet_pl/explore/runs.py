"""What training runs left on the disk, as data frames."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from sdnet_pl.errors import InputError
from sdnet_pl.losses.distillation import EVERY_PAIR
from sdnet_pl.reporting.curves import log_files, read_series
from sdnet_pl.reporting.runs import find_results


def scores(places: Iterable[str | Path]) -> pd.DataFrame:
    """The scores of all runs and evaluations in folders and below.

    Args:
        places: Directories of runs, of ``test`` and of ``evaluate -o``, or directories above them.

    Returns:
        One row a network or method and benchmark: ``folder``, ``benchmark``, ``hash``, ``method``; how it was trained
        (``preset``, ``distillation``, ``trimap``, ``ampa``, ``seed``; missing for another method); and every score
        by its key (``mad_whole``), in the units of :mod:`sdnet_pl.metrics`. What could not be read is in
        ``frame.attrs["left"]``, a reason by directory.

    Raises:
        InputError: A place is missing or holds no run.
    """
    results, left = find_results(map(Path, places))
    rows = []
    for result in results:
        training = result.training or {}
        rows.append(
            {
                **{key: getattr(result, key) for key in ("folder", "benchmark", "hash", "method")},
                **{key: training.get(f"model.{key}") for key in ("preset", "distillation", "trimap")},
                "ampa": training["model.network"].get("ampa", True) if training else None,
                "seed": training.get("seed_everything"),
                **result.scores,
            }
        )
    frame = pd.DataFrame(rows)
    frame.attrs["left"] = {str(folder): reason for folder, reason in left.items()}
    return frame


def curves(run: str | Path) -> pd.DataFrame:
    """Every value that a run logged, over its optimiser steps.

    Args:
        run: Its directory.

    Returns:
        One row a step, one column a value (``train/total``, ``val/NAME/mad_whole``); missing where none was logged. Of
        a resumed run the later log counts.

    Raises:
        InputError: The run has no log.
    """
    files = log_files(Path(run) / "logs")
    if not files:
        raise InputError(f"{run} holds no logs/version_N/metrics.csv; give the directory that `sdnet-pl fit` wrote.")
    columns = {name: pd.Series(dict(points), dtype=float) for name, points in read_series(files).items()}
    return pd.DataFrame(columns).sort_index().rename_axis("step")


def cosine_curves(run: str | Path) -> pd.DataFrame:
    """The cosine of each teacher with each student over a training, on the training pictures of each step.

    Args:
        run: Its directory.

    Returns:
        One row a logged step, one column a pair, ``"2 → 3"``.

    Raises:
        InputError: The run logged no cosines, or as :func:`curves`.
    """
    log = curves(run)
    columns = {f"train/cosine_{teacher}_{student}": f"{teacher} → {student}" for teacher, student in EVERY_PAIR}
    for column in columns:
        if column not in log:
            raise InputError(f"{run} logged no {column}: it is of an older version; train it again.")
    return log[list(columns)].rename(columns=columns).dropna()


def last_cosines(runs: Mapping[str, str | Path], last: int = 10) -> pd.DataFrame:
    """The mean of :func:`cosine_curves` over the last logged steps.

    Args:
        runs: Directories of runs by their names in the table.
        last: How many logged steps.

    Returns:
        One row a run, one column a pair.
    """
    means = {name: cosine_curves(run).tail(last).mean() for name, run in runs.items()}
    return pd.DataFrame(means).T.rename_axis("training")
