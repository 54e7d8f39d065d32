"""The command ``sdnet-pl prepare``: a public data set as downloaded in, one that trains and scores fast out."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sdnet_pl.cli.options import add_no_check, add_workers
from sdnet_pl.data.prepare.base import Found, Unit, read_names
from sdnet_pl.data.prepare.datasets import DATASETS
from sdnet_pl.errors import InputError, InputWarning
from sdnet_pl.version import __version__

if TYPE_CHECKING:
    from sdnet_pl.data.prepare.manifest import Journal
    from sdnet_pl.data.prepare.samples import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.usage = "%(prog)s [options] NAME SRC DST\n       %(prog)s --verify DST"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:15}{dataset.expects}; writes {dataset.writes}" for name, dataset in DATASETS.items()]
    parser.epilog = "\n".join(["NAME, what SRC has to hold, and what is written:", *lines])
    parser.add_argument("name", nargs="?", choices=tuple(DATASETS), metavar="NAME", help="the data set; see below")
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="SRC",
        help="its folder as downloaded, or its archive (.zip, .tar.*); nothing in it is changed",
    )
    parser.add_argument(
        "destination",
        nargs="?",
        type=Path,
        metavar="DST",
        help="the folder to write; an interrupted run resumes with the same command",
    )
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="take only the pictures that FILE names, one a line, with or without suffix; can be repeated",
    )
    parser.add_argument(
        "--max-side",
        type=int,
        default=1024,
        metavar="N",
        help="longer side of training pictures and backgrounds in pixels; smaller ones stay as they are (default: "
        "%(default)s)",
    )
    add_workers(parser, "one for each core")
    parser.add_argument(
        "--skip-bad", action="store_true", help="complete the data set without the pictures that cannot be used"
    )
    add_no_check(parser, "prepare alphas however odd their values are")
    parser.add_argument(
        "--shards",
        action="store_true",
        help="pack training pictures and backgrounds into litdata shards, for sets in object storage or of very many "
        "files",
    )
    parser.add_argument(
        "--verify", type=Path, metavar="DST", help="compare a prepared data set with its manifest, and do nothing else"
    )


def run(args: argparse.Namespace) -> int:
    """Prepare a data set, or verify one.

    Returns:
        The exit status: 0 if the data set is complete, 1 if something in it cannot be used or differs from its
        manifest.

    Raises:
        InputError: an argument is wrong, the source is not laid out as published, or the destination holds something
            else.
    """
    if args.verify:
        return _verify(args.verify)
    _check(args)

    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.data.prepare.archive import is_archive, unpack
    from sdnet_pl.data.prepare.manifest import UNPACKED, Journal

    dataset, destination, archive = DATASETS[args.name], args.destination, None
    names = read_names(args.split)
    root: Path = args.source
    if root.is_file():
        if not is_archive(root):
            raise InputError(f"{root} is not a .zip or .tar archive; unpack it, and give the folder.")
        _say(f"reading {root}")
        archive = sha256(root)
        root = destination / f"{UNPACKED}{archive[:12]}"
    header = {
        "dataset": args.name,
        "version": __version__,
        "source": args.source.resolve().name,
        "archive_sha256": archive,
        "max_side": args.max_side,
        "split_sha256": [sha256(file) for file in args.split],
        "shards": args.shards or None,  # as in manifests from before there were shards
    }
    journal = Journal(destination, header)
    if journal.complete:
        print(f"{destination} is complete already; to make it again, give another folder.")
    else:
        # What lies in an archive is known when the destination is open to unpack it, and nothing is written before.
        found = dataset.find(root, names) if archive is None else None
        with journal:
            if found is None:
                _say(f"unpacking {args.source}")
                unpack(args.source, root)
                try:
                    found = dataset.find(root, names)
                except InputError as error:
                    raise InputError(str(error).replace(str(root), str(args.source))) from None
            if not _prepare(args, found, root, journal):
                return 1
        print(f"licence: {dataset.licence}" + (f" ({dataset.homepage})" if dataset.homepage else ""))
    for unpacked in destination.glob(f"{UNPACKED}*"):
        shutil.rmtree(unpacked)
    return 0


def _prepare(args: argparse.Namespace, found: Found, root: Path, journal: "Journal") -> bool:
    """Do what is not done yet and report; returns whether the data set is complete."""
    from tqdm import tqdm

    from sdnet_pl.data.parallel import usable_cores
    from sdnet_pl.data.prepare.manifest import extra_files
    from sdnet_pl.data.prepare.samples import describe
    from sdnet_pl.data.prepare.shards import INDEX, pack, write_index

    dataset, destination = DATASETS[args.name], args.destination
    if not args.no_check:
        _check_alphas(args, found, root)
    units = pack(found.samples) if args.shards else [Unit(sample.key, (sample,)) for sample in found.samples]
    checked = tqdm(units, desc="Checking what is done", unit="file", disable=not journal.done)
    todo = [unit for unit in checked if not journal.is_done(unit.key, root, unit.sources)]
    bad: list[str] = []
    failed = set()
    total, left, workers = len(found.samples), sum(len(unit.samples) for unit in todo), args.workers or usable_cores()
    with (
        tqdm(total=total, initial=total - left, desc="Preparing", unit="picture") as bar,
        closing(_outcomes(todo, root, args, workers)) as outcomes,
    ):
        for unit, (record, reasons) in outcomes:
            bad += reasons
            if record is None:
                failed.add(unit.key)
            else:
                journal.add(unit.key, record)
            bar.update(len(unit.samples))
    good = [unit for unit in units if unit.key not in failed]
    problems = found.problems + sorted(bad)
    packed = {unit.samples[0].folder: unit.samples[0].kind for unit in good if unit.shard}
    written = {name for unit in good for name in journal.done[unit.key]["files"]}
    written |= {f"{folder}/{INDEX}" for folder in packed}
    extra = [f"{destination / name} belongs to no picture; remove it." for name in extra_files(destination, written)]
    for problem in problems + extra:
        print(problem, file=sys.stderr)
    if extra or not good or (problems and not args.skip_bad):
        print(
            f"sdnet-pl: {len(problems + extra)} problem(s), so {destination} is not complete; correct what the list "
            "above names and run the same command again, which does only the rest, or add --skip-bad to leave it out.",
            file=sys.stderr,
        )
        return False
    sources = {name: describe(root / name) for name in found.lists}
    more = {"homepage": dataset.homepage, "licence": dataset.licence, "left_out": problems}
    keys = [unit.key for unit in good]
    for folder, kind in packed.items():
        shards = [destination / unit.key for unit in good if unit.shard and unit.samples[0].folder == folder]
        keys.append(f"{folder}/{INDEX}")
        journal.add(keys[-1], {"sources": {}, "files": {keys[-1]: write_index(destination / folder, shards, kind)}})
    journal.finish(keys, sources, more)
    counts = Counter(
        sample.folder
        for unit in good
        for sample in unit.samples
        if journal.done[unit.key]["sources"].keys() >= set(sample.sources.values())
    )
    print(f"{destination}: {', '.join(f'{count} in {folder}/' for folder, count in sorted(counts.items()))}")
    return True


def _check_alphas(args: argparse.Namespace, found: Found, root: Path) -> None:
    """Names odd alphas before anything is written, and refuses folders in which most alphas are odd."""
    from sdnet_pl.data.alpha_values import judge
    from sdnet_pl.data.check import check_pictures
    from sdnet_pl.data.sources.base import PictureFile

    files = []
    for sample in found.samples:
        if sample.kind != "background":
            path = sample.sources.get("alpha") or next(iter(sample.sources.values()))
            below = len(PurePosixPath(sample.name).parts)
            folder = (root / path).parents[below - 1]
            files.append(PictureFile(root / path, "published" if "alpha" in sample.sources else "cutout", str(folder)))
    checked = check_pictures(files)
    checked.unusable.clear()  # listed with all else that cannot be used
    for sentence in judge(checked.odd)[0]:
        warnings.warn(sentence.replace(str(root), str(args.source)), InputWarning, stacklevel=1)
    try:
        checked.require_good("prepare them as they are with --no-check")
    except InputError as error:
        raise InputError(str(error).replace(str(root), str(args.source))) from None


def _outcomes(
    units: "list[Unit]", root: Path, args: argparse.Namespace, workers: int
) -> "Generator[tuple[Unit, tuple[Record | None, list[str]]]]":
    """Each unit with what was written of it, and what in it cannot be used; in the order in which they are done."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from sdnet_pl.data.prepare.workers import start_worker, write_unit

    workers, options = min(workers, len(units)), (root, args.destination, args.max_side, args.skip_bad)
    if workers <= 1:
        yield from ((unit, write_unit(unit, *options)) for unit in units)
        return
    # Forked, OpenCV's threads would be missing in the children.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), start_worker)
    try:
        futures = {pool.submit(write_unit, unit, *options): unit for unit in units}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except BrokenProcessPool:
        raise InputError(
            "A process ended before its picture was done, maybe for want of memory; lower --workers and give the same "
            "command again."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _check(args: argparse.Namespace) -> None:
    if args.destination is None:
        raise InputError("prepare takes NAME, SRC and DST; `sdnet-pl prepare --help` lists the data sets.")
    source, destination = args.source.resolve(), args.destination.resolve()
    if not source.exists():
        raise InputError(f"{args.source} does not exist; give the data set's folder or archive as downloaded.")
    if args.destination.exists() and not destination.is_dir():
        raise InputError(f"{args.destination} is a file; give the folder to write.")
    if source == destination or source in destination.parents or destination in source.parents:
        raise InputError(
            f"{args.destination} and {args.source} lie in one another, and the source is never written to; give a "
            "folder outside of it."
        )
    if args.max_side < 32:
        raise InputError(f"--max-side is {args.max_side}; the network takes sides of at least 32 pixels.")
    if args.workers is not None and args.workers < 1:
        raise InputError(f"--workers is {args.workers}; at least one process is needed.")
    if args.split and not DATASETS[args.name].split:
        taking = ", ".join(name for name, dataset in DATASETS.items() if dataset.split)
        raise InputError(f"{args.name} takes no --split, all of it is used; leave it out (it is for {taking}).")
    if args.shards:
        from sdnet_pl.data.sources.shards import import_litdata

        import_litdata()


def _verify(folder: Path) -> int:
    from tqdm import tqdm

    from sdnet_pl.data.prepare.manifest import verify

    def progress(files: list[Any]) -> Any:
        return tqdm(files, desc="Verifying", unit="file")

    problems = verify(folder, progress)
    for problem in problems:
        print(problem)
    print(f"{folder}: {f'{len(problems)} file(s) differ from' if problems else 'all files are as in'} its manifest")
    return 1 if problems else 0


def _say(text: str) -> None:
    print(f"sdnet-pl: {text} ...", file=sys.stderr)
