"""What a run leaves beside its checkpoints: its config, panels, curves and tables."""

import platform
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

from sdnet_pl.data.batches import EvaluationBatch, TrainingBatch
from sdnet_pl.data.benchmarks import Benchmark
from sdnet_pl.data.files import write_text
from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.sources.base import Image
from sdnet_pl.lit.loggers import log_histogram, log_pictures, log_table
from sdnet_pl.lit.module import SDNetModule
from sdnet_pl.reporting.curves import curves_figure, log_files, read_series
from sdnet_pl.reporting.image_scores import (
    ERROR,
    ERROR_LABEL,
    ERROR_SCALE,
    ImageScores,
    histogram_figure,
    strip,
    worst_figure,
)
from sdnet_pl.reporting.panels import PanelRow, panel_figure, reduced, to_array, write_figure
from sdnet_pl.reporting.saved_config import dump, resolved, saved
from sdnet_pl.reporting.tables import Row, image_rows, score_rows, to_csv, to_markdown
from sdnet_pl.version import __version__

if sys.platform != "win32":  # where Python lacks it
    import resource


# What computes the samples and the steps of a run: other versions need not repeat it.
VERSIONS = ("lightning", "torch", "albumentations", "kornia", "numpy", "opencv-python-headless", "pillow")


class SaveRunConfig(SaveConfigCallback):
    """Writes the config with its references into the run's directory, and its values to every logger.

    A second command in the same directory (a resumed fit) adds a file of its own.

    Args:
        parser: The command's parser.
        config: The config that runs.
        given: The config to save: without the places that belong to this run.
        files: The config files that were given.
    """

    def __init__(
        self, parser: LightningArgumentParser, config: Namespace, given: Namespace, files: Sequence[str]
    ) -> None:
        super().__init__(parser, given, save_to_log_dir=False)
        self.files = files

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write ``config.yaml``, or ``config-N.yaml`` beside an earlier one, and tell the loggers its values."""
        config = saved(yaml.safe_load(self.parser.dump(self.config, skip_unset=False)), self.files)
        path = Path(trainer.default_root_dir) / "config.yaml"
        number = 1
        while path.exists():
            number += 1
            path = path.with_name(f"config-{number}.yaml")
        versions = [f"Python {platform.python_version()}", f"sdnet_pl {__version__}"]
        versions += [f"{name} {version(name)}" for name in VERSIONS]
        write_text(path, f"# {', '.join(versions)}\n{dump(config)}")
        for logger in trainer.loggers:
            logger.log_hyperparams(resolved(config))


SHOWN = 320  # pixels of a photo's longer side, about those that a panel has for it


class Panels(Callback):
    """Shows the network at work on a few pictures of the first benchmark, after every validation and at the test.

    The pictures are spread evenly over the benchmark and stay the same, so that panels can be compared over time.

    ``panels/step-N.png`` in the run's directory after a validation, ``panel.png`` after a test; W&B and TensorBoard
    get the same picture as ``val/panel`` and ``test/panel``.

    Args:
        count: Pictures in a panel.
    """

    def __init__(self, count: int = 4) -> None:
        if count < 1:
            raise ValueError(f"a panel shows at least one picture, got count={count}")
        self.count = count
        self.rows: list[PanelRow] = []
        self.indices: list[int] = []

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Keep the picture if it is among those shown."""
        self._collect(trainer, int(trainer.num_val_batches[0]), *args, **kwargs)

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Keep the picture if it is among those shown."""
        self._collect(trainer, int(trainer.num_test_batches[0]), *args, **kwargs)

    def _collect(
        self,
        trainer: Trainer,
        total: int,
        outputs: dict[str, Any],
        batch: EvaluationBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == 0 and batch_idx in {i * total // self.count for i in range(self.count)}:
            # A photo of many megapixels would take as many seconds to draw, after every validation.
            self.rows.append(reduced(_panel_row(outputs, batch), SHOWN))
            self.indices.append(_index(trainer, batch_idx))

    def on_validation_end(self, trainer: Trainer, pl_module: SDNetModule) -> None:  # type: ignore[override]
        """Draw the panel of this validation, except of the sanity check."""
        if not trainer.sanity_checking:
            benchmark = next(iter(pl_module.data.validation.values()))
            self._show(trainer, "val/panel", f"panels/step-{trainer.global_step:07d}.png", benchmark)
        self.rows, self.indices = [], []

    def on_test_end(self, trainer: Trainer, pl_module: SDNetModule) -> None:  # type: ignore[override]
        """Draw the panel of the test."""
        self._show(trainer, "test/panel", "panel.png", next(iter(pl_module.data.test.values())))
        self.rows, self.indices = [], []

    def _show(self, trainer: Trainer, key: str, file: str, benchmark: Benchmark) -> None:
        if not trainer.is_global_zero or not self.rows:
            return
        picture = to_array(panel_figure(self.rows))
        write_png(Path(trainer.default_root_dir) / file, picture, small=True)
        log_pictures(trainer, key, [("; ".join(map(benchmark.name, self.indices)), picture)])


class ErrorsOfImages(Callback):
    """Keeps the scores of every single picture, and shows which are the worst.

    After a validation the loggers get the histogram of the errors, and their median, 90th percentile and maximum as
    numbers. After a test ``images.csv``, ``errors.png`` and ``worst.png`` are in the run's directory; W&B and
    TensorBoard get the histogram and the worst pictures, W&B the table too.
    """

    def __init__(self) -> None:
        self.found: dict[int, ImageScores] = defaultdict(ImageScores)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Keep the picture's scores."""
        self._collect(trainer, *args, **kwargs)

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Keep the picture's scores, and its strip while it is among the worst."""
        self._collect(trainer, *args, **kwargs)

    def _collect(
        self,
        trainer: Trainer,
        outputs: dict[str, Any],
        batch: EvaluationBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if outputs["scores"] is None:  # padding
            return
        # Pictures are drawn for a test alone, so that validation costs nothing.
        draw = (lambda: strip(_panel_row(outputs, batch))) if trainer.testing else None
        self.found[dataloader_idx].add(_index(trainer, batch_idx), outputs["scores"], draw)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: SDNetModule) -> None:  # type: ignore[override]
        """Log median, 90th percentile, maximum and histogram of MAD for each benchmark."""
        for name, found in self._gather(trainer, pl_module.data.validation).items():
            values = dict(zip(("median", "p90", "max"), np.quantile(found.errors, (0.5, 0.9, 1)), strict=True))
            levels = {f"val/{name}/mad_whole_{key}": float(value) for key, value in values.items()}
            pl_module.log_dict(levels, sync_dist=True)  # as the other scores
            if trainer.is_global_zero and not trainer.sanity_checking:
                log_histogram(trainer, f"val/{name}/mad_whole_of_images", found.errors)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: SDNetModule) -> None:  # type: ignore[override]
        """Write ``images.csv``, ``errors.png`` and ``worst.png``, and log the tables."""
        benchmarks = pl_module.data.test
        gathered = self._gather(trainer, benchmarks)
        if not trainer.is_global_zero or not gathered:
            return
        rows: list[Row] = []
        worst: dict[str, list[tuple[str, Image]]] = {}
        for name, found in gathered.items():
            named = {index: benchmarks[name].name(index) for index in found.scores}
            rows += image_rows(name, ((named[index], values) for index, values in found.scores.items()))
            worst[name] = [
                (f"{named[index]}: {ERROR_LABEL} {ERROR_SCALE * found.scores[index][ERROR]:.4g}", found.strips[index])
                for index in found.worst_first[: len(found.strips)]
            ]
            log_histogram(trainer, f"test/{name}/mad_whole_of_images", found.errors)
            log_pictures(trainer, f"test/{name}/worst", worst[name])
            ranked = image_rows(name, ((named[index], found.scores[index]) for index in found.worst_first))
            log_table(trainer, f"test/{name}/per_image", ranked, [picture for _, picture in worst[name]])
        folder = Path(trainer.default_root_dir)
        write_text(folder / "images.csv", to_csv(rows))
        write_figure(folder / "errors.png", histogram_figure({n: f.errors for n, f in gathered.items()}))
        write_figure(folder / "worst.png", worst_figure(worst))

    def _gather(self, trainer: Trainer, benchmarks: Mapping[str, Benchmark]) -> dict[str, ImageScores]:
        """By benchmark, the pictures of all processes. Every process must call it."""
        own, self.found = self.found, defaultdict(ImageScores)
        parts: list[Any] = [own]
        if trainer.world_size > 1:
            parts = [None] * trainer.world_size
            torch.distributed.all_gather_object(parts, own)
        merged = {
            name: ImageScores.merged(part[number] for part in parts if number in part)
            for number, name in enumerate(benchmarks)
        }
        return {name: found for name, found in merged.items() if found.scores}


class Throughput(Callback):
    """Logs samples a second over all processes, validation left out, and the most memory that was taken, in GB.

    ``train/memory_gb`` is that of the main process without its loader processes, ``train/gpu_memory_gb`` what PyTorch
    held on its device.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count: a fit that is resumed in the middle of an epoch does not start that."""
        self.samples, self.start = 0, time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the count."""
        self.samples, self.start = 0, time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the count: a validation is not part of the throughput."""
        self.samples, self.start = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Log the mean since the count began."""
        self.samples += len(batch["alpha"]) * trainer.world_size
        values = {"samples_per_second": self.samples / (time.perf_counter() - self.start)}
        if sys.platform != "win32":
            unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
            values["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
        if pl_module.device.type == "cuda":
            values["gpu_memory_gb"] = torch.cuda.max_memory_reserved(pl_module.device) / 1e9
        pl_module.log_dict({f"train/{name}": value for name, value in values.items()})


class RunReport(Callback):
    """Writes ``curves.png`` when training ends, and ``metrics.csv``, ``metrics.md`` and the lists when a test ends."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw ``curves.png`` from the logs of all starts of the run."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        files = [file for logger in loggers for file in log_files(Path(logger.root_dir))]
        if trainer.is_global_zero and files:
            write_figure(Path(trainer.default_root_dir) / "curves.png", curves_figure(read_series(files)))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the scores, and a file for each benchmark with its hash and its list."""
        assert isinstance(pl_module, SDNetModule)
        if not trainer.is_global_zero:
            return
        benchmarks, rows = pl_module.data.test, test_rows(pl_module)
        log_table(trainer, "test/benchmarks", rows)
        folder = Path(trainer.default_root_dir)
        files = {"metrics.csv": to_csv(rows), "metrics.md": to_markdown(rows)}
        for name, benchmark in benchmarks.items():
            with suppress(OSError):  # a picture was lost since the start: nobody else could score that list
                files[f"benchmarks/{name}.yaml"] = yaml.safe_dump({"hash": benchmark.hash} | benchmark.description)
        for name, text in files.items():
            write_text(folder / name, text)
        print(files["metrics.md"])


def test_rows(module: SDNetModule) -> list[dict[str, str | float]]:
    """The table of the scores that the last test gave."""
    benchmarks = module.data.test
    scores = {name: module.scores[f"test/{name}"] for name in benchmarks}
    hashes = {
        # A part of a benchmark (limit_test_batches) is another benchmark.
        name: benchmark.hash if scores[name]["images"] == len(benchmark) else "partial"
        for name, benchmark in benchmarks.items()
    }
    return score_rows(scores, hashes, module.method)


def _panel_row(outputs: dict[str, Any], batch: EvaluationBatch) -> PanelRow:
    sides = {i: side[0].cpu() for i, side in outputs["side_alphas"].items()}
    return PanelRow(batch["image"][0].cpu(), outputs["alpha"][0].cpu(), batch["alpha"][0].cpu(), sides)


def _index(trainer: Trainer, batch_idx: int) -> int:
    """Of an evaluated picture in its benchmark: EvaluationSampler deals them out to the processes in turn."""
    return batch_idx * trainer.world_size + trainer.global_rank
