"""Training steps whose loss or gradient is not finite: skipped, kept for ``sdnet-pl replay``, and the end of a run."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.data.files import write_bytes, write_text
from sdnet_pl.errors import InputError
from sdnet_pl.reporting.saved_config import newest_config
from sdnet_pl.version import __version__


class Divergence(Callback):
    """Skips training steps whose loss or gradient is not finite, in every process alike.

    A step that is skipped leaves weights, optimiser and BatchNorm's running statistics as they were; the learning rate
    moves on. The run's directory gets ``bad-batch-STEP.json`` with its samples, which ``sdnet-pl replay`` computes
    again, and ``bad-batch-STEP.ckpt`` with the weights; steps that are skipped in a row have the same weights.

    In fp16 a gradient that overflows because the loss is scaled up is no divergence: the scaler skips that step itself.

    Logs ``train/gradient_norm``, before clipping, and ``train/skipped_steps``.

    Args:
        patience: Skipped steps in a row after which the training stops.
    """

    def __init__(self, patience: int = 10) -> None:
        if patience < 1:
            raise ValueError(f"divergence.patience is {patience}; it must be at least 1")
        self.patience = patience
        self.in_a_row = 0
        self.weights: str | None = None  # the file of those that the steps in a row began with
        self.batches: list[dict[str, Tensor]] = []  # of the step: numbers and seeds of the samples, and the loss

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Find what the forward pass changes: BatchNorm's running statistics and counters."""
        self.batches, self.in_a_row = [], 0
        buffers = list(pl_module.buffers())
        # Lists of one dtype are copied by one kernel.
        self.buffers = [[b for b in buffers if b.dtype == dtype] for dtype in {b.dtype for b in buffers}]
        self.before = [[b.clone() for b in group] for group in self.buffers]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Forget what an epoch that was broken off had accumulated."""
        self.batches = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: TrainingBatch, batch_idx: int) -> None:
        """Keep the samples' numbers, and before the first batch of a step the buffers."""
        if not self.batches:
            self._copy(self.before, self.buffers)
        self.batches.append({"numbers": batch["number"], "seeds": batch["seed"]})

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Keep the loss; comparing it now would wait for the device."""
        self.batches[-1]["loss"] = loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Skip the step if a loss or a gradient of any process is not finite.

        Raises:
            InputError: ``patience`` steps in a row were skipped.
        """
        norm = torch.nn.utils.get_total_norm([p.grad for p in pl_module.parameters() if p.grad is not None])
        *losses, gradient = torch.stack([b["loss"] for b in self.batches if "loss" in b] + [norm]).isfinite().tolist()
        bad = not all(losses) or (not gradient and not _scaled(trainer))
        if trainer.strategy.reduce_boolean_decision(bad, all=False):
            self._skip(trainer, pl_module, float(norm))
        elif gradient:
            self.in_a_row = 0
        self.batches = []
        pl_module.log("train/gradient_norm", norm)
        pl_module.log("train/skipped_steps", float(pl_module.skipped_steps))

    def _skip(self, trainer: Trainer, module: Any, norm: float) -> None:
        module.zero_grad(set_to_none=True)  # an optimiser leaves parameters without a gradient as they are
        self._copy(self.buffers, self.before)
        module.skipped_steps += 1
        self.in_a_row += 1
        own = [{"process": trainer.global_rank, **_plain(batch)} for batch in self.batches]
        parts: list[Any] = [own]
        if trainer.world_size > 1:
            parts = [None] * trainer.world_size
            torch.distributed.all_gather_object(parts, own)
        step, folder = trainer.global_step, Path(trainer.default_root_dir)
        file = folder / f"bad-batch-{step:06d}.json"
        if trainer.is_global_zero:
            broken = [name for name, value in module.state_dict().items() if not value.isfinite().all()]
            if self.in_a_row == 1:
                self.weights = (
                    None if broken else _keep_weights(module, file.with_suffix(".ckpt"), trainer.current_epoch)
                )
            record = {
                "sdnet_pl": __version__,
                "step": step,
                "epoch": trainer.current_epoch,
                "seed": module.data.seed,
                "precision": str(trainer.precision),
                "config": getattr(newest_config(folder), "name", None),
                "weights": self.weights,
                "weights_not_finite": broken[:5],
                "gradient_norm": str(norm),
                "batches": [batch for part in parts for batch in part],
            }
            write_text(file, json.dumps(record, indent=1) + "\n")
        command = f"sdnet-pl replay {quote(str(file))}"
        rank_zero_warn(
            f"A loss or gradient is not finite: step {step} is skipped; `{command}` shows what is not finite."
        )
        if self.in_a_row >= self.patience:
            raise InputError(
                f"Training has diverged: {self.in_a_row} steps in a row, up to step {step}, had a loss or gradient "
                f"that is not finite; `{command}` shows what. Resume from the run's last.ckpt with a lower model.lr or "
                "with trainer.gradient_clip_val 1 (divergence.patience: how many such steps end a run)."
            )

    @staticmethod
    def _copy(to: list[list[Tensor]], source: list[list[Tensor]]) -> None:
        with torch.no_grad():
            for one, other in zip(to, source, strict=True):
                torch._foreach_copy_(one, other)


def _scaled(trainer: Trainer) -> bool:
    """Whether an overflow may come of the loss being scaled up, which fp16's scaler mends by scaling less."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler is not None and scaler.get_scale() > 1


def _plain(batch: Mapping[str, Tensor]) -> dict[str, Any]:
    finite = "loss" not in batch or bool(batch["loss"].isfinite())
    return {"numbers": batch["numbers"].tolist(), "seeds": batch["seeds"].tolist(), "loss_is_finite": finite}


def _keep_weights(module: Any, file: Path, epoch: int) -> str:
    """Write what the step began with, as the checkpoint of a run without its training state; the file's name."""
    buffer = BytesIO()
    held = {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "training_size": module.data.size_in_epoch(epoch),
        "licence": module.licence,
    }
    torch.save(held, buffer)
    write_bytes(file, buffer.getbuffer())
    return file.name
