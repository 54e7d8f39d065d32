"""Which checkpoints a run keeps under which name, and that none is ever half a file."""

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from sdnet_pl.lit.checkpoints import BestCheckpoint, LastCheckpoint, WholeFiles
from tests import forked


class Scripted(LightningModule):
    """Scores what it is told to, one value an epoch of one step."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores, self.weight = scores, torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor) -> Tensor:
        return self.weight.sum()

    def validation_step(self, batch: Tensor) -> None:
        self.log("val/mad", self.scores[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path | str, scores: Sequence[float], resume: str | None = None, **settings: Any) -> BestCheckpoint:
    options: dict[str, Any] = {"monitor": "val/mad", "filename": "best", "enable_version_counter": False, **settings}
    best = BestCheckpoint(str(folder), **options)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=len(scores),
        callbacks=[best, LastCheckpoint(str(folder))],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.strategy.checkpoint_io = WholeFiles()
    loader: DataLoader[Tensor] = DataLoader([torch.zeros(1)])  # type: ignore[arg-type]
    trainer.fit(Scripted(scores), loader, loader, ckpt_path=resume)
    return best


def steps(folder: Path) -> dict[str, int]:
    """The step of every checkpoint by its name."""
    return {f.stem: torch.load(f, weights_only=True)["global_step"] for f in folder.iterdir()}


@pytest.mark.parametrize(
    ("scores", "settings", "kept"),
    [
        ([3, 1, 2, 4], {}, {"best": 2}),
        ([3, 1, 2, 4], {"save_top_k": 3}, {"best": 2, "step-0000001": 1, "step-0000003": 3}),
        ([1, 2, 3, 4], {"save_top_k": 3}, {"best": 1, "step-0000002": 2, "step-0000003": 3}),
        ([4, 3, 2, 1], {"save_top_k": 2}, {"best": 4, "step-0000003": 3}),
        ([3, 1, 2], {"save_top_k": -1}, {"best": 2, "step-0000001": 1, "step-0000003": 3}),
        ([1, 3, 2], {"save_top_k": 2, "mode": "max"}, {"best": 2, "step-0000003": 3}),
        ([1, 1, 1, 0], {"save_top_k": 2}, {"best": 4, "step-0000002": 2}),
        ([float("nan"), 2, float("nan"), 1], {"save_top_k": 3}, {"best": 4, "step-0000002": 2, "step-0000003": 3}),
        ([3, 1, 2], {"save_top_k": 0}, {}),
        ([3, 1, 2], {"save_top_k": -1, "filename": "{epoch}"}, {"epoch=0": 1, "epoch=1": 2, "epoch=2": 3}),
        ([3, 1, 2], {"save_top_k": 2, "filename": "mine"}, {"mine": 2, "step-0000003": 3}),
    ],
)
def test_the_best_one_has_the_name_however_many_are_kept(
    tmp_path: Path, scores: list[float], settings: dict[str, Any], kept: dict[str, int]
):
    best = fit(tmp_path, scores, **settings)
    assert steps(tmp_path) == {**kept, "last": len(scores)}
    assert {Path(path).stem for path in best.best_k_models} == kept.keys()
    if settings.get("filename", "best") == "best" and kept:
        assert best.best_model_path == str(tmp_path / "best.ckpt")


@pytest.mark.parametrize("moved", [False, True])
def test_a_resumed_run_knows_its_best_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool):
    """From another working directory, or after its directory was moved."""
    run = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    fit("run", [3, 1, 2], save_top_k=2)
    if moved:
        run = run.rename(tmp_path / "other")
    best = fit(run, [3, 1, 2, 5, 4], str(run / "last.ckpt"), save_top_k=2)
    assert steps(run) == {"best": 2, "step-0000003": 3, "last": 5}
    assert best.best_model_path == str(run / "best.ckpt")
    fit(run, [3, 1, 2, 5, 4, 0], str(run / "last.ckpt"), save_top_k=2)
    assert steps(run) == {"best": 6, "step-0000002": 2, "last": 6}


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"save_top_k": 2}, {"save_top_k": 1}, {"best": 2, "step-0000003": 3}),
        ({"save_top_k": -1}, {"save_top_k": 2}, {"best": 2, "step-0000001": 1, "step-0000004": 4}),
        ({"save_top_k": 1}, {"save_top_k": 2}, {"best": 2, "step-0000004": 4}),
        ({}, {"every_n_epochs": 2}, {"best": 2}),
        ({"every_n_epochs": 2}, {"every_n_train_steps": 1}, {"best": 2}),
        ({}, {"train_time_interval": timedelta(0)}, {"best": 2}),
    ],
)
def test_a_run_resumed_with_other_settings_keeps_its_best_one(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], kept: dict[str, int]
):
    """What is no longer among the best is left on the disk when the fit resumes."""
    fit(tmp_path, [3, 1, 2], **before)
    best = fit(tmp_path, [3, 1, 2, 1.5], str(tmp_path / "last.ckpt"), **after)
    assert steps(tmp_path) == {**kept, "last": 4}
    assert best.best_model_path == str(tmp_path / "best.ckpt")
    fit(tmp_path, [3, 1, 2, 1.5, 0.5, 0.2], str(tmp_path / "last.ckpt"), **after)
    assert steps(tmp_path)["best"] == 6


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_best_one_of_another_score_is_kept_under_another_name(tmp_path: Path, weights_only: bool):
    options: dict[str, Any] = {"save_weights_only": weights_only}
    fit(tmp_path, [3, 1, 2], **options)
    with pytest.warns(UserWarning, match=r"best\.ckpt does not say how it .*mode max.* kept as best-earlier\.ckpt"):
        best = fit(tmp_path, [3, 1, 2, 4], str(tmp_path / "last.ckpt"), mode="max", **options)
    assert steps(tmp_path) == {"best-earlier": 2, "best": 4, "last": 4}
    assert best.best_model_path == str(tmp_path / "best.ckpt")
    fit(tmp_path, [3, 1, 2, 4, 2], str(tmp_path / "last.ckpt"), mode="max", **options)
    assert steps(tmp_path) == {"best-earlier": 2, "best": 4, "last": 5}
    (tmp_path / "best.ckpt").write_bytes(b"damaged")
    fit(tmp_path, [3, 1, 2, 4, 2, 1], str(tmp_path / "last.ckpt"), mode="max", **options)
    assert (tmp_path / "best-earlier-2.ckpt").read_bytes() == b"damaged"
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 6


@pytest.mark.parametrize(
    ("save_top_k", "kept"), [(1, {}), (2, {"step-0000003": 3}), (-1, {f"step-000000{n}": n for n in (1, 3)})]
)
def test_a_run_resumed_from_an_older_checkpoint_keeps_its_best_one(
    tmp_path: Path, save_top_k: int, kept: dict[str, int]
):
    """As where a kill comes between best.ckpt and last.ckpt."""
    fit(tmp_path / "older", [3], save_top_k=save_top_k)
    fit(tmp_path / "run", [3, 1, 2], save_top_k=save_top_k)
    older = (tmp_path / "older/last.ckpt").rename(tmp_path / "run/last.ckpt")
    best = fit(tmp_path / "run", [3, 1, 2], str(older), save_top_k=save_top_k)
    assert steps(tmp_path / "run") == {"best": 2, **kept, "last": 3}
    assert best.best_model_path == str(tmp_path / "run/best.ckpt")


def test_a_fit_that_resumes_elsewhere_leaves_the_first_directory_alone(tmp_path: Path):
    fit(tmp_path / "one", [1, 2], save_top_k=2)
    before = {file: file.read_bytes() for file in (tmp_path / "one").iterdir()}
    best = fit(tmp_path / "two", [1, 2, 3], str(tmp_path / "one/last.ckpt"), save_top_k=2)
    assert {file: file.read_bytes() for file in (tmp_path / "one").iterdir()} == before
    assert best.best_model_path == str(tmp_path / "two/best.ckpt")
    assert steps(tmp_path / "two") == {"best": 3, "last": 3}


def test_an_older_run_goes_on_with_its_best_one(tmp_path: Path):
    """Lightning's own callback wrote its checkpoints, or one that was keyed like it."""
    fit(tmp_path, [3, 1, 2])
    for file in tmp_path.iterdir():
        held = torch.load(file, weights_only=True)
        (key,) = (key for key in held["callbacks"] if "val/mad" in key)
        state = held["callbacks"].pop(key)
        del state["best_step"]
        every = "'every_n_train_steps': 0, 'every_n_epochs': 1, 'train_time_interval': None"
        held["callbacks"][f"ModelCheckpoint{{'monitor': 'val/mad', 'mode': 'min', {every}}}"] = state
        torch.save(held, file)
    fit(tmp_path, [3, 1, 2, 4], str(tmp_path / "last.ckpt"))
    assert steps(tmp_path) == {"best": 2, "last": 4}


def test_a_checkpoint_of_an_exception_is_not_the_best_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(self: Scripted, batch: Tensor) -> Tensor:
        if self.global_step == 2:
            raise ZeroDivisionError
        return self.weight.sum()

    monkeypatch.setattr(Scripted, "training_step", fails)
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, [1, 2, 3], save_on_exception=True)
    assert steps(tmp_path) == {"best": 1, "last": 2, "exception-step=2": 2}


def save_and_be_killed(target: Path) -> None:
    def half(self: Path, content: bytes) -> None:
        os.write(os.open(self, os.O_CREAT | os.O_WRONLY), bytes(content)[:100])
        os.kill(os.getpid(), signal.SIGKILL)

    tempfile.tempdir = str(target.parent / "nowhere")
    WholeFiles().save_checkpoint({"global_step": 1}, target)
    Path.write_bytes = half  # type: ignore[assignment, method-assign]
    WholeFiles().save_checkpoint({"global_step": 2, "more": torch.zeros(1000)}, target)


def test_a_kill_while_saving_leaves_the_checkpoint_of_before(tmp_path: Path):
    """Whatever file system TMPDIR is on: nothing is staged there."""
    process = get_context("fork").Process(target=save_and_be_killed, args=(tmp_path / "last.ckpt",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (left,) = (file for file in tmp_path.iterdir() if file.name.startswith("."))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 1
    fit(tmp_path, [1])
    assert not left.exists()  # the next fit clears it away
    assert {file.name for file in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_full_disk_is_named_and_costs_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    WholeFiles().save_checkpoint({"global_step": 1}, tmp_path / "last.ckpt")

    def full(self: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*last\.ckpt'"):
        WholeFiles().save_checkpoint({"global_step": 2}, tmp_path / "last.ckpt")
    assert steps(tmp_path) == {"last": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_fit_on_a_full_disk_says_so_and_keeps_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The system refuses to let the file grow, as a full disk does."""
    import resource

    def fills(self: Scripted) -> None:
        if self.current_epoch == 1:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    def work() -> None:
        with pytest.raises(OSError, match=rf"File too large: '{tmp_path}/best\.ckpt'"):
            fit(tmp_path, [2, 1])

    monkeypatch.setattr(Scripted, "on_train_epoch_start", fills)
    assert forked.run(work) == [0]
    assert steps(tmp_path) == {"best": 1, "last": 1}
