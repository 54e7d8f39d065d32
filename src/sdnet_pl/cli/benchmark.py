"""The command ``sdnet-pl benchmark``: time, memory and size of networks on this machine."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
from pathlib import Path

from sdnet_pl.cli.options import add_overwrite, add_threads, to_shape
from sdnet_pl.data.files import check_writable, write_text
from sdnet_pl.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "models",
        nargs="*",
        default=["sdnet-fast", "sdnet"],
        metavar="MODEL",
        help="names that ship, checkpoints, or files of `sdnet-pl export` in any format (default: sdnet-fast sdnet)",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["256", "384", "512"],
        metavar="SIZE",
        help="of pictures, in pixels: N, or WIDTHxHEIGHT, multiples of 32 (default: 256 384 512); files of one size "
        "alone are measured at theirs",
    )
    add_threads(parser, "of each network (default: one a core)")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="timed pictures of each (default: 20)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the table as csv too")
    add_overwrite(parser, "replace a csv that this command wrote")


def run(args: argparse.Namespace) -> int:
    """Print the table: milliseconds of a picture, memory and file size.

    Raises:
        InputError: a model, a size or a number is wrong, or the csv exists already, is of someone else or cannot be
            written.
    """
    shapes = [to_shape("--sizes", text) for text in dict.fromkeys(args.sizes)]
    for name in ("threads", "rounds"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; give 1 or more.")
    if args.csv:
        if args.csv.suffix != ".csv":
            raise InputError(f"{args.csv} does not end in .csv; give a name that does.")
        if args.csv.exists() and not args.overwrite:
            raise InputError(f"{args.csv} exists already; give --overwrite to replace it, or another name.")
        check_writable(args.csv)
    from sdnet_pl.data.parallel import usable_cores
    from sdnet_pl.data.provenance import require_own_table
    from sdnet_pl.reporting.latency import FIRST_COLUMNS, candidates, measure
    from sdnet_pl.reporting.tables import to_csv, to_markdown

    if args.csv:
        require_own_table(args.csv, ",".join(FIRST_COLUMNS))
    rows = measure(candidates(args.models), shapes, args.threads or usable_cores(), args.rounds)
    print(to_markdown(rows), end="")
    if args.csv:
        write_text(args.csv, to_csv(rows))
    return 0
