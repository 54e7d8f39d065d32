"""The command ``sdnet-pl matte``: photos in, cut-outs with straight alpha out."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdnet_pl.cli.options import add_device, add_output, add_overwrite, add_size, add_weights
from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import STREAM, Job, leave_out_done, plan, unwritable
from sdnet_pl.inference.pretrained import locate

if TYPE_CHECKING:
    from sdnet_pl.inference.batch import Done


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO_OR_FOLDER",
        help="photos, or folders whose photos are all taken; sub-folders are kept below DIR; - is standard input",
    )
    add_output(
        parser,
        "DIR",
        "where to write one RGBA PNG for each photo; for a single photo also FILE.png, or - for standard output",
        required=True,
    )
    add_weights(parser)
    add_size(parser)
    add_device(parser)
    parser.add_argument(
        "--backend",
        metavar="B",
        help="onnx (ONNX Runtime) or torch (default: onnx on a CPU, where the weights exist as ONNX)",
    )
    add_overwrite(
        parser, "make all cut-outs again; without it, those that an earlier call made of the same photos are kept"
    )


def run(args: argparse.Namespace) -> int:
    """Write ``DIR/NAME.png``, a straight-alpha RGBA PNG of the photo's own size, for each photo.

    Everything that can be checked is checked before the network is loaded. What an earlier call made of the same photo
    with the same options is kept, and nothing is replaced that this package did not write. A photo that does not decode
    is reported on stderr after the others are done, and so is one in which nobody is found.

    Args:
        args: as declared by :func:`add_arguments`.

    Returns:
        The exit status: 0 if every photo is done, 1 if some could not be read.

    Raises:
        InputError: a path, the size or the device is wrong, or the output cannot be written.
    """
    weights = locate(args.weights)
    jobs = plan(args.photos, args.output)
    if jobs[0].target == STREAM and sys.stdout.isatty():
        raise InputError("A terminal cannot show a picture; redirect it: -o - > cutout.png, or give -o cutout.png.")

    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.data.provenance import job_hash
    from sdnet_pl.inference.engine import choose_engine
    from sdnet_pl.inference.predictor import check_size

    if args.size is not None:
        check_size(args.size)
    options = sha256(weights), args.size, *([args.backend] if args.backend else [])
    left = leave_out_done(jobs, lambda photo: job_hash(sha256(photo), *options), args.overwrite)
    load = choose_engine(args.weights, args.device, args.backend, threads=1)
    if jobs[0].target != STREAM:
        _make_folder(args.output if len(jobs) > 1 else jobs[0].target.parent)

    done: list[Done] = []
    try:
        if left:
            predictor = load().predictor(args.size)
            from sdnet_pl.inference.batch import cut_out_all, one_thread_each

            with one_thread_each():
                cut_out_all(left, predictor, options, done)
    finally:
        for outcome in done:
            if outcome.error:
                print(outcome.error, file=sys.stderr)
    _summarise([job for job in jobs if job not in left], done, args.output, options)
    return 1 if any(outcome.error for outcome in done) else 0


def _summarise(kept: list[Job], done: "list[Done]", output: Path, options: Sequence[object]) -> None:
    """What there is to say of a call: of a single photo with a person in it, nothing."""
    from sdnet_pl.data.provenance import found_nobody

    nobody = [str(job.photo) for job in kept if found_nobody(job.target)]
    nobody += [str(outcome.job.photo) for outcome in done if outcome.nobody]
    parts = []
    if kept or len(done) > 1:
        unreadable = sum(bool(outcome.error) for outcome in done)
        parts.append(f"{len(done) - unreadable} cut-out(s) written to {output}")
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
    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.data.provenance import job_hash, was_made_of

    targets, found = {job.target for job in jobs}, set()
    for job in jobs:
        earlier = job.target.with_name(f"{job.photo.stem}.png")
        renamed = job.photo.suffix and job.target.name == f"{job.photo.name}.png" and earlier not in targets
        if renamed and earlier.exists() and was_made_of(earlier, job_hash(sha256(job.photo), *options)):
            found.add(earlier)
    return sorted(found)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
