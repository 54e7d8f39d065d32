"""Which file is written from which video."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sdnet_pl.errors import InputError
from sdnet_pl.inference.given import expanded, refuse_urls
from sdnet_pl.inference.video.formats import FORMATS, OPAQUE, PICTURES, TRANSPARENT, check_format, is_video_name


class Job(NamedTuple):
    """A video, and the file or folder to write."""

    video: Path
    target: Path


def split_output(paths: Sequence[Path], output: Path | None) -> tuple[list[Path], Path | None]:
    """The videos and the output of a command line, where the last of several paths may be the output.

    It is where it does not exist, is a folder, or was written by this package, and no output is given otherwise. A
    pattern stands for the videos that it matches and that this package did not write.

    Raises:
        InputError: a path is a URL, or a pattern matches no video.
    """
    refuse_urls((*paths, *([output] if output else [])))
    paths = [path for word in paths for path in expanded(word, "video", _is_foreign_file)]
    if output is None and len(paths) > 1:
        from sdnet_pl.inference.video.provenance import is_own_video

        last = paths[-1]
        if not last.exists() or last.is_dir() or is_own_video(last):
            return list(paths[:-1]), last
    return list(paths), output


def _is_foreign_file(path: Path) -> bool:
    from sdnet_pl.inference.video.provenance import is_own_video

    return path.is_file() and not is_own_video(path)


def plan(videos: Sequence[Path], output: Path | None, suffix: str | None, alpha: bool) -> list[Job]:
    """Which file is written from which video, in the order given.

    Names are ``clip_cutout.webm``; videos that would have one name keep their suffixes or the folders in which they
    differ. A video that comes again, by a link too, is written once.

    Args:
        videos: files.
        output: a file; or a folder, which need not exist; by default the folder of each video.
        suffix: one of :data:`sdnet_pl.inference.video.formats.FORMATS`, where ``output`` is no file.
        alpha: whether what is written is transparent.

    Raises:
        InputError: a video is missing, the format is unknown or does not fit, a single file is to hold several videos,
            or a video or a file that this package did not write would be replaced.
    """
    from sdnet_pl.data.files import as_file, refuse_bare_suffix
    from sdnet_pl.data.output_names import distinct_names
    from sdnet_pl.inference.video.provenance import require_own

    if output is not None:
        refuse_bare_suffix(output, [f".{name}" for name in FORMATS])
    if output is not None and output.suffix and not output.is_dir():
        check_format(output.suffix.lower(), alpha, str(output))
        if len(videos) > 1:
            raise InputError(f"{output} is one file and holds one video; give a folder.")
        if suffix is not None and f".{suffix}" != output.suffix.lower():
            raise InputError(f"--format {suffix} and {output} do not go together; leave out one of them.")
    chosen = suffix or (TRANSPARENT if alpha else OPAQUE)[1:]
    check_format(PICTURES if chosen == PICTURES else f".{chosen}", alpha, f"--format {chosen}")
    if output is not None and output.is_file() and not is_video_name(output.suffix):
        raise InputError(f"{output} is a file; give a folder, or a file that ends in {TRANSPARENT}.")
    once: dict[Path, Path] = {}
    for video in videos:
        if not video.exists():
            raise InputError(f"{video} does not exist; give videos, and where to write last.")
        once.setdefault(video.resolve(), video)
    videos = [*once.values()]
    ending = "" if chosen == PICTURES else f".{chosen}"
    one_file = output is not None and is_video_name(output.suffix) and not output.is_dir()
    names = distinct_names([(video, Path(video.name) if output else video) for video in videos], siblings=False)
    jobs = []
    for video, name in zip(videos, names, strict=True):
        target = output if output and one_file else as_file((output or Path()) / f"{name}_cutout{ending}")
        if target.resolve() == video.resolve():
            raise InputError(f"{video} would be overwritten by its own cut-out; give another name.")
        require_own(target)
        jobs.append(Job(video, target))
    return jobs


def plan_folder(videos: Sequence[Path], folder: Path, output: Path, alpha: bool) -> list[Job]:
    """Which file below a folder is written from which video of another, sub-folders kept, in the default format.

    A name is ``holiday/clip_cutout.webm``, or ``holiday/clip.mov_cutout.webm`` beside another video of that stem.

    Args:
        videos: files below ``folder``.
        folder: where they are.
        output: need not exist.
        alpha: whether what is written is transparent.
    """
    from sdnet_pl.data.files import as_file
    from sdnet_pl.data.output_names import distinct_names

    names = distinct_names([(video, video.relative_to(folder)) for video in videos], siblings=False)
    suffix = TRANSPARENT if alpha else OPAQUE
    targets = [as_file(output / f"{name}_cutout{suffix}") for name in names]
    return [Job(video, target) for video, target in zip(videos, targets, strict=True)]


def number_of(job: Job, options: Sequence[object]) -> str:
    """The hash of a job: of its video, of what is written, and of the options of ``sdnet_pl.inference.jobs``.

    Raises:
        OSError: the video is lost.
    """
    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.data.provenance import job_hash

    return job_hash(sha256(job.video), *options, job.target.suffix)
