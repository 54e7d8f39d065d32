"""The checkpoints of a run: written whole or not at all, and ``best.ckpt`` is the best one, however many are kept."""

import os
import re
from contextlib import suppress
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
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

    The others are called ``step-0000800.ckpt``. A ``filename`` with fields, such as ``{epoch}``, names all of them. A
    resumed fit replaces ``best.ckpt`` only by a better one; one of another score it keeps as ``best-earlier.ckpt``.
    """

    best_step: int | None = None

    @property
    def state_key(self) -> str:
        """What is compared and how: a resumed run may save at other intervals, and keeps its best one."""
        return str(self._generate_state_key(monitor=self.monitor, mode=self.mode))

    def state_dict(self) -> dict[str, Any]:
        """Lightning's, and the step of the best checkpoint."""
        return {**super().state_dict(), "best_step": self.best_step}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Find the state also in a checkpoint of an older version."""
        if (state := self._state_in(checkpoint)) is not None:
            checkpoint["callbacks"][self.state_key] = state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A run that was moved, or whose directory is spelled another way, keeps its own best checkpoint.

        If fewer are to be kept than were, the worst are no longer counted; their files stay.
        """
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
        if 0 < self.save_top_k <= len(self.best_k_models):
            scores = self.best_k_models
            kept = sorted(scores, key=lambda path: float(scores[path]), reverse=self.mode == "max")[: self.save_top_k]
            self.best_k_models = {path: scores[path] for path in kept}
            self.kth_best_model_path = kept[-1]
            self.kth_value = scores[kept[-1]]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the best checkpoint that is there; one that was not compared by the same score is renamed."""
        directory = str(self.dirpath)
        if trainer.fast_dev_run or not self.save_top_k or not self._has_one_name() or "://" in directory:  # type: ignore[attr-defined]
            return
        file = Path(directory, f"{self.filename}{self.FILE_EXTENSION}")
        exists, step, state = trainer.strategy.broadcast(
            self._look_into(file) if trainer.is_global_zero else (False, None, None)
        )
        is_known = self.best_model_path == str(file)
        if exists and state is not None:  # a resumed checkpoint that is older does not know it
            if not is_known or state["best_model_score"] != self.best_model_score:
                self.load_state_dict(state)
        elif not (exists and is_known and step is not None and step == self.best_step):
            self.best_k_models, self.best_model_score, self.best_step = {}, None, None
            self.best_model_path = self.kth_best_model_path = ""
            if exists:
                self._set_aside(trainer, file)

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
        if current is not None and trainer.global_step == self.best_step and current == self.best_model_score:
            return False  # it was saved before the fit was killed
        kept: bool = super().check_monitor_top_k(trainer, current)
        if kept and self._is_best(current):
            if self.best_model_path and self._shares_a_name():
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

    def _has_one_name(self) -> bool:
        return self.filename is not None and "{" not in self.filename

    def _shares_a_name(self) -> bool:
        return self.save_top_k != 1 and self._has_one_name()

    def _state_in(self, checkpoint: dict[str, Any]) -> dict[str, Any] | None:
        """This callback's state; older versions keyed it as Lightning does, with its intervals too."""
        states = checkpoint.get("callbacks", {})
        older = f"{ModelCheckpoint.__qualname__}{{'monitor': {self.monitor!r}, 'mode': {self.mode!r}, "
        found = [state for key, state in states.items() if str(key).startswith(older)]
        found.sort(key=lambda state: "best_step" in state)  # Lightning's own callbacks may be there too
        state: dict[str, Any] | None = states.get(self.state_key, found[-1] if found else None)
        return state

    def _look_into(self, file: Path) -> tuple[bool, int | None, dict[str, Any] | None]:
        """Whether the file exists, its step, and this callback's state in it."""
        if not file.exists():
            return False, None, None
        try:
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
            return True, held.get("global_step"), deepcopy(self._state_in(held))  # the map of the file is closed
        except Exception:  # damaged files make it raise nearly everything
            return True, None, None

    def _set_aside(self, trainer: Trainer, file: Path) -> None:
        if trainer.is_global_zero:
            number, aside = 1, file.with_stem(f"{file.stem}-earlier")
            while aside.exists():
                number += 1
                aside = file.with_stem(f"{file.stem}-earlier-{number}")
            file.rename(aside)
            rank_zero_warn(
                f"{file} does not say how it scored by {self.monitor} (mode {self.mode}), by which checkpoints are "
                f"compared now; it is kept as {aside.name}."
            )
        trainer.strategy.barrier()

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
