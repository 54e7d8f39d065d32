"""The checkpoints of a run: written whole or not at all, and ``best.ckpt`` is the best one, however many are kept."""

import os
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from sdnet_pl.data.files import write_bytes

_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.ckpt")


class WholeFiles(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning stages in TMPDIR, and from another file system it copies over the file that was good: a process that is
    killed meanwhile leaves half of one, or nothing.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint whole or not at all; other than on a disk, as Lightning does."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        buffer = BytesIO()  # on a full disk torch would not say so, nor where
        torch.save(checkpoint, buffer)
        write_bytes(path, buffer.getbuffer())

    def load_checkpoint(self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None) -> Any:
        """Read a checkpoint, never what a pickle would run, whatever ``weights_only`` says."""
        return super().load_checkpoint(path, map_location, weights_only=True)


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, but the file that ``filename`` names is always the best one, however many are kept.

    The others are called ``step-0000800.ckpt``. A ``filename`` with fields, such as ``{epoch}``, names all of them.
    """

    best_step: int | None = None

    @property
    def state_key(self) -> str:
        """Lightning's own, which the checkpoints of older versions hold."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        """Lightning's, and the step of the best checkpoint."""
        return {**super().state_dict(), "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A run that was moved, or whose directory is spelled another way, keeps its own best checkpoint."""
        assert self.dirpath is not None

        def here(path: str) -> str:
            return os.path.join(self.dirpath or "", os.path.basename(path)) if path else path

        self.best_step = state_dict.get("best_step")
        if state_dict["best_model_path"] and os.path.exists(here(state_dict["best_model_path"])):
            paths = ("best_model_path", "kth_best_model_path", "last_model_path")
            state_dict = {
                **state_dict,
                **{name: here(state_dict.get(name, "")) for name in paths},
                "best_k_models": {here(path): score for path, score in state_dict["best_k_models"].items()},
                "dirpath": self.dirpath,
            }
        super().load_state_dict(state_dict)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Also remove what a process killed while saving has left."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and trainer.is_global_zero and os.path.isdir(self.dirpath or ""):
            for file in Path(self.dirpath or "").iterdir():
                if _UNFINISHED.fullmatch(file.name):  # of a process that was killed while it saved
                    file.unlink()

    def format_checkpoint_name(
        self, metrics: dict[str, Tensor], filename: str | None = None, ver: int | None = None, prefix: str | None = None
    ) -> str:
        """The name of a checkpoint: ``filename`` for the best alone, ``step-N`` for others that are kept."""
        if (
            filename is None
            and prefix is None
            and self._shares_a_name()
            and not self._is_best(metrics.get(self.monitor or ""))
        ):
            filename = _own_name(int(metrics["step"]))
        name: str = super().format_checkpoint_name(metrics, filename, ver, prefix)
        return name

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Lightning's; what is to be kept and is the best takes the name of the one that was."""
        kept: bool = super().check_monitor_top_k(trainer, current)
        if kept and self._shares_a_name() and self._is_best(current):
            if self.best_model_path:
                self._rename_best(trainer)
            self.best_step = trainer.global_step
        return kept

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save under ``exception-step=N``, if the callback is told to save then."""
        filename, self.filename = self.filename, "exception-{step}"  # never the best one's
        try:
            super().on_exception(trainer, pl_module, exception)
        finally:
            self.filename = filename

    def _shares_a_name(self) -> bool:
        return self.save_top_k != 1 and self.filename is not None and "{" not in self.filename

    def _is_best(self, score: Tensor | None) -> bool:
        if score is None or self.best_model_score is None:
            return score is not None
        return bool(score < self.best_model_score if self.mode == "min" else score > self.best_model_score)

    def _rename_best(self, trainer: Trainer) -> None:
        old, name = self.best_model_path, _own_name(self.best_step)
        new = os.path.join(os.path.dirname(old), f"{name}{self.FILE_EXTENSION}")
        if trainer.is_global_zero and os.path.exists(old):
            with suppress(FileNotFoundError):
                os.unlink(new)
            try:
                os.link(old, new)  # the best one keeps its name until the next takes it
            except OSError:  # not on every file system
                os.replace(old, new)
        trainer.strategy.barrier()
        self.best_k_models = {new if path == old else path: score for path, score in self.best_k_models.items()}
        self.best_model_path = new
        if self.kth_best_model_path == old:
            self.kth_best_model_path = new


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt``, at the end of every epoch: ``save_last`` writes it only when a best one is written too.

    Also where a signal ends the fit in the middle of an epoch.
    """

    def __init__(self, dirpath: str) -> None:
        super().__init__(dirpath, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save if :mod:`sdnet_pl.lit.stopping` ends the fit, which it does after a whole step, and in all processes."""
        if isinstance(exception, SIGTERMException) and not self._should_skip_saving_checkpoint(trainer):
            trainer.save_checkpoint(os.path.join(str(self.dirpath), f"last{self.FILE_EXTENSION}"), weights_only=False)


def _own_name(step: int | None) -> str:
    return "step-earlier" if step is None else f"step-{step:07d}"
