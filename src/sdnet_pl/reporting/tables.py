"""Scores as tables: csv for programs, with keys and base units; markdown for people, with headings and scales."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from sdnet_pl.metrics import METRIC_LABELS

Row = Mapping[str, str | float]
# The column "method" of a run's scores: its own network, and the line that any network must beat
NETWORK, CONSTANT = "network", "constant mean matte"
_HEADINGS = {"images_without_unknown": "without unknown pixels"}


def score_rows(
    scores: Mapping[str, Mapping[str, float]], hashes: Mapping[str, str], method: str = NETWORK
) -> list[dict[str, str | float]]:
    """One row a benchmark and a second for the constant matte at its mean alpha, the line that any network must beat.

    Args:
        scores: For each benchmark the values that ``BenchmarkMetrics.compute`` gave, or those of one region.
        hashes: The hash of each benchmark.
        method: What was scored.
    """
    rows: list[dict[str, str | float]] = []
    for name, values in scores.items():
        head: dict[str, str | float] = {"benchmark": name, "hash": hashes[name], "images": int(values["images"])}
        if "images_without_unknown" in values:
            head["images_without_unknown"] = int(values["images_without_unknown"])
        for name_of_row, prefix in ((method, ""), (CONSTANT, "constant_")):
            # A constant matte's score shares the column of the score without its prefix.
            given = {key: values[prefix + key] for key in METRIC_LABELS if prefix + key in values}
            if given:
                rows.append({**head, "method": name_of_row, **given})
    return rows


def image_rows(benchmark: str, scores: Iterable[tuple[str, Mapping[str, float]]]) -> list[dict[str, str | float]]:
    """One row a picture.

    Args:
        benchmark: Its name.
        scores: For each picture its name and its scores in the units of the functionals, by keys of ``METRIC_LABELS``.
    """
    return [{"benchmark": benchmark, "image": name, **values} for name, values in scores]


def scores_of(row: Mapping[str, str]) -> dict[str, float]:
    """The scores in a row of ``metrics.csv`` or ``images.csv``, also of an earlier version, which wrote headings.

    Args:
        row: As ``csv.DictReader`` gives it; what is empty is left out.

    Returns:
        By keys of ``METRIC_LABELS``, in the units of the functionals.

    Raises:
        ValueError: A score is not a number.

    Example:
        >>> scores_of({"benchmark": "ppm-100", "mad_whole": "0.0123", "sad_unknown": ""})
        {'mad_whole': 0.0123}
        >>> scores_of({"MAD×1000 (whole image)": "12.5"})
        {'mad_whole': 0.0125}
    """
    scores = {key: float(row[heading]) / scale for key, (heading, scale) in METRIC_LABELS.items() if row.get(heading)}
    return scores | {key: float(row[key]) for key in METRIC_LABELS if row.get(key)}


def headed(row: Row) -> dict[str, str | float]:
    """A row as people read it: keys of scores become headings, and numbers are brought to the headings' scales."""
    shown: dict[str, str | float] = {}
    for key, value in row.items():
        heading, scale = METRIC_LABELS.get(key, (_HEADINGS.get(key, key), 1.0))
        shown[heading] = scale * value if isinstance(value, float) else value
    return shown


def to_csv(rows: Sequence[Row]) -> str:
    """Comma-separated, all digits; columns as in the first row."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def to_markdown(rows: Sequence[Row]) -> str:
    """A GitHub table with the headings and scales of :func:`headed`, numbers to four significant digits."""

    def cell(value: str | float) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", r"\|")

    rows = [headed(row) for row in rows]
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([cell(row.get(c, "")) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
