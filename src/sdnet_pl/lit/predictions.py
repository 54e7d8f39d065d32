"""What ``sdnet-pl predict`` writes: the alphas of photos."""

import hashlib
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from sdnet_pl.data.files import as_file
from sdnet_pl.data.image_io import sha256, write_png
from sdnet_pl.data.provenance import found_nobody, job_hash, mark, require_ours, was_made_of
from sdnet_pl.errors import InputError
from sdnet_pl.inference.predictor import nobody_found, shows_nobody
from sdnet_pl.lit.module import SDNetModule


class PredictionWriter(BasePredictionWriter):
    """Writes each predicted alpha as ``predictions/NAME.png`` in the run's directory, 8 bits, at the photo's size.

    What an earlier run wrote there of the same photo with the same weights is kept and not predicted again. At the end
    the photos that cannot be read and those in which nobody was found are listed on stderr.

    Attributes:
        unreadable: Why a photo cannot be read, by its name.
        nobody: The photos without people.
        kept: How many predictions existed already.

    Raises:
        InputError: a file is there that this package did not write, or of another photo or other weights.
    """

    def __init__(self) -> None:
        super().__init__("batch")
        self.unreadable: dict[str, str] = {}
        self.nobody: list[str] = []
        self.kept = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the data module leave out photos that are predicted already."""
        if stage == "predict":
            assert isinstance(pl_module, SDNetModule)
            self.module, self.folder = pl_module, Path(trainer.default_root_dir) / "predictions"
            self.photos, self.nobody, self.kept = dict(pl_module.data.predicted.files), [], 0
            pl_module.data.predicted.is_done = self._is_done

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait until every process knows what is done: none writes before."""
        trainer.strategy.barrier()  # no process writes before all know what is done

    def write_on_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, prediction: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Write an alpha as ``predictions/NAME.png``, or note why the photo cannot be read."""
        if "unreadable" in prediction:
            self.unreadable[prediction["name"]] = prediction["unreadable"]
            return
        name, alpha = prediction["name"], np.rint(255 * prediction["alpha"]).astype(np.uint8)
        nobody = shows_nobody(alpha)
        if nobody:
            self.nobody.append(str(self.photos[name]))
        write_png(self._target(name), alpha, texts=mark(self._job(name), nobody))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """List on stderr the photos that cannot be read."""
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(parts, (self.unreadable, self.nobody))
            self.unreadable = {name: reason for part, _ in parts for name, reason in part.items()}
            self.nobody = [name for _, part in parts for name in part]
        if trainer.is_global_zero:
            for reason in self.unreadable.values():
                print(reason, file=sys.stderr)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say on stderr how many predictions existed already, and in which photos nobody was found."""
        if stage != "predict" or not trainer.is_global_zero:
            return
        # Here, since a run with nothing left to do has no end.
        if self.kept:
            print(f"sdnet-pl: {self.kept} predictions of the same photos existed already", file=sys.stderr)
        nobody = list(dict.fromkeys(self.nobody))  # a process may get another's photo to keep step
        if nobody:
            print(f"sdnet-pl: {nobody_found(nobody)}", file=sys.stderr)

    def _target(self, name: str) -> Path:
        return as_file(self.folder / f"{name}.png")

    def _job(self, name: str) -> str:
        return job_hash(sha256(self.photos[name]), self._weights, self.module.prediction_size)

    @cached_property
    def _weights(self) -> str:
        """Their digest, whichever file they are from."""
        digest = hashlib.sha256()
        for key, value in self.module.model.state_dict().items():
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _is_done(self, name: str) -> bool:
        target = self._target(name)
        require_ours(target)
        if target.exists() and not was_made_of(target, self._job(name)):
            raise InputError(
                f"{target} exists already, of a photo that has changed or with other weights; name another --run_dir."
            )
        if target.exists():
            self.kept += 1
            if found_nobody(target):
                self.nobody.append(str(self.photos[name]))
        return target.exists()
