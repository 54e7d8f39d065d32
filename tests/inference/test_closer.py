"""Small people are found and matted, what only looks like a person at one scale is not, and portraits cost one look."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from sdnet_pl.inference.closer import Box, find_small
from sdnet_pl.inference.predictor import MattePredictor

SIZE = 96
PHOTO = (800, 1200)


class Eye(nn.Module):
    """Sees as people what is red, but for what is too small in its input, as a network does. Counts its looks.

    Blue, which a network may take for a person, is seen only where it is small.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        alpha = np.zeros(x.shape[2:], np.float32)
        for channel, least, most in ((0, 150, np.inf), (2, 150, 900)):
            values = x[0, channel].numpy()
            _, labels, parts, _ = cv2.connectedComponentsWithStats((values > 0.3).astype(np.uint8))
            seen = [i for i, part in enumerate(parts) if i and least <= part[4] <= most]
            alpha = np.maximum(alpha, np.where(np.isin(labels, seen), values, 0))
        return torch.from_numpy(alpha)[None, None]


@pytest.fixture
def eye():
    return Eye()


def scene(*people, color=0):
    """A dark photo with coloured figures at (top, left, height), a third as wide; and their mask."""
    photo, mask = np.zeros((*PHOTO, 3), np.uint8), np.zeros(PHOTO, np.bool_)
    for top, left, height in people:
        mask[top : top + height, left : left + height // 3] = True
    photo[mask, color] = 255
    return photo, mask


def iou(alpha, mask):
    seen = alpha >= 0.5
    return (seen & mask).sum() / (seen | mask).sum()


@pytest.mark.parametrize("height", [100, 200, 400])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.4), (1.0, 1.0)])
def test_a_small_person_is_found_anywhere(eye, height, place):
    photo, mask = scene((int(place[0] * (PHOTO[0] - height)), int(place[1] * (PHOTO[1] - height // 3)), height))
    alpha = MattePredictor(eye, SIZE, "cpu").alpha(photo)
    assert alpha.shape == PHOTO
    assert alpha.dtype == np.float32
    # The last look has the person at more than half of its height: an edge is one of some 50 pixels.
    assert iou(alpha, mask) > 0.9
    whole = cv2.resize(MattePredictor(eye, SIZE, "cpu").look(photo, SIZE), PHOTO[::-1])
    assert height == 400 or iou(whole, mask) == 0


def test_several_small_people_are_all_found(eye):
    photo, mask = scene((100, 100, 180), (500, 500, 200), (300, 1000, 220))
    assert iou(MattePredictor(eye, SIZE, "cpu").alpha(photo), mask) > 0.9


def test_what_is_no_person_from_near_is_none(eye):
    photo, _ = scene((300, 600, 140), color=2)
    predictor = MattePredictor(eye, SIZE, "cpu")
    assert (predictor.look(photo, 3 * SIZE) >= 0.5).any()
    assert (predictor.alpha(photo) == 0).all()


def test_what_the_whole_photo_seemed_to_show_goes_where_somebody_is_found(eye):
    photo, mask = scene((500, 500, 200))
    photo[100:330, 900:1000, 2] = 255
    predictor = MattePredictor(eye, SIZE, "cpu")
    assert (predictor.look(photo, SIZE) >= 0.5)[5:25, 70:82].any()
    assert iou(predictor.alpha(photo), mask) > 0.9


@pytest.mark.parametrize("height", [780, 640])
def test_a_portrait_costs_one_look(eye, height):
    photo, mask = scene((10, 400, height))
    MattePredictor(eye, SIZE, "cpu").alpha(photo)
    assert mask.mean() > 0.14
    assert len(eye.sizes) == (1 if mask.mean() > 0.16 else 3)  # and a little less than that two more


def test_a_photo_of_nobody_costs_three_looks(eye):
    MattePredictor(eye, SIZE, "cpu").alpha(scene()[0])
    assert [max(sides) for sides in eye.sizes] == [SIZE, 2 * SIZE, 3 * SIZE]
    eye.sizes.clear()
    MattePredictor(eye, SIZE, "cpu").alpha(scene()[0][:60, : SIZE - 10])  # of which every pixel was seen
    assert len(eye.sizes) == 1


def test_a_network_that_sees_nothing_twice_confirms_nobody():
    answers = iter([1.0] + [0.0] * 99)
    photo = scene()[0]

    def look(picture, size):
        return np.full((20, 30), next(answers), np.float32)

    whole = np.zeros((20, 30), np.float32)
    whole[5:8, 5:8] = 1
    assert find_small(photo, whole, SIZE, look) is None


def test_boxes():
    box = Box(10, 20, 30, 60)
    assert box.sides == (20, 40)
    assert box.grown(0.5, (35, 1000)) == Box(0, 0, 35, 80)
    assert box.moved(-10, 5) == Box(0, 25, 20, 65)
    assert box.within(Box(0, 30, 20, 40)) == Box(10, 30, 20, 40)
    assert box.within(Box(0, 0, 5, 5)).sides == (0, 0)
