"""The worst pictures of a benchmark, whatever their order and however many processes found them."""

from functools import partial

import numpy as np
import pytest
import torch

from sdnet_pl.reporting.image_scores import GAP, WORST, ImageScores, histogram_figure, strip, worst_figure
from sdnet_pl.reporting.panels import PanelRow, error_map, to_array


def drawn(index: int) -> np.ndarray:
    return np.full((8, 32, 3), index, np.uint8)


def collect(errors: dict[int, float]) -> ImageScores:
    found = ImageScores()
    for index, error in errors.items():
        found.add(index, {"mad_whole": error}, partial(drawn, index))
    return found


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_worst_pictures_are_kept(processes: int):
    # Several errors are equal, as those of blank pictures are.
    errors = {i: float(e) for i, e in enumerate(np.random.default_rng(0).integers(0, 12, 40))}
    parts = [collect({i: e for i, e in errors.items() if i % processes == rank}) for rank in range(processes)]
    whole = ImageScores.merged(parts)
    expected = sorted(errors, key=lambda i: (-errors[i], i))
    assert whole.worst_first == expected
    assert list(whole.strips) == expected[:WORST]
    for index, pixels in whole.strips.items():
        assert (pixels == index).all()
    assert list(whole.scores) == list(range(40))
    assert whole.errors == [errors[i] for i in range(40)]


def test_a_picture_that_is_not_among_the_worst_is_not_drawn():
    seen = []

    def draw(index: int) -> np.ndarray:
        seen.append(index)
        return drawn(index)

    found = ImageScores()
    for index in range(30):
        found.add(index, {"mad_whole": 1.0 - index / 100}, partial(draw, index))
    assert seen == list(range(WORST))
    found.add(30, {"mad_whole": 0.5})
    assert 30 not in found.strips
    assert 30 in found.scores


@pytest.mark.parametrize(("height", "width"), [(64, 48), (400, 300), (20, 1000)])
def test_a_strip_shows_input_alphas_and_error(height: int, width: int):
    image = torch.zeros(3, height, width)
    image[1] = 1
    alpha, target = torch.full((1, height, width), 0.2), torch.ones(1, height, width)
    shown = strip(PanelRow(image, alpha, target, {}))
    size = min(height, 160)
    columns = round(width * size / height)
    assert shown.shape == (size, 4 * columns + 3 * GAP, 3)
    parts = [shown[:, i * (columns + GAP) :][:, :columns] for i in range(4)]
    assert (shown[:, columns : columns + GAP] == 128).all()
    for part, value in zip(parts, ((0, 255, 0), (51,) * 3, (255,) * 3, error_map(alpha, target)[0, 0]), strict=True):
        assert (part == value).all()


def test_the_figures_show_what_they_are_given():
    errors = {"one": [0.001, 0.002, 0.0025, 0.03], "other": [0.005]}
    figure = histogram_figure(errors)
    for axis, (name, values) in zip(figure.axes, errors.items(), strict=True):
        assert axis.get_title() == f"{name}, {len(values)} images"
        assert sum(bar.get_height() for bar in axis.containers[0]) == len(values)
        lines = [float(np.asarray(line.get_xdata())[0]) for line in axis.lines]
        assert lines == pytest.approx([1000 * np.median(values), 1000 * np.mean(values)])
    worst = {"one": [("b: 30", drawn(200)), ("a: 2", drawn(100))], "other": [("c: 5", drawn(50))]}
    figure = worst_figure(worst)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["b: 30", "c: 5", "a: 2", ""]
    array = to_array(figure)
    assert {200, 100, 50} <= set(np.unique(array))
