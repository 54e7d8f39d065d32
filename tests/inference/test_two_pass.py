"""The second pass: what is known stays, tiles leave no seams, and only what is unknown is looked at."""

import cv2
import numpy as np
import pytest
import torch

from sdnet_pl.data import trimap as data_trimap
from sdnet_pl.inference.two_pass import BAND, HIGH, LOW, OVERLAP, TILE, _spans, known_alpha, predicted_trimap, refine


class Red:
    """A stand-in for a network with a trimap: alpha is the red channel. Remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.seen.append(pictures)
        return pictures[:, :1]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def band(height: int, width: int, thickness: int = 40) -> np.ndarray:
    """A trimap whose unknown region is a circle's edge: many tiles, and some between them with nothing unknown."""
    trimap = np.zeros((height, width), np.uint8)
    centre, radius = (width // 2, height // 2), int(0.45 * min(height, width))
    cv2.circle(trimap, centre, radius, 255, cv2.FILLED)
    cv2.circle(trimap, centre, radius, 128, thickness)
    return trimap


@pytest.mark.parametrize("size", [None, 300])
def test_what_is_known_stays_bit_for_bit_and_what_is_not_is_found(size: int | None):
    photo, trimap = noise(1100, 1800), band(1100, 1800)
    photo = np.asarray(cv2.blur(photo, (61, 61)), np.uint8)  # survives scaling
    known, red = trimap != 128, photo[..., 0] / np.float32(255)
    alpha = np.where(known, red + np.float32(1e-3), 0)
    before, network = alpha.copy(), Red()
    found = refine(photo, alpha, trimap, network, size)
    np.testing.assert_array_equal(found[known], before[known])
    np.testing.assert_array_equal(alpha, before)
    # Sums of weights round at 1e-7. Scaled to a third and back, alpha mixes with what is known within 8 pixels, and
    # colours are off by two steps of 255.
    inner = cv2.erode((~known).astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    assert np.abs(found - red)[~known if size is None else inner].max() < (1e-6 if size is None else 2 / 255)
    assert max(max(picture.shape[2:]) for picture in network.seen) <= TILE


def test_what_is_unknown_of_a_large_photo_fits_one_tile():
    for left in range(300, 309):  # wherever the box ends between multiples of eight
        trimap, network = np.zeros((2000, 3000), np.uint8), Red()
        trimap[200:1300, left:2690] = 128
        refine(np.zeros((2000, 3000, 3), np.uint8), known_alpha(trimap), trimap, network)
        (picture,) = network.seen
        assert max(picture.shape[2:]) <= TILE


def test_the_network_gets_a_trimap_of_three_values():
    network, trimap = Red(), band(200, 300)
    refine(noise(200, 300), known_alpha(trimap), trimap, network)
    (picture,) = network.seen
    assert picture.dtype == np.float32
    assert picture.shape == (1, 4, 200, 300)
    np.testing.assert_array_equal(picture[0, 3], np.select([trimap == 0, trimap == 255], [0.0, 1.0], 0.5))


def test_tiles_leave_no_seams():
    """Whatever neighbouring tiles give, alpha goes from one to the other over the width of their overlap."""

    class Contrary:
        calls = 0

        def __call__(self, pictures: np.ndarray) -> np.ndarray:
            self.calls += 1
            return np.full_like(pictures[:, :1], self.calls % 2)

    network, shape = Contrary(), (900, 1600)
    trimap = np.full(shape, 128, np.uint8)
    found = refine(noise(*shape), known_alpha(trimap), trimap, network, None)
    assert network.calls == 2 * 3
    steps = [np.abs(np.diff(found, axis=axis)).max() for axis in (0, 1)]
    assert 0.5 / OVERLAP < max(steps) < 1.01 / OVERLAP


@pytest.mark.parametrize("length", [1, 40, 64, 767, 768, 769, 900, 1472, 1473, 4000])
def test_weights_add_up_to_one_over_what_is_covered(length: int):
    for first, end in ((0, length), (length // 3, length // 2 + 1), (length - 1, length)):
        total = np.zeros(length)
        spans = _spans(first, end, length, TILE)
        for span, weight in spans:
            assert 0 <= span.start < span.stop <= length
            assert span.stop - span.start == min(TILE, length)
            total[span] += weight
        np.testing.assert_allclose(total[first:end], 1, atol=1e-6)
        assert len(spans) <= 1 + max(0, end - first + 2 * OVERLAP - TILE) / (TILE - OVERLAP) + 1


def test_only_tiles_with_something_unknown_are_looked_at():
    network = Red()
    trimap = np.zeros((3000, 3000), np.uint8)
    trimap[100:110, 100:110] = trimap[2900:2910, 2900:2910] = 128
    refine(np.zeros((3000, 3000, 3), np.uint8), known_alpha(trimap), trimap, network, None)
    assert len(network.seen) == 2
    trimap[trimap == 128] = 0
    alpha = known_alpha(trimap)
    assert refine(np.zeros((3000, 3000, 3), np.uint8), alpha, trimap, network) is alpha
    assert len(network.seen) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (31, 31), (5, 3000), (3000, 2)])
def test_tiny_photos_and_extreme_aspect_ratios(shape: tuple[int, int]):
    photo, network = noise(*shape), Red()
    trimap = np.full(shape, 128, np.uint8)
    for size in (None, 64):
        found = refine(photo, known_alpha(trimap), trimap, network, size)
        assert found.shape == shape
        assert found.dtype == np.float32
        assert size or np.abs(found - photo[..., 0] / 255).max() < 1e-6
        assert min(network.seen[-1].shape[2:]) >= 32


def test_the_trimap_is_that_of_training():
    y, x = np.mgrid[:300, :400]
    alpha = np.clip((140 - np.hypot(y - 150, x - 200)) / 30 + 0.5, 0, 1).astype(np.float32)
    covered = cv2.boundingRect((alpha >= LOW).astype(np.uint8))
    band = round(BAND * max(covered[2:]))
    expected = data_trimap.predicted_trimap(torch.from_numpy(alpha)[None, None], LOW, HIGH, band)
    np.testing.assert_array_equal(predicted_trimap(alpha), expected[0, 0].numpy())
    assert set(np.unique(predicted_trimap(alpha))) == {0, 128, 255}
    assert (predicted_trimap(np.zeros((50, 60), np.float32)) == 0).all()
