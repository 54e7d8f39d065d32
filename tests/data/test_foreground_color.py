import cv2
import numpy as np
import pytest

from sdnet_pl.data.foreground_color import REACH, cut_out, estimate_foreground


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
