"""Where on a benchmark a network errs: the scores of each picture, their spread, and the worst pictures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sdnet_pl.data.sources.base import Image
from sdnet_pl.metrics import METRIC_LABELS
from sdnet_pl.reporting.curves import COLORS
from sdnet_pl.reporting.panels import GREY, TITLE, PanelRow, error_map, tight_grid, to_picture

# What sorts the pictures: every benchmark has it, and it does not grow with the picture.
ERROR = "mad_whole"
ERROR_LABEL, ERROR_SCALE = METRIC_LABELS[ERROR]
WORST = 10
STRIP_HEIGHT, GAP = 160, 2


@dataclass
class ImageScores:
    """The scores of a benchmark's pictures, and small pictures of the worst.

    Attributes:
        scores: Of each picture by its index in the benchmark, keys of ``METRIC_LABELS``.
        strips: Of the worst ``WORST`` by index; see :func:`strip`.
    """

    scores: dict[int, Mapping[str, float]] = field(default_factory=dict)
    strips: dict[int, Image] = field(default_factory=dict)

    def add(self, index: int, scores: Mapping[str, float], draw: Callable[[], Image] | None = None) -> None:
        """Adds a picture; ``draw`` gives its strip and is called only while it is among the worst."""
        self.scores[index] = scores
        if draw is None:
            return
        if len(self.strips) == WORST:
            mildest = self._sorted(self.strips)[-1]
            if self._sorted((index, mildest))[0] == mildest:
                return
            del self.strips[mildest]
        self.strips[index] = draw()

    @classmethod
    def merged(cls, parts: Iterable["ImageScores"]) -> "ImageScores":
        """The pictures of several processes, in the benchmark's order."""
        parts = list(parts)
        scores = {index: values for part in parts for index, values in part.scores.items()}
        strips = {index: strip for part in parts for index, strip in part.strips.items()}
        whole = cls(dict(sorted(scores.items())))
        whole.strips = {index: strips[index] for index in whole._sorted(strips)[:WORST]}
        return whole

    @property
    def worst_first(self) -> list[int]:
        """All indices, the largest error first."""
        return self._sorted(self.scores)

    @property
    def errors(self) -> list[float]:
        """MAD of every picture in [0, 1], in the benchmark's order."""
        return [values[ERROR] for values in self.scores.values()]

    def _sorted(self, indices: Iterable[int]) -> list[int]:
        return sorted(indices, key=lambda index: (-self.scores[index][ERROR], index))


def strip(row: PanelRow) -> Image:
    """Input, predicted alpha, true alpha and error map side by side, uint8 RGB, at most 160 pixels high."""
    assert row.target is not None
    maps = [to_picture(x.expand(3, -1, -1)) for x in (row.image, row.alpha, row.target)]
    maps.append(error_map(row.alpha, row.target))
    height, width = maps[0].shape[:2]
    scale = min(1.0, STRIP_HEIGHT / height)
    size = max(1, round(width * scale)), round(height * scale)
    small = [np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA), np.uint8) for x in maps]
    gap = np.full((size[1], GAP, 3), GREY, np.uint8)  # a white alpha must not run into a white error map
    return np.hstack([part for picture in small for part in (picture, gap)][:-1])


def histogram_figure(errors: Mapping[str, Sequence[float]]) -> Figure:
    """How many pictures have which error, a plot for each benchmark.

    Args:
        errors: MAD of every picture in [0, 1], by benchmark; shown as MAD×1000.
    """
    figure = Figure(figsize=(5 * len(errors), 3.5), dpi=110, layout="constrained")
    for axis, (name, found) in zip(figure.subplots(1, len(errors), squeeze=False)[0], errors.items(), strict=True):
        values = [ERROR_SCALE * error for error in found]
        axis.hist(values, bins=min(40, max(5, len(values) // 4)), color=COLORS[0])
        for label, value, color in (("median", np.median(values), COLORS[1]), ("mean", np.mean(values), COLORS[2])):
            axis.axvline(float(value), color=color, label=f"{label} {value:.3g}")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(title=f"{name}, {len(values)} images", xlabel=ERROR_LABEL, ylabel="images")
        axis.legend(fontsize=8)
    return figure


def worst_figure(worst: Mapping[str, Sequence[tuple[str, Image]]]) -> Figure:
    """The worst pictures, a column for each benchmark.

    Args:
        worst: By benchmark what stands above each strip, and the strip; the worst first.
    """
    lines = max(map(len, worst.values()))
    height = 1.75 * lines + 2 * TITLE
    figure = Figure(figsize=(6 * len(worst), height), dpi=110)
    figure.suptitle("Worst pictures: input, predicted α, true α, error", fontsize=9, y=1 - 0.05 / height, va="top")
    axes = figure.subplots(lines, len(worst), squeeze=False, gridspec_kw=tight_grid(height, gap=0.15, title=2 * TITLE))
    for axis in axes.flat:
        axis.set_axis_off()
    for column, strips in enumerate(worst.values()):
        for axis, (title, pixels) in zip(axes[:, column], strips, strict=False):
            axis.imshow(pixels, interpolation="nearest")
            axis.set_title(title, fontsize=8)
    return figure
