"""The command ``sdnet-pl video``: people cut out of videos and of a camera, or before another background."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sdnet_pl.cli.options import add_backend, add_device, add_output, add_overwrite, add_size, add_threads, add_weights
from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import locate
from sdnet_pl.inference.video.formats import FORMATS

if TYPE_CHECKING:
    from sdnet_pl.inference.video.jobs import Job
    from sdnet_pl.inference.video.pipeline import Done


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="VIDEO",
        help="videos; after them may come what to write, as for -o",
    )
    add_output(
        parser,
        "OUT",
        "a file that ends in .webm (VP9), .mov (ProRes 4444) or .mkv, with --background also .mp4; or a folder for "
        "NAME_cutout.webm of each video (default: the folder of each video)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="F",
        help=f"what to write into a folder: {', '.join(FORMATS)}; png is a folder of pictures (default: webm, with "
        "--background mp4)",
    )
    parser.add_argument(
        "--background",
        metavar="COLOR|IMAGE|blur",
        help="what to show behind the people (default: nothing, transparent); green is that of green screens",
    )
    parser.add_argument(
        "--camera",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="write nothing, and show what a camera sees on a page of this machine until Ctrl-C, by default before "
        "green; DEVICE is as FFmpeg calls it: /dev/video0, on macOS 0, on Windows video=NAME (default: the first)",
    )
    add_threads(parser, "how many threads work at a time (default: all cores)")
    add_weights(parser)
    add_size(parser)
    add_device(parser)
    add_backend(parser)
    add_overwrite(parser, "make all again; without it, what an earlier call made of the same videos is kept")


def run(args: argparse.Namespace) -> int:
    """Write the cut-out of each video, one after the other; or show those of a camera.

    Everything that can be checked is checked before the network is loaded. What an earlier call made of the same video
    with the same options is kept, what a killed call had begun is continued, and nothing is replaced that this package
    did not write.

    Returns:
        The exit status: 0 if every video is done, 1 if some could not be read or another call is writing them.

    Raises:
        InputError: a path or an option is wrong, or the output cannot be written.
    """
    from sdnet_pl.inference.video.jobs import number_of, plan, split_output

    locate(args.weights)
    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads is {args.threads}; give 1 or more.")
    if args.camera is not None:
        return _show_camera(args)
    if not args.videos:
        raise InputError("video needs something to cut people out of; give videos, or --camera.")
    videos, output = split_output(args.videos, args.output)
    jobs = plan(videos, output, args.format, args.background is None)

    from sdnet_pl.data.parallel import usable_cores
    from sdnet_pl.inference.batch import one_thread_each
    from sdnet_pl.inference.engine import choose_engine
    from sdnet_pl.inference.inputs import check_size
    from sdnet_pl.inference.jobs import job_options
    from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render
    from sdnet_pl.inference.video.provenance import is_of_job

    if args.size is not None:
        check_size(args.size)
    rendering = render(args.background)
    load = choose_engine(args.weights, args.device, args.backend, threads=1)
    options = Options(rendering, args.threads or usable_cores())
    about = job_options(args.weights, args.size, args.backend, rendering)
    numbers: dict[Job, str] = {}
    for job in jobs:
        if job.video.is_file():
            with suppress(OSError):  # lost or closed, which opening it tells
                numbers[job] = number_of(job, about)

    def exists(job: "Job") -> bool:
        if args.overwrite or job not in numbers or not job.target.exists():
            return False
        if not is_of_job(job.target, numbers[job]):
            raise InputError(
                f"{job.target} exists already, of a video that has changed or with other options; give --overwrite to "
                "replace it, or another name."
            )
        return True

    for job in jobs:
        exists(job)  # which may refuse
    done: list[Done] = []
    kept: list[Job] = []
    predictor = None
    try:
        for job in jobs:
            if exists(job):  # now: another call may be at work on the same videos
                kept.append(job)
                continue
            predictor = predictor or load().predictor(args.size)
            with one_thread_each():
                done.append(cut_out_video(job, numbers.get(job, ""), predictor, options))
    finally:
        _summarise(done, kept)
    return 1 if any(outcome.error for outcome in done) else 0


def _show_camera(args: argparse.Namespace) -> int:
    """Show the people of a camera until Ctrl-C.

    Raises:
        InputError: an option is wrong, or the camera cannot be opened or is lost.
    """
    given = {"VIDEO": args.videos, "-o": args.output, "--format": args.format, "--overwrite": args.overwrite}
    if written := [name for name, value in given.items() if value]:
        raise InputError(f"--camera shows a page and writes nothing; leave out {' and '.join(written)}.")

    from sdnet_pl.inference.engine import choose_engine
    from sdnet_pl.inference.inputs import check_size
    from sdnet_pl.inference.rendering import to_levels
    from sdnet_pl.inference.video.camera import Camera
    from sdnet_pl.inference.video.pipeline import GREEN, render
    from sdnet_pl.inference.video.preview import Preview

    if args.size is not None:
        check_size(args.size)
    rendering = render(args.background or GREEN)
    load = choose_engine(args.weights, args.device, args.backend, args.threads)
    with suppress(KeyboardInterrupt), Camera(args.camera) as camera:
        predictor = load().predictor(args.size)
        if args.threads and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(args.threads)
        with Preview() as page:
            print(f"sdnet-pl: {page.address} shows {camera.device}; Ctrl-C ends it", file=sys.stderr, flush=True)
            fitted = None
            for image in camera.pictures():
                fitted = fitted or rendering.fitted(*image.shape[:2])
                page.show(fitted(image, to_levels(predictor.alpha(image))))
    return 0


def _summarise(done: "list[Done]", kept: "list[Job]") -> None:
    """What was written, with what there is to say of it, and then what could not be read."""
    for job in kept:
        print(f"sdnet-pl: {job.target} existed already, of the same video", file=sys.stderr)
    for outcome in sorted(done, key=lambda outcome: outcome.error is not None):
        print(outcome, file=sys.stderr)
