"""The command ``sdnet-pl compose``: a benchmark of a config as pictures, for any method to be run on."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
from pathlib import Path

from sdnet_pl.cli.options import add_no_check
from sdnet_pl.data.files import as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "name",
        type=as_text,
        metavar="NAME",
        help="the benchmark as data.test or data.validation calls it, such as composition-1k; without --config: "
        "procedural",
    )
    parser.add_argument(
        "destination",
        type=Path,
        metavar="DST",
        help="the folder to write: image/, alpha/, trimap/ and NAME.yaml; an interrupted run resumes with the "
        "same command",
    )
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a config of `sdnet-pl test`; only `data` is read. Can be repeated; later files override earlier ones",
    )
    add_no_check(parser, "start at once, without looking for damaged pictures and odd alphas")
    parser.add_argument(
        "--data.root", dest="root", metavar="DIR", help="the folder that the config's relative paths start from"
    )


def run(args: argparse.Namespace) -> int:
    """Write a benchmark.

    Raises:
        InputError: a config is wrong, no benchmark has the name, a picture is missing or damaged, or the folder holds
            something else.
    """
    from sdnet_pl.data.benchmark_folder import write_benchmark_folder
    from sdnet_pl.data.check import check_pictures
    from sdnet_pl.data.config import find_benchmark

    benchmark = find_benchmark(args.name, args.config, args.root)
    if not args.no_check:
        checked = check_pictures(benchmark.picture_files())
        checked.warn()
        checked.require_good(
            "take such pictures out of their folders, which makes another benchmark",
            "compose them as they are with --no-check",
        )
    write_benchmark_folder(args.name, benchmark, args.destination)
    print(
        f"{args.name} ({benchmark.hash}): {len(benchmark)} pictures in {args.destination}. Score alphas of the same "
        f"names: sdnet-pl evaluate --pred DIR --alpha {args.destination / 'alpha'} --trimap "
        f"{args.destination / 'trimap'}"
    )
    return 0
