"""Numbered samples: the same for any number of workers, never two alike; and who gets which number."""

import os
import pickle
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, DistributedSampler

from sdnet_pl.data.pictures import write_png
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.training import CompositionDataset, EpochSampler, EvaluationSampler, to_tensor

SIZE = 64
KEYS = ("foreground", "alpha", "background", "trimap", "seed")


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


def epochs(workers: int, seed: int = 0, count: int = 2, samples: int = 8) -> list[list[dict[str, torch.Tensor]]]:
    """The samples of some epochs from a fresh dataset with one foreground and one background."""
    sampler = EpochSampler(samples)
    dataset = CompositionDataset([Still()], [StillScene()], SIZE, seed)
    loader = DataLoader(
        dataset, sampler=sampler, batch_size=2, num_workers=workers, persistent_workers=workers > 0, shuffle=False
    )
    out = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        out.append([{key: batch[key][i] for key in KEYS} for batch in loader for i in range(2)])
    return out


@pytest.fixture(scope="module")
def with_two_workers() -> list[list[dict[str, torch.Tensor]]]:
    return epochs(workers=2)


def test_shapes_and_types():
    dataset = CompositionDataset([ProceduralPortraits(size=SIZE)], [ProceduralBackgrounds(size=SIZE)], SIZE, seed=0)
    sample = dataset[3]
    assert tuple(sample) == KEYS
    for key, channels in (("foreground", 3), ("alpha", 1), ("background", 3), ("trimap", 1)):
        assert sample[key].shape == (channels, SIZE, SIZE)
        assert sample[key].dtype == torch.uint8
    assert sample["seed"].shape == ()
    assert sample["seed"].dtype == torch.int64
    assert len(dataset) == 1000


def test_the_trimap_belongs_to_the_alpha():
    dataset = CompositionDataset([ProceduralPortraits(size=SIZE)], [ProceduralBackgrounds(size=SIZE)], SIZE, seed=0)
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
    for key in ("foreground", "alpha", "background", "seed"):
        assert len({sample[key].numpy().tobytes() for sample in samples}) == 16, key


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_do_not_depend_on_the_number_of_workers(with_two_workers, workers):
    for epoch, expected in zip(epochs(workers), with_two_workers, strict=True):
        for sample, same in zip(epoch, expected, strict=True):
            for key in KEYS:
                assert torch.equal(sample[key], same[key]), key


def test_another_seed_gives_other_samples(with_two_workers):
    for sample, other in zip(epochs(0, seed=1, count=1)[0], with_two_workers[0], strict=True):
        for key in ("foreground", "alpha", "background", "seed"):
            assert not torch.equal(sample[key], other[key]), key


def test_samples_do_not_depend_on_their_order():
    dataset = CompositionDataset([People(3)], [Scenes(4)], SIZE, seed=2, second_person=0.5)
    forward = [dataset[number] for number in range(9)]
    for number in reversed(range(9)):
        again = dataset[number]
        assert all(torch.equal(again[key], forward[number][key]) for key in KEYS)


def test_every_foreground_once_a_round_from_all_sources():
    people = People(3), People(5)
    dataset = CompositionDataset(people, [Scenes(1)], SIZE, seed=0)
    assert len(dataset) == 8
    orders = []
    for round_ in range(3):
        for source in people:
            source.asked.clear()
        for number in range(8 * round_, 8 * round_ + 8):
            dataset[number]
        # An endless source draws somebody new: the second round goes on where the first ended.
        for source in people:
            first = round_ * len(source)
            assert sorted(source.asked) == list(range(first, first + len(source)))
        orders.append([index % 5 for index in people[1].asked])
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_the_order_of_a_round_follows_the_seed():
    people = People(20)
    for seed in (0, 0, 1):
        dataset = CompositionDataset([people], [Scenes(1)], SIZE, seed)
        for number in range(20):
            dataset[number]
    first, again, other = people.asked[:20], people.asked[20:40], people.asked[40:]
    assert first == again != other
    assert first != sorted(first)


def test_backgrounds_are_drawn_in_proportion_to_the_sources():
    scenes = Scenes(1), Scenes(3)
    dataset = CompositionDataset([People(400)], scenes, SIZE, seed=0)
    for number in range(400):
        dataset[number]
    # Four standard deviations of 400 draws at 1/4 are 35.
    assert len(scenes[0].asked) == pytest.approx(100, abs=35)
    assert set(scenes[0].asked) == {0}
    counts = Counter(scenes[1].asked)
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 65


@pytest.mark.parametrize(("probability", "loads"), [(0.0, 12), (1.0, 24)])
def test_a_second_person_comes_with_its_probability(probability, loads):
    people = People(12, alpha=128)
    dataset = CompositionDataset([people], [Scenes(1)], SIZE, seed=0, second_person=probability)
    highest = [int(dataset[number]["alpha"].max()) for number in range(12)]
    assert len(people.asked) == loads
    # Two of 128 / 255 in front of each other: 255 (1 − (127 / 255)²) = 191.7.
    assert set(highest) <= {128, 192}
    assert (192 in highest) == (probability == 1)


def test_the_second_person_stands_behind():
    """The draws of the first person come before, so that the same sample without the second shows who is in front."""
    sources = [ProceduralPortraits(length=5, size=SIZE)], [Scenes(1)]
    alone, together = (CompositionDataset(*sources, SIZE, seed=0, second_person=p) for p in (0.0, 1.0))
    for number in range(5):
        front, both = alone[number], together[number]
        opaque = (front["alpha"] == 255).expand(3, -1, -1)
        assert opaque.any()
        assert torch.equal(both["foreground"][opaque], front["foreground"][opaque])
        assert (both["alpha"] >= front["alpha"]).all()
        assert (both["alpha"] > front["alpha"]).any()


def test_half_of_the_samples_have_a_second_person():
    people = People(200)
    dataset = CompositionDataset([people], [Scenes(1)], SIZE, seed=0, second_person=0.5)
    for number in range(200):
        dataset[number]
    assert len(people.asked) == pytest.approx(300, abs=29)  # four standard deviations


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
def test_ten_thousand_pictures_stay_on_the_disk(tmp_path):
    """Hard links to one person and one scene: decoded, the drawn ones alone would take 60 MB, all of them 1.2 GB."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    person, scene = ProceduralPortraits(size=200).load(0), ProceduralBackgrounds(size=200).load(0)
    files = {"people": np.dstack([person.color, person.alpha]), "scenes": scene}
    for folder, picture in files.items():
        write_png(tmp_path / folder / "0.png", picture)

    def dataset() -> CompositionDataset:
        sources = CutoutFolder(str(tmp_path / "people")), BackgroundFolder(str(tmp_path / "scenes"))
        return CompositionDataset([sources[0]], [sources[1]], SIZE, seed=0)

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
