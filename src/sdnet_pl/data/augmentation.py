"""Augmentation in the workers: one affine warp cuts and scales each of F, α and B straight to the training size."""

import math
import os
import random
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer release on import

import albumentations as A
import cv2
import numpy as np

from sdnet_pl.data.recipe import PLAIN, SampleRecipe
from sdnet_pl.data.sources.base import Foreground, Image, LabelledPhoto


class RandomPlacement(A.DualTransform):
    """Places a person on a square canvas by one affine warp: scale, rotation, shear, mirror and position.

    A random point within the person's bounding box lands on a random point of the canvas's middle half, so that some
    of the person is always to be seen. Where the warp shrinks by two or more, the picture is first reduced by whole
    blocks, since a bilinear warp alone would drop every second strand of hair.

    Args:
        size: Side of the canvas in pixels.
        scale: Range of the person's longer side relative to the canvas, drawn log-uniformly. A photo's begins where the
            whole photo is seen.
        rotate: Largest rotation in degrees.
        shear: Largest shear in degrees.
        whole: Probability of a person as portraits show them: in the middle and large, with little cut off.
        mirror: Probability of a picture with left and right exchanged.
        reflect: The picture is extended beyond its border, alpha too: for photos, of which no part may be missing.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.6, 2.0),
        rotate: float = 15,
        shear: float = 6,
        whole: float = 0.0,
        mirror: float = 0.5,
        reflect: bool = False,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.size, self.scale, self.rotate, self.shear = size, scale, rotate, shear
        self.whole, self.mirror, self.reflect = whole, mirror, reflect
        self.borders = (
            (cv2.BORDER_REFLECT_101, cv2.BORDER_REFLECT_101) if reflect else (cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)
        )

    @property
    def targets_as_params(self) -> list[str]:
        """What the draw reads beside the parameters: the mask, to find the person."""
        return ["mask"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the warp of one sample.

        Returns:
            ``matrix``, ``[2, 3]`` from the picture's pixels to the canvas's, and ``zoom``, its scale.
        """
        mask = data["mask"]
        left, top, width, height = cv2.boundingRect(np.asarray(mask > 127, np.uint8))
        if width == 0:  # no person at all
            (height, width), left, top = mask.shape[:2], 0, 0
        draw = self.py_random.uniform
        whole = self.whole > 0 and self.py_random.random() < self.whole
        scale = (0.7, 1.1) if whole else self.scale
        if self.reflect:
            scale = max(width, height) / max(mask.shape), scale[1]
        zoom = math.exp(draw(*map(math.log, scale))) * self.size / max(width, height)
        angle, shear = (math.radians(draw(-limit, limit)) for limit in (self.rotate, self.shear))
        linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        linear = zoom * linear @ np.array([[1, math.tan(shear)], [0, 1]])
        if self.py_random.random() < self.mirror:
            linear[:, 0] *= -1
        anchor = np.array([left + width * draw(0.25, 0.75), top + height * draw(0.15, 0.85)])
        target = self.size * np.array([draw(0.25, 0.75), draw(0.25, 0.75)])
        if whole:
            anchor = np.array([left + width / 2, top + height / 2])
            target = self.size / 2 + (target - self.size / 2) / 2.5  # within a tenth of the middle
        shift = target - linear @ anchor
        if mask[-1].any():
            # Whom the picture's lower edge cuts, the canvas's lower edge must cut too: nobody floats. The centres of
            # the lowest row count, since alpha fades out below them.
            lowest = mask.shape[0] - 1
            corners = linear @ np.array([[left, left + width], [lowest, lowest]]) + shift[:, None]
            shift[1] += max(0.0, self.size - corners[1].min())
        return {"matrix": np.column_stack([linear, shift]), "zoom": zoom}

    def apply(self, img: Image, matrix: np.ndarray, zoom: float, **params: Any) -> Image:
        """Warp colours; beyond the picture its border is repeated."""
        return self._warp(img, matrix, zoom, self.borders[0])

    def apply_to_mask(self, mask: Image, matrix: np.ndarray, zoom: float, **params: Any) -> Image:
        """Warp alpha; beyond a cut-out it is 0, beyond a photo it is reflected."""
        return self._warp(mask, matrix, zoom, self.borders[1])

    def _warp(self, image: Image, matrix: np.ndarray, zoom: float, border: int) -> Image:
        height, width = image.shape[:2]
        side = min(int(1 / zoom), height, width)
        if side > 1:
            image = _reduce(image, side, side)
            # Pixel centres: x = side · x' + (side − 1) / 2, after what was cut off.
            first = np.array([width % side, height % side]) + (side - 1) / 2
            matrix = np.column_stack([matrix[:, :2] * side, matrix[:, 2] + matrix[:, :2] @ first])
        size = self.size, self.size
        return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)


class BackgroundCrop(A.RandomResizedCrop):
    """Cuts out a random part and scales it to the size, by whole blocks first where it shrinks by two or more."""

    def apply(self, img: Image, crop_coords: tuple[int, int, int, int], **params: Any) -> Image:
        """Cut out ``crop_coords`` (left, top, right, bottom) and scale it to the size: uint8 ``[H, W, 3]``."""
        left, top, right, bottom = crop_coords
        height, width = self.size
        part = _reduce(img[top:bottom, left:right], max(1, (right - left) // width), max(1, (bottom - top) // height))
        return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


class Augmentation:
    """The random warp and colours of one sample, drawn from the sample's own seed.

    albumentations 2.0.8 keeps a random state that workers would share and epochs would repeat, so it is seeded again
    for every sample: streams then depend on nothing but the sample's number. All transforms of a pipeline draw from
    one generator: set_random_seed would give each its own with the same numbers, so that only mirrored pictures blur.

    Args:
        size: Side of the training crop in pixels.
        recipe: How people are placed, and how probable the rest is.
    """

    def __init__(self, size: int, recipe: SampleRecipe = PLAIN) -> None:
        self.size = size
        jitter = A.ColorJitter(0.3, 0.3, 0.3, 0.04, p=recipe.color_jitter)
        person = RandomPlacement(size, recipe.person_scale, whole=recipe.whole_person, mirror=recipe.mirror)
        self.foreground = A.Compose([person, jitter])
        self.photo = A.Compose(
            [RandomPlacement(size, (0.6, 1.8), mirror=recipe.mirror, reflect=True), jitter],
            additional_targets={"known": "mask"},
        )
        self.background = A.Compose(
            [
                BackgroundCrop((size, size), scale=(0.25, 1.0), ratio=(0.75, 1.33)),
                A.HorizontalFlip(p=recipe.mirror),
                jitter,
                A.GaussianBlur(sigma_limit=(0.5, 4.0), blur_limit=0, p=recipe.background_blur),
            ]
        )

    def augment_foreground(self, foreground: Foreground, seed: int) -> Foreground:
        """F and α at the training size, under the same warp."""
        _reseed(self.foreground, seed)
        out = self.foreground(image=foreground.color, mask=foreground.alpha)
        return Foreground(out["image"], out["mask"])

    def augment_background(self, background: Image, seed: int) -> Image:
        """B at the training size; one smaller than that is scaled up to cover it."""
        _reseed(self.background, seed)
        augmented: Image = self.background(image=background)["image"]
        return augmented

    def augment_photo(self, photo: LabelledPhoto, seed: int) -> LabelledPhoto:
        """Photo and alpha at the training size, under the same warp; known is what comes of known pixels alone."""
        _reseed(self.photo, seed)
        out = self.photo(image=photo.photo, mask=photo.alpha, known=photo.known)
        return LabelledPhoto(out["image"], out["mask"], np.where(out["known"] == 255, np.uint8(255), np.uint8(0)))


def random_tone(rng: np.random.Generator) -> Image:
    """Light and camera as a lookup table for RGB, uint8 ``[1, 256, 3]``: exposure, colour cast and gamma.

    Applied to F and B alike, it changes a composite as if the whole scene stood in another light.
    """
    gamma, exposure, *cast = np.exp(rng.uniform([-0.4, -1.0, -0.3, -0.3, -0.3], [0.4, 0.3, 0.3, 0.3, 0.3]))
    levels = (np.arange(256)[:, None] / 255) ** gamma * exposure * np.array(cast)
    return np.rint(255 * levels.clip(0, 1)).astype(np.uint8)[None]


def random_object(size: int, rng: np.random.Generator) -> Image:
    """The alpha of an unnamed object in front of people: uint8 ``[size, size]``, a polygon."""
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = size * rng.uniform(0.08, 0.35) * rng.uniform(0.6, 1.4, corners)
    points = rng.uniform(0, size, 2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    alpha = np.zeros((size, size), np.uint8)
    fraction = 4  # binary digits after the point
    cv2.fillPoly(alpha, [np.rint(points * 2**fraction).astype(np.int32)], 255, cv2.LINE_AA, fraction)
    return alpha


def _reduce(image: Image, across: int, down: int) -> Image:
    """The mean of every block of ``across`` x ``down`` pixels.

    What fills no block falls away at the left and at the top: a person's lower edge must stay the lower edge. OpenCV
    is several times as fast at whole blocks as at other reductions by area.
    """
    height, width = image.shape[:2]
    image = image[height % down :, width % across :]
    return np.asarray(cv2.resize(image, (width // across, height // down), interpolation=cv2.INTER_AREA), np.uint8)


def _reseed(pipeline: A.Compose, seed: int) -> None:
    pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
