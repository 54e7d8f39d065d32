"""Which file ``sdnet-pl matte`` writes from which photo, and which of them are done already."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sdnet_pl.errors import InputError

STREAM = Path("-")
"""Means standard input and output."""
SHOWN = 3


class Job(NamedTuple):
    """A photo, and the file to write: ``STREAM`` of either is standard input or output."""

    photo: Path
    target: Path


def plan(photos: list[Path], output: Path) -> list[Job]:
    """Which file is written from which photo, in the order given.

    ``output`` is a folder, or for a single photo a file that ends in .png, or standard output. Folders of photos are
    searched with their sub-folders, except ``output`` itself and files that this package wrote.

    Args:
        photos: files and folders, or standard input.
        output: where to write; a folder need not exist.

    Raises:
        InputError: a photo is missing, a single file is to hold several cut-outs, or a photo or a file that this
            package did not write would be replaced.
    """
    from sdnet_pl.data.provenance import require_ours

    single = _single_target(photos, output)
    jobs = [Job(photos[0], single)] if single else _into_folder(photos, output)
    originals = {job.photo.resolve(): job.photo for job in jobs if job.photo != STREAM}
    for job in jobs:
        if job.target == STREAM:
            continue
        if job.target.resolve() in originals:
            raise InputError(
                f"{originals[job.target.resolve()]} would be overwritten by a cut-out; give another folder with -o."
            )
        if job.target.is_dir():
            raise InputError(f"{job.target} is a folder, and the cut-out of {job.photo} has that name; rename one.")
        require_ours(job.target)
    return jobs


def leave_out_done(jobs: list[Job], number: Callable[[Path], str], overwrite: bool) -> list[Job]:
    """The jobs that are left: those whose files do not exist, and with ``overwrite`` all.

    Args:
        jobs: as returned by :func:`plan`.
        number: returns the job hash of a photo, as :func:`sdnet_pl.data.provenance.job_hash` does.
        overwrite: whether a cut-out of an earlier call may be replaced.

    Raises:
        InputError: a cut-out of another photo or of other options exists, and ``overwrite`` is false.
    """
    from sdnet_pl.data.provenance import was_made_of

    if overwrite:
        return jobs
    existing = [job for job in jobs if job.target != STREAM and job.target.exists()]
    done = {job for job in existing if was_made_of(job.target, number(job.photo))}
    if others := [job.target for job in existing if job not in done]:
        shown = ", ".join(map(str, others[:SHOWN])) + (", ..." if others[SHOWN:] else "")
        raise InputError(
            f"{len(others)} cut-out(s) exist already, of photos that have changed or with other options ({shown}); "
            "give --overwrite to replace them, or another folder with -o."
        )
    return [job for job in jobs if job not in done]


def _single_target(photos: list[Path], output: Path) -> Path | None:
    """The one file to write; None if ``output`` is a folder."""
    from sdnet_pl.data.formats import picture_suffixes

    names_picture = output.suffix.lower() in picture_suffixes() and not output.is_dir()
    if STREAM in photos and (len(photos) > 1 or not (output == STREAM or names_picture)):
        raise InputError("A photo on standard input (-) has no name; give it alone, with -o FILE.png or -o -.")
    if output != STREAM and not names_picture:
        return None
    if len(photos) > 1 or photos[0].is_dir():
        raise InputError(f"{output} is one file and holds one cut-out; give a folder with -o.")
    if photos[0] != STREAM and not photos[0].exists():
        raise _missing(photos[0])
    if output != STREAM and output.suffix.lower() != ".png":
        raise InputError(
            f"{output} is not the name of a cut-out, which is a PNG; give a name that ends in .png with -o."
        )
    return output


def _into_folder(photos: list[Path], output: Path) -> list[Job]:
    from sdnet_pl.data.output_names import distinct_names

    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder with -o.")
    found = [pair for photo in photos for pair in _below(photo, output)]
    jobs: dict[Path, Path] = {}
    for (photo, _), name in zip(found, distinct_names(found), strict=True):
        target = output / f"{name}.png"
        other = jobs.setdefault(target, photo)
        if other.resolve() != photo.resolve():
            raise InputError(f"{other} and {photo} would both be written to {target}; rename one.")
    return [Job(photo, target) for target, photo in jobs.items()]


def _below(photo: Path, output: Path) -> list[tuple[Path, Path]]:
    """A photo, or those of a folder, each with its path below what was given."""
    from sdnet_pl.data.image_io import list_pictures
    from sdnet_pl.data.provenance import is_ours

    if not photo.exists():
        raise _missing(photo)
    if not photo.is_dir():
        return [(photo, Path(photo.name))]
    found = list_pictures(photo)
    if photo.resolve() in output.resolve().parents:
        found = [file for file in found if output.resolve() not in file.resolve().parents]
    found = [file for file in found if not is_ours(file)]
    if not found:
        raise InputError(
            f"{photo} holds no photo but those below {output} and cut-outs; give the folder that holds the photos."
        )
    return [(file, file.relative_to(photo)) for file in found]


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a file or folder that cannot be written."""
    return InputError(
        f"{path} cannot be written ({error.strerror or error}); free space there, or give another folder."
    )


def _missing(photo: Path) -> InputError:
    return InputError(f"{photo} does not exist; give photos, or folders that hold photos.")
