"""Reductions by area: what they average, whatever the sides, and without a copy where nothing is to be done."""

import cv2
import numpy as np
import pytest

from sdnet_pl.data.reduction import reduce_by_area


def waves(height: int, width: int, dtype: type) -> np.ndarray:
    """A picture with detail that a reduction keeps and some that it does not."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    picture = 0.5 + 0.25 * np.sin(x / 15) * np.cos(y / 11) + 0.2 * np.random.default_rng(0).random((height, width))
    scaled = np.stack([picture, 1 - picture, picture**2], axis=2)
    return scaled.astype(np.float32) if dtype is np.float32 else np.rint(255 * scaled).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((600, 800), (77, 58)), ((311, 404), (51, 39)), ((320, 240), (225, 300)), ((8, 8), (1, 1))],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_mean_of_what_each_pixel_covers(shape: tuple[int, int], size: tuple[int, int], dtype: type):
    picture = waves(*shape, dtype)
    reduced = reduce_by_area(picture, *size)
    expected = cv2.resize(picture.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    assert reduced.dtype == dtype
    assert reduced.shape == expected.shape
    # Where its border crosses halved pixels, a pixel of the result sees a few more of the picture's, and here these
    # differ by up to a tenth from one block of four to the next.
    error = np.abs(reduced - expected) * (1 if dtype is np.uint8 else 255)
    assert error.max() <= 8
    assert error.mean() <= 1.5
    # Each halving rounds a half up.
    assert abs((reduced - expected).mean()) <= (0.6 if dtype is np.uint8 else 1e-4)


def test_whole_blocks_are_exact_and_nothing_to_do_is_no_copy():
    picture = waves(96, 160, np.float32)
    blocks = picture.reshape(12, 8, 20, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(reduce_by_area(picture, 20, 12), blocks, atol=1e-6)
    assert reduce_by_area(picture, 160, 96) is picture
