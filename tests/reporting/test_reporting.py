"""Tables, curves and panels hold the numbers and pixels that they were given."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from sdnet_pl.metrics import METRIC_LABELS, BenchmarkMetrics
from sdnet_pl.reporting.curves import curves_figure, read_series
from sdnet_pl.reporting.panels import (
    ERROR_COLORS,
    PanelRow,
    checkerboard,
    error_map,
    panel_figure,
    reduced,
    to_array,
)
from sdnet_pl.reporting.tables import headed, score_rows, scores_of, to_csv, to_markdown

COLUMNS = 9


def row(height: int = 64, width: int = 64) -> PanelRow:
    """Red input, a white and a black alpha, side outputs of 0.25, 0.5 and 0.75."""
    image = torch.zeros(3, height, width)
    image[0] = 1
    full = torch.ones(1, height, width)
    sides = {i: full[:, :: 2**i, :: 2**i] * level for i, level in ((2, 0.25), (3, 0.5), (4, 0.75))}
    return PanelRow(image, full, 0 * full, sides)


def cell(figure, array: np.ndarray, line: int, column: int) -> np.ndarray:
    """The pixels well within one map, uint8 ``[h, w, 3]``."""
    axis = figure.axes[line * COLUMNS + column]
    box = axis.get_window_extent()
    height = array.shape[0]
    inner = array[int(height - box.y1) + 4 : int(height - box.y0) - 4, int(box.x0) + 4 : int(box.x1) - 4]
    assert inner.size > 3000
    return inner


@pytest.mark.parametrize("shape", [(64, 64), (70, 50), (321, 1280), (1290, 650)])
def test_a_large_photo_is_reduced_with_its_maps(shape: tuple[int, int]):
    """As a network gives them: side outputs are of the photo padded to multiples of 32."""
    height, width = shape
    padded = [-(-side // 32) * 32 for side in shape]
    ramp = torch.linspace(0, 1, padded[0])[None, :, None].expand(1, *padded)
    sides = {i: torch.nn.functional.avg_pool2d(ramp, 2**i) for i in (1, 4)}
    photo = ramp[:, :height, :width]
    large = PanelRow(photo.expand(3, -1, -1), photo, photo, sides)
    small = reduced(large, 64)
    longer = max(small.alpha.shape)
    assert longer == max(shape) if max(shape) < 128 else 64 <= longer <= 128
    assert small.target is not None
    assert small.image.shape[1:] == small.alpha.shape[1:] == small.target.shape[1:]
    for i in (1, 4):  # a map still lies where its photo does
        drawn = panel_figure([small]).axes[4 + (i == 4)]
        bottom = drawn.images[0].get_extent()[2]
        for y in (0.2, 0.9):
            row = int(y * small.alpha.shape[1] / bottom * small.side_alphas[i].shape[1])
            assert float(small.side_alphas[i][0, row, 0]) == pytest.approx(y * height / padded[0], abs=0.14)
    assert reduced(large._replace(target=None), 64).target is None


@pytest.mark.parametrize("lines", [1, 3])
def test_a_panel_shows_its_maps(lines):
    figure = panel_figure([row() for _ in range(lines)])
    array = to_array(figure)
    assert array.dtype == np.uint8
    assert array.ndim == 3
    assert array.shape[2] == 3
    for line in range(lines):
        assert (cell(figure, array, line, 0) == (255, 0, 0)).all()
        for column, level in ((1, 1), (2, 0), (4, 0.25), (5, 0.5), (6, 0.75)):
            # The gray colour map has 256 steps.
            assert np.abs(cell(figure, array, line, column).astype(int) - 255 * level).max() <= 1
        assert (cell(figure, array, line, 3) == (71, 31, 0)).all()  # fully opaque where nothing is
        for column in (7, 8):  # an opaque picture, so nothing of the ground is seen
            assert np.abs(cell(figure, array, line, column).astype(int) - (255, 0, 0)).max() <= 1
    assert [axis.get_title() for axis in figure.axes[:COLUMNS]] == [
        "input",
        "predicted α",
        "true α",
        "error",
        "side output 2",
        "side output 3",
        "side output 4",
        "over grey",
        "over checkerboard",
    ]


def test_a_panel_without_a_true_alpha_has_no_error():
    blank, known = row()._replace(target=None), row()
    assert [axis.get_title() for axis in panel_figure([blank]).axes] == [
        "input",
        "predicted α",
        "side output 2",
        "side output 3",
        "side output 4",
        "over grey",
        "over checkerboard",
    ]
    figure = panel_figure([known, blank])
    array = to_array(figure)
    assert (cell(figure, array, 0, 2) == 0).all()
    assert (cell(figure, array, 1, 2) == 255).all()  # paper
    assert (cell(figure, array, 1, 3) == 255).all()


def test_a_transparent_picture_shows_its_grounds():
    figure = panel_figure([row()._replace(alpha=torch.zeros(1, 64, 64))])
    array = to_array(figure)
    assert (cell(figure, array, 0, 7) == 128).all()
    assert set(np.unique(cell(figure, array, 0, 8))) == {150, 230}


def test_an_error_map_has_the_sign_and_size_of_the_error():
    alpha = torch.tensor([[[0.0, 0.25, 0.5, 0.75, 1.0]]])
    shown = error_map(alpha, torch.full((1, 1, 5), 0.5))
    assert shown.shape == (1, 5, 3)
    assert shown.dtype == np.uint8
    assert (shown[0, 2] == 255).all()
    for column, expected in ((0, (0, 114, 178)), (4, (213, 94, 0))):  # Okabe and Ito's blue and vermilion at a half
        assert np.abs(shown[0, column].astype(int) - expected).max() <= 2
    levels = ERROR_COLORS(np.linspace(0, 1, 257), bytes=True)[:, :3].astype(int).sum(axis=1)
    assert (np.diff(levels[:129]) > 0).all()  # lightness says how large, colour which way
    assert (np.diff(levels[128:]) < 0).all()


@pytest.mark.parametrize("shape", [(64, 64), (32, 96), (5, 3)])
def test_a_checkerboard_has_two_greys_in_turn(shape):
    board = checkerboard(*shape)
    assert board.shape == (*shape, 3)
    side = max(1, max(shape) // 16)
    assert (board[:side, :side] == board[0, 0]).all()
    assert (board[0, 0] != board[0, side]).all()
    assert (board[0, 0] != board[side, 0]).all()
    assert (board[0, 0] == board[side, side]).all()


def test_a_panel_keeps_orientation_and_proportions():
    """White in the upper left quarter only, of a picture twice as wide as high."""
    rows = [row(48, 96)]
    rows[0].alpha[:] = 0
    rows[0].alpha[:, :24, :48] = 1
    figure = panel_figure(rows)
    shown = cell(figure, to_array(figure), 0, 1)
    height, width = shown.shape[:2]
    assert width / (height + 8) == pytest.approx(2, abs=0.2)
    assert (shown[: height // 2 - 4, : width // 2 - 4] == 255).all()
    assert (shown[height // 2 + 4 :] == 0).all()
    assert (shown[:, width // 2 + 4 :] == 0).all()


def test_a_panel_takes_half_precision_and_photos_of_several_sizes():
    other = row(32, 96)
    figure = panel_figure([row(), other._replace(alpha=other.alpha.half(), target=torch.zeros(1, 32, 96).bfloat16())])
    assert (cell(figure, to_array(figure), 1, 1) == 255).all()


def log_run(folder: Path, points: dict[int, dict[str, float]]) -> Path:
    logger = CSVLogger(folder, "logs")
    for step, values in points.items():
        logger.log_metrics({"epoch": step // 10, **values}, step)
        logger.save()
    return Path(logger.log_dir) / "metrics.csv"


def test_series_are_read_from_what_the_logger_writes(tmp_path):
    """Validation columns appear later, and rows hold only part of the columns."""
    file = log_run(
        tmp_path,
        {
            0: {"train/total": 2.0, "train/l1": 1.0},
            9: {"val/mine/mad_whole": 0.25},
            10: {"train/total": 1.5, "train/l1": 0.75},
            19: {"val/mine/mad_whole": float("nan")},
        },
    )
    series = read_series([file])
    assert set(series) == {"train/total", "train/l1", "val/mine/mad_whole"}
    assert series["train/total"] == [(0, 2.0), (10, 1.5)]
    assert series["val/mine/mad_whole"][0] == (9, 0.25)
    assert math.isnan(series["val/mine/mad_whole"][1][1])


def test_a_resumed_run_goes_on_in_its_second_file(tmp_path):
    """The first run got to step 20, its checkpoint was of step 10, and the second run repeated the rest."""
    first = log_run(tmp_path, {0: {"train/total": 3.0}, 10: {"train/total": 2.0}, 20: {"train/total": 9.0}})
    second = log_run(tmp_path, {20: {"train/total": 1.0}, 30: {"train/total": 0.5}})
    assert first != second
    assert read_series([first, second]) == {"train/total": [(0, 3.0), (10, 2.0), (20, 1.0), (30, 0.5)]}


def test_a_line_that_was_cut_off_costs_no_curve(tmp_path):
    file = log_run(tmp_path, {0: {"train/total": 3.0}, 10: {"train/total": 2.0}})
    file.write_text(file.read_text() + "1.5\n", "utf-8")
    assert read_series([file]) == {"train/total": [(0, 3.0), (10, 2.0)]}


def drawn(axis) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): [tuple(point) for point in line.get_xydata()] for line in axis.lines}


def test_curves_show_the_terms_and_every_benchmark():
    series = {"train/total": [(0, 2.0), (10, 1.0)], "train/l1": [(0, 1.0)], "train/lr": [(0, 1e-4)]}
    # More benchmarks than there are colours.
    series |= {f"val/set{i}/mad_whole": [(9, 0.01 * (i + 1))] for i in range(9)}
    series |= {"val/set0/mse_whole": [(9, 0.5)], "val/set0/constant_mad_whole": [(9, 0.4)]}
    left, right = curves_figure(series).axes
    assert drawn(left) == {"total": [(0, 2.0), (10, 1.0)], "l1": [(0, 1.0)]}
    benchmarks = drawn(right)
    assert list(benchmarks) == [f"set{i}" for i in range(9)]
    assert list(drawn(curves_figure({"val/hair/v1.5/mad_whole": [(9, 0.1)]}).axes[1])) == ["hair/v1.5"]
    for i in range(9):
        assert benchmarks[f"set{i}"] == [(9, pytest.approx(10 * (i + 1)))]


@pytest.mark.parametrize("values", [[], [0.0, 0.5], [float("nan"), 1.0]])
def test_curves_are_drawn_without_values_and_with_zeros(values):
    """A term that is off is logged as 0, which has no place on a logarithmic axis."""
    points = list(enumerate(values))
    array = to_array(curves_figure({"train/total": points, "val/a/mad_whole": points} if points else {}))
    assert array.shape == (440, 1100, 3)
    assert array.min() < 100  # frames and labels at least


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, float]]:
    """One benchmark with and one without unknown pixels, scored by the real metric."""
    out = {}
    for name, code in (("soft", 128), ("hard", 0)):
        metrics = BenchmarkMetrics(full=True)
        target = torch.zeros(1, 1, 32, 32)
        target[..., 16:] = 1
        metrics.update(0.8 * target, target, torch.full((1, 1, 32, 32), code, dtype=torch.uint8))
        out[name] = {key: float(value) for key, value in metrics.compute().items()}
    return out


@pytest.fixture(scope="module")
def rows(scores) -> list[dict[str, str | float]]:
    return score_rows(scores, {"soft": "0123456789ab", "hard": "ba9876543210"})


def test_rows_name_benchmark_method_and_hash(rows):
    assert [(r["benchmark"], r["hash"], r["method"]) for r in rows] == [
        ("soft", "0123456789ab", "network"),
        ("soft", "0123456789ab", "constant mean matte"),
        ("hard", "ba9876543210", "network"),
        ("hard", "ba9876543210", "constant mean matte"),
    ]
    assert [r["images"] for r in rows] == [1] * 4
    assert [r["images_without_unknown"] for r in rows] == [0, 0, 1, 1]


def test_columns_are_keys_with_base_units(rows):
    """Half of the picture is 0.8 in place of 1: 204 of 255."""
    network, constant = rows[:2]
    assert network["mad_whole"] == pytest.approx(0.1)
    assert network["mse_whole"] == pytest.approx(0.02)
    assert network["sad_whole"] == pytest.approx(0.2 * 512 / 1000)
    assert network["sad_unknown"] == pytest.approx(0.2 * 512 / 1000)
    assert network["mse_unknown"] == pytest.approx(0.02)
    assert constant["mad_whole"] == pytest.approx(0.5, rel=0.01)  # the mean 0.5 is quantised to bytes
    assert constant["mse_whole"] == pytest.approx(0.25, rel=0.01)
    keys = set(network) - {"benchmark", "hash", "images", "images_without_unknown", "method"}
    assert keys == METRIC_LABELS.keys()
    assert keys & set(constant) == {"mad_whole", "mse_whole"}


def test_headings_say_region_and_scale(rows):
    shown = headed(rows[0])
    assert shown["MAD×1000 (whole image)"] == pytest.approx(100)
    assert shown["MSE×1000 (unknown region)"] == pytest.approx(20)
    assert shown["without unknown pixels"] == 0
    headings = set(shown) - {"benchmark", "hash", "images", "without unknown pixels", "method"}
    assert len(headings) == 10
    for heading in headings:
        assert heading.endswith(("(whole image)", "(unknown region)"))
        assert "×1000" in heading or "/1000" in heading or heading.startswith("IoU")


@pytest.mark.parametrize("form", [dict, headed])
def test_scores_come_back_from_keys_and_from_the_headings_of_earlier_versions(rows, form):
    (line,) = csv.DictReader(io.StringIO(to_csv([form(rows[0])])))
    found = scores_of(line)
    assert found.keys() == METRIC_LABELS.keys()
    for key, value in found.items():
        assert value == pytest.approx(rows[0][key], rel=1e-12)


def test_csv_gives_the_rows_back(rows):
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(lines) == len(rows)
    for line, given in zip(lines, rows, strict=True):
        assert list(line) == list(rows[0])
        for column, text in line.items():
            value = given.get(column, "")
            if isinstance(value, float):
                assert float(text) == value or (math.isnan(float(text)) and math.isnan(value))
            else:
                assert text == str(value)


def test_a_bar_in_a_name_does_not_split_its_cell():
    assert to_markdown([{"benchmark": "a|b"}]).splitlines()[2] == r"| a\|b |"


def test_markdown_is_a_table_of_the_rows(rows):
    lines = [[text.strip() for text in line.strip("|").split("|")] for line in to_markdown(rows).splitlines()]
    shown = [headed(row) for row in rows]
    assert lines[0] == list(shown[0])
    assert lines[1] == ["---"] * len(rows[0])
    assert len(lines) == 2 + len(rows)
    assert {len(line) for line in lines} == {len(rows[0])}
    for line, given in zip(lines[2:], shown, strict=True):
        for text, column in zip(line, shown[0], strict=True):
            value = given.get(column, "")
            if isinstance(value, float) and not math.isnan(value):
                assert float(text) == pytest.approx(value, rel=1e-3)  # four digits
            elif not isinstance(value, float):
                assert text == str(value)


def test_a_score_without_an_image_is_shown_as_nan(rows):
    hard = rows[2]
    assert math.isnan(float(hard["sad_unknown"]))
    text = dict(zip(headed(rows[0]), to_markdown(rows).splitlines()[4].strip("| ").split(" | "), strict=True))
    assert text["SAD/1000 (unknown region)"] == "nan"
    assert text["MAD×1000 (whole image)"] == "100"
