"""What the loggers of a run get besides numbers, each what it can show. Call it in the process of rank zero."""

import csv
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sdnet_pl.data.files import naming, write_text
from sdnet_pl.data.sources.base import Image
from sdnet_pl.reporting.tables import Row, to_csv, to_markdown


class RunLog(CSVLogger):
    """Lightning's CSVLogger, but in UTF-8: benchmark names may contain any character.

    Its errors name the file.
    """

    @rank_zero_only
    def save(self) -> None:
        """Write what was logged since the last time; a new value adds a column to the whole file."""
        log, keys = self.experiment, sorted({key for row in self.experiment.metrics for key in row})
        if not keys:
            return
        file, keys = Path(log.metrics_file_path), sorted({*log.metrics_keys, *keys})
        with naming(file):
            rows: list[Row] = []
            if keys != log.metrics_keys:  # a new value has a new column
                if file.exists():
                    with file.open(newline="", encoding="utf-8") as stream:
                        rows = [*csv.DictReader(stream)]
                write_text(file, to_csv([{key: row.get(key, "") for key in keys} for row in [*rows, *log.metrics]]))
            else:
                with file.open("a", newline="", encoding="utf-8") as stream:
                    csv.DictWriter(stream, keys, lineterminator="\n").writerows(log.metrics)
        log.metrics, log.metrics_keys = [], keys


def log_pictures(trainer: Trainer, key: str, pictures: Sequence[tuple[str, Image]]) -> None:
    """Pictures with a caption each under one key. TensorBoard has no captions."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            captions, arrays = zip(*pictures, strict=True)
            logger.log_image(key, same_size(arrays), step=trainer.global_step, caption=list(captions))
        elif isinstance(logger, TensorBoardLogger):
            for number, (_, picture) in enumerate(pictures, start=1):
                tag = key if len(pictures) == 1 else f"{key}/{number:02d}"
                logger.experiment.add_image(tag, picture, trainer.global_step, dataformats="HWC")


def same_size(pictures: Sequence[Image]) -> list[Image]:
    """Pictures with white to their right and below, up to a common size: W&B shows all of a list as it does the first.

    Args:
        pictures: uint8 ``[H, W, 3]`` each.
    """
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    return [
        np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures
    ]


def log_histogram(trainer: Trainer, key: str, values: Sequence[float]) -> None:
    """How often each value occurs."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            logger.log_metrics({key: wandb.Histogram(values)}, step=trainer.global_step)  # type: ignore[dict-item]
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_histogram(key, np.asarray(values), trainer.global_step)


def log_table(trainer: Trainer, key: str, rows: Sequence[Row], pictures: Sequence[Image] = ()) -> None:
    """A table: for W&B the first rows have the pictures in a last column, for TensorBoard it is text."""
    columns = list(rows[0])
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            data: list[list[Any]] = [[row.get(column) for column in columns] for row in rows]
            if pictures:
                for line, picture in zip_longest(data, pictures):
                    line.append(None if picture is None else wandb.Image(picture))
            logger.log_table(key, columns + ["picture"] * bool(pictures), data, step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(key, to_markdown(rows), trainer.global_step)


def log_model(trainer: Trainer, card: str, metadata: Mapping[str, Any], files: Sequence[Path]) -> None:
    """The model of a run as an artifact of W&B, named after the run, with its card as description."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            artifact = wandb.Artifact(
                f"model-{logger.experiment.id}", "model", description=card, metadata=dict(metadata)
            )
            for file in files:
                artifact.add_file(str(file))
            logger.experiment.log_artifact(artifact, aliases=["best"])
