"""What ``sdnet-pl predict`` writes: what ``matte`` and ``video`` do, out of as many processes as the trainer has."""

import hashlib
import sys
from datetime import timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from sdnet_pl.data.files import as_file
from sdnet_pl.data.notes import is_whole
from sdnet_pl.data.parallel import usable_cores
from sdnet_pl.data.photo import Photo
from sdnet_pl.data.provenance import found_nobody, require_ours, was_made_of
from sdnet_pl.data.written import check_side
from sdnet_pl.errors import InputError
from sdnet_pl.inference.batch import Cutter, one_thread_each
from sdnet_pl.inference.jobs import Job, choose_format, job_options, number_of
from sdnet_pl.inference.predictor import nobody_found
from sdnet_pl.inference.rendering import Rendering, to_levels
from sdnet_pl.inference.video import jobs as video_jobs
from sdnet_pl.inference.video.pipeline import Done, Options, cut_out_video, render
from sdnet_pl.inference.video.provenance import is_of_job, is_own_video, require_own
from sdnet_pl.lit.module import SDNetModule

_LONGEST_WAIT = timedelta(days=365)
"""For the last process: a video may take hours more than those of the others, and a group waits half an hour."""


class PredictionWriter(BasePredictionWriter):
    """Writes ``predictions/NAME.png`` in the run's directory, the file that ``sdnet-pl matte --backend torch`` writes.

    Of a video it writes ``predictions/NAME_cutout.webm``, or with a background ``.mp4``, as ``sdnet-pl video`` does.

    What an earlier run wrote there of the same photo or video with the same options is kept and not predicted again,
    and a video that it had begun is continued. At the end the files that cannot be read and the photos in which nobody
    was found are listed on stderr.

    Args:
        only_mask: Writes of photos the alphas alone, as grey pictures, which ``sdnet-pl evaluate`` takes. A video keeps
            its colours beside its alpha.
        background: What to show behind the people: a colour (a name or ``#rrggbb``), a picture, or ``blur``; empty:
            nothing. In videos ``green`` is that of green screens.
        format: Of what is written from photos; WebP is lossless, and a JPEG needs a background or ``only_mask``.

    Attributes:
        unreadable: Why a photo or video cannot be read, by its file.
        nobody: The photos without people.
        kept: How many predictions of photos existed already.

    Raises:
        InputError: the options do not go together, or a file is there that this package did not write, or of another
            photo or other options.
    """

    def __init__(
        self, only_mask: bool = False, background: str = "", format: Literal["png", "webp", "jpg"] = "png"
    ) -> None:
        super().__init__("batch")
        self.rendering = Rendering(only_mask, background or None)
        self.video_rendering = render(background or None)
        self.kind = choose_format(None, format, self.rendering.opaque)
        self.unreadable: dict[Path, str] = {}
        self.nobody: list[str] = []
        self.kept = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the files to write, and let the data module leave out what is predicted already.

        Raises:
            InputError: The folder holds nothing but what this package wrote.
        """
        if stage != "predict":
            return
        assert isinstance(pl_module, SDNetModule)
        self.trainer, self.module = trainer, pl_module
        data, folder = pl_module.data.predicted, Path(trainer.default_root_dir) / "predictions"
        if data.videos != [data.path]:
            data.videos = [video for video in data.videos if not is_own_video(video)]
        if not len(data):
            raise data.nothing_found()
        photos = [Job(file, as_file(folder / f"{name}.{self.kind}"), self.kind) for name, file in data.files.items()]
        videos = video_jobs.plan_folder(data.videos, data.folder, folder, not self.video_rendering.opaque)
        self.photos, self.videos = {job.photo: job for job in photos}, {job.video: job for job in videos}
        self.nobody, self.written, self.kept = [], 0, 0
        self.videos_done: list[Done] = []
        self.videos_kept: list[video_jobs.Job] = []
        data.is_done = self._is_done

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait until every process knows what is done: none writes before."""
        trainer.strategy.barrier()
        if trainer.world_size > 1:
            self.group = torch.distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)

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
        """Write what is shown of a photo, or a whole video, or note why it cannot be read."""
        if batch["padding"]:
            return
        file = batch["file"]
        if file in self.videos:
            self._write_video(self.videos[file])
            return
        if "unreadable" in batch:
            self.unreadable[file] = batch["unreadable"]
            return
        photo = Photo(batch["photo"].cpu().numpy(), batch["metadata"], batch["sha256"])
        try:
            check_side(file, photo.image.shape, self.kind)
        except InputError as error:
            self.unreadable[file] = str(error)
            return
        cutter = Cutter(self.module.predictor, self.rendering, self._options)
        if cutter.write(self.photos[file], photo, to_levels(prediction["alpha"])):
            self.nobody.append(str(file))
        self.written += 1

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say on stderr what was written, and list the files that cannot be read."""
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            own = (self.unreadable, self.nobody, self.videos_done, self.written)
            torch.distributed.all_gather_object(parts, own, self.group)
            unreadable, nobody, videos, written = zip(*parts, strict=True)
            self.unreadable = {file: reason for part in unreadable for file, reason in part.items()}
            self.nobody, self.videos_done = list(chain(*nobody)), list(chain(*videos))
            self.written = sum(written)
        if trainer.is_global_zero:
            for said in (*self.unreadable.values(), *self.videos_done):
                print(said, file=sys.stderr)
            counts = {"photo(s)": self.written, "video(s)": len(self.videos_done)}
            made = " and ".join(f"{number} {kind}" for kind, number in counts.items() if number)
            print(f"sdnet-pl: {made or 'nothing'} written", file=sys.stderr)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say on stderr how many predictions existed already, and in which photos nobody was found."""
        if stage != "predict" or not trainer.is_global_zero:
            return
        # Here, since a run with nothing left to do has no end.
        if self.kept:
            print(f"sdnet-pl: {self.kept} prediction(s) of the same photos existed already", file=sys.stderr)
        for job in self.videos_kept:
            print(f"sdnet-pl: {job.target} existed already, of the same video", file=sys.stderr)
        nobody = list(dict.fromkeys(self.nobody))  # each process knows of all that is done already
        if nobody:
            print(f"sdnet-pl: {nobody_found(nobody)}", file=sys.stderr)

    def _write_video(self, job: video_jobs.Job) -> None:
        trainer = self.trainer
        options = Options(
            self.video_rendering,
            max(1, usable_cores() // trainer.num_devices),
            progress=trainer.is_global_zero and trainer.progress_bar_callback is not None,
        )
        try:
            number = video_jobs.number_of(job, self._video_options)
        except OSError:  # lost or closed, which opening it tells
            number = ""
        with one_thread_each():
            outcome = cut_out_video(job, number, self.module.predictor, options)
        if outcome.error:
            self.unreadable[job.video] = str(outcome.error)
        else:
            self.videos_done.append(outcome)

    @cached_property
    def _options(self) -> tuple[object, ...]:
        return self._options_of(self.rendering)

    @cached_property
    def _video_options(self) -> tuple[object, ...]:
        return self._options_of(self.video_rendering)

    def _options_of(self, rendering: Rendering) -> tuple[object, ...]:
        source = self.trainer.ckpt_path or self.module.hparams.get("weights")
        size = None if self.module.training_size else self.module.prediction_size
        if source:
            return job_options(str(source), size, "torch", rendering)
        digest = hashlib.sha256()
        for key, value in self.module.model.state_dict().items():
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
        return (digest.hexdigest(), self.module.prediction_size, *rendering.options())

    def _is_done(self, file: Path) -> bool:
        video = self.videos.get(file)
        target = video.target if video else self.photos[file].target
        (require_own if video else require_ours)(target)
        if not target.exists():
            return False
        try:
            if video:
                same = is_of_job(target, video_jobs.number_of(video, self._video_options))
            else:
                same = was_made_of(target, number_of(self.photos[file], self._options))
        except OSError:  # the file is lost, which its turn will tell
            return False
        if not same:
            raise InputError(
                f"{target} exists already, of a {'video' if video else 'photo'} that has changed or with other weights "
                "or options; name another --run_dir."
            )
        if video:
            self.videos_kept.append(video)
        elif not is_whole(target):
            return False
        else:
            self.kept += 1
            if found_nobody(target):
                self.nobody.append(str(file))
        return True
