"""Fixed lists of composites: what the pixels are, and a hash that changes whenever they do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from sdnet_pl.data.benchmarks import Benchmark
from sdnet_pl.data.composition import cover
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.errors import InputError


def write(path: Path, seed: int, height: int = 40, width: int = 60, alpha: bool = False) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if alpha:
        y, x = np.mgrid[:height, :width]
        soft = np.clip((0.4 - np.hypot(x / width - 0.5, y / height - 0.5)) / 0.2, 0, 1)
        pixels = np.dstack([pixels, (255 * soft).astype(np.uint8)])
    path.parent.mkdir(exist_ok=True)
    Pillow.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cut-outs of different shapes and five backgrounds."""
    for seed, (height, width) in enumerate([(40, 60), (70, 50), (120, 90)]):
        write(tmp_path / f"people/{seed}.png", seed, height, width, alpha=True)
    for seed in range(5):
        write(tmp_path / f"scenes/{seed}.png", 10 + seed, 40 + 20 * seed, 60)
    return tmp_path


def benchmark(folder: Path, **options) -> Benchmark:
    return Benchmark(CutoutFolder(str(folder / "people")), BackgroundFolder(str(folder / "scenes")), **options)


def test_the_list_has_every_foreground_over_different_backgrounds(folder):
    listed = benchmark(folder, backgrounds_per_foreground=4)
    assert len(listed) == 12
    assert [i for i, _ in listed.pairs] == [0] * 4 + [1] * 4 + [2] * 4
    for person in range(3):
        assert len({j for i, j in listed.pairs if i == person}) == 4
    assert {j for _, j in listed.pairs} == set(range(5))


def test_the_list_is_fixed(folder):
    assert benchmark(folder).pairs == benchmark(folder).pairs
    assert len({tuple(benchmark(folder, seed=seed).pairs) for seed in range(6)}) > 1
    # NumPy's stream of default_rng([seed, foreground]) is part of what a score is compared on.
    assert benchmark(folder, backgrounds_per_foreground=2).pairs == [(0, 3), (0, 4), (1, 2), (1, 4), (2, 0), (2, 3)]


@pytest.mark.parametrize("count", [0, -1, 6])
def test_no_composite_comes_twice(folder, count):
    with pytest.raises(InputError, match=f"backgrounds_per_foreground is {count}; .* 1 and .* 5"):
        benchmark(folder, backgrounds_per_foreground=count)


def test_a_size_that_no_network_takes_is_refused(folder):
    with pytest.raises(InputError, match=r"size is 16; .* at least 32"):
        benchmark(folder, size=16)


@pytest.mark.parametrize("size", [None, 64])
def test_the_picture_is_the_composite_of_its_parts(folder, size):
    listed = benchmark(folder, size=size)
    for index, (i, j) in enumerate(listed.pairs):
        sample, person = listed[index], listed.foregrounds.load(i)
        height, width = sample["alpha"].shape[1:]
        assert sample["image"].shape == (3, height, width)
        assert sample["trimap"].shape == sample["alpha"].shape == (1, height, width)
        assert {sample[key].dtype for key in ("image", "alpha", "trimap")} == {torch.uint8}
        np.testing.assert_array_equal(sample["trimap"][0], evaluation_trimap(sample["alpha"][0].numpy()))
        if (height, width) != person.alpha.shape:
            continue
        np.testing.assert_array_equal(sample["alpha"][0], person.alpha)
        weight = person.alpha[..., None] / 255
        scene = cover(listed.backgrounds.load(j), height, width)
        exact = weight * person.color + (1 - weight) * scene
        # Rounded once.
        assert np.abs(sample["image"].permute(1, 2, 0).numpy() - exact).max() <= 0.501


def test_size_reduces_the_longer_side_and_enlarges_nothing(folder):
    shapes = {
        index: tuple(sample["alpha"].shape[1:])
        for index, sample in enumerate(map(benchmark(folder, size=64).__getitem__, range(3)))
    }
    assert shapes == {0: (40, 60), 1: (64, 46), 2: (64, 48)}


def test_reduced_alpha_keeps_its_share(folder):
    full, reduced = benchmark(folder)[2]["alpha"], benchmark(folder, size=64)[2]["alpha"]
    assert reduced.float().mean() == pytest.approx(full.float().mean().item(), rel=0.01)


def test_what_lies_beyond_the_end_is_padding(folder):
    listed = benchmark(folder)
    for index in range(3):
        real, padding = listed[index], listed[index + 3]
        assert torch.equal(real["image"], padding["image"])
        assert real["padding"].dtype == torch.bool
        assert not real["padding"].any()
        assert padding["padding"].all()


def test_equal_benchmarks_have_equal_hashes(folder):
    first = benchmark(folder, backgrounds_per_foreground=2)
    assert first.hash == benchmark(folder, backgrounds_per_foreground=2).hash
    assert len(first.hash) == 12
    assert int(first.hash, 16) >= 0


def test_the_hash_changes_with_everything_that_the_pixels_depend_on(folder):
    seen = [benchmark(folder, backgrounds_per_foreground=count).hash for count in (1, 2, 5)]
    seen.append(benchmark(folder, size=64).hash)
    seen.append(benchmark(folder, seed=1).hash)
    write(folder / "people/0.png", 99, alpha=True)
    seen.append(benchmark(folder).hash)
    (folder / "people/2.png").unlink()
    seen.append(benchmark(folder).hash)
    assert len(set(seen)) == len(seen)


def test_the_hash_changes_with_the_backgrounds_on_the_list_alone(folder):
    used = {j for _, j in benchmark(folder).pairs}
    assert 0 < len(used) < 5
    for number in range(5):
        before = benchmark(folder).hash
        write(folder / f"scenes/{number}.png", 90 + number)
        assert (benchmark(folder).hash != before) == (number in used)


def test_the_hash_does_not_depend_on_where_the_files_are(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    before = benchmark(folder).hash
    folder.rename(moved)
    assert benchmark(moved).hash == before


def test_the_description_names_every_picture(folder):
    listed = benchmark(folder, size=64)
    description = listed.description
    assert description["rules"] == {"version": 1, "size": 64, "trimap_kernel": 25}
    for pair, (i, j) in zip(description["pairs"], listed.pairs, strict=True):
        assert pair == {
            "foreground": listed.foregrounds.fingerprint(i),
            "background": listed.backgrounds.fingerprint(j),
        }


def test_drawn_benchmarks_hash_their_pixels():
    def drawn(seed: int) -> str:
        return Benchmark(ProceduralPortraits(2, 32, seed=seed), ProceduralBackgrounds(2, 32, seed=1)).hash

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
