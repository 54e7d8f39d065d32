"""The command ``sdnet-pl sweep``: a W&B sweep file run without W&B, one fit after the other."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from sdnet_pl.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.epilog = (
        "A sweep that was stopped is resumed by the same command: finished trials count, and the one that was running "
        "continues from its last checkpoint. A failed trial does not stop the others, and is tried again next time."
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a W&B sweep file whose command is [sdnet-pl, fit, ...]"
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=20,
        metavar="N",
        help="how many of bayes and random; a grid runs them all (default: %(default)s)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("runs/sweeps"),
        metavar="DIR",
        help="where the runs are kept, below the file's name (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run a sweep to its end, and print its trials as markdown, the best first.

    Returns:
        The exit status: 0, or 1 where a trial failed.

    Raises:
        InputError: optuna is missing, or as :func:`sdnet_pl.launch.sweep.run_sweep`.
    """
    if args.trials < 1:
        raise InputError(f"--trials is {args.trials}; give at least 1.")
    if find_spec("optuna") is None:
        raise InputError("sweep needs optuna; install it with: pip install 'sdnet_pl[sweep]'.")

    from sdnet_pl.launch.sweep import FAILED, run_sweep
    from sdnet_pl.reporting.tables import to_markdown

    rows = run_sweep(args.file, args.root, args.trials)
    print(to_markdown(rows))
    if FAILED in (next(iter(row.values())) for row in rows):
        print("sdnet-pl: a trial failed; the same command tries it again.", file=sys.stderr)
        return 1
    return 0
