"""Fixed lists of composites: what the pixels are, and a hash that changes whenever they do."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Pillow

from sdnet_pl.data.benchmarks import AlphaBenchmark, CompositeBenchmark, PhotoBenchmark
from sdnet_pl.data.composition import cover
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder, MaskFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.trimap import evaluation_trimap, trimap_from_alpha
from sdnet_pl.errors import InputError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def write(path: Path, seed: int, height: int = 40, width: int = 60, alpha: bool = False) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if alpha:
        y, x = np.mgrid[:height, :width]
        soft = np.clip((0.4 - np.hypot(x / width - 0.5, y / height - 0.5)) / 0.2, 0, 1)
        pixels = np.dstack([pixels, (255 * soft).astype(np.uint8)])
    path.parent.mkdir(exist_ok=True, parents=True)
    Pillow.fromarray(pixels).save(path)


def write_mask(path: Path, height: int, width: int, radius: float = 0.3) -> None:
    y, x = np.mgrid[:height, :width]
    inside = np.hypot(x / width - 0.4, y / height - 0.5) < radius
    write_png(path, np.where(inside, np.uint8(255), np.uint8(0)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cut-outs and three photos with masks, of different shapes, and five backgrounds."""
    for seed, (height, width) in enumerate([(40, 60), (70, 50), (120, 90)]):
        write(tmp_path / f"people/{seed}.png", seed, height, width, alpha=True)
        write(tmp_path / f"photos/image/{seed}.png", 20 + seed, height, width)
        write_mask(tmp_path / f"photos/mask/{seed}.png", height, width)
    for seed in range(5):
        write(tmp_path / f"scenes/{seed}.png", 10 + seed, 40 + 20 * seed, 60)
    return tmp_path


def benchmark(folder: Path, **options) -> CompositeBenchmark:
    return CompositeBenchmark(CutoutFolder(str(folder / "people")), BackgroundFolder(str(folder / "scenes")), **options)


def photos(folder: Path, band: float = 0.0, **options) -> PhotoBenchmark:
    return PhotoBenchmark(MaskFolder(str(folder / "photos"), band), **options)


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


@pytest.mark.parametrize("weight", [0.3, 2])
def test_a_weight_for_training_changes_no_benchmark(folder, weight):
    people = CutoutFolder(str(folder / "people"), weight=weight)
    scenes = BackgroundFolder(str(folder / "scenes"), weight=weight)
    assert CompositeBenchmark(people, scenes, 5).hash == benchmark(folder, backgrounds_per_foreground=5).hash
    with pytest.raises(InputError, match=r"1 and .* 5"):
        CompositeBenchmark(people, scenes, 6)
    weighted = PhotoBenchmark(MaskFolder(str(folder / "photos"), 0.0, weight))
    assert (len(weighted), weighted.hash) == (3, photos(folder).hash)


@pytest.mark.parametrize("count", [0, -1, 6])
def test_no_composite_comes_twice(folder, count):
    with pytest.raises(InputError, match=f"backgrounds_per_foreground is {count}; .* 1 and .* 5"):
        benchmark(folder, backgrounds_per_foreground=count)


def test_people_far_away_stand_on_the_lower_edge(folder):
    near, far = benchmark(folder, size=80), benchmark(folder, size=80, person_height=0.25)
    assert near.hash != far.hash != benchmark(folder, size=80, person_height=0.5).hash
    places = set()
    for index in range(3):
        sample = far[index]
        assert max(sample["image"].shape[1:]) == 80
        rows = np.flatnonzero(sample["alpha"][0].numpy().max(axis=1))
        height = sample["alpha"].shape[1]
        # The cut-outs' outermost rows are nearly transparent, and vanish where they are made smaller.
        assert height - rows[0] == pytest.approx(round(height / 4), abs=2)
        assert rows[-1] >= height - 2
        places.add(int(np.flatnonzero(sample["alpha"][0].numpy().max(axis=0))[0]))
        around = sample["image"].permute(1, 2, 0).numpy()[: height // 2]
        scene = cover(far.backgrounds.load(far.pairs[index][1]), *sample["alpha"].shape[1:])
        np.testing.assert_array_equal(around, scene[: height // 2])
    assert len(places) > 1
    with pytest.raises(InputError, match=r"person_height is 1\.5; .* up to 1"):
        benchmark(folder, person_height=1.5)


def test_a_size_that_no_network_takes_is_refused(folder):
    with pytest.raises(InputError, match=r"size is 16; .* at least 32"):
        benchmark(folder, size=16)
    with pytest.raises(InputError, match=r"size is 31; .* at least 32"):
        photos(folder, size=31)
    with pytest.raises(InputError, match=r"trimap_kernel is 0; .* at least 1"):
        benchmark(folder, trimap_kernel=0)


def test_the_trimap_of_small_composites_may_be_narrower(folder):
    usual, narrow = benchmark(folder, size=64), benchmark(folder, size=64, trimap_kernel=5)
    assert usual.hash != narrow.hash
    alpha = narrow[0]["alpha"][0].numpy()
    np.testing.assert_array_equal(narrow[0]["trimap"][0], trimap_from_alpha(alpha, 5, 5))


@pytest.mark.parametrize("size", [None, 64])
def test_the_picture_is_the_composite_of_its_parts(folder, size):
    listed = benchmark(folder, size=size)
    for index, (i, j) in enumerate(listed.pairs):
        sample, person = listed[index], listed.foregrounds.load(i)
        height, width = sample["alpha"].shape[1:]
        assert sample["image"].shape == (3, height, width)
        assert sample["trimap"].shape == sample["alpha"].shape == (1, height, width)
        assert {picture.dtype for picture in (sample["image"], sample["alpha"], sample["trimap"])} == {torch.uint8}
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


def test_pictures_are_called_by_the_names_of_their_files(folder, tmp_path):
    listed = benchmark(folder, backgrounds_per_foreground=2)
    assert [listed.name(index) for index in range(6)] == [f"{i} over {j}" for i, j in listed.pairs]
    write(folder / "people/sub/of two.webp", 9, alpha=True)
    assert benchmark(folder).name(3).startswith("sub/of two over ")
    assert photos(folder).name(1) == "1"
    for kind in ("image", "alpha"):
        write_mask(tmp_path / f"test/{kind}/b/c.png", 40, 50)
    assert AlphaBenchmark(str(tmp_path / "test")).name(0) == "b/c"
    drawn = CompositeBenchmark(ProceduralPortraits(3, 64), ProceduralBackgrounds(3, 64))
    assert [drawn.name(index) for index in range(3)] == [f"{i} over {j}" for i, j in drawn.pairs]


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
        return CompositeBenchmark(ProceduralPortraits(2, 32, seed=seed), ProceduralBackgrounds(2, 32, seed=1)).hash

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_photos_are_scored_against_their_masks(folder):
    listed = photos(folder, band=0.05)
    assert len(listed) == 3
    for index in range(3):
        photo, mask, known = listed.photos.load(index)
        sample, padding = listed[index], listed[index + 3]
        assert {picture.dtype for picture in (sample["image"], sample["alpha"], sample["trimap"])} == {torch.uint8}
        np.testing.assert_array_equal(sample["image"].permute(1, 2, 0), photo)
        # The mask counts everywhere, and nothing as an unknown region.
        assert (known == 0).any()
        np.testing.assert_array_equal(sample["alpha"][0], mask)
        assert torch.equal(sample["trimap"], sample["alpha"])
        assert torch.equal(padding["image"], sample["image"])
        assert [item["padding"].item() for item in (sample, padding)] == [False, True]


def test_reduced_masks_stay_masks(folder):
    full, reduced = photos(folder), photos(folder, size=64)
    assert [tuple(reduced[index]["image"].shape[1:]) for index in range(3)] == [(40, 60), (64, 46), (64, 48)]
    for index in range(3):
        alpha = reduced[index]["alpha"]
        assert alpha.shape[1:] == reduced[index]["image"].shape[1:]
        assert set(alpha.unique().tolist()) == {0, 255}
        assert torch.equal(reduced[index]["trimap"], alpha)
        # A mask has no grey to keep its area with: its outline moves by a fraction of a pixel.
        share = full[index]["alpha"].float().mean().item()
        assert alpha.float().mean().item() == pytest.approx(share, rel=0.03)


def test_the_hash_of_photos_changes_with_their_pixels(folder):
    seen = [photos(folder).hash, photos(folder, size=64).hash, photos(folder, size=96).hash]
    write(folder / "photos/image/1.png", 99, 70, 50)
    seen.append(photos(folder).hash)
    write_mask(folder / "photos/mask/1.png", 70, 50, radius=0.2)
    seen.append(photos(folder).hash)
    for part in ("image", "mask"):
        (folder / f"photos/{part}/2.png").unlink()
    seen.append(photos(folder).hash)
    assert len(set(seen)) == len(seen)


def test_the_hash_of_photos_changes_with_nothing_else(folder, tmp_path_factory):
    moved, before = tmp_path_factory.mktemp("elsewhere") / "moved", photos(folder).hash
    write(folder / "people/0.png", 99, alpha=True)
    folder.rename(moved)
    assert photos(moved).hash == before
    assert len(before) == 12
    description = photos(moved).description
    assert description["rules"] == {"version": 1, "size": None}
    assert description["photos"] == [MaskFolder(str(moved / "photos"), 0.0).fingerprint(index) for index in range(3)]


def photos_with_alpha(root: Path, trimaps: bool) -> Path:
    for number, (height, width) in enumerate([(60, 40), (90, 120)]):
        write(root / f"image/{number}.jpg", number, height, width)
        alpha = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
        for folder, pixels in (("alpha", alpha), ("trimap", np.where(alpha > 100, np.uint8(128), np.uint8(0)))):
            if folder == "alpha" or trimaps:
                (root / folder).mkdir(exist_ok=True)
                Pillow.fromarray(pixels).save(root / folder / f"{number}.png")
    return root


@pytest.mark.parametrize("trimaps", [True, False])
def test_photos_with_an_alpha_are_scored_as_they_ship(tmp_path: Path, trimaps: bool):
    listed = AlphaBenchmark(str(photos_with_alpha(tmp_path, trimaps)))
    assert len(listed) == 2
    item = listed[1]
    alpha = np.asarray(Pillow.open(tmp_path / "alpha/1.png"))
    assert item["image"].shape == (3, 90, 120)
    np.testing.assert_array_equal(item["alpha"][0], alpha)
    shipped = np.where(alpha > 100, 128, 0) if trimaps else evaluation_trimap(alpha)
    np.testing.assert_array_equal(item["trimap"][0], shipped)
    assert not item["padding"]
    assert listed[2]["padding"]


def test_a_smaller_benchmark_makes_its_trimaps_anew(tmp_path: Path):
    item = AlphaBenchmark(str(photos_with_alpha(tmp_path, trimaps=True)), size=60)[1]
    assert item["alpha"].shape == (1, 45, 60)
    np.testing.assert_array_equal(item["trimap"][0], evaluation_trimap(item["alpha"][0].numpy()))


def test_the_hash_of_photos_with_an_alpha_follows_every_file(tmp_path: Path):
    hashes = {AlphaBenchmark(str(photos_with_alpha(tmp_path / "a", trimaps=False))).hash}
    hashes.add(AlphaBenchmark(str(tmp_path / "a"), size=60).hash)
    hashes.add(AlphaBenchmark(str(photos_with_alpha(tmp_path / "b", trimaps=True))).hash)
    Pillow.fromarray(np.full((90, 120), 128, np.uint8)).save(tmp_path / "b/trimap/1.png")
    hashes.add(AlphaBenchmark(str(tmp_path / "b")).hash)
    (tmp_path / "b/trimap/0.png").unlink()
    with pytest.raises(InputError, match=r"1 file\(s\) without a partner"):
        AlphaBenchmark(str(tmp_path / "b"))
    assert len(hashes) == 4


# Scores are compared by these hashes (experiments/README.md names one): a change here makes all earlier scores invalid.
BUILT_IN = {"quickstart/synthetic.yaml": "7e5a7feb270f", "quickstart/notebooks.yaml": "afc537e74d53"}


@pytest.mark.parametrize(("config", "expected"), BUILT_IN.items())
def test_hash_of_a_configs_built_in_benchmark(config: str, expected: str):
    benchmark = yaml.safe_load((EXPERIMENTS / config).read_text())["data"]["validation"]["procedural"]["init_args"]
    people, scenes = (benchmark[kind]["init_args"] for kind in ("foregrounds", "backgrounds"))
    assert CompositeBenchmark(ProceduralPortraits(**people), ProceduralBackgrounds(**scenes)).hash == expected


def test_hash_of_the_benchmark_of_a_fit_without_a_config():
    assert MattingDataModule().validation["procedural"].hash == "1a60d0658b4e"


def test_every_built_in_benchmark_of_the_configs_is_pinned():
    built_in = {
        str(path.relative_to(EXPERIMENTS))
        for path in EXPERIMENTS.rglob("*.yaml")
        if "ProceduralPortraits" in str((yaml.safe_load(path.read_text()).get("data") or {}).get("validation"))
    }
    assert built_in == BUILT_IN.keys()
