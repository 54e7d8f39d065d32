from typing import Any

import cv2
import numpy as np
import pytest

from sdnet_pl.data.foreground_colors import REACH, cut_out, estimate_foreground, extend_foreground


def soft_disc(size=120, radius=35, softness=6):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.clip((radius - np.hypot(x, y)) / softness + 0.5, 0, 1) * 255).round().astype(np.uint8)


def test_visible_colours_stay_and_the_rest_takes_theirs():
    alpha, person = soft_disc(), np.array([200, 120, 40], np.uint8)
    color = np.where(alpha[..., None] > 0, person, np.uint8(0))
    before = color.copy()
    extended = extend_foreground(color, alpha)
    assert extended.dtype == np.uint8
    assert np.abs(extended.astype(int) - person).max() <= 1
    np.testing.assert_array_equal(color, before)


def test_visible_colours_are_untouched_for_any_alpha():
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    alpha = rng.integers(0, 256, (61, 83), dtype=np.uint8) * (rng.random((61, 83)) > 0.7).astype(np.uint8)
    np.testing.assert_array_equal(extend_foreground(color, alpha)[alpha > 0], color[alpha > 0])


def test_each_side_takes_the_colours_next_to_it():
    alpha = np.zeros((64, 128), np.uint8)
    alpha[16:48, 32:96] = 255
    color = np.zeros((64, 128, 3), np.uint8)
    color[:, :64], color[:, 64:] = (250, 10, 10), (10, 10, 250)
    extended = extend_foreground(np.where(alpha[..., None] > 0, color, np.uint8(0)), alpha)
    assert np.abs(extended[20:44, 24:32].astype(int) - (250, 10, 10)).max() < 25
    assert np.abs(extended[20:44, 96:104].astype(int) - (10, 10, 250)).max() < 25


def test_nearly_transparent_pixels_hardly_count():
    alpha = soft_disc()
    color = np.where(alpha[..., None] > 8, np.uint8(200), np.uint8(0)).repeat(3, axis=2)
    alpha[5, 5] = 1
    color[5, 5] = 0
    assert extend_foreground(color, alpha)[alpha == 0].min() > 180


def test_a_warp_leaves_no_dark_fringe():
    alpha, person = soft_disc(), np.array([220, 180, 150], np.uint8)
    color = np.where(alpha[..., None] > 0, person, np.uint8(0))
    matrix = cv2.getRotationMatrix2D((60, 60), 17, 0.37)

    def error_on_its_own_background(foreground):
        """The person over a background of its own colour must vanish; a fringe is darker."""
        warped = cv2.warpAffine(foreground, matrix, (64, 64), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.warpAffine(alpha, matrix, (64, 64), flags=cv2.INTER_LINEAR)[..., None] / 255
        return np.abs(weight * warped + (1 - weight) * person - person).max()

    assert error_on_its_own_background(color) > 5
    assert error_on_its_own_background(extend_foreground(color, alpha)) <= 1


@pytest.mark.parametrize("value", [0, 1, 255])
def test_uniform_alpha_gives_a_copy(value):
    color = np.random.default_rng(0).integers(0, 256, (5, 9, 3), dtype=np.uint8)
    extended = extend_foreground(color, np.full((5, 9), value, np.uint8))
    np.testing.assert_array_equal(extended, color)
    assert not np.shares_memory(extended, color)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 300), (301, 1), (3, 3), (17, 1000)])
def test_every_size_is_filled_from_a_single_pixel(shape):
    color, alpha = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    color[-1, -1], alpha[-1, -1] = (10, 200, 90), 3
    assert np.abs(extend_foreground(color, alpha).astype(int) - (10, 200, 90)).max() <= 1


def plain_extension(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Push–pull in floats throughout."""
    weight: Any = (alpha / 255.0)[..., None].astype(np.float32)
    sums: Any = color * weight
    levels: list[Any] = []
    while max(sums.shape[:2]) > 1:
        size = (sums.shape[1] + 1) // 2, (sums.shape[0] + 1) // 2
        sums = 4 * cv2.resize(sums, size, interpolation=cv2.INTER_AREA)
        weight = 4 * cv2.resize(weight, size, interpolation=cv2.INTER_AREA).reshape(*sums.shape[:2], 1)
        enough = np.maximum(weight, 1)
        sums, weight = sums / enough, weight / enough
        levels.append((sums, weight))
    filled = sums / weight
    for sums, weight in reversed(levels[:-1]):
        filled = sums + (1 - weight) * cv2.resize(filled, sums.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    full = cv2.resize(filled, color.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(alpha[..., None] > 0, color, np.clip(np.rint(full), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("shape", [(120, 90), (61, 83), (200, 33)])
def test_integers_extend_as_floats_do(shape):
    """Invisible colours are rounded twice, at half and at full size: one level apart at most."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    color: Any = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(x - shape[1] / 2, y - shape[0] / 2)
    alpha = (255 * np.clip((min(shape) / 3 - distance) / 6, 0, 1)).astype(np.uint8)
    difference = extend_foreground(color, alpha).astype(int) - plain_extension(color, alpha)
    assert np.abs(difference).max() <= 1


def scene(height=200, width=240):
    """Foreground and background with slow colours, a soft alpha, and the photo that they make: uint8 each."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = x / width, y / height
    foreground = np.stack([200 - 70 * u, 90 + 40 * v, 60 + 20 * u], axis=-1).round().astype(np.uint8)
    background = np.stack([20 + 40 * v, 120 + 70 * u, 240 - 40 * v], axis=-1).round().astype(np.uint8)
    distance = np.hypot(y - height / 2, x - width / 2) / min(height, width)
    alpha = (np.clip((0.33 - distance) / 0.04 + 0.5, 0, 1) * 255).round().astype(np.uint8)
    weight = alpha[..., None] / 255
    image = (weight * foreground + (1 - weight) * background).round().astype(np.uint8)
    return foreground, background, alpha, image


@pytest.mark.parametrize("scale", [1, 7])
def test_the_old_background_is_gone(scale):
    foreground, _, alpha, image = scene(200 * scale, 240 * scale)
    soft = (alpha > 20) & (alpha < 235)
    before = np.abs(image.astype(float) - foreground)[soft].mean()
    after = np.abs(estimate_foreground(image, alpha).astype(float) - foreground)[soft].mean()
    assert before > 30
    assert after < before / 5


def test_a_cutout_has_no_halo_on_a_new_background():
    foreground, _, alpha, image = scene()
    weight, white = alpha[..., None] / 255, np.full_like(image, 255)
    right = weight * foreground + (1 - weight) * white
    halo = np.abs(weight * image + (1 - weight) * white - right).max()
    assert np.abs(weight * estimate_foreground(image, alpha) + (1 - weight) * white - right).max() < halo / 4


def test_opaque_pixels_are_the_photo_itself():
    rng = np.random.default_rng(0)
    image, alpha = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8), scene(70, 90)[2]
    before = image.copy()
    estimated = estimate_foreground(image, alpha)
    np.testing.assert_array_equal(estimated[alpha == 255], image[alpha == 255])
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(estimate_foreground(image, np.full((70, 90), 255, np.uint8)), image)


def test_alpha_may_be_floating_point():
    _, _, alpha, image = scene()
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(
            estimate_foreground(image, (alpha / 255).astype(dtype)), estimate_foreground(image, alpha)
        )


def test_no_opacity_and_no_person_are_harmless():
    image = np.full((40, 40, 3), 90, np.uint8)
    np.testing.assert_array_equal(estimate_foreground(image, np.zeros((40, 40), np.uint8)), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 5), (257, 1100)])
def test_every_size_works(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    alpha = cv2.resize(np.array([[0.0, 1.0]], np.float32), shape[::-1])
    estimated = estimate_foreground(image, alpha)
    assert estimated.shape == image.shape
    assert estimated.dtype == np.uint8


def test_a_cutout_shows_nothing_of_the_photo_where_alpha_is_0():
    rng = np.random.default_rng(0)
    alpha, image = scene(600, 700)[2:]
    image[alpha == 0] = rng.integers(0, 256, (int((alpha == 0).sum()), 3))
    cutout = cut_out(image, alpha)
    np.testing.assert_array_equal(cutout[..., 3], alpha)
    near = cv2.dilate(alpha, np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)) > 0
    assert (cutout[~near] == 0).all()
    # Around the person its own colours go on, and not the noise that the photo has there.
    edge = near & (alpha == 0)
    assert np.abs(cutout[edge, :3].astype(float) - scene(600, 700)[0][edge]).mean() < 25
    assert np.abs(image[edge].astype(float) - scene(600, 700)[0][edge]).mean() > 60


def test_where_something_is_seen_a_cutout_has_the_estimated_colours():
    _, _, alpha, image = scene(300, 350)
    seen = alpha > 0
    # 8-bit alphas are averaged for the blurs, so that a level may differ by rounding.
    difference = cut_out(image, alpha)[seen, :3].astype(int) - estimate_foreground(image, alpha)[seen]
    assert np.abs(difference).max() <= 2
    np.testing.assert_array_equal(cut_out(image, alpha), cut_out(image, (alpha / 255).astype(np.float32)))


@pytest.mark.parametrize("filter", [cv2.INTER_AREA, cv2.INTER_LINEAR])
def test_a_cutout_that_is_reduced_without_premultiplying_has_no_dark_fringe(filter):
    foreground, background, alpha, image = scene(960, 1120)
    alpha = np.where(alpha > 127, 255, 0).astype(np.uint8)  # the hard edge is where it would show
    image = np.where(alpha[..., None] > 0, foreground, background)
    weight = alpha[..., None].astype(np.float32) / 255
    small = cv2.resize(cut_out(image, alpha), (140, 120), interpolation=filter).astype(np.float32)
    right = cv2.resize(foreground * weight, (140, 120), interpolation=filter)
    fringe = np.abs(small[..., :3] * small[..., 3:] / 255 - right).max(axis=2)
    assert fringe.max() < 2  # 46 with colours cut off where alpha ends


def test_nobody_is_a_constant_picture():
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert (cut_out(image, np.zeros((50, 60), np.uint8)) == 0).all()
    np.testing.assert_array_equal(cut_out(image, np.full((50, 60), 255, np.uint8))[..., :3], image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (129, 257)])
def test_a_cutout_has_every_size(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert cut_out(image, cv2.resize(np.array([[0.0, 1.0]], np.float32), shape[::-1])).shape == (*shape, 4)
