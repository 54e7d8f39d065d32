"""The paper's tables, read from ``paper.yaml``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import yaml


@dataclass(frozen=True)
class PaperRow:
    """One row of a table of the paper.

    Attributes:
        cells: As printed, with marks of footnotes.
        run: What a run of ours was trained with to stand there: distillation, trimap and ampa; none for other systems.
        trimap: Whether the method takes a trimap.
    """

    cells: tuple[str, ...]
    run: Mapping[str, Any] | None
    trimap: bool

    @property
    def method(self) -> str:
        """The method with its asterisk, without citation."""
        return re.sub(r" \[\d+\]", "", plain(self.cells[0]))

    @property
    def name(self) -> str:
        """The method as ``evaluate --method`` must spell it to be told from every other row of the table."""
        if self.method.endswith("*"):
            return self.method
        return f"{self.method}, {'trimap' if self.trimap else 'no trimap'}"


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper.

    Attributes:
        number: 1 to 6.
        caption: As printed.
        columns: Headings as printed, with marks of footnotes.
        rows: In the paper's order.
        footnotes: Ours, by mark.
        benchmarks: Names of its benchmark; none for Table 4.
        scores: Keys of ``METRIC_LABELS`` that are measured beside its figures.
    """

    number: int
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    footnotes: Mapping[str, str]
    benchmarks: tuple[str, ...]
    scores: tuple[str, ...]

    def value(self, row: PaperRow, column: str) -> float:
        """The number in a column, whose heading is given without footnote."""
        return float(plain(row.cells[[plain(heading) for heading in self.columns].index(column)]))


class Paper(NamedTuple):
    """The paper's figures.

    Attributes:
        tables: By number.
        training: What sections 4.1 and 4.3 say of the training, as keys of a run's config.
    """

    tables: Mapping[int, PaperTable]
    training: Mapping[str, Any]


def plain(cell: str) -> str:
    """A cell without bold and marks of footnotes."""
    return re.sub(r"\*\*|\[\^\w+\]", "", cell)


def read_paper() -> Paper:
    """The paper's Tables 1 to 6."""
    data = yaml.safe_load((files("sdnet_pl.reporting") / "paper.yaml").read_text(encoding="utf-8"))
    tables = {}
    for number, table in data["tables"].items():
        ticks = table["columns"].index("Trimap") if "Trimap" in table["columns"] else None
        rows = []
        for row in table["rows"]:
            cells, run = row["cells"], row.get("run")
            printed = ticks is not None and cells[ticks].startswith("✓")
            rows.append(PaperRow(tuple(cells), run, run["trimap"] if run else printed))
        tables[number] = PaperTable(
            number,
            table["caption"],
            tuple(table["columns"]),
            tuple(rows),
            {mark: data["footnotes"][mark] for mark in table["footnotes"]},
            tuple(table.get("benchmarks", ())),
            tuple(table.get("scores", ())),
        )
    return Paper(tables, data["training"])
