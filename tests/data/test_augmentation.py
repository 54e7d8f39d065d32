"""One warp for F and α: geometry, edges, visibility; and independent, reproducible draws."""

from typing import Any

import cv2
import numpy as np
import pytest

from sdnet_pl.data.augmentation import (
    Augmentation,
    BackgroundCrop,
    RandomPlacement,
    _reduce,
    random_object,
    random_tone,
)
from sdnet_pl.data.foreground_colors import extend_foreground
from sdnet_pl.data.recipe import SampleRecipe
from sdnet_pl.data.sources.base import Foreground, LabelledPhoto
from sdnet_pl.data.sources.procedural import ProceduralPortraits

SIZE = 64


def blob(height: int, width: int, center: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """A soft ellipse that touches no edge."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((x - center[0] * (width - 1)) / width, (y - center[1] * (height - 1)) / height)
    return (255 * np.clip((0.3 - distance) / 0.08, 0, 1)).astype(np.uint8)


def place(foreground: Foreground, seed: int, size: int = SIZE, **options: Any) -> tuple[Foreground, dict]:
    placement = RandomPlacement(size, **options)
    placement.set_random_seed(seed)
    params = placement.get_params_dependent_on_data({}, {"mask": foreground.alpha})
    color, alpha = placement.apply(foreground.color, **params), placement.apply_to_mask(foreground.alpha, **params)
    return Foreground(color, alpha), params


def mass_center(mask: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    weight = mask / mask.sum(dtype=float)
    return np.array([(x * weight).sum(), (y * weight).sum()])


@pytest.mark.parametrize("shape", [(90, 70), (400, 301)])
def test_colour_and_alpha_get_one_warp(shape):
    alpha = blob(*shape)
    for seed in range(10):
        placed, _ = place(Foreground(np.dstack([alpha] * 3), alpha), seed)
        assert placed.color.shape == (SIZE, SIZE, 3)
        assert placed.alpha.shape == (SIZE, SIZE)
        # One or three channels may round differently.
        assert np.abs(placed.color.astype(int) - placed.alpha[..., None]).max() <= 1


@pytest.mark.parametrize("shape", [(300, 40), (400, 301), (30, 17), (64, 64)])
def test_no_dark_fringe_around_people(shape):
    """The person over a background of its own colour must vanish; a fringe is darker."""
    skin = np.array([220, 180, 150], np.uint8)
    alpha = blob(*shape)
    cutout = np.where(alpha[..., None] > 0, skin, np.uint8(0))

    def darkest(color: np.ndarray) -> float:
        worst = 0.0
        for seed in range(10):
            placed, _ = place(Foreground(color, alpha), seed)
            weight = placed.alpha[..., None] / 255
            worst = max(worst, np.abs(weight * (placed.color - skin.astype(float))).max())
        return worst

    assert darkest(cutout) > 3
    assert darkest(extend_foreground(cutout, alpha)) <= 1


@pytest.mark.parametrize("shape", [(301, 203), (640, 480), (199, 500)])
@pytest.mark.parametrize("zoom", [0.5, 0.31, 0.12])
@pytest.mark.parametrize("mirror", [1, -1])
def test_reducing_first_moves_nothing(shape, zoom, mirror):
    alpha = blob(shape[0], shape[1], center=(0.55, 0.45))
    linear = zoom * np.array([[0.97, -0.2], [0.25, 0.95]]) @ np.diag([mirror, 1])
    size = 400
    shift = np.array([size / 2, size / 2]) - linear @ mass_center(alpha)
    matrix = np.column_stack([linear, shift])
    placement = RandomPlacement(size)
    reduced = placement.apply_to_mask(alpha, matrix, zoom)
    direct = placement.apply_to_mask(alpha, matrix, 1.0)
    # The blob's centre was sent to (200, 200).
    np.testing.assert_allclose(mass_center(reduced), [200, 200], atol=0.1)
    np.testing.assert_allclose(mass_center(direct), [200, 200], atol=0.1)
    assert reduced.sum(dtype=float) == pytest.approx(direct.sum(dtype=float), rel=0.02)


def test_fine_hair_survives_a_strong_reduction():
    """Every eighth column is a hair, reduced eightfold: an even eighth, where a bilinear warp takes all or nothing."""
    alpha = np.zeros((512, 512), np.uint8)
    alpha[:, ::8] = 255
    matrix = np.column_stack([np.eye(2) / 8, [-7 / 16, -7 / 16]])  # block by block: x' + 1/2 = (x + 1/2) / 8
    reduced = RandomPlacement(SIZE).apply_to_mask(alpha, matrix, 1 / 8)
    assert reduced[8:-8, 8:-8].mean() == pytest.approx(255 / 8, rel=0.02)
    assert np.ptp(reduced[8:-8, 8:-8]) <= 1


def test_people_are_to_be_seen_in_nearly_all_samples():
    people = [ProceduralPortraits(size=96).load(index) for index in range(8)]
    shares = [(place(people[seed % 8], seed)[0].alpha > 127).mean() for seed in range(240)]
    assert np.mean(np.array(shares) > 0.05) >= 0.98
    assert min(shares) > 0
    assert np.ptp(shares) > 0.3  # near and far


@pytest.mark.parametrize("shape", [(14, 10), (50, 40), (90, 30), (60, 90), (500, 360)])
def test_who_touches_the_lower_edge_reaches_the_canvas_lower_edge(shape):
    """Opaque down to the last row, whether the source is enlarged or reduced."""
    height, width = shape
    alpha = np.zeros((height, 3 * width), np.uint8)
    alpha[height // 5 :, width : 2 * width] = 255
    color = np.full((*alpha.shape, 3), 128, np.uint8)
    for seed in range(40):
        placed = place(Foreground(color, alpha), seed)[0].alpha
        above = placed[-8:-4].min(axis=0) == 255
        # Away from the slanted sides: 15° and 6° of shear move them by less than half of 8 rows.
        inside = [x for x in range(5, SIZE - 5) if above[x - 5 : x + 6].all()]
        assert (placed[-1, inside] == 255).all()
        assert placed[-1].max() == 255


def test_who_does_not_touch_it_may_be_anywhere():
    alpha = blob(60, 60)
    lowest = [place(Foreground(np.dstack([alpha] * 3), alpha), seed)[0].alpha[-1].max() for seed in range(60)]
    assert 0 < np.count_nonzero(lowest) < 60


@pytest.mark.parametrize("shape", [(120, 90), (60, 150), (500, 400)])
@pytest.mark.parametrize("cut", [False, True])
def test_a_whole_person_is_in_the_middle_and_large(shape, cut):
    """Who touches the lower edge may move down from the middle, to the canvas's lower edge."""
    alpha = blob(shape[0], shape[1], center=(0.4, 0.55))
    if cut:
        alpha[alpha.shape[0] // 2 :] = alpha[alpha.shape[0] // 2]
    left, top, width, height = cv2.boundingRect(np.asarray(alpha > 127, np.uint8))
    sizes, lowered = [], []
    for seed in range(60):
        _, params = place(Foreground(np.dstack([alpha] * 3), alpha), seed, whole=1.0)
        linear, shift = params["matrix"][:, :2], params["matrix"][:, 2]
        off = (linear @ [left + width / 2, top + height / 2] + shift) / SIZE - 0.5
        sizes.append(params["zoom"] * max(width, height) / SIZE)
        lowered.append(off[1] > 0.1 + 1e-9)
        assert abs(off[0]) <= 0.1 + 1e-9
        assert off[1] >= -0.1 - 1e-9
    assert any(lowered) == cut
    # 60 draws cover nearly all of the range.
    assert 0.7 <= min(sizes) < 0.75
    assert 1.05 < max(sizes) <= 1.1


def test_next_to_nothing_of_a_whole_person_is_cut_off():
    """A disc of 1.1 canvases, a tenth off the middle both ways, loses 17 % at most; shear adds to it."""
    alpha = blob(90, 90)

    def smallest_share(whole: float) -> float:
        shares = []
        for seed in range(80):
            placed, params = place(Foreground(np.dstack([alpha] * 3), alpha), seed, whole=whole)
            shares.append(placed.alpha.sum(dtype=float) / (params["zoom"] ** 2 * alpha.sum(dtype=float)))
        return min(shares)

    assert smallest_share(1.0) > 0.8
    assert smallest_share(0.0) < 0.4


def test_augmentation_places_people_whole_with_their_probability():
    alpha = blob(60, 60)
    person = Foreground(np.dstack([alpha] * 3), alpha)
    whole = Augmentation(SIZE, SampleRecipe(whole_person=0.5))
    left, top, width, height = cv2.boundingRect(np.asarray(alpha > 127, np.uint8))
    centred = 0
    for seed in range(200):
        whole.augment_foreground(person, seed)
        matrix = whole.foreground.transforms[0].params["matrix"]
        off = np.abs(matrix @ [left + width / 2, top + height / 2, 1] / SIZE - 0.5)
        centred += off.max() <= 0.1 + 1e-9
    # Half of them, four standard deviations, and few of the others by chance.
    assert 72 <= centred <= 140


@pytest.mark.parametrize("shape", [(50, 40), (300, 60), (30, 17), (400, 3), (1, 1)])
def test_a_photo_goes_on_beyond_its_border(shape):
    """Its people too: a photo full of them shows nothing else, wherever it is placed."""
    full = LabelledPhoto(np.ones((*shape, 3), np.uint8), np.full(shape, 255, np.uint8), np.full(shape, 255, np.uint8))
    for seed in range(20):
        placed, _ = place(Foreground(full.photo, full.alpha), seed, reflect=True)
        assert (placed.color == 1).all()
        assert (placed.alpha == 255).all()
        out = Augmentation(SIZE).augment_photo(full, seed)
        assert out.photo.shape == (SIZE, SIZE, 3)
        assert (out.alpha == 255).all()
        assert (out.known == 255).all()
        assert np.ptp(out.photo.reshape(-1, 3), axis=0).max() == 0


@pytest.mark.parametrize("shape", [(90, 70), (400, 301)])
def test_photo_alpha_and_known_get_one_warp(shape):
    """The jitter of a grey picture without extremes is affine: it hides no shift."""
    alpha = blob(*shape)
    known = np.where(alpha > 100, np.uint8(255), np.uint8(0))
    photo = np.dstack([np.rint(80 + alpha * 0.4).astype(np.uint8)] * 3)
    augmentation = Augmentation(SIZE)
    for seed in range(10):
        out = augmentation.augment_photo(LabelledPhoto(photo, alpha, known), seed)
        assert out.photo.dtype == out.alpha.dtype == out.known.dtype == np.uint8
        # Rounding to a hundred levels, each channel by itself.
        assert np.corrcoef(out.photo[..., 1].ravel(), out.alpha.ravel())[0, 1] > 0.999
        assert set(np.unique(out.known)) <= {0, 255}
        assert (out.alpha[out.known == 255] > 100).all()  # nothing unknown was mixed into what is known
        again = Augmentation(SIZE).augment_photo(LabelledPhoto(photo, alpha, known), seed)
        for first, second in zip(out, again, strict=True):
            np.testing.assert_array_equal(first, second)


def test_a_light_is_a_rising_curve_for_each_channel():
    tones = [random_tone(np.random.default_rng(seed)) for seed in range(50)]
    for tone in tones:
        assert tone.shape == (1, 256, 3)
        assert tone.dtype == np.uint8
        assert (np.diff(tone[0].astype(int), axis=0) >= 0).all()
        assert (tone[0, 0] == 0).all()
    np.testing.assert_array_equal(tones[7], random_tone(np.random.default_rng(7)))
    middles = np.array([tone[0, 128] for tone in tones])
    # Darker more often than brighter, and of every colour.
    assert middles.min() < 50
    assert middles.max() > 128
    assert np.ptp(middles.astype(int), axis=1).max() > 30


def test_objects_are_polygons_with_smooth_edges():
    objects = [random_object(SIZE, np.random.default_rng(seed)) for seed in range(60)]
    shares = np.array([thing.mean() / 255 for thing in objects])
    for thing in objects:
        assert thing.shape == (SIZE, SIZE)
        assert thing.dtype == np.uint8
        soft = (thing > 0) & (thing < 255)
        # An edge of two pixels around seven corners of at most half a canvas.
        assert soft.any() == thing.any()
        assert soft.sum() < 4 * SIZE
    # Some lie beyond the canvas; none fills it.
    assert np.count_nonzero(shares) >= 55
    assert 0.02 < np.median(shares) < max(shares) < 0.5
    np.testing.assert_array_equal(objects[7], random_object(SIZE, np.random.default_rng(7)))


def test_half_of_all_samples_are_mirrored():
    alpha = blob(40, 40)
    color = np.dstack([alpha] * 3)
    mirrored = [
        np.linalg.det(place(Foreground(color, alpha), seed, size=32)[1]["matrix"][:, :2]) < 0 for seed in range(400)
    ]
    assert 160 <= sum(mirrored) <= 240  # four standard deviations


@pytest.mark.parametrize("shape", [(50, 50), (1, 1), (400, 3)])
@pytest.mark.parametrize("value", [0, 255])
def test_nobody_and_a_full_picture_are_placed_too(shape, value):
    color = np.full((*shape, 3), 90, np.uint8)
    for seed in range(5):
        placed = Augmentation(SIZE).augment_foreground(Foreground(color, np.full(shape, value, np.uint8)), seed)
        assert placed.color.shape == (SIZE, SIZE, 3)
        assert placed.alpha.any() == (value > 0)


@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (300, 90), (33, 500)])
def test_backgrounds_of_any_size_fill_the_canvas(shape):
    scene = np.full((*shape, 3), 100, np.uint8)
    for seed in range(8):
        out = Augmentation(SIZE).augment_background(scene, seed)
        assert out.shape == (SIZE, SIZE, 3)
        assert out.dtype == np.uint8
        # A flat picture stays flat: nothing was padded.
        assert np.ptp(out.reshape(-1, 3), axis=0).max() == 0


def test_large_backgrounds_are_reduced_by_area():
    """Stripes of one pixel turn grey; picking single pixels would leave black and white."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    for seed in range(10):
        out = Augmentation(SIZE).augment_background(stripes, seed).astype(int)
        # At least 3.5 columns to a pixel leave a ripple of 255 / 2 / 3.5, times the contrast of 1.3.
        assert np.ptp(out.reshape(-1, 3), axis=0).max() < 80


def test_a_sample_depends_on_its_seed_alone():
    augmentation, fresh = Augmentation(SIZE), Augmentation(SIZE)
    person = ProceduralPortraits(size=SIZE).load(0)
    first = [augmentation.augment_foreground(person, seed) for seed in (1, 2, 3)]
    np.testing.assert_array_equal(fresh.augment_foreground(person, 3).color, first[2].color)
    np.testing.assert_array_equal(fresh.augment_foreground(person, 1).color, first[0].color)
    assert (first[0].alpha != first[1].alpha).any()
    scenes = [augmentation.augment_background(person.color, seed) for seed in (1, 2)]
    np.testing.assert_array_equal(fresh.augment_background(person.color, 1), scenes[0])
    assert (scenes[0] != scenes[1]).any()


def test_transforms_draw_independently_of_each_other():
    """With one seed for each transform, only mirrored backgrounds would blur and the largest people keep colours."""
    augmentation, alpha = Augmentation(32), blob(40, 40)
    person = Foreground(np.dstack([alpha] * 3), alpha)
    mirrored, blurred, jittered, zooms = [], [], [], []
    for seed in range(400):
        augmentation.augment_background(person.color, seed)
        augmentation.augment_foreground(person, seed)
        # albumentations keeps the parameters of a transform that was applied, and none of one that was not.
        _, flip, _, blur = (bool(transform.params) for transform in augmentation.background.transforms)
        placement, jitter = augmentation.foreground.transforms
        mirrored.append(flip)
        blurred.append(blur)
        jittered.append(bool(jitter.params))
        zooms.append(placement.params["zoom"])
    large = np.array(zooms) > np.median(zooms)
    # Four standard deviations of 200 draws are 0.12.
    for condition in (np.array(mirrored), large):
        for half in (condition, ~condition):
            assert np.mean(np.array(blurred)[half]) == pytest.approx(0.25, abs=0.12)
            assert np.mean(np.array(jittered)[half]) == pytest.approx(0.8, abs=0.12)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_mirrors_colours_and_blur_come_with_their_probability(probability):
    recipe = SampleRecipe(mirror=probability, color_jitter=probability, background_blur=probability)
    augmentation = Augmentation(32, recipe)
    alpha = blob(40, 40)
    person = Foreground(np.dstack([alpha] * 3), alpha)
    for seed in range(12):
        augmentation.augment_background(person.color, seed)
        augmentation.augment_foreground(person, seed)
        augmentation.augment_photo(LabelledPhoto(person.color, alpha, alpha), seed)
        _, flip, jitter, blur = augmentation.background.transforms
        for pipeline in (augmentation.foreground, augmentation.photo):
            placement, own_jitter = pipeline.transforms
            assert (np.linalg.det(placement.params["matrix"][:, :2]) < 0) == bool(probability)
            assert bool(own_jitter.params) == bool(probability)
        assert {bool(transform.params) for transform in (flip, jitter, blur)} == {bool(probability)}


@pytest.mark.parametrize("blocks", [(1, 1), (2, 2), (3, 3), (2, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_reducing_takes_the_mean_of_whole_blocks(blocks, channels):
    across, down = blocks
    image = np.random.default_rng(0).integers(0, 256, (47, 61, channels), dtype=np.uint8)
    height, width = 47 // down, 61 // across
    kept = image[47 - height * down :, 61 - width * across :].astype(float)
    means = kept.reshape(height, down, width, across, channels).mean(axis=(1, 3))
    reduced = _reduce(image.squeeze(), across, down)
    # Halves may be rounded either way.
    assert np.abs(reduced.reshape(means.shape) - means).max() <= 0.51


@pytest.mark.parametrize("shape", [(640, 480), (200, 500)])
def test_a_large_background_is_scaled_as_by_area(shape):
    """Blocks and then a bilinear step of less than two, against one reduction of the same part by area."""
    noise = np.random.default_rng(0).integers(0, 256, (shape[0] // 20, shape[1] // 20, 3), dtype=np.uint8)
    scene: Any = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    scaled = BackgroundCrop((SIZE, SIZE)).apply(scene, (7, 3, shape[1], shape[0]))
    height, width = ((length // SIZE) * (length // (length // SIZE)) for length in (shape[0] - 3, shape[1] - 7))
    plain = cv2.resize(scene[-height:, -width:], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    # The two filters differ in width by less than two pixels of the result.
    assert np.abs(scaled.astype(int) - plain).mean() < 4
