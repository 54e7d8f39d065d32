"""Figure 1 of the paper: parameters against error of networks that need no trimap."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sdnet_pl.reporting.comparison import Line, match
from sdnet_pl.reporting.curves import COLORS
from sdnet_pl.reporting.paper import Paper
from sdnet_pl.reporting.runs import Result

# The paper does not say which benchmark its figure is of; these have the most systems.
PANELS = {
    1: "portraits of Composition-1k (the paper's scale is not stated)",
    3: "PPM-100 (the paper's SAD is MAD×1000)",
}
Lines = Mapping[int, Mapping[int, Sequence[Line]]]


def tradeoff_lines(
    paper: Paper, results: Sequence[Result], benchmark: str | None = None
) -> tuple[Lines, dict[Path, str]]:
    """What of the results Figure 1 shows.

    Args:
        paper: The paper's tables.
        results: Runs and evaluations.
        benchmark: Take the scores on this one instead of the paper's.

    Returns:
        The lines by table and row; and the directories that are not shown, with the reason.

    Raises:
        InputError: Results of one line were scored on two builds of the benchmark.
    """
    lines: dict[int, dict[int, list[Line]]] = {}
    reasons: dict[Path, list[str]] = {result.folder: [] for result in results}
    for number in PANELS:
        found, unmatched = match(paper.tables[number], results, benchmark)
        for folder, reason in unmatched.items():
            reasons[folder].append(f"Table {number}: {reason}")
        lines[number] = {
            index: [line for line in group if "mad_whole" in line.scores]
            for index, group in found.items()
            if not paper.tables[number].rows[index].trimap
        }
    for panel in lines.values():
        for group in panel.values():
            for result in (result for line in group for result in line.results):
                reasons.pop(result.folder, None)
    default = "it takes a trimap, or has no scores over the whole image"
    return lines, {
        folder: "; ".join(texts) if len(texts) == len(PANELS) else default for folder, texts in reasons.items()
    }


def tradeoff_figure(paper: Paper, lines: Lines) -> Figure:
    """The trimap-free rows of Tables 1 and 3, and measured MAD×1000 (whole image) with its standard deviation.

    Args:
        paper: The paper's tables.
        lines: Of :func:`tradeoff_lines`.
    """
    figure = Figure(figsize=(11, 4.8), dpi=110, layout="constrained")
    for axis, (number, title) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        table = paper.tables[number]
        for index, row in enumerate(table.rows):
            if row.trimap:
                continue
            printed = table.value(row, "Param (M)"), table.value(row, "SAD↓")
            axis.plot(*printed, "o", color=COLORS[0], label="the paper's SAD")
            axis.annotate(row.method, printed, xytext=(5, 4), textcoords="offset points", fontsize=8)
            for line in lines[number].get(index, ()):
                mad, spread = line.scores["mad_whole"]
                point = line.parameters or printed[0], 1000 * mad
                error = None if spread is None else 1000 * spread
                on = "" if line.results[0].benchmark in table.benchmarks else f" on {line.results[0].benchmark}"
                label = f"measured MAD×1000 (whole image){on}, ± standard deviation"
                axis.errorbar(*point, yerr=error, fmt="D", color=COLORS[1], capsize=3, label=label)
                text = f"{row.method}: {line.network}"
                axis.annotate(text, point, xytext=(5, -11), textcoords="offset points", fontsize=8)
        axis.set(title=title, xlabel="parameters (millions)", ylabel="error", xscale="log", yscale="log")
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** 0.2)  # room for the legend
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
        axis.set_xlim(min(1, 0.8 * axis.dataLim.x0), 160)  # ticks would widen it
        axis.grid(alpha=0.3)
        handles, labels = axis.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        axis.legend(by_label.values(), by_label.keys(), fontsize=8, loc="upper left")
    return figure
