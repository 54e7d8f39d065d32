"""The command ``sdnet-pl report``: a table of the paper, and beside its figures those of runs and evaluations."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
from pathlib import Path

from sdnet_pl.cli.options import add_output
from sdnet_pl.data.files import as_text
from sdnet_pl.errors import InputError

TABLES = tuple(range(1, 7))
SIZES = 4  # the table whose rows are networks, and not what was trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUNS",
        help="directories of runs, of `test` and of `evaluate -o`, or directories above them",
    )
    parser.add_argument("--table", type=int, required=True, choices=TABLES, help="of the paper")
    parser.add_argument(
        "--benchmark",
        type=as_text,
        metavar="NAME",
        help="take the scores on this benchmark (default: that of the table: composition-1k, distinction-646 or "
        "ppm-100)",
    )
    add_output(
        parser,
        "DIR",
        "also write tableN.md and tableN.csv there, and for Table 4 figure1.png: parameters against error",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table as markdown, and write it where ``--output`` says.

    Raises:
        InputError: there is no run, runs of one row were scored on different benchmarks, or a file that this package
            did not write would be replaced.
    """
    if args.table == SIZES and args.benchmark:
        raise InputError("Table 4 compares networks and no scores; leave --benchmark out.")
    if args.table == SIZES and args.runs and not args.output:
        raise InputError("Table 4 holds no scores: runs enter its plot alone, which needs -o DIR.")

    from sdnet_pl.data.files import write_text
    from sdnet_pl.data.provenance import mark, require_ours, require_own_table
    from sdnet_pl.reporting.comparison import score_table, size_table
    from sdnet_pl.reporting.panels import write_figure
    from sdnet_pl.reporting.paper import read_paper
    from sdnet_pl.reporting.runs import find_results
    from sdnet_pl.reporting.tables import to_csv
    from sdnet_pl.reporting.tradeoff import tradeoff_figure, tradeoff_lines

    paper = read_paper()
    results, left = find_results(args.runs)
    if args.table == SIZES:
        lines, unplotted = tradeoff_lines(paper, results)
        text, rows = size_table(paper, left | unplotted)
    else:
        text, rows = score_table(paper, args.table, results, left, args.benchmark)
    print(text, end="")
    if args.output:
        files = {f"table{args.table}.md": text, f"table{args.table}.csv": to_csv(rows)}
        figure = args.output / "figure1.png"
        for name, content in files.items():
            require_own_table(args.output / name, content)
        if args.table == SIZES:
            require_ours(figure)
        for name, content in files.items():
            write_text(args.output / name, content)
        if args.table == SIZES:
            write_figure(figure, tradeoff_figure(paper, lines), mark())
    return 0
