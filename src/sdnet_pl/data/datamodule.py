"""The LightningDataModule: training samples, named benchmarks, and photos and videos to predict."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from sdnet_pl.data.batches import EvaluationSample, TrainingSample
from sdnet_pl.data.benchmarks import Benchmark, CompositeBenchmark, FaultTolerantBenchmark
from sdnet_pl.data.check import Checked, check_pictures
from sdnet_pl.data.composition import Degradation, composite
from sdnet_pl.data.dataset import (
    CropSizes,
    MattingDataset,
    collate,
)
from sdnet_pl.data.formats import names_video
from sdnet_pl.data.image_io import list_pictures
from sdnet_pl.data.output_names import distinct_names
from sdnet_pl.data.parallel import default_workers, start_worker
from sdnet_pl.data.photo import Photo
from sdnet_pl.data.provenance import is_ours
from sdnet_pl.data.recipe import SampleRecipe, check_probability
from sdnet_pl.data.samplers import EpochLoader, EpochSampler, EvaluationSampler
from sdnet_pl.data.sources.base import BackgroundSource, ForegroundSource, PhotoSource
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.watched import Watched
from sdnet_pl.errors import InputError, InputWarning

SIZE_MULTIPLE = 32


class MattingDataModule(LightningDataModule):
    """People composited over backgrounds on the fly, benchmarks to score on, photos and videos to predict.

    Without arguments everything comes from the built-in procedural portraits.

    Args:
        root: The folder that a config's relative paths start from; configs read it as ``${data.root}``.
        foregrounds: Training sources of people.
        backgrounds: Training sources of backgrounds.
        validation: Named benchmarks that are scored during training; the first gives the headline metric.
        test: Named benchmarks for ``test``; none: those of ``validation``.
        predict: A photo, a video, or a folder of them for ``predict``.
        size: Side of the training crop in pixels, a multiple of 32, at least 64.
        growing_sizes: Smaller crops to begin with: {10: 128, 30: 192} takes 128 before epoch 10, 192 before epoch 30
            and ``size`` from then on.
        batch_size: Samples a step and process.
        samples_per_epoch: Samples in an epoch, over all processes; none: each foreground once.
        photos: Training sources of photos with masks or alphas, which teach where people are in ordinary pictures.
        photo: Probability that a sample is such a photo and no composite.
        no_person: Probability of a composite that shows its background alone.
        second_person: Probability of a second person behind the first, and of a third behind that.
        whole_person: Probability of a person in the middle and large, as portraits show people.
        person_scale: Range of the other people's longer side relative to the crop, drawn log-uniformly.
        object_in_front: Probability of an object before the people.
        tone: Probability of another light on the whole scene: exposure, colour cast, gamma.
        mirror: Probability of a foreground, background or photo with left and right exchanged.
        color_jitter: Probability of other colours of each of them: brightness, contrast, saturation, hue.
        background_blur: Probability of a background out of focus.
        degradation: Probability of each of blur, noise and JPEG on a composite.
        cache: Keeps decoded pictures in the memory of every loader process; 1000 cut-outs of 700×480 take 1.3 GB.
        check: Decodes every picture before a training or scoring and names those that cannot be used; the next start
            asks for new and changed ones alone.
        workers: Loader processes; none: half the cores, at most 8.
        seed: Seed of the samples; none: that of ``seed_everything``, and 0 outside of the command line.
    """

    def __init__(
        self,
        root: str | None = None,
        # Empty rather than None: within a union the parser would swallow a source's own error message.
        foregrounds: Sequence[ForegroundSource] = (),
        backgrounds: Sequence[BackgroundSource] = (),
        validation: Mapping[str, Benchmark] = MappingProxyType({}),
        test: Mapping[str, Benchmark] = MappingProxyType({}),
        predict: str | None = None,
        size: int = 256,
        growing_sizes: Mapping[int, int] = MappingProxyType({}),
        batch_size: int = 4,
        samples_per_epoch: int | None = None,
        photos: Sequence[PhotoSource] = (),
        photo: float = 0.25,
        no_person: float = 0.0,
        second_person: float = 0.0,
        whole_person: float = 0.0,
        person_scale: tuple[float, float] = (0.6, 2.0),
        object_in_front: float = 0.0,
        tone: float = 0.0,
        mirror: float = 0.5,
        color_jitter: float = 0.8,
        background_blur: float = 0.25,
        degradation: float = 0.2,
        cache: bool = False,
        check: bool = True,
        workers: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        growing = {f"growing_sizes[{epoch}]": side for epoch, side in growing_sizes.items()}
        for name, side in {**growing, "size": size}.items():
            if side % SIZE_MULTIPLE or side < 64:
                nearest = max(64, round(side / SIZE_MULTIPLE) * SIZE_MULTIPLE)
                raise InputError(
                    f"data.{name} is {side}; it must be a multiple of {SIZE_MULTIPLE} from 64 on: try {nearest}."
                )
        for name, number, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed or 0, 0),
            ("workers", workers or 0, 0),
        ):
            if number < least:
                raise InputError(f"data.{name} is {number}; it must be at least {least}.")
        check_probability("degradation", degradation)
        self.recipe = SampleRecipe(
            photo=photo,
            no_person=no_person,
            second_person=second_person,
            whole_person=whole_person,
            person_scale=person_scale,
            object_in_front=object_in_front,
            tone=tone,
            mirror=mirror,
            color_jitter=color_jitter,
            background_blur=background_blur,
        )
        for name in (*validation, *test):
            if "/" in name:
                raise InputError(f"The benchmark {name!r} also names a file; give it a name without slashes.")
        self.root = root
        self.foregrounds = foregrounds or [ProceduralPortraits(size=size)]
        self.backgrounds = backgrounds or [ProceduralBackgrounds(size=size)]
        if not validation:
            held_out = CompositeBenchmark(
                ProceduralPortraits(32, size, seed=1), ProceduralBackgrounds(32, size, seed=1)
            )
            validation = {"procedural": held_out}
        self.validation = dict(validation)
        self.test = dict(test) or self.validation
        self.predict = predict
        self.size, self.batch_size, self.seed = size, batch_size, seed or 0
        self.growing_sizes, self.samples_per_epoch = dict(sorted(growing_sizes.items())), samples_per_epoch
        self.photos, self.cache, self.check = photos, cache, check
        self.prepare_data_per_node = False
        self.checked = Checked()
        self.replaced = Counter[str]()  # by the reason, how often the next picture took the place of one
        self.workers = workers if workers is not None else default_workers()
        self.degradation = Degradation(degradation)
        self.watched: list[Watched] = []

    def prepare_data(self) -> None:
        """Checks all pictures, in one process while the others wait; of a single process it raises what is wrong."""
        stage = self.trainer.state.fn if self.trainer else None
        if not self.check or stage == "predict":
            return
        # A fit scores the test benchmarks at its end: too late to find a picture missing.
        sources: list[Any] = [*self.test.values()] if stage != "validate" else []
        sources += self.validation.values() if stage != "test" else []
        if stage not in ("validate", "test"):
            sources += [*self.foregrounds, *self.backgrounds, *self.photos]
        files = [file for source in sources for file in source.picture_files()]
        self.checked = check_pictures(files, progress=self.trainer is None or bool(self.trainer.progress_bar_callback))
        self.checked.warn()
        if self.trainer is None or self.trainer.world_size == 1:
            self._require_checked()

    def setup(self, stage: str) -> None:
        """Make the dataset of a stage.

        Raises:
            InputError: A picture cannot be used, an epoch of ``fit`` has fewer samples than a step takes, or
                ``predict`` has nothing to do.
        """
        if self.trainer and self.trainer.world_size > 1:
            self.checked = self.trainer.strategy.broadcast(self.checked)
            try:
                self._require_checked()
            except InputError:
                if self.trainer.is_global_zero:
                    raise
                raise InputError("The first process says which pictures cannot be used.") from None
        if stage == "fit":
            world = self.trainer.world_size if self.trainer else 1
            if self.samples < self.batch_size * world:
                raise InputError(
                    f"An epoch has {self.samples} samples, fewer than one step takes ({self.batch_size} x {world} "
                    "processes); lower data.batch_size or set data.samples_per_epoch."
                )
            self.training = MattingDataset(
                self.foregrounds,
                self.backgrounds,
                self.crop_sizes,
                self.seed,
                recipe=self.recipe,
                photos=self.photos,
                cache=self.cache,
            )
        if stage == "predict":
            if self.predict is None:
                raise InputError("predict needs photos or videos; name one or a folder of them with --data.predict.")
            self.predicted = PhotoDataset(self.predict)

    @property
    def samples(self) -> int:
        """Training samples in an epoch, over all processes."""
        return sum(map(len, self.foregrounds)) if self.samples_per_epoch is None else self.samples_per_epoch

    @property
    def crop_sizes(self) -> CropSizes:
        """Side of the training crop in every epoch and of every sample."""
        return CropSizes(self.size, self.growing_sizes, self.samples)

    def size_in_epoch(self, epoch: int) -> int:
        """Side of the training crop in an epoch, counted from 0."""
        return self.crop_sizes.in_epoch(epoch)

    def size_of_sample(self, number: int) -> int:
        """Side of the training crop of a sample."""
        return self.crop_sizes(number)

    def train_dataloader(self) -> DataLoader[TrainingSample]:
        """Batches of ``batch_size`` numbered samples, the last incomplete one dropped."""
        sampler = EpochSampler(self.samples, *self._rank(), self._done)
        options: dict[str, Any] = {"batch_size": self.batch_size, "drop_last": True, "collate_fn": collate}
        return self._loader(self.training, f"training sample {{}} of seed {self.seed}", sampler, EpochLoader, **options)

    def val_dataloader(self) -> list[DataLoader[EvaluationSample]]:
        """A loader for each benchmark of ``validation``, one picture at a time."""
        return [self._evaluation_loader(name, benchmark) for name, benchmark in self.validation.items()]

    def test_dataloader(self) -> list[DataLoader[EvaluationSample]]:
        """A loader for each benchmark of ``test``, one picture at a time."""
        return [self._evaluation_loader(name, benchmark) for name, benchmark in self.test.items()]

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The photos and videos that are not predicted yet, one at a time, at their own sizes."""
        self.predicted.leave_out_done()
        # No batching: photos differ in size.
        sampler = EvaluationSampler(len(self.predicted), *self._rank())
        return self._loader(self.predicted, "file {} of those to predict", sampler, batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make floats in [0, 1] of uint8 on the device; a training batch is composited, then degraded, there.

        Args:
            batch: Collated samples, or one of a :class:`PhotoDataset`, which stays as it is.
            dataloader_idx: Of its loader.

        Returns:
            A :class:`~sdnet_pl.data.batches.TrainingBatch` or :class:`~sdnet_pl.data.batches.EvaluationBatch`.
        """
        for reason in batch.pop("replaced", ()):
            self.replaced[reason] += 1
            if self.replaced[reason] == 1:
                warnings.warn(f"{reason} The next picture takes its place.", InputWarning, stacklevel=1)
        images = ("foreground", "alpha", "background", "image", "known")
        batch = {key: value / 255 if key in images else value for key, value in batch.items()}
        if "foreground" in batch:
            batch["composite"] = composite(batch["foreground"], batch["background"], batch["alpha"])
            batch["image"] = self.degradation(batch["composite"], int(batch["seed"][0]))
        return batch

    def lost_sample(self, error: RuntimeError) -> str | None:
        """Which sample a loader process was at that died.

        Args:
            error: What was raised then, or something else: for which there is none.
        """
        return next((name for watched in self.watched if (name := watched.lost(error))), None)

    def _evaluation_loader(self, name: str, benchmark: Benchmark) -> DataLoader[EvaluationSample]:
        # One picture at a time: they differ in size, and a score must not depend on padding.
        sampler = EvaluationSampler(len(benchmark), *self._rank())
        title = f"picture {{}} of the benchmark {name}"
        return self._loader(FaultTolerantBenchmark(benchmark), title, sampler, batch_size=1, collate_fn=collate)

    def _loader(
        self, dataset: Dataset[Any], name: str, sampler: Any, kind: type[DataLoader[Any]] = DataLoader, **options: Any
    ) -> DataLoader[Any]:
        self.watched.append(Watched(dataset, name, self.workers))
        return kind(
            self.watched[-1],
            sampler=sampler,
            num_workers=self.workers,
            worker_init_fn=start_worker,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def _require_checked(self) -> None:
        leave_out = "leave the check out with --data.check false, which trains"
        self.checked.require_good(f"{leave_out} without such pictures", f"{leave_out} on such alphas as they are")

    def _done(self) -> int:
        """Samples of the epoch that this process has trained on before the run was resumed.

        They are those if the batch size and the number of processes are what they were.
        """
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready * self.batch_size if self.trainer else 0

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class PhotoDataset(Dataset[dict[str, Any]]):
    """Photos at their own size, and then videos as files; each is an item, with its ``file``.

    A photo is ``photo`` uint8 ``[H, W, 3]`` with its ``metadata``, ``sha256`` and ``name``; one that cannot be read has
    ``unreadable``, the reason, instead. A video is its ``file`` alone. Of ``padding`` there is nothing to do.

    Pictures of this package that lie in the folder are left out. The name is the path below the folder without suffix,
    but with it where two photos would have one name (:func:`sdnet_pl.data.output_names.distinct_names`).

    Attributes:
        path: what was given.
        folder: the folder.
        files: the photos by their names.
        videos: the videos.
        is_done: tells which files need not be read, asked once, when the weights are loaded.

    Raises:
        InputError: the path is missing, or a folder holds no picture but those that this package wrote, and no video.
    """

    def __init__(self, path: str) -> None:
        self.path = given = Path(path)
        self.folder = given if given.is_dir() else given.parent
        files = [given]
        if given.is_dir() or not given.exists():
            files = [file for file in list_pictures(given, videos=True) if not is_ours(file)]
            if not files:
                raise self.nothing_found()
        photos = [file for file in files if not names_video(file)]
        names = distinct_names([(photo, photo.relative_to(self.folder)) for photo in photos])
        self.files = dict(zip(names, photos, strict=True))
        self.videos = [file for file in files if names_video(file)]
        self.is_done: Callable[[Path], bool] | None = None

    def nothing_found(self) -> InputError:
        """The error for a folder that holds cut-outs alone."""
        return InputError(f"{self.path} holds nothing but cut-outs; give the folder that holds the photos or videos.")

    def leave_out_done(self) -> None:
        """Drops what is done, and `is_done` itself, which a loader process cannot unpickle."""
        if self.is_done is not None:
            self.files = {name: file for name, file in self.files.items() if not self.is_done(file)}
            self.videos = [video for video in self.videos if not self.is_done(video)]
        self.is_done = None

    def __len__(self) -> int:
        return len(self.files) + len(self.videos)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(self):
            return {"padding": True}
        # Videos come last: one after the other they are dealt to different processes.
        if index >= len(self.files):
            return {"file": self.videos[index - len(self.files)], "padding": False}
        name, file = list(self.files.items())[index]
        about = {"name": name, "file": file, "padding": False}
        try:
            photo = Photo.read(file)
        except InputError as error:
            return {"unreadable": str(error)} | about
        return {"photo": torch.from_numpy(photo.image), "metadata": photo.metadata, "sha256": photo.sha256} | about
