"""Drawn portraits and backgrounds: determinism, exact alpha, extended colour, and variety."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from sdnet_pl.data.sources.base import Foreground
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.errors import InputError
from sdnet_pl.synthetic.canvas import extended

Source = type[ProceduralPortraits] | type[ProceduralBackgrounds]
SOURCES: list[Source] = [ProceduralPortraits, ProceduralBackgrounds]


@pytest.fixture(scope="module")
def people() -> list[Foreground]:
    source = ProceduralPortraits(size=192, seed=3)
    return [source.load(index) for index in range(24)]


@pytest.mark.parametrize("source", SOURCES)
def test_one_seed_and_index_always_give_the_same_pixels(source: Source) -> None:
    assert source(size=96, seed=5).fingerprint(7) == source(length=3, size=96, seed=5).fingerprint(7)


@pytest.mark.parametrize("source", SOURCES)
def test_every_seed_and_index_has_a_picture_of_its_own(source: Source) -> None:
    prints = {source(size=64, seed=seed).fingerprint(index) for seed in (0, 1) for index in (0, 1, 2, 50)}
    assert len(prints) == 8


@pytest.mark.parametrize("source", SOURCES)
def test_order_of_loading_does_not_matter(source: Source) -> None:
    drawn = source(size=64)
    first = drawn.fingerprint(4)
    drawn.load(9)
    assert drawn.fingerprint(4) == first


@pytest.mark.parametrize("source", SOURCES)
def test_the_source_is_endless_and_keeps_its_nominal_length(source: Source) -> None:
    drawn = source(length=2, size=64)
    assert len(drawn) == 2
    assert drawn.fingerprint(10**9) != drawn.fingerprint(10**9 % 2)


@pytest.mark.parametrize("size", [32, 64, 100, 256, 333, 512])
def test_shapes_and_types_at_every_size(size: int) -> None:
    person, scene = ProceduralPortraits(size=size).load(1), ProceduralBackgrounds(size=size).load(1)
    assert person.color.shape == scene.shape == (size, size, 3)
    assert person.alpha.shape == (size, size)
    assert person.color.dtype == person.alpha.dtype == scene.dtype == np.uint8
    assert person.alpha.min() == 0
    assert person.alpha.max() == 255


@pytest.mark.parametrize("index", range(4))
def test_one_index_shows_the_same_picture_at_every_size(index: int) -> None:
    large, small = (ProceduralPortraits(size=size).load(index) for size in (512, 64))
    reduced = cv2.resize(large.alpha, (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(reduced - small.alpha).mean() < 6
    scenes = [ProceduralBackgrounds(size=size).load(index) for size in (512, 64)]
    reduced = cv2.resize(scenes[0], (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(reduced - scenes[1]).mean() < 6


def test_alpha_holds_background_person_and_much_between(people: list[Foreground]) -> None:
    alpha = np.stack([person.alpha for person in people])
    empty, full = (alpha == 0).mean((1, 2)), (alpha == 255).mean((1, 2))
    between = 1 - empty - full
    assert empty.min() > 0.1
    assert full.min() > 0.06
    assert 0.02 < np.median(between) < 0.25
    assert between.max() > 0.05
    values = np.bincount(alpha.ravel(), minlength=256)[1:255]
    assert (values > 0).all(), "every opacity occurs somewhere"


def test_the_opaque_part_is_one_body_that_leaves_the_picture_at_the_bottom(people: list[Foreground]) -> None:
    for person in people:
        labels, _ = ndimage.label(person.alpha > 250)
        sizes = np.bincount(labels.ravel())[1:]
        assert sizes.max() > 0.9 * sizes.sum()
        assert (person.alpha[-1] == 255).mean() > 0.1
        assert (person.alpha[0] == 0).mean() > 0.3


def test_the_background_shows_through_holes_in_many(people: list[Foreground]) -> None:
    holes = [ndimage.label(person.alpha < 128)[1] - 1 for person in people]
    assert sum(count > 0 for count in holes) >= len(people) // 3


def test_colour_goes_on_beyond_the_outline(people: list[Foreground]) -> None:
    for person in people:
        inside, outside = person.alpha > 0, person.alpha == 0
        near = outside & ndimage.binary_dilation(inside, iterations=2)
        count = ndimage.uniform_filter(inside.astype(float), 7)
        for channel in np.moveaxis(person.color.astype(float), -1, 0):
            known = ndimage.uniform_filter(np.where(inside, channel, 0), 7) / np.maximum(count, 1e-9)
            assert np.abs(channel - known)[near].mean() < 25


def test_no_colour_beyond_the_outline_is_darker_than_its_surroundings(people: list[Foreground]) -> None:
    for person in people:
        inside = person.alpha > 0
        near = ~inside & ndimage.binary_dilation(inside, iterations=2)
        for channel in np.moveaxis(person.color.astype(int), -1, 0):
            darkest = ndimage.minimum_filter(np.where(inside, channel, 255), 17)
            assert ((channel - darkest)[near] < -10).mean() < 0.01


def test_extension_divides_exactly_and_fills_with_the_nearest_mean() -> None:
    alpha = np.zeros((16, 16), np.float32)
    alpha[4:8, 4:8] = 0.25
    color = np.zeros((16, 16, 3), np.float32)
    color[4:8, 4:8] = np.array([200, 100, 40], np.float32) * 0.25
    np.testing.assert_allclose(extended(color, alpha), np.broadcast_to([200.0, 100.0, 40.0], (16, 16, 3)), rtol=1e-4)


def test_backgrounds_range_from_plain_to_cluttered() -> None:
    source = ProceduralBackgrounds(size=96, seed=1)
    scenes = [source.load(index).astype(np.float32) for index in range(60)]
    detail = np.array([np.abs(np.diff(scene, axis=1)).mean() for scene in scenes])
    assert np.quantile(detail, 0.1) < 3
    assert np.quantile(detail, 0.9) > 7
    means = np.stack([scene.mean((0, 1)) for scene in scenes])
    assert (means.std(0) > 25).all()


def test_people_differ_in_colour_place_and_scale(people: list[Foreground]) -> None:
    assert np.std([person.color[person.alpha > 250].mean() for person in people]) > 12
    assert np.std([np.nonzero(person.alpha > 250)[1].mean() for person in people]) > 5
    tops = [np.nonzero((person.alpha > 250).any(1))[0][0] for person in people]
    assert np.ptp(tops) > 20


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length must be at least 1, got 0; pass"),
        ({"size": 31}, "size must be at least 32 pixels, got 31; pass"),
        ({"seed": -1}, "seed must not be negative, got -1; pass"),
    ],
)
def test_arguments_out_of_range_are_refused(source: Source, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        source(**arguments)


@pytest.mark.parametrize("source", SOURCES)
def test_a_negative_index_is_refused(source: Source) -> None:
    with pytest.raises(InputError, match="index must not be negative, got -1; count from 0"):
        source(size=64).load(-1)
