"""The command ``sdnet-pl matte``: photos in, cut-outs with straight alpha out."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import EACCES, ENOTDIR
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdnet_pl.cli.aliases import add_aliases, resolve_aliases
from sdnet_pl.cli.options import add_backend, add_device, add_output, add_overwrite, add_quality, add_size, add_weights
from sdnet_pl.errors import InputError
from sdnet_pl.inference.given import photos_and_output
from sdnet_pl.inference.jobs import STREAM, Job, job_options, leave_out_done, number_of, plan, unwritable, with_trimaps
from sdnet_pl.inference.pretrained import DEFAULT, SECOND, default_quality, locate

if TYPE_CHECKING:
    from sdnet_pl.inference.batch import Cutter, Done
    from sdnet_pl.inference.watching import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO_OR_FOLDER",
        help="photos, or folders whose photos are all taken; sub-folders are kept below DIR; - is standard input; "
        "after a single photo OUT.png may follow, as for -o",
    )
    add_output(
        parser,
        "DIR",
        "where to write a cut-out for each photo; for a single photo also FILE.png, or - for standard output (default: "
        "NAME_cutout.png beside each photo)",
    )
    parser.add_argument("--only-mask", action="store_true", help="write the alphas alone, as grey pictures")
    parser.add_argument(
        "--background",
        metavar="B",
        help="what to show behind the people: a colour (a name or #rrggbb), a picture, or blur for the photo's own",
    )
    parser.add_argument(
        "--format",
        choices=("png", "webp", "jpg"),
        help="of the files (default: by the name of a single one, or else png); webp is lossless, and jpg is for "
        "--background and --only-mask",
    )
    add_weights(parser)
    add_size(parser)
    add_device(parser)
    add_backend(parser)
    add_quality(parser, None, f"default: best with {DEFAULT}, fast with other weights")
    parser.add_argument(
        "--trimap",
        type=Path,
        metavar="FILE|DIR",
        help="what is known: a grey picture of the photo's size, 0 background, 128 unknown, 255 person; or a folder of "
        f"them, named as the photos (then WEIGHTS is {SECOND} unless given)",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="photos at a time (default: one for each core, at most 4)"
    )
    add_overwrite(
        parser, "make all cut-outs again; without it, those that an earlier call made of the same photos are kept"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="then wait for photos that arrive in the folders, and cut them out too, until Ctrl-C",
    )
    add_aliases(parser)


def run(args: argparse.Namespace) -> int:
    """Write a cut-out, a straight-alpha RGBA picture of the photo's own size, or what is asked for, for each photo.

    Everything that can be checked is checked before the network is loaded. What an earlier call made of the same photo
    with the same options is kept, and nothing is replaced that this package did not write. A photo that does not decode
    is reported on stderr after the others are done, and so is one in which nobody is found.

    Raises:
        InputError: a path, the size, the device or another option is wrong, or the output cannot be written.
    """
    resolve_aliases(args)
    weights = args.weights or (SECOND if args.trimap else DEFAULT)
    locate(weights)
    photos, output = photos_and_output(args.photos, args.output)
    watch = _watch(photos) if args.watch else None
    jobs = _plan(args, photos, output)
    if jobs and jobs[0].target == STREAM and sys.stdout.isatty():
        raise InputError("A terminal cannot show a picture; redirect it: -o - > cutout.png, or give -o cutout.png.")

    from sdnet_pl.inference.engine import choose_engine
    from sdnet_pl.inference.inputs import check_size
    from sdnet_pl.inference.rendering import Rendering

    if args.size is not None:
        check_size(args.size)
    if args.jobs is not None and args.jobs < 1:
        raise InputError(f"jobs is {args.jobs}, and at least one photo is done at a time; give 1 or more.")
    rendering = Rendering(args.only_mask, args.background)
    quality = args.quality or default_quality(weights)
    options = job_options(weights, args.size, args.backend, rendering, quality)
    left = leave_out_done(jobs, options, args.overwrite)
    load = choose_engine(weights, args.device, args.backend, 1, quality)

    @cache
    def cutter() -> "Cutter":
        predictor = load().predictor(args.size, trimaps=args.trimap is not None)
        from sdnet_pl.inference.batch import Cutter

        return Cutter(predictor, rendering, options, args.overwrite)

    if output != STREAM and (output or jobs):
        folder = output if output and len(jobs) != 1 else jobs[0].target.parent
        _check_folder(folder)
        if left:
            cutter()  # which may refuse
        _make_folder(folder)
    done: list[Done] = []
    try:
        if left:
            _cut_out(left, cutter(), done, args.jobs)
        if watch:
            for arrived in watch.arrivals(lambda: _plan(args, photos, output)):
                _cut_out(arrived, cutter(), done, args.jobs)
                for outcome in done[-len(arrived) :]:
                    print(outcome.error or f"sdnet-pl: {outcome.job.target}", file=sys.stderr)
    except KeyboardInterrupt:
        if not watch:
            raise
    finally:
        done = list({outcome.job: outcome for outcome in done}.values())  # a photo that grew may be there twice
        for outcome in done:
            if outcome.error:
                print(outcome.error, file=sys.stderr)
    _summarise([job for job in jobs if job not in left], done, output, options, always=args.watch)
    return 1 if any(outcome.error for outcome in done) else 0


def _plan(args: argparse.Namespace, photos: list[Path], output: Path | None) -> list[Job]:
    opaque = args.only_mask or args.background is not None
    jobs = plan(photos, output, args.format, opaque, may_be_empty=args.watch)
    return with_trimaps(jobs, args.trimap, output) if args.trimap else jobs


def _cut_out(jobs: list[Job], cutter: "Cutter", done: "list[Done]", threads: int | None) -> None:
    from sdnet_pl.inference.batch import cut_out_all, one_thread_each

    with one_thread_each():
        cut_out_all(jobs, cutter, done, threads)


def _watch(photos: list[Path]) -> "Watch":
    from sdnet_pl.inference.watching import Watch

    folders = [photo for photo in photos if photo.is_dir()]
    if not folders:
        raise InputError("--watch waits for photos that arrive in a folder, and none is given; give a folder.")
    return Watch(folders)


def _summarise(
    kept: list[Job], done: "list[Done]", output: Path | None, options: Sequence[object], always: bool
) -> None:
    """What there is to say of a call: of a single photo with a person in it, nothing."""
    from sdnet_pl.data.provenance import found_nobody

    nobody = [str(job.photo) for job in kept if found_nobody(job.target)]
    nobody += [str(outcome.job.photo) for outcome in done if outcome.nobody]
    parts = []
    written = [outcome.job for outcome in done if not outcome.error]
    if kept or len(done) > 1 or always or (written and not output):
        unreadable = len(done) - len(written)
        place = output or (written[0].target if len(written) == 1 else None)
        parts.append(f"{len(written)} cut-out(s) written {f'to {place}' if place else 'beside the photos'}")
        if unreadable:
            parts.append(f"{unreadable} photo(s) could not be read, as said above")
    if kept:
        parts.append(f"{len(kept)} existed already, of the same photos")
    if nobody:
        from sdnet_pl.inference.predictor import nobody_found

        parts.append(nobody_found(nobody))
    if parts:
        print(f"sdnet-pl: {'; '.join(parts)}", file=sys.stderr)
    for earlier in _superseded([*kept, *(outcome.job for outcome in done)], options):
        print(
            f"sdnet-pl: {earlier} is from an earlier call: now that several photos are named {earlier.stem}, the names "
            "of their cut-outs contain the suffix of the photo; remove it.",
            file=sys.stderr,
        )


def _superseded(jobs: list[Job], options: Sequence[object]) -> list[Path]:
    """Cut-outs of these photos from before another photo of the same stem joined."""
    from sdnet_pl.data.provenance import was_made_of

    targets, found = {job.target for job in jobs}, set()
    for job in jobs:
        earlier = job.target.with_name(f"{job.photo.stem}.{job.kind}")
        renamed = job.photo.suffix and job.target.name == f"{job.photo.name}.{job.kind}" and earlier not in targets
        if renamed and earlier.exists():
            with suppress(OSError):  # the photo is lost
                if was_made_of(earlier, number_of(job, options)):
                    found.add(earlier)
    return sorted(found)


def _check_folder(folder: Path) -> None:
    """Whether a folder can be made is said before the network is loaded; it is made after."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise unwritable(folder, NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR)))
    if not os.access(existing, os.W_OK):
        raise unwritable(folder, PermissionError(EACCES, os.strerror(EACCES)))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
