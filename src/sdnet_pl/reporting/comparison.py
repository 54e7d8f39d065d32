"""The paper's tables with what was measured for each of their rows."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from sdnet_pl.errors import InputError, did_you_mean
from sdnet_pl.metrics import METRIC_LABELS
from sdnet_pl.nn import PRESETS, create_model
from sdnet_pl.reporting.complexity import measure, state_dict_size
from sdnet_pl.reporting.paper import Paper, PaperTable, plain
from sdnet_pl.reporting.runs import Result
from sdnet_pl.reporting.tables import Row, to_markdown

DIGITS = {"mad": 2, "sad": 2, "mse": 5}
RUN_KEYS = ("distillation", "trimap", "ampa")


class Line(NamedTuple):
    """What was measured for one row: one method, or one training with one or more seeds.

    Attributes:
        network: What it is.
        parameters: In millions; None if they are not known.
        scores: Mean and sample standard deviation over the results, which one result alone does not have.
        results: What was averaged.
    """

    network: str
    parameters: float | None
    scores: Mapping[str, tuple[float, float | None]]
    results: Sequence[Result]


def match(
    table: PaperTable, results: Sequence[Result], benchmark: str | None = None
) -> tuple[dict[int, list[Line]], dict[Path, str]]:
    """The lines of scores that belong to each row of a table.

    Runs whose trainings differ only in their seeds are one line; a repeated seed is left out.

    Args:
        table: Any but Table 4.
        results: Of :func:`sdnet_pl.reporting.runs.find_results`.
        benchmark: Take the scores on this one instead of the table's own.

    Returns:
        The lines by the row's place in the table; and the directories that are not shown, with the reason.

    Raises:
        InputError: Results of one line were scored on two builds of the benchmark.
    """
    names = {_key(name) for name in ((benchmark,) if benchmark else table.benchmarks)}
    groups: dict[tuple[int, str], list[Result]] = defaultdict(list)
    reasons: dict[Path, str] = {}
    elsewhere: dict[Path, list[str]] = defaultdict(list)
    for result in results:
        if _key(result.benchmark) not in names:
            elsewhere[result.folder].append(result.benchmark)
            continue
        found = "scored on a part of the benchmark" if result.hash == "partial" else _row_of(table, result)
        if isinstance(found, str):
            reasons[result.folder] = found
            continue
        groups[found, result.method + json.dumps(result.setting, sort_keys=True, default=str)].append(result)

    lines: dict[int, list[Line]] = defaultdict(list)
    for (index, _), group in groups.items():
        first = group[0]
        for other in group:
            if other.hash != first.hash:
                raise InputError(
                    f"Table {table.number}, {table.rows[index].name}: {first.folder} was scored on {first.benchmark} "
                    f"with the hash {first.hash}, and {other.folder} on one with {other.hash}; scores on two builds of "
                    "a benchmark are not averaged: give the runs of one, or score the others again with `sdnet-pl "
                    "test`."
                )
        kept: dict[Any, Result] = {}
        for result in group:
            key = result.seeds if result.training else result.folder
            if key in kept:
                reasons[result.folder] = f"the training and seed of {kept[key].folder} again"
            kept.setdefault(key, result)
        lines[index].append(_line(table, list(kept.values())))
    for folder, others in elsewhere.items():
        meant = did_you_mean(benchmark, others) if benchmark else ""
        reasons.setdefault(
            folder, f"scored on {', '.join(others)} and not on {benchmark or table.benchmarks[0]}{meant}"
        )
    used = {result.folder for group in lines.values() for line in group for result in line.results}
    return lines, {folder: reason for folder, reason in reasons.items() if folder not in used}


def score_table(
    paper: Paper, number: int, results: Sequence[Result], left: Mapping[Path, str], benchmark: str | None = None
) -> tuple[str, list[Row]]:
    """A table with scores, as markdown and as rows for csv.

    Args:
        paper: Of :func:`read_paper`.
        number: Of the table, not 4.
        results: Of :func:`sdnet_pl.reporting.runs.find_results`.
        left: Directories without results, and the reasons.
        benchmark: As in :func:`match`.

    Raises:
        InputError: As :func:`match`.
    """
    table = paper.tables[number]
    lines, unmatched = match(table, results, benchmark)
    shown = [key for key in table.scores if any(key in line.scores for group in lines.values() for line in group)]
    text = _markdown(table, {index: [_cells(line, shown) for line in group] for index, group in lines.items()})
    rows = _csv_rows(table, {index: [_values(line, shown) for line in group] for index, group in lines.items()})
    notes = []
    if lines:
        notes.append("Measured: mean ± sample standard deviation over runs of different seeds.")
    if lines and benchmark and _key(benchmark) not in map(_key, table.benchmarks):
        notes.append(
            f"The paper's figures are on {table.benchmarks[0]} and the measured ones on {benchmark}: compare rows with "
            "each other, and not figures with figures."
        )
    hashes = dict.fromkeys(line.results[0].hash for group in lines.values() for line in group)
    if len(hashes) > 1:
        notes.append(
            f"The measured rows have different benchmark hashes ({', '.join(hashes)}): compare only where they agree. "
            "Those of runs cover foregrounds and backgrounds, those of `evaluate` alphas: the two agree only where it "
            "scored what `sdnet-pl compose` wrote."
        )
    about = [
        f"{table.rows[index].name}: {_about(line, group, paper.training)}"
        for index, group in sorted(lines.items())
        for line in group
    ]
    missing = [f"{folder}: {reason}" for folder, reason in sorted({**left, **unmatched}.items())]
    parts = [text, "\n".join(notes), _bullets("The measured columns come from:", about)]
    title = "Not in this table (--benchmark NAME takes the scores on another benchmark):"
    return _page([*parts, _bullets(title, missing), _footnotes(table)]), rows


def size_table(paper: Paper, left: Mapping[Path, str]) -> tuple[str, list[Row]]:
    """Table 4, as markdown and as rows for csv, with the networks of this package beside "Ours".

    Args:
        paper: Of :func:`read_paper`.
        left: Directories that give nothing to Figure 1, and the reasons.
    """
    table = paper.tables[4]
    ours = [row.method for row in table.rows].index("Ours")
    networks = [measure(preset) | {"state_dict file (MiB)": state_dict_size(preset)} for preset in PRESETS]
    measured: list[Row] = [
        {f"measured: {key}": value for key, value in row.items() if key != "trimap"} for row in networks
    ]
    missing = [f"{folder}: {reason}" for folder, reason in sorted(left.items())]
    parts = [_markdown(table, {ours: measured}), _bullets("Not in Figure 1:", missing), _footnotes(table)]
    return _page(parts), _csv_rows(table, {ours: measured})


def _row_of(table: PaperTable, result: Result) -> int | str:
    """The place of a result's row, or why there is none."""
    if result.training is None:
        exact = [i for i, row in enumerate(table.rows) if row.name.lower() == result.method.lower()]
        bare = result.method.lower().rstrip("*")
        close = [i for i, row in enumerate(table.rows) if row.method.lower().rstrip("*") == bare]
        if exact or (len(close) == 1 and not result.method.endswith("*")):
            return (exact or close)[0]
        names = ", ".join(repr(table.rows[i].name) for i in (close or range(len(table.rows))))
        which = "could be several rows" if close else "is the method of no row"
        return f"{result.method!r} {which}; `evaluate --method` takes one of {names}"
    network = result.training["model.network"]
    trained = {
        "distillation": result.training["model.distillation"],
        "trimap": result.training["model.trimap"],
        "ampa": network.get("ampa", True),
    }
    for i, row in enumerate(table.rows):
        if row.run == trained:
            return i
    return "no row is trained like it: " + ", ".join(f"{key} {_text(trained[key])}" for key in RUN_KEYS)


def _line(table: PaperTable, results: list[Result]) -> Line:
    scores = {}
    for key in table.scores:
        values = [result.scores[key] for result in results if key in result.scores]
        if len(values) == len(results):
            scores[key] = mean(values), (stdev(values) if len(values) > 1 else None)
    first = results[0]
    if first.training is None:
        return Line(first.method, None, scores, results)
    preset, network = first.training["model.preset"], first.training["model.network"]
    try:
        model = create_model(preset, trimap=first.training["model.trimap"], **network)
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
    except InputError:  # of a version whose networks had other arguments
        parameters = None
    changes = [f"{key} {_text(value)}" for key, value in network.items() if key not in RUN_KEYS]
    return Line(", ".join([preset, *changes]), parameters, scores, results)


def _heading(key: str) -> tuple[str, float]:
    """How a column is headed, and the factor that brings a score there: MSE as the paper has it, without × 1000."""
    label, scale = METRIC_LABELS[key]
    return (label.replace("×1000", ""), 1.0) if key.startswith("mse") else (label, scale)


def _cells(line: Line, scores: Sequence[str]) -> dict[str, str]:
    """The measured columns for people."""
    cells = {"measured: network": line.network + (f" ({line.parameters:.2f} M)" if line.parameters else "")}
    for key in scores:
        heading, scale = _heading(key)
        digits, (value, spread) = DIGITS[key.split("_")[0]], line.scores.get(key, (None, None))
        cells[f"measured: {heading}"] = " ± ".join(
            f"{scale * number:.{digits}f}" for number in (value, spread) if number is not None
        )
    first = line.results[0]
    return cells | {
        "measured: runs": str(len(line.results)),
        "measured: benchmark (hash)": f"{first.benchmark} ({first.hash})",
    }


def _values(line: Line, scores: Sequence[str]) -> Row:
    """The measured columns for programs: keys, and values in the units of the functionals."""
    values: dict[str, str | float] = {"measured: network": line.network}
    values["measured: parameters (M)"] = "" if line.parameters is None else line.parameters
    for key in scores:
        for column, number in zip(("mean", "standard deviation"), line.scores.get(key, (None, None)), strict=True):
            values[f"measured: {key}, {column}"] = "" if number is None else number
    values["measured: runs"] = len(line.results)
    return values | {"measured: benchmark": line.results[0].benchmark, "measured: hash": line.results[0].hash}


def _markdown(table: PaperTable, measured: Mapping[int, Sequence[Row]]) -> str:
    """The paper's cells and the measured ones; of a row's second line the paper's cells are left empty."""
    added = list(next((group[0] for group in measured.values()), {}))
    rows: list[Row] = []
    for index, row in enumerate(table.rows):
        cells = dict(zip(table.columns, row.cells, strict=True))
        for values in measured.get(index) or [{}]:
            rows.append({**dict.fromkeys([*table.columns, *added], ""), **cells, **values})
            cells = {}
    return f"**Table {table.number}.** {table.caption}\n\n{to_markdown(rows).rstrip()}"


def _csv_rows(table: PaperTable, measured: Mapping[int, Sequence[Row]]) -> list[Row]:
    """The paper's cells, repeated for each line of a row, and the measured ones."""
    added = list(next((group[0] for group in measured.values()), {}))
    columns = [plain(heading) for heading in table.columns]
    return [
        dict(zip(columns, map(plain, row.cells), strict=True)) | dict.fromkeys(added, "") | dict(values)
        for index, row in enumerate(table.rows)
        for values in measured.get(index) or [{}]
    ]


def _bullets(title: str, items: Sequence[str]) -> str:
    """A list under its title; nothing for an empty one."""
    return "\n".join([title, "", *(f"- {item}" for item in items)]) if items else ""


def _footnotes(table: PaperTable) -> str:
    return "\n".join(f"[^{mark}]: {text}" for mark, text in table.footnotes.items())


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"


def _about(line: Line, group: Sequence[Line], paper: Mapping[str, Any]) -> str:
    """Which runs a line is from, and how their training differs from the paper and from its neighbours."""
    first = line.results[0]
    folders = ", ".join(str(result.folder) for result in line.results)
    if first.training is None:
        return f"{line.network}, evaluated in {folders}"
    settings = [other.results[0].training or {} for other in group]
    # An older config does not name what its version could not do.
    unlike = {key for key, value in paper.items() if first.training.get(key, value) != value}
    if len(settings) > 1:
        own = first.setting.keys() - {"model.preset", "model.network"}
        unlike |= {key for key in own if any(other.get(key) != first.training[key] for other in settings)}
    differences = [
        f"{key} {_text(first.training.get(key))}" + (f" ({_text(paper[key])})" if key in paper else "")
        for key in sorted(unlike)
    ]
    seeds = [_text(result.seeds[0]) for result in line.results]
    if len(set(seeds)) < len(seeds):  # those of the samples tell them apart
        seeds = ["/".join(map(_text, result.seeds)) for result in line.results]
    trained = f"; trained unlike the paper (in brackets) or its neighbours: {', '.join(differences)}"
    return f"{line.network}, seed(s) {', '.join(seeds)}, in {folders}{trained if differences else ''}"


def _text(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False).strip('"')
    return text if len(text) <= 60 else "..."


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
