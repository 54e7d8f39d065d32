"""The command ``sdnet-pl reproduce``: whole tables of the paper, trained, scored and printed."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import os
from pathlib import Path

from sdnet_pl.cli import prepare
from sdnet_pl.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.epilog = (
        "A call that was stopped is resumed by the same command, and runs that are finished are not run again; tables "
        "share those that they have in common."
    )
    parser.add_argument("--table", type=int, nargs="+", required=True, choices=range(1, 7), metavar="N", help="1 to 6")
    parser.add_argument(
        "--scale",
        choices=("mini", "full"),
        default="mini",
        help="full: the data sets that `sdnet-pl prepare` made, and hours of a GPU (projected); mini: drawn stand-ins, "
        "and minutes, which show that every step works, with figures that mean nothing (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0], metavar="N", help="a run of every row with each (default: 0)"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("runs/reproduce"),
        metavar="DIR",
        help="where runs and tables are kept, below the scale's name (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SDNET_DATA", "data")),
        metavar="DIR",
        help="the prepared data sets, for full (default: SDNET_DATA)",
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="FILE", help="further configs of `sdnet-pl fit`, as for several GPUs"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write the tables into this page of markdown")


def run(args: argparse.Namespace) -> int:
    """Train and score every row of SDNet, and print the tables beside the paper's figures.

    Raises:
        InputError: a training failed, the page's figure was not written by this package, or as `sdnet-pl report`.
    """
    from sdnet_pl.cli import report
    from sdnet_pl.data.files import read_text
    from sdnet_pl.data.provenance import require_ours
    from sdnet_pl.launch import reproduce, standins

    if args.page:
        read_text(args.page)  # a page that is missing is known before days of training
        if report.SIZES in args.table:
            require_ours(reproduce.figure_beside(args.page))
    root = args.root / args.scale
    runs, data, configs = root / "runs", args.data, list(args.config)
    if args.scale == "mini":
        data = root / "data"
        configs.insert(0, reproduce.experiments() / "base/mini.yaml")
        standins.draw(root / "standins")
        prepare_stand_ins(root / "standins", data)
    reproduce.train(reproduce.rows_of(args.table), args.seeds, runs, data, configs)
    for table in args.table:
        found = [runs] if runs.exists() else []
        report.run(argparse.Namespace(runs=found, table=table, benchmark=None, output=root))
    if args.page:
        reproduce.write_page(args.page, root, args.table)
    return 0


def prepare_stand_ins(source: Path, target: Path) -> None:
    """Run `sdnet-pl prepare` on every tree of stand-ins that is not done yet.

    Args:
        source: as for :func:`sdnet_pl.launch.standins.draw`.
        target: gets a folder a data set.

    Raises:
        InputError: one is refused, as after a change to the stand-ins.
    """
    from sdnet_pl.launch import standins

    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    for name in standins.NAMES:
        split = source / f"{name}.txt"
        lists = ["--split", str(split)] if split.exists() else []
        # The start of further processes takes longer than these few pictures.
        arguments = [name, str(source / name), str(target / name), "--workers=1", *lists]
        if prepare.run(parser.parse_args(arguments)) != 0:
            raise InputError(
                f"{source / name} was not prepared; the reasons are printed above. Remove {source} and {target}."
            )
