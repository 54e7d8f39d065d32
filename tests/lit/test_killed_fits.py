"""Fits that are killed at any moment and resumed: they end, bit for bit, where one ends that nobody stopped.

What a checkpoint holds for this: the weights and their average, the state of the optimiser and of the schedule, and how
many batches were trained on. Samples with all their augmentation are functions of the seed and their number, and what a
batch draws on the device is one of its samples' seed: no generator's state has to be kept.
"""

import csv
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from sdnet_pl.cli import main
from sdnet_pl.cli.lightning import SDNetCLI
from sdnet_pl.inference.weights import newest_checkpoint
from tests import forked

pytestmark = pytest.mark.usefixtures("blank_figures")

MOMENTS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_zero_grad",
    "on_train_batch_end",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_save_checkpoint",
    "on_train_epoch_end",
    "on_test_batch_start",
)
FILES = ("open", "os.rename", "os.remove", "os.link", "os.mkdir")
# Crops of two sizes, a warm-up, a checkpoint within every epoch. No cosine: its steps depend on the planned length.
SETTINGS = (
    "--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging",
    "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint",
    "--trainer.callbacks.filename=last-steps",
    "--trainer.callbacks.every_n_train_steps=3",
    "--trainer.max_epochs=2",
    "--model.warmup_steps=6",
    "--model.optimizer=muon",
    "--data.size=96",
    "--data.growing_sizes={1: 64}",
    "--data.degradation=0.5",
    "--trainer.limit_val_batches=2",
    "--trainer.limit_test_batches=1",
    "--trainer.num_sanity_val_steps=0",
)


class Moments(Callback):
    """Counts what a fit does, by kind and in all; sends its process a signal before one of these.

    Kinds are hooks of Lightning, changes of files, and checkpoints half of which is written (``half``).
    """

    def __init__(self, kind: str | None, number: int, signal: int = signal.SIGKILL) -> None:
        self.fatal, self.number, self.signal = kind, number, signal
        self.counts: dict[str | None, int] = {}
        for hook in MOMENTS:
            setattr(self, hook, lambda *_, kind=hook, **__: self.count(kind))

    def count(self, kind: str) -> None:
        for name in (kind, None):
            self.counts[name] = self.counts.get(name, 0) + 1
            if name == self.fatal and self.counts[name] == self.number:
                os.kill(os.getpid(), self.signal)

    def watch(self, run: Path) -> None:
        """Count in this process, which cannot be undone."""
        instantiate = SDNetCLI.instantiate_trainer

        def with_moments(cli: SDNetCLI, **options: Any) -> Trainer:
            trainer = instantiate(cli, **options)
            trainer.callbacks.insert(0, self)  # type: ignore[attr-defined]
            return trainer

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event not in FILES:
                return
            writes = event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes and str(arguments[0]).startswith(str(run)):
                self.count(event)

        def in_halves(path: Path, content: memoryview) -> None:
            with path.open("wb") as stream:
                stream.write(content[: len(content) // 2])
                stream.flush()
                self.count("half" if path.suffix == ".ckpt" else "half of another file")
                stream.write(content[len(content) // 2 :])

        SDNetCLI.instantiate_trainer = with_moments  # type: ignore[assignment, method-assign]
        Path.write_bytes = in_halves  # type: ignore[assignment, method-assign]
        sys.addaudithook(audit)


@dataclass
class Fits:
    """Starts of one fit after another, each in processes of its own, in a directory on another disk than TMPDIR."""

    arguments: Callable[..., list[str]]
    run: Path
    processes: int = 1

    def start(self, kind: str | None = None, number: int = 0, signal: int = signal.SIGKILL, rank: int = 0) -> list[int]:
        """Begin, or resume from the newest checkpoint; gives the exit statuses."""
        newest = newest_checkpoint(self.run)
        if newest is None and self.run.exists():
            shutil.rmtree(self.run)
        more = [*SETTINGS, f"--trainer.callbacks.dirpath={self.run}", f"--trainer.devices={self.processes}"]
        more += ["--trainer.strategy=ddp"] if self.processes > 1 else []
        more += [f"--ckpt_path={newest}"] if newest else []

        def work() -> int:
            own = int(os.environ.get("LOCAL_RANK", 0)) == rank
            moments = Moments(kind, number if own else 0, signal)
            moments.watch(self.run)
            status = main(self.arguments(self.run, *more))
            if own:
                (self.run.parent / "moments").write_text(str(moments.counts[None]))
            return status

        statuses = forked.run(work, self.processes, die_together=True)
        for checkpoint in self.run.glob("[!.]*.ckpt"):  # none is ever half a file
            read(checkpoint)
        return statuses


@pytest.fixture
def fits(tiny_fit: Callable[..., list[str]], tmp_path: Path) -> Iterator[Callable[..., Fits]]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield lambda name, processes=1: Fits(tiny_fit, Path(folder) / name, processes)


def check_equal(one: Any, other: Any, place: str) -> None:
    assert type(one) is type(other), place
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
    if isinstance(one, dict | list | tuple):
        for key in one if isinstance(one, dict) else range(len(one)):
            check_equal(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    else:
        assert one == other, place


def read(checkpoint: Path) -> dict[str, Any]:
    """By the pickle of Python, which takes a tenth of the time of the safe one."""
    held: dict[str, Any] = torch.load(checkpoint, weights_only=False)
    return held


def check_same_end(run: Path, whole: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        one, other = read(run / name), read(whole / name)
        for held in (one, other):
            del held["callbacks"]  # with places of files
        check_equal(one, other, name)
    assert (run / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def test_a_fit_that_was_stopped_and_killed_ends_as_one_that_was_not(fits: Callable[..., Fits]):
    whole, parts = fits("whole"), fits("parts")
    assert whole.start() == [0]
    assert parts.start("on_after_backward", 2, signal.SIGTERM) == [128 + signal.SIGTERM]
    assert read(parts.run / "last.ckpt")["global_step"] == 2
    # The first epoch's last.ckpt is half written, after the one of the third step and best.ckpt.
    assert parts.start("half", 3) == [-signal.SIGKILL]
    steps = [read(parts.run / f"{name}.ckpt")["global_step"] for name in ("last", "last-steps", "best")]
    assert steps == [2, 3, 4]
    assert parts.start() == [0]
    check_same_end(parts.run, whole.run)
    # The config and the log of every start are there; a killed one may lack its last steps.
    assert {"config.yaml", "config-2.yaml", "config-3.yaml"} <= {path.name for path in parts.run.iterdir()}
    logs = [csv.DictReader(log.open()) for log in sorted(parts.run.glob("logs/version_*/metrics.csv"))]
    first, *_, last = [{int(row["step"]) for row in log if row["train/total"]} for log in logs]
    assert (first, last) == ({0, 1}, {3, 4, 5, 6, 7})


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_fit_that_was_killed_twenty_times(fits: Callable[..., Fits], processes: int):
    """At moments that are drawn, over as many fits as that takes."""
    rng = np.random.default_rng(processes)
    whole = fits("whole", processes)
    assert whole.start() == [0] * processes
    moments = int((whole.run.parent / "moments").read_text())
    kills = 0
    while kills < 20:
        parts = fits("parts", processes)
        ended = False
        while not ended:
            statuses = parts.start(None, int(rng.integers(1, moments + 1)), rank=int(rng.integers(processes)))
            ended = statuses == [0] * processes
            assert ended or -signal.SIGKILL in statuses
            kills += not ended
        check_same_end(parts.run, whole.run)
        shutil.rmtree(parts.run)
