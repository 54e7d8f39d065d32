"""The datamodule: what arrives in a step, what benchmarks and photos look like, and what is refused."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image as Pillow
from torch.utils.data import Dataset

from sdnet_pl.data.batches import EvaluationBatch, TrainingBatch
from sdnet_pl.data.benchmarks import CompositeBenchmark
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder, MaskFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.errors import InputError

CHANCES = ("photo", "no_person", "second_person", "whole_person", "object_in_front", "tone")
IMAGES: tuple[Literal["foreground", "background", "alpha", "composite", "image"], ...] = (
    "foreground",
    "background",
    "alpha",
    "composite",
    "image",
)
LOOKS = {"mirror": 0.5, "color_jitter": 0.8, "background_blur": 0.25}


def small(**options) -> MattingDataModule:
    defaults: dict[str, Any] = {
        "foregrounds": [ProceduralPortraits(4, 64)],
        "backgrounds": [ProceduralBackgrounds(4, 64)],
        "validation": {"portraits": portraits(2)},
        "size": 64,
        "batch_size": 2,
        "workers": 0,
    }
    return MattingDataModule(**(defaults | options))


def portraits(count: int, seed: int = 1) -> CompositeBenchmark:
    return CompositeBenchmark(ProceduralPortraits(count, 64, seed), ProceduralBackgrounds(4, 64, seed))


def save(path: Path, height: int, width: int, channels: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True, parents=True)
    Pillow.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def photos(tmp_path: Path) -> MaskFolder:
    for number in range(2):
        save(tmp_path / f"image/{number}.png", 90 + number, 70)
        (tmp_path / "mask").mkdir(exist_ok=True)
        mask = np.zeros((90 + number, 70), np.uint8)
        mask[30:, 20:50] = 255
        Pillow.fromarray(mask).save(tmp_path / f"mask/{number}.png")
    return MaskFolder(str(tmp_path), band=0.05)


def first_training_batch(data: MattingDataModule) -> TrainingBatch:
    data.setup("fit")
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def test_defaults_work_without_any_file():
    data = MattingDataModule()
    batch = first_training_batch(data)
    assert batch["image"].shape == batch["composite"].shape == (4, 3, 256, 256)
    assert batch["alpha"].shape == batch["trimap"].shape == (4, 1, 256, 256)
    assert data.samples == 1000
    (loader,) = data.val_dataloader()
    assert len(loader) == 32
    evaluated = data.on_after_batch_transfer(next(iter(loader)), 0)
    assert evaluated["image"].shape == (1, 3, 256, 256)
    assert data.test == data.validation


def test_validation_people_are_not_trained_on():
    data = MattingDataModule(size=64)
    trained = {source.fingerprint(index) for source in data.foregrounds for index in range(40)}
    benchmark = data.validation["procedural"]
    assert isinstance(benchmark, CompositeBenchmark)
    assert not trained & {benchmark.foregrounds.fingerprint(index) for index in range(32)}


def test_a_training_batch_is_composited_then_degraded():
    data = small(degradation=1.0)
    batch = first_training_batch(data)
    for image in (batch[key] for key in IMAGES):
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1
    assert batch["trimap"].dtype == torch.uint8
    mixed = batch["alpha"] * batch["foreground"] + (1 - batch["alpha"]) * batch["background"]
    torch.testing.assert_close(batch["composite"], mixed)
    for clean, seen in zip(batch["composite"], batch["image"], strict=True):
        assert not torch.equal(clean, seen)


def test_the_degradation_follows_the_seed_of_the_samples():
    data = small(degradation=1.0)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    first, again, other = (
        data.on_after_batch_transfer(batch | {"seed": batch["seed"] + offset}, 0) for offset in (0, 0, 1)
    )
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_without_degradation_the_network_sees_the_composite():
    batch = first_training_batch(small(degradation=0.0))
    assert torch.equal(batch["image"], batch["composite"])


def test_one_seed_gives_one_batch():
    first, again, other = (first_training_batch(small(degradation=1.0, seed=seed)) for seed in (3, 3, 4))
    for key in IMAGES:
        assert torch.equal(first[key], again[key]), key
    assert torch.equal(first["seed"], again["seed"])
    assert not torch.equal(first["image"], other["image"])


def test_an_epoch_is_each_foreground_once_or_what_was_asked_for():
    data = small()
    data.setup("fit")
    assert len(data.train_dataloader()) == 2
    data = small(samples_per_epoch=7)
    data.setup("fit")
    assert data.samples == 7
    assert len(data.train_dataloader()) == 3  # the last step would be a single sample


def test_photos_reach_the_network_as_they_are(photos):
    batch = first_training_batch(small(photos=[photos], photo=1.0, degradation=0.0, samples_per_epoch=4))
    assert torch.equal(batch["composite"], batch["foreground"])
    assert torch.equal(batch["image"], batch["foreground"])
    assert set(batch["known"].unique().tolist()) == {0, 1}
    assert set(batch["alpha"][batch["known"] == 1].unique().tolist()) == {
        0,
        1,
    }
    assert batch["known"].shape == batch["alpha"].shape
    assert batch["known"].dtype == torch.float32


def test_photos_and_composites_share_a_batch(photos):
    data = small(photos=[photos], photo=0.5, batch_size=16, samples_per_epoch=16)
    known = first_training_batch(data)["known"].flatten(1).amin(1)
    assert set(known.tolist()) == {0, 1}


def test_every_chance_reaches_the_samples(photos):
    data = small(photos=[photos], cache=True, **dict.fromkeys(CHANCES, 0.5))
    data.setup("fit")
    assert {name: getattr(data.training.recipe, name) for name in CHANCES} == dict.fromkeys(CHANCES, 0.5)
    assert data.training.cached == {}
    other = small(**dict.fromkeys(LOOKS, 0.125))
    other.setup("fit")
    assert {name: getattr(other.training.recipe, name) for name in LOOKS} == dict.fromkeys(LOOKS, 0.125)
    plain = small()
    plain.setup("fit")
    assert not any(getattr(plain.training.recipe, name) for name in CHANCES)
    assert {name: getattr(plain.training.recipe, name) for name in LOOKS} == LOOKS
    assert plain.training.cached is None
    assert "known" not in next(iter(plain.train_dataloader()))


def test_crops_grow_with_the_epochs():
    data = small(size=192, growing_sizes={5: 128, 2: 64}, samples_per_epoch=4, workers=1)
    assert [data.size_in_epoch(epoch) for epoch in range(7)] == [64, 64, 128, 128, 128, 192, 192]
    assert [data.size_of_sample(number) for number in (0, 7, 8, 19, 20)] == [64, 64, 128, 128, 192]
    data.setup("fit")
    loader = data.train_dataloader()
    for epoch in (0, 1, 2, 5, 1):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        sides = {tuple(data.on_after_batch_transfer(batch, 0)["image"].shape[2:]) for batch in loader}
        assert sides == {(data.size_in_epoch(epoch),) * 2}


def test_crops_have_one_size_unless_they_grow():
    assert {small().size_in_epoch(epoch) for epoch in (0, 1, 1000)} == {64}


def test_benchmarks_are_scored_one_picture_at_a_time_in_their_order():
    data = small(validation={"one": portraits(2), "two": portraits(3, seed=2)})
    loaders = data.val_dataloader()
    assert [len(loader) for loader in loaders] == [2, 3]
    for loader, benchmark in zip(loaders, data.validation.values(), strict=True):
        for index, batch in enumerate(loader):
            out = data.on_after_batch_transfer(batch, 0)
            assert torch.equal(batch["image"][0], benchmark[index]["image"])
            assert out["alpha"].dtype == out["image"].dtype == torch.float32
            assert out["alpha"].max() == 1
            assert out["trimap"].dtype == torch.uint8
            assert not out["padding"].any()
            assert "composite" not in out


def test_the_test_benchmarks_may_be_others():
    data = small(test={"last": portraits(1, seed=5)})
    assert list(data.validation) == ["portraits"]
    assert [len(loader) for loader in data.test_dataloader()] == [1]
    assert [len(loader) for loader in small().test_dataloader()] == [2]


def test_pictures_smaller_than_the_crop_are_enlarged(tmp_path):
    save(tmp_path / "people/a.png", 30, 20, channels=4)
    save(tmp_path / "scenes/a.png", 17, 40)
    data = small(
        foregrounds=[CutoutFolder(str(tmp_path / "people"))],
        backgrounds=[BackgroundFolder(str(tmp_path / "scenes"))],
        samples_per_epoch=4,
    )
    assert first_training_batch(data)["image"].shape == (2, 3, 64, 64)


def test_predict_reads_a_folder(tmp_path):
    pixels = {"a": save(tmp_path / "a.png", 40, 50), "sub/b.c": save(tmp_path / "sub/b.c.png", 33, 70)}
    data = small(predict=str(tmp_path))
    data.setup("predict")
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.predict_dataloader()]
    assert [batch["name"] for batch in batches] == list(pixels)
    for batch in batches:
        assert batch["photo"].dtype == torch.uint8
        np.testing.assert_array_equal(batch["photo"], pixels[str(batch["name"])])
        assert not batch["padding"]


def test_predict_reads_one_photo(tmp_path):
    pixels = save(tmp_path / "me.png", 40, 50)
    save(tmp_path / "you.png", 41, 50)
    data = small(predict=str(tmp_path / "me.png"))
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert batch["name"] == "me"
    np.testing.assert_array_equal(batch["photo"], pixels)


def test_workers_read_photos_too(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png", 40, 50)
    data = small(predict=str(tmp_path), workers=2)
    data.setup("predict")
    assert [batch["name"] for batch in data.predict_dataloader()] == ["a", "b", "c"]


def test_photos_of_one_name_have_two_predictions(tmp_path):
    for name in ("me.png", "me.bmp", "you.png"):
        save(tmp_path / name, 40, 50)
    for given, names in ((tmp_path, ["me.bmp", "me.png", "you"]), (tmp_path / "me.bmp", ["me.bmp"])):
        data = small(predict=str(given))
        data.setup("predict")
        assert [batch["name"] for batch in data.predict_dataloader()] == names


def test_videos_come_after_the_photos_and_are_not_read(tmp_path):
    for name in ("a.mp4", "a.png", "b.MOV", "sub/c.png"):
        save(tmp_path / name, 40, 50) if name.endswith("png") else (tmp_path / name).touch()
    data = small(predict=str(tmp_path), workers=1)
    data.setup("predict")
    assert list(data.predicted.files) == ["a", "sub/c"]
    data.predicted.is_done = lambda file: file.name in ("a.mp4", "a.png")
    photo, video = data.predict_dataloader()
    assert photo["name"] == "sub/c"
    assert video == {"file": tmp_path / "b.MOV", "padding": False}
    alone = small(predict=str(tmp_path / "a.mp4"))
    alone.setup("predict")
    assert list(alone.predict_dataloader()) == [{"file": tmp_path / "a.mp4", "padding": False}]


def test_photos_that_are_done_are_not_read(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png", 40, 50)
    data = small(predict=str(tmp_path), workers=1)
    data.setup("predict")
    data.predicted.is_done = lambda file: file.stem == "b"  # a function that no loader process could be given
    assert [batch["name"] for batch in data.predict_dataloader()] == ["a", "c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, r"data\.size is 100; it must be a multiple of 32 from 64 on: try 96"),
        ({"size": 32}, r"data\.size is 32; .*: try 64"),
        ({"size": 0}, r"data\.size is 0; .*: try 64"),
        ({"batch_size": 0}, r"data\.batch_size is 0; it must be at least 1"),
        ({"seed": -1}, r"data\.seed is -1; it must be at least 0"),
        ({"workers": -1}, r"data\.workers is -1; it must be at least 0"),
        *(({name: 2}, rf"data\.{name} is 2; a probability") for name in CHANCES),
        ({"photo": -0.1}, r"data\.photo is -0\.1; a probability"),
        ({"growing_sizes": {10: 100, 20: 64}}, r"data\.growing_sizes\[10\] is 100; it must be .*: try 96"),
        ({"growing_sizes": {10: 64, 20: 32}}, r"data\.growing_sizes\[20\] is 32; .*: try 64"),
        ({"validation": {"a/b": Mock()}}, r"benchmark 'a/b' also names a file; give it a name without slashes"),
        ({"test": {"../a": Mock()}}, r"benchmark '\.\./a' also names a file"),
        ({"degradation": -0.1}, r"data\.degradation is -0\.1; a probability"),
        ({"degradation": float("nan")}, r"data\.degradation is nan; a probability"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        small(**options)


@pytest.mark.parametrize("samples", [3, 0])
def test_an_epoch_smaller_than_a_batch_is_refused(samples):
    data = small(batch_size=4, samples_per_epoch=samples)
    with pytest.raises(InputError, match=rf"An epoch has {samples} samples, .* \(4 x 1 .*lower data\.batch_size"):
        data.setup("fit")


def test_predict_without_photos_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"name one or a folder of them with --data\.predict"):
        small().setup("predict")
    with pytest.raises(InputError, match=r"nowhere does not exist; give .* videos, or one of them"):
        small(predict=str(tmp_path / "nowhere")).setup("predict")
    with pytest.raises(InputError, match=r"holds no picture or video; put .* of pictures or in \.mp4"):
        small(predict=str(tmp_path)).setup("predict")


class Threads(Dataset[tuple[int, int]]):
    """How many threads OpenCV and torch would use for a sample."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[int, int]:
        return cv2.getNumThreads(), torch.get_num_threads()


def test_a_worker_takes_one_thread():
    loader = MattingDataModule(workers=1)._loader(Threads(), "{}", sampler=range(2), batch_size=None)
    assert [tuple(threads) for threads in loader] == [(1, 1), (1, 1)]


class Stopped(Dataset[int]):
    """Its process is told to stop while it makes the first samples, as all of a command are."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __getitem__(self, index: int) -> int:
        if index < self.times:
            os.kill(os.getpid(), signal.SIGTERM)
        return index


def test_a_worker_outlasts_one_signal():
    data = MattingDataModule(workers=1)
    assert list(data._loader(Stopped(1), "{}", sampler=range(3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        list(data._loader(Stopped(2), "{}", sampler=range(3), batch_size=None))


def test_bytes_become_floats_as_if_converted_first():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    batch = MattingDataModule().on_after_batch_transfer({"alpha": values}, 0)
    assert torch.equal(batch["alpha"], values.float() / 255)


class Recorder(LightningModule):
    """Learns nothing, remembers its samples by the seeds they draw, and saves checkpoints at every turn."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.folder, self.seen = folder, list[int]()

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> torch.Tensor:
        self.seen += batch["seed"].tolist()
        return self.weight.sum()

    def validation_step(self, batch: EvaluationBatch, batch_idx: int) -> None:
        pass

    def on_train_batch_end(self, *args: Any) -> None:
        self._save("step")

    def on_validation_end(self) -> None:
        self._save("validation")

    def on_train_epoch_end(self) -> None:
        self._save("epoch")

    def configure_optimizers(self) -> Any:
        # As schedules do; Lightning sets the loader up for it, before it has restored where the run was.
        steps = self.trainer.estimated_stepping_batches
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)]

    def _save(self, moment: str) -> None:
        if self.folder:
            self.trainer.save_checkpoint(self.folder / f"{moment}{self.global_step}.ckpt")


def fit(workers: int, folder: Path | None = None, checkpoint: Path | None = None, **options: Any) -> list[int]:
    module = Recorder(folder)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    data = small(samples_per_epoch=8, workers=workers, size=96, growing_sizes={1: 64}, cache=True)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    return module.seen


@pytest.mark.parametrize(
    ("workers", "moments"), [(0, ("step1", "step3", "validation3", "epoch3", "step5")), (1, ("step1", "validation3"))]
)
def test_a_resumed_run_takes_the_samples_that_come_next(tmp_path: Path, workers: int, moments: tuple[str, ...]):
    """From within an epoch, after its last step, after the validation at its end, and from the end itself."""
    options: dict[str, Any] = {"limit_train_batches": 3, "val_check_interval": 1.0}  # of four batches
    whole = fit(workers, tmp_path, **options)
    assert len(set(whole)) == len(whole) == 18
    for moment in moments:
        rest = whole[2 * int(moment[-1]) :]
        assert fit(workers, None, tmp_path / f"{moment}.ckpt", **options) == rest, moment


@pytest.mark.slow
def test_a_resumed_run_in_processes_that_share_nothing(tmp_path: Path, start_method: str):
    """Spawned ones get the data by pickle, and nothing of the trainer, whose schedule is no thing to pickle."""
    options: dict[str, Any] = {"limit_train_batches": 3, "limit_val_batches": 0}
    whole = fit(0, tmp_path, **options)
    assert fit(1, None, tmp_path / "step4.ckpt", **options) == whole[2 * 4 :]
    assert not torch.multiprocessing.active_children()


@pytest.mark.parametrize(("start_method", "processes"), [("spawn", 1), ("fork", 3)], indirect=["start_method"])
def test_batches_do_not_depend_on_how_processes_start(photos: MaskFolder, start_method: str, processes: int):
    options: dict[str, Any] = {"size": 96, "growing_sizes": {1: 64}, "cache": True, "samples_per_epoch": 8}
    chances = dict.fromkeys(CHANCES, 0.5)
    found = []
    for workers in (0, processes):
        data = small(workers=workers, photos=[photos], **options, **chances)
        data.setup("fit")
        loader = data.train_dataloader()
        if workers:
            for number in range(4):
                data.training[number]  # what this process has cached is no part of a copy
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            found.append(list(loader))
    for own, other in zip(found[:2], found[2:], strict=True):
        for one, same in zip(own, other, strict=True):
            assert one.keys() == same.keys()
            assert all(torch.equal(one[key], same[key]) for key in one)


def test_processes_import_no_lightning():
    """A spawned one imports again what it needs, and Lightning takes longer than all the rest."""
    data = small(validation={"portraits": portraits(2)}, workers=1)
    data.setup("fit")
    loader = data.train_dataloader()
    held = pickle.dumps([data.training, data.validation["portraits"], loader.worker_init_fn, loader.collate_fn])
    code = "import pickle, sys; pickle.load(sys.stdin.buffer); sys.exit('lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], input=held, check=True)
