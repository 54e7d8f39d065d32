"""What ``sdnet-pl predict`` writes: what ``sdnet-pl matte`` does, out of as many processes as the trainer has."""

import hashlib
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from sdnet_pl.data.files import as_file
from sdnet_pl.data.photo import Photo
from sdnet_pl.data.provenance import found_nobody, require_ours, was_made_of
from sdnet_pl.data.written import check_side
from sdnet_pl.errors import InputError
from sdnet_pl.inference.batch import Cutter
from sdnet_pl.inference.jobs import Job, choose_format, job_options, number_of
from sdnet_pl.inference.predictor import nobody_found
from sdnet_pl.inference.rendering import Rendering, to_levels
from sdnet_pl.lit.module import SDNetModule


class PredictionWriter(BasePredictionWriter):
    """Writes ``predictions/NAME.png`` in the run's directory, the file that ``sdnet-pl matte --backend torch`` writes.

    What an earlier run wrote there of the same photo with the same options is kept and not predicted again. At the end
    the photos that cannot be read and those in which nobody was found are listed on stderr.

    Args:
        only_mask: Writes the alphas alone, as grey pictures, which ``sdnet-pl evaluate`` takes.
        background: What to show behind the people: a colour (a name or ``#rrggbb``), a picture, or ``blur``; empty:
            nothing.
        format: Of the files; WebP is lossless, and a JPEG needs a background or ``only_mask``.

    Attributes:
        unreadable: Why a photo cannot be read, by its name.
        nobody: The photos without people.
        kept: How many predictions existed already.

    Raises:
        InputError: the options do not go together, or a file is there that this package did not write, or of another
            photo or other options.
    """

    def __init__(
        self, only_mask: bool = False, background: str = "", format: Literal["png", "webp", "jpg"] = "png"
    ) -> None:
        super().__init__("batch")
        self.rendering = Rendering(only_mask, background or None)
        self.kind = choose_format(None, format, self.rendering.opaque)
        self.unreadable: dict[str, str] = {}
        self.nobody: list[str] = []
        self.kept = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the data module leave out photos that are predicted already."""
        if stage == "predict":
            assert isinstance(pl_module, SDNetModule)
            self.trainer, self.module = trainer, pl_module
            self.folder = Path(trainer.default_root_dir) / "predictions"
            self.photos, self.nobody, self.kept = dict(pl_module.data.predicted.files), [], 0
            pl_module.data.predicted.is_done = self._is_done

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait until every process knows what is done: none writes before."""
        trainer.strategy.barrier()  # no process writes before all know what is done

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Any,
        batch: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Write what is shown of a photo, or note why the photo cannot be read."""
        if batch["padding"]:
            return
        name = batch["name"]
        if "unreadable" in batch:
            self.unreadable[name] = batch["unreadable"]
            return
        photo = Photo(batch["photo"].cpu().numpy(), batch["metadata"], batch["sha256"])
        try:
            check_side(self.photos[name], photo.image.shape, self.kind)
        except InputError as error:
            self.unreadable[name] = str(error)
            return
        cutter = Cutter(self.module.predictor, self.rendering, self._options)
        if cutter.write(self._job(name), photo, to_levels(prediction["alpha"])):
            self.nobody.append(str(self.photos[name]))

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
        nobody = list(dict.fromkeys(self.nobody))  # each process knows of all that is done already
        if nobody:
            print(f"sdnet-pl: {nobody_found(nobody)}", file=sys.stderr)

    def _job(self, name: str) -> Job:
        return Job(self.photos[name], as_file(self.folder / f"{name}.{self.kind}"), self.kind)

    @cached_property
    def _options(self) -> tuple[object, ...]:
        source = self.trainer.ckpt_path or self.module.hparams.get("weights")
        size = None if self.module.training_size else self.module.prediction_size
        if source:
            return job_options(str(source), size, "torch", self.rendering)
        digest = hashlib.sha256()
        for key, value in self.module.model.state_dict().items():
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
        return (digest.hexdigest(), self.module.prediction_size, *self.rendering.options())

    def _is_done(self, name: str) -> bool:
        job = self._job(name)
        target = job.target
        require_ours(target)
        if not target.exists():
            return False
        try:
            same = was_made_of(target, number_of(job, self._options))
        except OSError:  # the photo is lost, which its turn will tell
            return False
        if not same:
            raise InputError(
                f"{target} exists already, of a photo that has changed or with other weights or options; name another "
                "--run_dir."
            )
        self.kept += 1
        if found_nobody(target):
            self.nobody.append(str(self.photos[name]))
        return True
