"""Eq. 1, the exact merge of two people, backgrounds that cover, trimaps, and the degradation of composites."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sdnet_pl.data.composition import (
    Degradation,
    composite,
    composite_uint8,
    cover,
    hide_behind,
    merge_float,
    merge_foregrounds,
)
from sdnet_pl.data.sources.base import Foreground
from sdnet_pl.data.trimap import banded_trimap, evaluation_trimap, random_trimap, trimap_from_alpha

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/composition_and_cosine.json").read_text())
MERGES = VECTORS["merge_two_foregrounds"]


def noise(seed: int, *shape: int) -> np.ndarray:
    """Random bytes, a fifth of them 0 and a fifth 255, as in an alpha."""
    wide = np.random.default_rng(seed).integers(-85, 341, shape)
    return np.clip(wide, 0, 255).astype(np.uint8)


def person(seed: int, height: int = 24, width: int = 31) -> Foreground:
    return Foreground(noise(seed, height, width, 3), noise(seed + 1000, height, width))


def over(front: np.ndarray, alpha: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Eq. 1 in float64 on the scale 0 to 255, ``alpha`` from 0 to 1."""
    return alpha * front.astype(float) + (1 - alpha) * back


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).reshape(*image.shape[:2], -1).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("vector", MERGES, ids=lambda v: f"{v['a1']}-{v['a2']}")
def test_merge_gives_the_exact_values(vector):
    alpha, color = merge_float(*(np.array([vector[name]], float) for name in ("f1", "a1", "f2", "a2")))
    assert alpha[0] == pytest.approx(vector["alpha"], abs=1e-12)
    assert color[0] == pytest.approx(vector["F_exact"], abs=1e-9)
    assert over(color, alpha, np.array([vector["b"]]))[0] == pytest.approx(vector["over_exact"], abs=1e-9)


def test_merged_people_composite_as_one_over_the_other():
    rng = np.random.default_rng(0)
    f1, f2, b = 255 * rng.random((3, 50, 40, 3))
    a1, a2 = rng.choice([0, 1, 0.3, 0.7], (2, 50, 40, 1))
    alpha, color = merge_float(f1, a1, f2, a2)
    np.testing.assert_allclose(over(color, alpha, b), over(f1, a1, over(f2, a2, b)), atol=1e-9)
    assert np.isfinite(color).all()


def test_merged_bytes_composite_as_one_over_the_other():
    front, back, scene = person(1), person(2), noise(3, 24, 31, 3)
    a1, a2 = front.alpha[..., None] / 255, back.alpha[..., None] / 255
    exact = np.rint(over(front.color, a1, over(back.color, a2, scene)))
    merged = merge_foregrounds(front, back)
    assert merged.color.dtype == merged.alpha.dtype == np.uint8
    assert merged.alpha.shape == front.alpha.shape
    # F and alpha of the merged person are rounded to bytes, half a level each.
    assert np.abs(composite_uint8(merged, scene) - exact).max() <= 1


def test_nobody_behind_or_in_front_changes_nothing():
    somebody = person(1)
    nobody = Foreground(person(2).color, np.zeros_like(somebody.alpha))
    seen = somebody.alpha > 0
    for merged in (merge_foregrounds(somebody, nobody), merge_foregrounds(nobody, somebody)):
        np.testing.assert_array_equal(merged.alpha, somebody.alpha)
        np.testing.assert_array_equal(merged.color[seen], somebody.color[seen])


def test_colours_stay_extended_where_nobody_is():
    colors = [np.full((4, 4, 3), value, np.uint8) for value in (200, 100)]
    merged = merge_foregrounds(*(Foreground(color, np.zeros((4, 4), np.uint8)) for color in colors))
    assert (merged.color == 150).all()
    assert (merged.alpha == 0).all()


def test_an_object_before_a_person_composites_as_all_three():
    thing, somebody, scene = person(1), person(2), noise(3, 24, 31, 3)
    o, alpha = thing.alpha[..., None] / 255, somebody.alpha[..., None] / 255
    left, around = hide_behind(thing, somebody, scene)
    assert left.alpha.dtype == around.dtype == np.uint8
    exact = over(thing.color, o, over(somebody.color, alpha, scene))
    seen = over(left.color, left.alpha[..., None] / 255, around)
    # Alpha and B are rounded to bytes, half a level each.
    assert np.abs(seen - exact).max() <= 1
    # float32 may round a half either way.
    assert np.abs(left.alpha - 255 * ((1 - o) * alpha)[..., 0]).max() <= 0.501
    np.testing.assert_array_equal(left.color, somebody.color)


@pytest.mark.parametrize("opacity", [0, 255])
def test_an_object_hides_all_or_nothing(opacity):
    thing = Foreground(noise(1, 24, 31, 3), np.full((24, 31), opacity, np.uint8))
    somebody, scene = person(2), noise(3, 24, 31, 3)
    left, around = hide_behind(thing, somebody, scene)
    if opacity:
        assert (left.alpha == 0).all()
        np.testing.assert_array_equal(around, thing.color)
    else:
        np.testing.assert_array_equal(left.alpha, somebody.alpha)
        seen = somebody.alpha < 255
        np.testing.assert_array_equal(around[seen], scene[seen])


def test_composite_is_equation_1():
    fore, scene = person(4), noise(5, 24, 31, 3)
    exact = over(fore.color, fore.alpha[..., None] / 255, scene)
    image = composite(as_batch(fore.color), as_batch(scene), as_batch(fore.alpha))
    # float32 holds seven digits.
    np.testing.assert_allclose(255 * image[0].permute(1, 2, 0).double().numpy(), exact, atol=1e-4)
    assert image.min() >= 0
    assert image.max() <= 1
    difference = composite_uint8(fore, scene) - 255 * image[0].permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 0.501  # one rounding to bytes


def test_alpha_0_and_1_give_background_and_foreground_exactly():
    fore, scene = person(6), noise(7, 24, 31, 3)
    image = composite_uint8(fore, scene)
    for value, layer in ((0, scene), (255, fore.color)):
        at = fore.alpha == value
        assert at.any()
        np.testing.assert_array_equal(image[at], layer[at])


@pytest.mark.parametrize("background", [(100, 100), (30, 20), (64, 48), (40, 600), (700, 30), (500, 400), (97, 101)])
@pytest.mark.parametrize("target", [(64, 48), (48, 96)])
def test_cover_fills_the_target_with_the_unstretched_middle(background, target):
    height, width = background
    y, x = np.mgrid[:height, :width]
    radius = 0.3 * min(background)
    disc = np.clip(radius - np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) + 0.5, 0, 1)
    covered = cover(np.repeat(255 * disc[..., None], 3, axis=2).astype(np.uint8), *target)
    assert covered.shape == (*target, 3)
    assert covered.dtype == np.uint8
    mass = covered[..., 0] / 255.0
    y, x = np.mgrid[: target[0], : target[1]]
    # Rounding the scaled size and the cut costs up to half a pixel each.
    assert (mass * x).sum() / mass.sum() == pytest.approx((target[1] - 1) / 2, abs=1)
    assert (mass * y).sum() / mass.sum() == pytest.approx((target[0] - 1) / 2, abs=1)
    scale = max(target[0] / height, target[1] / width)
    if 2 * radius * scale < min(target):
        across, down = (mass > 0.5).any(0).sum(), (mass > 0.5).any(1).sum()
        assert across == pytest.approx(2 * radius * scale, abs=2)
        assert abs(int(across) - int(down)) <= 2


def test_a_background_of_the_target_size_is_left_alone():
    scene = noise(8, 64, 48, 3)
    np.testing.assert_array_equal(cover(scene, 64, 48), scene)


def test_a_large_background_is_reduced_by_area():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(cover(stripes, 64, 64).astype(int) - 127.5).max() <= 1


def soft_square(size: int = 100) -> np.ndarray:
    alpha = np.zeros((size, size), np.uint8)
    alpha[20:80, 20:80] = 90
    alpha[24:76, 24:76] = 255
    return alpha


@pytest.mark.parametrize("kernels", [(1, 1), (2, 7), (25, 25), (10, 3)])
def test_trimap_knows_only_what_alpha_settles(kernels):
    alpha = soft_square()
    trimap = trimap_from_alpha(alpha, *kernels)
    assert trimap.dtype == np.uint8
    assert set(np.unique(trimap)) == {0, 128, 255}
    assert (alpha[trimap == 255] == 255).all()
    assert (alpha[trimap == 0] == 0).all()


def test_foreground_and_background_kernels_are_not_mixed_up():
    alpha = soft_square()
    trimap = trimap_from_alpha(alpha, 21, 1)
    np.testing.assert_array_equal(trimap == 0, alpha == 0)
    assert trimap[50, 33] == 128
    assert trimap[50, 34] == 255


def test_evaluation_trimap_is_an_ellipse_of_25_pixels():
    alpha = np.zeros((101, 101), np.uint8)
    alpha[50, 50] = 1
    y, x = np.mgrid[-50:51, -50:51]
    unknown = evaluation_trimap(alpha) == 128
    distance = np.hypot(x, y)
    # 12 pixels on every side of the pixel; a raster disc is off by one at most.
    assert unknown[distance <= 11].all()
    assert not unknown[distance > 13].any()
    assert unknown[50, 38:63].all()
    assert unknown[50].sum() == unknown[:, 50].sum() == 25


def test_the_picture_border_is_no_edge_of_the_person():
    alpha = np.zeros((80, 80), np.uint8)
    alpha[:, 40:] = 255
    trimap = evaluation_trimap(alpha)
    columns = np.repeat(np.array([0, 128, 255], np.uint8), [28, 24, 28])
    np.testing.assert_array_equal(trimap, np.tile(columns, (80, 1)))


@pytest.mark.parametrize("bands", [(0, 0), (0, 3), (4, 0), (2.5, 1)])
def test_a_band_is_as_wide_as_asked_for_on_its_side(bands):
    alpha = np.zeros((60, 80), np.uint8)
    alpha[:, 40:] = 255
    foreground, background = map(int, bands)
    row = np.repeat(np.array([0, 128, 255], np.uint8), [40 - background, foreground + background, 40 - foreground])
    np.testing.assert_array_equal(banded_trimap(alpha, *bands), np.tile(row, (60, 1)))


def test_the_band_of_a_soft_edge_begins_where_alpha_is_certain():
    alpha = soft_square()
    trimap = banded_trimap(alpha, 4, 9)
    assert (trimap[(alpha > 0) & (alpha < 255)] == 128).all()
    assert trimap[50].tolist() == [0] * 11 + [128] * 17 + [255] * 44 + [128] * 17 + [0] * 11


@pytest.mark.parametrize("value", [0, 255])
def test_a_uniform_alpha_leaves_nothing_unknown(value):
    alpha = np.full((40, 30), value, np.uint8)
    assert (banded_trimap(alpha, 7, 7) == value).all()
    assert (evaluation_trimap(alpha) == value).all()
    assert (random_trimap(alpha, np.random.default_rng(0)) == value).all()


def test_a_translucent_picture_is_unknown_throughout():
    assert (evaluation_trimap(np.full((40, 30), 254, np.uint8)) == 128).all()


def test_random_trimaps_follow_their_generator():
    alpha = soft_square()
    first, again, other = (random_trimap(alpha, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    many = [random_trimap(alpha, np.random.default_rng(seed)) for seed in range(50)]
    assert len({int((trimap == 128).sum()) for trimap in many}) > 20
    for trimap in many:
        assert (trimap[(alpha > 0) & (alpha < 255)] == 128).all()
        # Half of a tenth of the picture beyond the soft edge, at most.
        assert (trimap[:15] == 0).all()
        assert (trimap[30:70, 30:70] == 255).all()


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def test_one_seed_degrades_in_one_way(picture):
    degradation = Degradation(1.0)
    first, again, other = (degradation(picture, seed) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_degradation_leaves_the_global_generator_alone(picture):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Degradation(1.0)(picture, 5)
    assert torch.equal(torch.rand(4), expected)


def test_degradation_does_not_depend_on_the_global_generator(picture):
    degradation = Degradation(0.5)
    torch.manual_seed(1)
    first = degradation(picture, 5)
    torch.manual_seed(2)
    assert torch.equal(degradation(picture, 5), first)


def test_probability_0_changes_nothing(picture):
    assert torch.equal(Degradation(0.0)(picture, 1), picture)


def test_probability_decides_for_each_picture():
    """Every picture of the batch changes at 1; at 0.2 about 0.8³, half of them, stay as they are."""
    batch = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    changed = (Degradation(1.0)(batch, 0) != batch).flatten(1).any(1)
    assert changed.all()
    changed = (Degradation(0.2)(batch, 0) != batch).flatten(1).any(1)
    assert 16 <= changed.sum() <= 48  # four standard deviations


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_degraded_black_and_white_stay_pictures(size, level):
    batch = torch.full((2, 3, *size), level)
    batch[:, :, :4, :4] = 0.5
    degraded = Degradation(1.0)(batch, 0)
    assert degraded.shape == batch.shape
    assert degraded.isfinite().all()
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    # Noise of 0.03, cut off at the end of the range.
    assert (degraded - batch).abs().mean() < 0.05


def test_degradation_computes_only_what_is_drawn():
    """As computing every picture and keeping the drawn ones, and each step sees the drawn ones alone."""
    batch = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    seen = []

    class Step(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(len(image))
            return image * self.factor + 0.1

    degradation = Degradation(0.4)
    degradation.steps = torch.nn.ModuleList(Step(factor) for factor in (0.5, 1.2, 0.9))
    before = batch.clone()
    degraded = degradation(batch, 9)
    calls = list(seen)
    with torch.random.fork_rng([]):
        torch.manual_seed(9)
        drawn = torch.rand(3, 16) < 0.4
    expected = batch
    for step, row in zip(degradation.steps, drawn, strict=True):
        expected = torch.where(row[:, None, None, None], step(expected).clamp(0, 1), expected)
    assert torch.equal(degraded, expected)
    assert calls == drawn.sum(1).tolist()
    assert 0 < sum(calls) < 3 * 16
    assert torch.equal(batch, before)


def test_degradation_of_every_picture_is_kornias():
    batch = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    degradation = Degradation(1.0)
    degraded = degradation(batch, 4)
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(4)
        torch.rand(3, 3)  # the draw of who is degraded
        expected = batch
        for step in degradation.steps:
            expected = step(expected).clamp(0, 1)
    assert torch.equal(degraded, expected)


@pytest.mark.parametrize("seed", range(12))
def test_random_trimaps_lie_between_those_of_ellipses(seed):
    """A raster ellipse and a distance disagree by up to a pixel, and even ellipses are off their centre by half."""
    y, x = np.mgrid[:300, :300]
    alpha = np.clip(90 - np.hypot(x - 160, y - 130) + 20 * np.sin(x / 9) * np.cos(y / 7), 0, 1)
    alpha = (255 * cv2.GaussianBlur(alpha, (9, 9), 0)).round().astype(np.uint8)
    fast = random_trimap(alpha, np.random.default_rng(seed))
    kernels = np.random.default_rng(seed).integers(1, 31, size=2)
    narrow, wide = (trimap_from_alpha(alpha, *(max(1, int(k) + step) for k in kernels)) for step in (-3, 3))
    for value in (0, 255):
        assert ((wide == value) <= (fast == value)).all()
        assert ((fast == value) <= (narrow == value)).all()
