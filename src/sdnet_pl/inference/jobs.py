"""Which file ``sdnet-pl matte`` writes from which photo, and which of them are done already."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import QUALITIES

if TYPE_CHECKING:
    from sdnet_pl.inference.rendering import Rendering

STREAM = Path("-")
"""Means standard input and output."""
SHOWN = 3


class Job(NamedTuple):
    """A photo, and the file to write: ``STREAM`` of either is standard input or output.

    Attributes:
        photo: the file to read.
        target: the file to write.
        kind: its format: ``png``, ``webp`` or ``jpg``.
        trimap: what is known of the photo, if anything is.
    """

    photo: Path
    target: Path
    kind: str = "png"
    trimap: Path | None = None


def plan(
    photos: Sequence[Path],
    output: Path | None = None,
    kind: str | None = None,
    opaque: bool = False,
    may_be_empty: bool = False,
) -> list[Job]:
    """Which file is written from which photo, in the order given.

    ``output`` is a folder, or for a single photo a file, or standard output; without it each cut-out lies beside its
    photo. Folders of photos are searched with their sub-folders, except ``output`` itself and files that this package
    wrote.

    Args:
        photos: files and folders, or standard input.
        output: where to write; a folder need not exist.
        kind: the format; by default that of ``output``, or else PNG.
        opaque: whether what is written has no alpha, so that a JPEG holds it.
        may_be_empty: whether folders may hold no photo.

    Raises:
        InputError: a photo is missing, a single file is to hold several cut-outs, the format does not suit, or a photo
            or a file that this package did not write would be replaced.
    """
    from sdnet_pl.data.provenance import require_ours

    single = _single_target(photos, output)
    kind = choose_format(None if single == STREAM else single, kind, opaque)
    if single:
        jobs = [Job(photos[0], single, kind)]
    else:
        jobs = _beside(photos, kind) if output is None else _into_folder(photos, output, kind, may_be_empty)
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


def leave_out_done(jobs: list[Job], options: Sequence[object], overwrite: bool) -> list[Job]:
    """The jobs that are left: those whose files do not exist or have lost their ends, and with ``overwrite`` all.

    Args:
        jobs: as returned by :func:`plan`.
        options: as of :func:`number_of`.
        overwrite: whether a cut-out of an earlier call may be replaced.

    Raises:
        InputError: a cut-out of another photo or of other options exists, and ``overwrite`` is false.
    """
    from sdnet_pl.data.notes import is_whole
    from sdnet_pl.data.provenance import was_made_of

    if overwrite:
        return jobs
    done, others = set(), []
    for job in jobs:
        if STREAM in (job.photo, job.target) or not job.target.exists():  # what is not read yet is compared later
            continue
        try:
            same = was_made_of(job.target, number_of(job, options))
        except OSError:  # the photo is lost, which its turn will tell
            continue
        if not same:
            others.append(str(job.target))
        elif is_whole(job.target):
            done.add(job)
    if others:
        raise InputError(
            f"{len(others)} cut-out(s) exist already, of photos that have changed or with other options "
            f"({_shown(others)}); "
            "give --overwrite to replace them, or another folder with -o."
        )
    return [job for job in jobs if job not in done]


def job_options(
    weights: str | Path, size: int | None, backend: str | None, rendering: "Rendering", quality: str = QUALITIES[0]
) -> tuple[object, ...]:
    """What decides on a cut-out beside its photo, for :func:`number_of`.

    Args:
        weights: a name that ships, or a file.
        size: longer side in pixels at which the network sees a photo; none is the one that its weights record.
        backend: ``onnx`` or ``torch``, if one was asked for; of weights without an ONNX form ``torch`` says nothing.
        rendering: what is shown of photos.
        quality: ``fast`` or ``best``.

    Raises:
        InputError: there are no such weights.
    """
    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.inference.engine import onnx_file
    from sdnet_pl.inference.pretrained import locate

    chosen = backend if backend != "torch" or onnx_file(weights) else None
    passes = [] if quality == QUALITIES[0] else [quality]
    return sha256(locate(weights)), size, *([chosen] if chosen else []), *rendering.options(), *passes


def number_of(job: Job, options: Sequence[object], photo: str | None = None) -> str:
    """The hash of a job: of its photo, its trimap, and the options that decide on a cut-out beside them.

    Args:
        job: the job.
        options: such as the weights' sha256 and the size.
        photo: the sha256 of the photo, where it is known.

    Raises:
        OSError: a file is lost.
    """
    from sdnet_pl.data.image_io import sha256
    from sdnet_pl.data.provenance import job_hash

    return job_hash(photo or sha256(job.photo), *options, *([] if job.trimap is None else [sha256(job.trimap)]))


def with_trimaps(jobs: list[Job], given: Path, output: Path | None) -> list[Job]:
    """The jobs with their trimaps.

    Args:
        jobs: as returned by :func:`plan`.
        given: the trimap of a single photo, or a folder of trimaps that are named as the photos.
        output: where to write, as of :func:`plan`.

    Raises:
        InputError: a trimap is missing, or one file is to serve several photos.
    """
    from sdnet_pl.data.image_io import picture_name, pictures_by_name

    if not given.exists():
        raise InputError(f"{given} does not exist; give a trimap, or a folder of them, named as the photos.")
    if not given.is_dir():
        if len(jobs) > 1:
            raise InputError(
                f"{given} is one trimap, and there are {len(jobs)} photos; give a folder of them, named as the photos."
            )
        return [job._replace(trimap=given) for job in jobs]
    named = pictures_by_name(given)

    def name(job: Job) -> str:
        inside = output is not None and output in job.target.parents
        return picture_name(job.target, output) if output and inside else picture_name(job.photo, job.photo.parent)

    if missing := [name(job) for job in jobs if name(job) not in named]:
        raise InputError(
            f"{given} has no trimap for {len(missing)} photo(s) ({_shown(missing)}); add them, named as the photos."
        )
    return [job._replace(trimap=named[name(job)]) for job in jobs]


def choose_format(target: Path | None, kind: str | None, opaque: bool) -> str:
    """The format to write: ``png``, ``webp`` or ``jpg``, by the name of the file if there is one.

    Args:
        target: the file, if it has a name already.
        kind: the format that was asked for, if one was.
        opaque: whether what is to be written has no alpha.

    Raises:
        InputError: the format is not written, cannot hold alpha, or is not the one that was asked for.
    """
    from sdnet_pl.data.files import refuse_bare_suffix
    from sdnet_pl.data.written import SUFFIXES, format_of

    if target:
        refuse_bare_suffix(target, SUFFIXES)
    found = format_of(target) if target else kind or "png"
    if found is None:
        raise InputError(
            f"{target} is no name of what is written, which is .png, .webp or, without transparency, .jpg; give one of "
            "these."
        )
    if kind not in (None, found):
        raise InputError(f"{target} is no name of a {kind}; let it end in .{kind}, or leave out the format.")
    if found == "jpg" and not opaque:
        raise InputError(
            f"{target or 'A cut-out'} cannot be a JPEG, which holds no transparency; write .png or .webp, or ask for a "
            "background or the mask alone."
        )
    return found


def beside(photos: Sequence[Path], kind: str) -> list[Path]:
    """``NAME_cutout.png`` in the folder of each photo; the name keeps its suffix where another picture has it too.

    Args:
        photos: files.
        kind: ``png``, ``webp`` or ``jpg``.
    """
    from sdnet_pl.data.output_names import distinct_names

    names = distinct_names([(photo, photo) for photo in photos])
    return [Path(f"{name}_cutout.{kind}") for name in names]


def _single_target(photos: Sequence[Path], output: Path | None) -> Path | None:
    """The one file to write; None if ``output`` is a folder, or there is none."""
    from sdnet_pl.data.files import refuse_bare_suffix
    from sdnet_pl.data.formats import names_picture, picture_suffixes

    if output is not None and output.name.startswith("."):
        refuse_bare_suffix(output, picture_suffixes())
    is_file = output is not None and names_picture(output) and not output.is_dir()
    if STREAM in photos and (len(photos) > 1 or not (output == STREAM or is_file)):
        raise InputError("A photo on standard input (-) has no name; give it alone, with -o FILE.png or -o -.")
    if output is None or (output != STREAM and not is_file):
        return None
    if len(photos) > 1 or photos[0].is_dir():
        raise InputError(f"{output} is one file and holds one cut-out; give a folder with -o.")
    if photos[0] != STREAM and not photos[0].exists():
        raise _missing(photos[0])
    return output


def _beside(photos: Sequence[Path], kind: str) -> list[Job]:
    from sdnet_pl.data.provenance import is_ours

    for photo in photos:
        if not photo.exists():
            raise _missing(photo)
        if photo.is_dir():
            raise InputError(f"{photo} is a folder; say with -o into which folder its cut-outs go.")
    if len(photos) > 1:  # a shell's *.png matches the cut-outs of an earlier call too
        photos = [photo for photo in photos if not is_ours(photo)] or photos
    jobs = {
        target.resolve(): Job(photo, target, kind) for photo, target in zip(photos, beside(photos, kind), strict=True)
    }
    return list(jobs.values())


def _into_folder(photos: Sequence[Path], output: Path, kind: str, may_be_empty: bool) -> list[Job]:
    from sdnet_pl.data.output_names import distinct_names
    from sdnet_pl.data.provenance import refuse_dead_link

    refuse_dead_link(output)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder with -o.")
    if len(photos) == 1 and photos[0].is_file() and not output.exists() and _FILE.fullmatch(output.suffix):
        raise InputError(
            f"{output} looks like a file of a format that is not written; give a name in .png or .webp, or if it is to "
            "be a folder, make it first."
        )
    found = [pair for photo in photos for pair in _below(photo, output, may_be_empty)]
    jobs: dict[Path, Path] = {}
    for (photo, _), name in zip(found, distinct_names(found), strict=True):
        target = output / f"{name}.{kind}"
        other = jobs.setdefault(target, photo)
        if other.resolve() != photo.resolve():
            raise InputError(f"{other} and {photo} would both be written to {target}; rename one.")
    return [Job(photo, target, kind) for target, photo in jobs.items()]


_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")
"""Suffixes of files, and not the ends of names such as holiday.2024."""


def _below(photo: Path, output: Path, may_be_empty: bool) -> list[tuple[Path, Path]]:
    """A photo, or those of a folder, each with its path below what was given."""
    from sdnet_pl.data.image_io import list_pictures
    from sdnet_pl.data.provenance import is_ours

    if not photo.exists():
        raise _missing(photo)
    if not photo.is_dir():
        return [(photo, Path(photo.name))]
    try:
        found = list_pictures(photo)
    except InputError:
        if not may_be_empty:
            raise
        return []
    if photo.resolve() in output.resolve().parents:
        found = [file for file in found if output.resolve() not in file.resolve().parents]
    found = [file for file in found if not is_ours(file)]
    if not found and not may_be_empty:
        raise InputError(
            f"{photo} holds no photo but those below {output} and cut-outs; give the folder that holds the photos."
        )
    return [(file, file.relative_to(photo)) for file in found]


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a file or folder that cannot be written."""
    return InputError(
        f"{path} cannot be written ({error.strerror or error}); free space there, or give another folder."
    )


def _shown(names: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join(names[:SHOWN]) + (", ..." if names[SHOWN:] else "")


def _missing(photo: Path) -> InputError:
    return InputError(f"{photo} does not exist; give photos, or folders that hold photos.")
