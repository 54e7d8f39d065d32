"""The command ``sdnet-pl evaluate``: the scores of any method's alphas, saved as pictures."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from sdnet_pl.cli.options import add_no_check, add_output, add_workers
from sdnet_pl.data.files import as_text
from sdnet_pl.errors import InputError, InputWarning

if TYPE_CHECKING:
    from sdnet_pl.reporting.folder_files import Files

REGIONS = ("whole", "unknown")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--pred",
        type=Path,
        required=True,
        metavar="DIR",
        help="predicted alphas: pictures of one channel, 8 or 16 bit (PNG, ...)",
    )
    parser.add_argument(
        "--alpha",
        type=Path,
        required=True,
        metavar="DIR",
        help="true alphas of the same names below the folder, suffixes aside",
    )
    parser.add_argument(
        "--trimap",
        type=Path,
        metavar="DIR",
        help="trimaps of 0, 128 and 255 (default for the unknown region: an ellipse of 25 px around each alpha's edge)",
    )
    parser.add_argument(
        "--region",
        choices=REGIONS,
        help="score only the whole image, or only the unknown region (default: both with --trimap, else whole)",
    )
    parser.add_argument(
        "--method",
        type=as_text,
        metavar="NAME",
        help="the method that made the predictions (default: the name of their folder)",
    )
    parser.add_argument(
        "--benchmark",
        type=as_text,
        metavar="NAME",
        help="what the alphas are, such as ppm-100 (default: as `compose` called them, or the name of their folder)",
    )
    add_workers(parser, "half the cores, at most 8")
    add_no_check(parser, "score alphas however odd their values are")
    add_output(parser, "DIR", "also write metrics.csv, metrics.md and images.csv there")


def run(args: argparse.Namespace) -> int:
    """Print the scores, and write them where ``--output`` says.

    Names, sizes and channels of all pictures are checked before the first is scored, and so is that every file decodes
    to plausible alphas. Known pixels are scored as they were predicted: a method that reads the trimap fills them in
    itself.

    Raises:
        InputError: a folder is missing, empty or given twice, names or sizes differ, a picture has colours or does not
            decode, a trimap has other codes than 0, 128 and 255, most alphas of a folder are odd (0 and 1, inverted,
            empty, ...), or ``DIR`` holds results already, or another process writes to it.
    """
    from sdnet_pl.data.files import only_one

    if args.output and args.output.is_file():
        raise InputError(f"{args.output} is a file; give a folder with -o.")
    busy = f"{args.output} belongs to an evaluation that is running; name another folder with -o."
    with only_one(args.output, busy) if args.output else nullcontext():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 0:
        raise InputError(f"--workers is {args.workers}; give a number of processes, or 0 for none but this one.")
    if args.trimap and args.region == "whole":
        raise InputError("--region whole scores every pixel, with or without --trimap; leave one of the two out.")
    method = args.method or as_text(args.pred.resolve().name)
    if args.benchmark and Path(args.benchmark).name != args.benchmark:
        raise InputError(f"--benchmark {args.benchmark!r} also names a file; give a name without slashes.")
    if args.pred.resolve() == args.alpha.resolve():
        raise InputError(f"{args.pred} is the folder of the true alphas itself; give the predictions to --pred.")

    import yaml

    from sdnet_pl.data.benchmark_folder import find_benchmark_folder
    from sdnet_pl.data.files import write_text
    from sdnet_pl.data.parallel import default_workers
    from sdnet_pl.reporting.folder_files import find_files
    from sdnet_pl.reporting.folder_scores import FolderScores, folder_hash
    from sdnet_pl.reporting.tables import CONSTANT, NETWORK, image_rows, score_rows, to_csv, to_markdown

    files = find_files(args.pred, args.alpha, args.trimap)
    if method in (NETWORK, CONSTANT):
        raise InputError(f"{method!r} is what a run's own table calls its rows; give the method's name with --method.")
    regions = [args.region] if args.region else list(REGIONS) if args.trimap else ["whole"]
    workers = default_workers() if args.workers is None else args.workers
    composed = find_benchmark_folder(args.alpha)
    benchmark = args.benchmark or as_text(composed.file.stem if composed else args.alpha.resolve().name)
    names = "metrics.csv", "metrics.md", "images.csv", f"benchmarks/{benchmark}.yaml"
    if args.output and (held := [name for name in names if (args.output / name).exists()]):
        raise InputError(f"{args.output} holds {', '.join(held)} already; name another folder with -o.")
    if not args.no_check:
        _check(files, args)
    scores = FolderScores(files, regions)
    each, total, description = scores.score_all(workers)
    if not args.no_check:
        _require_upright(scores.inverted, len(files))
    trimaps = description["rules"].get("trimap")
    # By its pixels this is what a run was scored on, so that both have one hash and compare.
    same = composed and trimaps in (None, "given") and composed.lists(description["pictures"], trimaps == "given")
    if composed and same:
        found, description = composed.hash, composed.description
    else:
        found = folder_hash(description)
    rows = score_rows({benchmark: total}, {benchmark: found}, method)
    text = f"{to_markdown(rows)}\n{_explain(found, len(files), trimaps, composed and composed.file, bool(same))}\n"
    print(text, end="")
    if args.output:
        written = {
            "images.csv": to_csv(image_rows(benchmark, each.items())),
            f"benchmarks/{benchmark}.yaml": yaml.safe_dump({"hash": found} | description),
            "metrics.md": text,
            "metrics.csv": to_csv(rows),
        }
        for name, content in written.items():
            write_text(args.output / name, content)
    return 0


def _check(files: "Mapping[str, Files]", args: argparse.Namespace) -> None:
    """Names odd alphas; refuses files that do not decode, and folders in which most alphas are odd."""
    from sdnet_pl.data.check import check_pictures
    from sdnet_pl.data.sources.base import PictureFile

    found = [PictureFile(file.alpha, "alpha", str(args.alpha)) for file in files.values()]
    found += [PictureFile(file.pred, "prediction", str(args.pred)) for file in files.values()]
    found += [PictureFile(file.trimap, "trimap", str(args.trimap)) for file in files.values() if file.trimap]
    checked = check_pictures(found)
    checked.warn()
    checked.require_good("take the files of such names out of every folder", "score them as they are with --no-check")


def _require_upright(inverted: Collection[str], total: int) -> None:
    if not inverted:
        return
    from sdnet_pl.reporting.folder_files import some

    said = f"{len(inverted)} of {total} predictions are nearer to the true alphas when inverted ({some(inverted)})"
    if 2 * len(inverted) > total:
        raise InputError(f"{said}; invert one or the other: 255 is the person. Or score them as they are: --no-check.")
    warnings.warn(f"{said}.", InputWarning, stacklevel=2)


def _explain(found: str, count: int, trimaps: str | None, composed: Path | None, same: bool) -> str:
    lines = [f"Means over {count} pictures, predictions as they are in their files."]
    if trimaps == "given":
        lines.append("The unknown region is that of the trimaps given.")
    elif trimaps:
        lines.append(
            f"No trimaps were given: the unknown region is that of the fixed evaluation trimap, an {trimaps} "
            "around the edge of each alpha."
        )
    covered = "alphas and trimaps" if trimaps == "given" else "alphas"
    if same:
        lines.append(
            f"The benchmark hash {found} is that of runs of `sdnet-pl test`: the {covered} are those that `sdnet-pl "
            "compose` wrote, and the predictions are taken to be of its pictures."
        )
        return "\n".join(lines)
    lines.append(f"The benchmark hash {found} covers the {covered}: two methods' scores compare only where it agrees.")
    if composed:
        lines.append(
            f"It is not that of {composed}, whose pictures these are not, or not with its trimaps: scores of runs do "
            "not compare. Give both folders as `sdnet-pl compose` wrote them."
        )
    return "\n".join(lines)
