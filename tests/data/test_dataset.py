"""Numbered samples: the same for any number of workers, never two alike; and who gets which number."""

import os
import pickle
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, DistributedSampler

from sdnet_pl.data.batches import TrainingSample
from sdnet_pl.data.dataset import MattingDataset, to_tensor
from sdnet_pl.data.image_io import read_rgba, write_png
from sdnet_pl.data.recipe import SampleRecipe
from sdnet_pl.data.samplers import EpochSampler, EvaluationSampler
from sdnet_pl.data.sources import folders
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image, LabelledPhoto, PhotoSource
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits

SIZE = 64
Key = Literal["foreground", "alpha", "background", "trimap", "seed", "number"]
KEYS: tuple[Key, ...] = ("foreground", "alpha", "background", "trimap", "seed", "number")
LAYERS: tuple[Key, ...] = ("foreground", "background")
DRAWN: tuple[Key, ...] = ("foreground", "alpha", "background", "seed")
EXTRAS = ("photo", "no_person", "second_person", "whole_person", "object_in_front", "tone")


class People(ForegroundSource):
    """Discs in one colour; remembers who was asked for."""

    def __init__(self, length: int, alpha: int = 255) -> None:
        self.length, self.asked = length, list[int]()
        y, x = np.mgrid[:40, :40] - 19.5
        self.person = Foreground(np.full((40, 40, 3), 200, np.uint8), np.uint8(alpha) * (np.hypot(x, y) < 12))

    def __len__(self) -> int:
        return self.length

    def load(self, index: int) -> Foreground:
        self.asked.append(index)
        return self.person

    def fingerprint(self, index: int) -> str:
        raise NotImplementedError


class Scenes(BackgroundSource):
    """Grey planes; remembers which was asked for."""

    def __init__(self, length: int) -> None:
        self.length, self.asked = length, list[int]()

    def __len__(self) -> int:
        return self.length

    def load(self, index: int) -> Image:
        self.asked.append(index)
        return np.full((30, 50, 3), 60, np.uint8)

    def fingerprint(self, index: int) -> str:
        raise NotImplementedError


class Still(People):
    """One portrait for every index, so that samples differ by their augmentation alone."""

    def __init__(self) -> None:
        super().__init__(1)
        self.person = ProceduralPortraits(size=96).load(0)


class StillScene(Scenes):
    def __init__(self) -> None:
        super().__init__(1)
        self.scene = ProceduralBackgrounds(size=96).load(0)

    def load(self, index: int) -> Image:
        return self.scene


class Photos(PhotoSource):
    """Noise with a soft disc, of which a quarter is unknown; remembers which was asked for."""

    def __init__(self, length: int) -> None:
        self.length, self.asked = length, list[int]()

    def __len__(self) -> int:
        return self.length

    def load(self, index: int) -> LabelledPhoto:
        self.asked.append(index)
        noise = np.random.default_rng(index % self.length).integers(0, 256, (80, 60, 3), dtype=np.uint8)
        y, x = np.mgrid[:80, :60]
        alpha = np.clip(260 - 10 * np.hypot(x - 30, y - 45), 0, 255).astype(np.uint8)
        known = np.full_like(alpha, 255)
        known[:45, :30] = 0
        return LabelledPhoto(noise, alpha, known)

    def fingerprint(self, index: int) -> str:
        raise NotImplementedError


def portraits(size: int | Callable[[int], int] = SIZE, **options: Any) -> MattingDataset:
    """Four people, four scenes and three photos."""
    people, scenes = ProceduralPortraits(4, SIZE), ProceduralBackgrounds(4, SIZE)
    photos = options.pop("photos", [Photos(3)])
    return MattingDataset([people], [scenes], size, seed=0, recipe=SampleRecipe(**options), photos=photos)


def assert_equal(sample: TrainingSample, other: TrainingSample) -> None:
    assert sample.keys() == other.keys()
    for key, value in sample.items():
        assert torch.equal(cast(torch.Tensor, value), cast(dict[str, torch.Tensor], other)[key]), key


def epochs(workers: int, seed: int = 0, count: int = 2, samples: int = 8) -> list[list[TrainingSample]]:
    """The samples of some epochs from a fresh dataset with one foreground and one background."""
    sampler = EpochSampler(samples)
    dataset = MattingDataset([Still()], [StillScene()], SIZE, seed)
    loader = DataLoader(
        dataset, sampler=sampler, batch_size=2, num_workers=workers, persistent_workers=workers > 0, shuffle=False
    )
    out = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        out.append([cast(TrainingSample, {key: batch[key][i] for key in KEYS}) for batch in loader for i in range(2)])
    return out


@pytest.fixture(scope="module")
def with_two_workers() -> list[list[TrainingSample]]:
    return epochs(workers=2)


def test_shapes_and_types():
    dataset = MattingDataset([ProceduralPortraits(size=SIZE)], [ProceduralBackgrounds(size=SIZE)], SIZE, seed=0)
    sample = dataset[3]
    assert tuple(sample) == KEYS
    for key, channels in zip(KEYS[:4], (3, 1, 3, 1), strict=True):
        assert sample[key].shape == (channels, SIZE, SIZE)
        assert sample[key].dtype == torch.uint8
    assert sample["seed"].shape == ()
    assert sample["seed"].dtype == torch.int64
    assert len(dataset) == 1000


def test_the_trimap_belongs_to_the_alpha():
    dataset = MattingDataset([ProceduralPortraits(size=SIZE)], [ProceduralBackgrounds(size=SIZE)], SIZE, seed=0)
    for number in range(10):
        alpha, trimap = dataset[number]["alpha"], dataset[number]["trimap"]
        assert (alpha[trimap == 255] == 255).all()
        assert (alpha[trimap == 0] == 0).all()
        assert (trimap[(alpha > 0) & (alpha < 255)] == 128).all()


def test_to_tensor_turns_channels_to_the_front():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert to_tensor(image)[1, 0, 3] == image[0, 3, 1]
    assert to_tensor(image[..., 0]).shape == (1, 2, 4)
    assert to_tensor(image[:, ::-1])[2, 1, 0] == image[1, 3, 2]


def test_no_two_samples_of_two_workers_and_two_epochs_are_alike(with_two_workers):
    """albumentations' own state would give each pair of workers, and each epoch, the same draws."""
    samples = [sample for epoch in with_two_workers for sample in epoch]
    assert len(samples) == 16
    for key in DRAWN:
        assert len({sample[key].numpy().tobytes() for sample in samples}) == 16, key


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_do_not_depend_on_the_number_of_workers(with_two_workers, workers):
    for epoch, expected in zip(epochs(workers), with_two_workers, strict=True):
        for sample, same in zip(epoch, expected, strict=True):
            for key in KEYS:
                assert torch.equal(sample[key], same[key]), key


def test_another_seed_gives_other_samples(with_two_workers):
    for sample, other in zip(epochs(0, seed=1, count=1)[0], with_two_workers[0], strict=True):
        for key in DRAWN:
            assert not torch.equal(sample[key], other[key]), key


def test_samples_do_not_depend_on_their_order():
    """Nor on the crop size of the one before."""
    chances = dict.fromkeys(EXTRAS, 0.5)
    dataset, fresh = (portraits(lambda number: (64, 96)[number // 3 % 2], **chances) for _ in range(2))
    forward = [dataset[number] for number in range(12)]
    assert [sample["alpha"].shape[1] for sample in forward] == [64, 64, 64, 96, 96, 96] * 2
    for number in reversed(range(12)):
        assert_equal(fresh[number], forward[number])
    assert_equal(portraits(96, **chances)[4], forward[4])


def test_every_foreground_once_a_round_from_all_sources():
    people = People(3), People(5)
    dataset = MattingDataset(people, [Scenes(1)], SIZE, seed=0)
    assert len(dataset) == 8
    orders = []
    for round_ in range(3):
        for source in people:
            source.asked.clear()
        for number in range(8 * round_, 8 * round_ + 8):
            dataset[number]
        # An endless source draws somebody new: the second round continues where the first ended.
        for source in people:
            first = round_ * len(source)
            assert sorted(source.asked) == list(range(first, first + len(source)))
        orders.append([index % 5 for index in people[1].asked])
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_the_order_of_a_round_follows_the_seed():
    people = People(20)
    for seed in (0, 0, 1):
        dataset = MattingDataset([people], [Scenes(1)], SIZE, seed)
        for number in range(20):
            dataset[number]
    first, again, other = people.asked[:20], people.asked[20:40], people.asked[40:]
    assert first == again != other
    assert first != sorted(first)


def test_backgrounds_are_drawn_in_proportion_to_the_sources():
    scenes = Scenes(1), Scenes(3)
    dataset = MattingDataset([People(400)], scenes, SIZE, seed=0)
    for number in range(400):
        dataset[number]
    # Four standard deviations of 400 draws at 1/4 are 35.
    assert len(scenes[0].asked) == pytest.approx(100, abs=35)
    assert set(scenes[0].asked) == {0}
    counts = Counter(scenes[1].asked)
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 65


@pytest.mark.parametrize(("probability", "loads"), [(0.0, 12), (1.0, 36)])
def test_a_second_and_a_third_person_come_with_their_probability(probability, loads):
    people = People(12, alpha=128)
    dataset = MattingDataset([people], [Scenes(1)], SIZE, seed=0, recipe=SampleRecipe(second_person=probability))
    highest = [int(dataset[number]["alpha"].max()) for number in range(12)]
    assert len(people.asked) == loads
    # Two of 128 / 255 in front of each other: 255 (1 − (127 / 255)²) = 191.7. Three: 255 − 63 · 127 / 255 = 223.6.
    assert set(highest) <= {128, 192, 224}
    assert (224 in highest) == (probability == 1)


def test_the_second_person_stands_behind():
    """The draws of the first person come before, so that the same sample without the second shows who is in front."""
    sources = [ProceduralPortraits(length=5, size=SIZE)], [Scenes(1)]
    alone, together = (MattingDataset(*sources, SIZE, seed=0, recipe=SampleRecipe(second_person=p)) for p in (0.0, 1.0))
    for number in range(5):
        front, both = alone[number], together[number]
        opaque = (front["alpha"] == 255).expand(3, -1, -1)
        assert opaque.any()
        assert torch.equal(both["foreground"][opaque], front["foreground"][opaque])
        assert (both["alpha"] >= front["alpha"]).all()
        assert (both["alpha"] > front["alpha"]).any()


def test_half_of_the_samples_have_a_second_person_and_half_of_those_a_third():
    people = People(200)
    dataset = MattingDataset([people], [Scenes(1)], SIZE, seed=0, recipe=SampleRecipe(second_person=0.5))
    for number in range(200):
        dataset[number]
    assert len(people.asked) == pytest.approx(350, abs=47)  # four standard deviations


def test_what_never_happens_draws_nothing():
    """Nor do photos that are never drawn. The sample's own seed is drawn last, after everything else."""
    plain = portraits(photos=())
    assert [int(plain[number]["seed"]) for number in (0, 1, 5)] == [1719937020, 487903577, 1070298221]
    never = portraits(SIZE, **dict.fromkeys(EXTRAS, 0.0))
    for number in range(4):
        assert_equal(never[number], plain[number])


def test_a_photo_is_its_own_foreground_and_background(monkeypatch):
    dataset, warped = portraits(photo=1.0), list[LabelledPhoto]()
    augment_photo = dataset.augmentation.augment_photo

    def remember(*arguments: Any) -> LabelledPhoto:
        warped.append(augment_photo(*arguments))
        return warped[-1]

    monkeypatch.setattr(dataset.augmentation, "augment_photo", remember)
    uncertain = 0
    for number in range(6):
        sample = dataset[number]
        assert tuple(sample) == (*KEYS, "known")
        photo, alpha, known = map(to_tensor, warped[number])
        assert torch.equal(sample["foreground"], photo)
        assert torch.equal(sample["background"], photo)
        assert torch.equal(sample["alpha"], alpha)
        assert torch.equal(sample["known"], known)
        assert sample["alpha"].dtype == sample["known"].dtype == torch.uint8
        assert sample["alpha"].any()
        uncertain += not sample["known"].all()
    assert uncertain > 0


def test_photos_come_with_their_probability_and_from_all_sources():
    photos = Photos(1), Photos(3)
    dataset = portraits(photos=photos, photo=0.5)
    found = 0
    for number in range(120):
        sample = dataset[number]
        is_photo = torch.equal(sample["foreground"], sample["background"])
        assert is_photo or (sample["known"] == 255).all()
        found += is_photo
    assert found == len(photos[0].asked) + len(photos[1].asked)
    # Four standard deviations of 120 draws at 1/2 and of 60 at 1/4.
    assert found == pytest.approx(60, abs=22)
    assert len(photos[0].asked) == pytest.approx(found / 4, abs=14)
    assert {index % 3 for index in photos[1].asked} == {0, 1, 2}


def test_half_of_the_samples_do_not_teach_an_estimated_edge():
    people = ProceduralPortraits(length=4, size=96)
    dataset = MattingDataset([people], [Scenes(1)], SIZE, seed=0)
    assert tuple(dataset[0]) == KEYS
    people.estimated_edge = True
    dataset, untaught = MattingDataset([people], [Scenes(1)], SIZE, seed=0), 0
    for number in range(60):
        sample = dataset[number]
        soft = (sample["alpha"] > 0) & (sample["alpha"] < 255)
        assert soft.any()
        assert torch.equal(sample["known"] == 0, soft) or (sample["known"] == 255).all()
        untaught += not (sample["known"] == 255).all()
    assert untaught == pytest.approx(30, abs=16)  # four standard deviations


def test_an_edge_that_nobody_shows_is_known():
    people = ProceduralPortraits(length=4, size=96)
    people.estimated_edge = True
    dataset = MattingDataset([people], [Scenes(1)], SIZE, seed=0, recipe=SampleRecipe(no_person=1.0))
    assert all((dataset[number]["known"] == 255).all() for number in range(10))


@pytest.mark.parametrize("cache", [False, True])
def test_a_weight_says_how_often_a_round_visits_a_picture(cutout_root, monkeypatch, cache):
    path = str(cutout_root / "cutouts/train")
    sources = CutoutFolder(path, weight=0.5), CutoutFolder(path, names=["00", "01"], weight=2)
    loaded: list[Path] = []

    def remember(path: Path) -> Any:
        loaded.append(path)
        return read_rgba(path)

    monkeypatch.setattr(folders, "read_rgba", remember)
    dataset = MattingDataset(sources, [Scenes(1)], SIZE, seed=0, cache=cache)
    assert len(dataset) == 3 + 4
    for number in range(14):  # two rounds
        dataset[number]
    visits = Counter(file.stem for file in loaded)
    assert visits == ({"00": 2, "01": 2} if cache else {"00": 5, "01": 5}) | dict.fromkeys(("02", "03", "04", "05"), 1)


@pytest.mark.parametrize("options", [{"photo": 1.0, "photos": ()}, {"photo": 0.0}])
def test_without_photos_nothing_says_what_is_known(options):
    assert tuple(portraits(**options)[0]) == KEYS


def test_a_sample_without_anybody_shows_its_background():
    """A probability next to 0 draws as one of 1 does."""
    somebody, nobody = portraits(no_person=1e-12), portraits(no_person=1.0)
    for number in range(4):
        sample, empty = somebody[number], nobody[number]
        assert sample["alpha"].any()
        assert not empty["alpha"].any()
        assert not empty["trimap"].any()
        assert torch.equal(empty["foreground"], sample["foreground"])
        assert torch.equal(empty["background"], sample["background"])


def test_an_object_in_front_hides_people_and_background():
    plain, hidden = portraits(object_in_front=1e-12), portraits(object_in_front=1.0)
    covered = changed = 0
    for number in range(12):
        before, after = plain[number], hidden[number]
        assert (after["alpha"] <= before["alpha"]).all()
        assert torch.equal(after["foreground"], before["foreground"])
        covered += bool((after["alpha"] < before["alpha"]).any())
        changed += not torch.equal(after["background"], before["background"])
    assert covered >= 3
    assert changed >= 9  # an object may lie beyond the picture's edge


@pytest.mark.parametrize("photo", [0.0, 1.0])
def test_another_light_falls_on_foreground_and_background_alike(photo):
    plain, toned = (portraits(tone=chance, photo=photo) for chance in (1e-12, 1.0))
    for number in range(4):
        before, after = plain[number], toned[number]
        assert torch.equal(after["alpha"], before["alpha"])
        assert not torch.equal(after["foreground"], before["foreground"])
        for channel in range(3):
            table = torch.zeros(256, dtype=torch.uint8)
            layers = [(before[key][channel].long(), after[key][channel]) for key in LAYERS]
            for old, new in layers:
                table[old] = new
            for old, new in layers:
                assert torch.equal(table[old], new)


def test_whole_people_reach_the_augmentation():
    assert not torch.equal(portraits(whole_person=1.0)[0]["alpha"], portraits()[0]["alpha"])


def test_a_cache_reads_every_picture_once_and_changes_no_sample(cutout_root, monkeypatch):
    people, scenes = (
        CutoutFolder(str(cutout_root / "cutouts/train")),
        BackgroundFolder(str(cutout_root / "backgrounds")),
    )
    sources: tuple[Any, ...] = people, scenes, Photos(2)
    recipe = SampleRecipe(photo=0.3, second_person=0.5)
    plain, cached = (
        MattingDataset([people], [scenes], SIZE, seed=0, recipe=recipe, photos=[sources[2]], cache=cache)
        for cache in (False, True)
    )
    expected = [plain[number] for number in range(18)]
    for source in sources:
        monkeypatch.setattr(source, "load", Mock(wraps=source.load))
    for _ in range(2):
        for number in range(18):
            assert_equal(cached[number], expected[number])
    for source in sources:
        asked = [call.args[0] for call in source.load.call_args_list]
        assert len(asked) == len(set(asked)) <= len(source)
        assert max(asked) < len(source)


def test_epoch_sampler_deals_disjoint_numbers_that_cover_the_epoch():
    samplers = [EpochSampler(12, rank, 3) for rank in range(3)]
    for epoch in range(3):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        dealt = [list(sampler) for sampler in samplers]
        assert [len(numbers) for numbers in dealt] == [len(sampler) for sampler in samplers] == [4, 4, 4]
        assert sorted(chain.from_iterable(dealt)) == list(range(12 * epoch, 12 * epoch + 12))


def test_epoch_sampler_keeps_processes_in_step():
    """Eleven samples for three processes: three each, no number twice, and none of the next epoch's."""
    dealt = [list(EpochSampler(11, rank, 3)) for rank in range(3)]
    assert [len(numbers) for numbers in dealt] == [3, 3, 3]
    numbers = list(chain.from_iterable(dealt))
    assert len(set(numbers)) == 9
    assert max(numbers) < 11


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_evaluation_sampler_gives_every_index_once(length, world):
    samplers = [EvaluationSampler(length, rank, world) for rank in range(world)]
    dealt = [list(sampler) for sampler in samplers]
    assert len({len(indices) for indices in dealt}) == 1
    assert [len(sampler) for sampler in samplers] == [len(indices) for indices in dealt]
    indices = list(chain.from_iterable(dealt))
    assert len(set(indices)) == len(indices) < length + world
    assert sorted(indices)[:length] == list(range(length))


class Recorder(LightningModule):
    """A module that learns nothing and remembers the numbers it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[int]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.seen[-1] += batch.tolist()
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_lightning_keeps_the_sampler_and_tells_it_the_epoch(tmp_path):
    assert isinstance(EpochSampler(4), DistributedSampler)
    module = Recorder()
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    numbers: Any = range(10**6)
    trainer.fit(module, DataLoader(numbers, sampler=EpochSampler(4), batch_size=2))
    assert module.seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("step", [1, -1])
def test_to_tensor_is_a_transposed_copy(channels, step):
    image = np.random.default_rng(0).integers(0, 256, (7, 11, channels), dtype=np.uint8)[:, ::step]
    tensor = to_tensor(image)
    np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1))
    assert tensor.is_contiguous()
    assert not np.shares_memory(tensor.numpy(), image)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
@pytest.mark.slow
def test_ten_thousand_pictures_stay_on_the_disk(tmp_path):
    """Hard links to one person and one scene: decoded, the drawn ones alone would take 60 MB, all of them 1.2 GB."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    person, scene = ProceduralPortraits(size=200).load(0), ProceduralBackgrounds(size=200).load(0)
    files = {"people": np.dstack([person.color, person.alpha]), "scenes": scene}
    for folder, picture in files.items():
        write_png(tmp_path / folder / "0.png", picture)

    def dataset() -> MattingDataset:
        sources = CutoutFolder(str(tmp_path / "people")), BackgroundFolder(str(tmp_path / "scenes"))
        return MattingDataset([sources[0]], [sources[1]], SIZE, seed=0)

    small = dataset()
    for number in range(20):
        small[number]
    for folder in files:
        for number in range(1, 10_000):
            os.link(tmp_path / folder / "0.png", tmp_path / folder / f"{number}.png")
    before = resident()
    large = dataset()
    for number in range(200):
        large[number]
    assert len(large) == 10_000
    assert resident() - before < 40e6
    # What a worker receives where processes are spawned.
    assert len(pickle.dumps(large)) < 10_000 * 2 * 200
