"""Scores as tables: csv for programs, markdown for people."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from sdnet_pl.metrics import METRIC_LABELS

Row = Mapping[str, str | float]
# The column "method" of a run's scores: its own network, and the line that any network must beat
NETWORK, CONSTANT = "network", "constant mean matte"


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
            head["without unknown pixels"] = int(values["images_without_unknown"])
        for name_of_row, prefix in ((method, ""), (CONSTANT, "constant_")):
            given = labelled({key: values[prefix + key] for key in METRIC_LABELS if prefix + key in values})
            if given:
                rows.append({**head, "method": name_of_row, **given})
    return rows


def image_rows(benchmark: str, scores: Iterable[tuple[str, Mapping[str, float]]]) -> list[dict[str, str | float]]:
    """One row a picture.

    Args:
        benchmark: Its name.
        scores: For each picture its name and its scores in the units of the functionals, by keys of ``METRIC_LABELS``.
    """
    return [{"benchmark": benchmark, "image": name, **labelled(values)} for name, values in scores]


def labelled(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores in the units of the functionals, by keys of ``METRIC_LABELS``, as tables name and scale them."""
    return {METRIC_LABELS[key][0]: METRIC_LABELS[key][1] * value for key, value in scores.items()}


def to_csv(rows: Sequence[Row]) -> str:
    """Comma-separated, all digits; columns as in the first row."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def to_markdown(rows: Sequence[Row]) -> str:
    """A GitHub table, numbers to four significant digits."""

    def cell(value: str | float) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", r"\|")

    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([cell(row.get(c, "")) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
