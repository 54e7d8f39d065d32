"""SIGTERM in the middle of a fit: what is finished, what is saved, and that all processes end together."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.utils.data import DataLoader

from sdnet_pl.cli import main
from sdnet_pl.lit.checkpoints import LastCheckpoint, WholeFiles
from sdnet_pl.lit.module import SDNetModule
from sdnet_pl.lit.stopping import StopAfterBatch, StopSignals
from tests import forked

BATCHES = 4


class Signalled(LightningModule):
    """Notes what is done, and sends its process SIGTERM where it is told to: {(rank, what is done): how often}."""

    def __init__(self, folder: Path, moments: Mapping[tuple[int, str], int]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.folder, self.moments, self.done = folder, moments, list[str]()

    def _note(self, what: str) -> None:
        self.done.append(what)
        (self.folder / f"{self.global_rank}.json").write_text(json.dumps(self.done))
        for _ in range(self.moments.get((self.global_rank, what), 0)):
            os.kill(os.getpid(), signal.SIGTERM)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self._note(f"train {self.current_epoch}.{batch_idx}")
        return self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._note(f"validate {self.current_epoch}.{batch_idx}")

    def on_train_epoch_end(self) -> None:
        self._note(f"end {self.current_epoch}")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def batches(count: int) -> DataLoader[Tensor]:
    return DataLoader([torch.zeros(1)] * count)  # type: ignore[arg-type]


def fit(folder: Path, moments: Mapping[tuple[int, str], int], devices: int = 1, **settings: Any) -> bool:
    """Two epochs; gives whether they were stopped."""
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=2,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer._signal_connector = signals = StopSignals(trainer)
    trainer.callbacks += [StopAfterBatch(signals), LastCheckpoint(str(folder))]  # type: ignore[attr-defined]
    trainer.strategy.checkpoint_io = WholeFiles()
    try:
        trainer.fit(Signalled(folder, moments), batches(BATCHES * devices), batches(2 * devices))
    except SIGTERMException:
        return True
    finally:
        signals.restore()
    return False


def left(folder: Path, rank: int = 0) -> tuple[str, int]:
    """What was done last, and the step of the checkpoint."""
    done = json.loads((folder / f"{rank}.json").read_text())
    return done[-1], torch.load(folder / "last.ckpt", weights_only=True)["global_step"]


@pytest.mark.parametrize(
    ("moment", "settings", "expected"),
    [
        ("train 0.1", {}, ("train 0.1", 2)),
        ("train 1.0", {}, ("train 1.0", 5)),
        # The validation is finished that comes with the step, and so is the epoch.
        ("train 0.1", {"val_check_interval": 2}, ("validate 0.1", 2)),
        ("validate 0.0", {"val_check_interval": 2}, ("train 0.2", 3)),
        ("train 0.3", {}, ("end 0", 4)),
        ("validate 0.0", {}, ("end 0", 4)),
        ("validate 1.1", {}, ("end 1", 8)),
        # Gradients that add up over batches are in no checkpoint.
        ("train 0.0", {"accumulate_grad_batches": 3}, ("train 0.2", 1)),
    ],
)
def test_a_signal_ends_a_fit_after_the_step(
    tmp_path: Path, moment: str, settings: dict[str, Any], expected: tuple[str, int]
):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    assert fit(tmp_path, {(0, moment): 1}, **settings)
    assert left(tmp_path) == expected
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.mark.parametrize(
    "moments",
    [
        {(0, "train 0.1"): 1},
        {(1, "train 0.1"): 1},
        {(0, "train 0.1"): 1, (1, "train 0.1"): 1},
        {(1, "train 0.1"): 1, (0, "train 0.2"): 1},  # one is told before the other
        {(0, "validate 0.0"): 1, (1, "end 0"): 1},
    ],
    ids=["first", "second", "both", "in turn", "validation"],
)
def test_all_processes_of_a_run_end_after_the_same_step(tmp_path: Path, moments: dict[tuple[int, str], int]):
    assert forked.run(lambda: 7 if fit(tmp_path, moments, devices=2) else 0, count=2) == [7, 7]
    expected = ("end 0", 4) if (0, "validate 0.0") in moments else ("train 0.1", 2)
    assert left(tmp_path, rank=0) == left(tmp_path, rank=1) == expected


@pytest.mark.parametrize("moment", ["train 0.1", "validate 0.0"])
def test_a_second_signal_ends_a_process_at_once(tmp_path: Path, moment: str):
    assert forked.run(lambda: fit(tmp_path, {(0, moment): 2})) == [-signal.SIGTERM]
    assert json.loads((tmp_path / "0.json").read_text())[-1] == moment
    assert not (tmp_path / "last.ckpt").exists()


def test_a_signal_outside_of_a_fit_ends_the_process(tmp_path: Path):
    """There is nothing to save."""

    def validate() -> None:
        trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        trainer._signal_connector = StopSignals(trainer)
        trainer.validate(Signalled(tmp_path, {(0, "validate 0.0"): 1}), batches(2), verbose=False)

    assert forked.run(validate) == [-signal.SIGTERM]


def test_the_command_says_how_to_resume_and_exits_as_the_signal_does(
    tiny_fit: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    blank_figures: None,
):
    """A signal between training and test counts too: the test, which nothing asks in, does not begin."""
    monkeypatch.setattr(SDNetModule, "on_train_end", lambda self: os.kill(os.getpid(), signal.SIGUSR1), raising=False)
    run = tmp_path / "run"
    assert main(tiny_fit(run, "--trainer.limit_train_batches=1")) == 128 + signal.SIGUSR1
    assert f"stopped by SIGUSR1; --ckpt_path {run / 'last.ckpt'} resumes" in capsys.readouterr().err
    assert (run / "last.ckpt").exists()
    assert not (run / "metrics.csv").exists()


SIGNALLED = """
import os, signal, sys
from sdnet_pl.cli import main
from sdnet_pl.lit import SDNetModule

def told(self):
    if self.trainer.is_global_zero and self.global_step == 0:
        for _ in range(int(os.environ["TIMES"])):
            os.kill(os.getpid(), signal.SIGTERM)

SDNetModule.on_after_backward = told
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("times", "status"), [(1, 128 + signal.SIGTERM), (2, -signal.SIGTERM)])
def test_the_processes_that_a_fit_has_started_end_with_it(
    tiny_fit: Callable[..., list[str]], tmp_path: Path, times: int, status: int
):
    """Both hold the pipe that is read to its end here."""
    (tmp_path / "script.py").write_text(SIGNALLED)
    run = tmp_path / "run"
    fit = tiny_fit(run, "--trainer.strategy=ddp", "--trainer.devices=2")
    command = [sys.executable, str(tmp_path / "script.py"), *fit]
    environment = {**os.environ, "TIMES": str(times)}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert result.returncode == status, result.stdout
    assert [path.name for path in run.glob("*.ckpt")] == ["last.ckpt"] * (times == 1)
