"""Cut-outs of many photos: each is read, matted and written by one thread, as many at a time as there are cores."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.image_io import PackedPicture
from sdnet_pl.data.notes import is_whole
from sdnet_pl.data.parallel import usable_cores
from sdnet_pl.data.photo import Photo
from sdnet_pl.data.provenance import mark, was_made_of
from sdnet_pl.data.written import check_side, encode_picture, write_picture
from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import STREAM, Job, number_of, unwritable
from sdnet_pl.inference.predictor import MattePredictor, shows_nobody
from sdnet_pl.inference.rendering import Rendering, to_levels
from sdnet_pl.inference.trimaps import read_trimap

MOST_THREADS = 4
"""Each takes about 20 bytes for a pixel of its photo."""
LARGE = 40_000_000
"""Photos of more pixels are matted one at a time."""
_STDIN = "The picture on standard input"
_large = Lock()


class Done(NamedTuple):
    """What became of a job.

    Attributes:
        job: the photo and its cut-out.
        nobody: whether the cut-out shows next to nothing.
        error: why there is no cut-out.
    """

    job: Job
    nobody: bool = False
    error: InputError | None = None


@dataclass(frozen=True)
class Cutter:
    """Makes cut-outs of photos. Threads may share it.

    Attributes:
        predictor: what mattes them.
        rendering: what is shown of them.
        options: what decides on a cut-out beside its photo, for its job hash.
        overwrite: whether a cut-out that another process wrote meanwhile is replaced.
    """

    predictor: MattePredictor
    rendering: Rendering
    options: Sequence[object] = ()
    overwrite: bool = False
    _own: set[Path] = field(default_factory=set, init=False)

    def __call__(self, job: Job) -> Done:
        """Do a job; a photo that cannot be read gives an error that is returned.

        Raises:
            InputError: the cut-out cannot be written.
        """
        try:
            stdin = job.photo == STREAM
            photo = Photo.read(PackedPicture(sys.stdin.buffer.read(), _STDIN) if stdin else job.photo)
            check_side(_STDIN if stdin else job.photo, photo.image.shape, job.kind)
            trimap = None if job.trimap is None else read_trimap(job.trimap, photo.image.shape)
        except InputError as error:
            return Done(job, error=error)
        with _large if photo.image[..., 0].size > LARGE else nullcontext():
            return Done(job, self.write(job, photo, to_levels(self.predictor.alpha(photo.image, trimap))))

    def write(self, job: Job, photo: Photo, alpha: NDArray[np.uint8]) -> bool:
        """Write what is shown of a photo; returns whether it shows nobody.

        Raises:
            InputError: it cannot be written, or the cut-out of another photo is there, which another process wrote
                meanwhile; that of a photo on standard input may have been there before.
        """
        pixels, nobody = self.rendering(photo.image, alpha), shows_nobody(alpha)
        number = number_of(job, self.options, photo.sha256)
        texts = mark(number, nobody)
        try:
            if job.target == STREAM:
                encode_picture(sys.stdout.buffer, pixels, photo.metadata, texts, job.kind)
                sys.stdout.buffer.flush()
            else:
                grew = job.target in self._own  # a photo that was watched
                cut_short = was_made_of(job.target, number) and not is_whole(job.target)
                replace = self.overwrite or grew or cut_short
                write_picture(job.target, pixels, photo.metadata, texts, job.kind, replace)
                self._own.add(job.target)
        except BrokenPipeError:
            raise
        except FileExistsError:
            if not was_made_of(job.target, number):
                found = "exists already" if job.photo == STREAM else "was written by another call meanwhile"
                raise InputError(
                    f"{job.target} {found}, of another photo or with other options; give another "
                    f"{'name' if job.photo == STREAM else 'folder'} with -o, or --overwrite to replace it."
                ) from None
        except OSError as error:
            raise unwritable(job.target, error) from error
        return nobody


def cut_out_all(jobs: Sequence[Job], cutter: Cutter, done: list[Done], threads: int | None = None) -> None:
    """Write the cut-outs of photos, with a progress bar if there are several.

    Whatever ends it early, Ctrl-C too, leaves whole files alone: photos that are begun are finished.

    Args:
        jobs: what to do, at least one.
        cutter: does each.
        done: takes what became of each, in their order.
        threads: photos at a time; by default as many as there are cores, at most four.

    Raises:
        InputError: a cut-out cannot be written.
    """
    if len(jobs) == 1:
        done.append(cutter(jobs[0]))
        return

    from tqdm import tqdm  # a single photo does not wait for it

    threads = min(len(jobs), threads or min(MOST_THREADS, usable_cores()))
    if threads == 1:
        for job in tqdm(jobs, desc="Matting", unit="photo"):
            done.append(cutter(job))
        return
    outcomes: dict[int, Done] = {}
    pool = ThreadPoolExecutor(threads)
    try:
        futures = {pool.submit(cutter, job): i for i, job in enumerate(jobs)}
        for future in tqdm(as_completed(futures), total=len(jobs), desc="Matting", unit="photo"):
            outcomes[futures[future]] = future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        done += [outcomes[i] for i in sorted(outcomes)]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keeps the libraries from starting threads of their own in each of ours.

    A single photo is no slower for it, and takes a fraction of the CPU where other programs are busy: PyTorch's threads
    wait for one another in a loop. ONNX Runtime is told when a network is loaded.
    """
    torch, of_opencv = sys.modules.get("torch"), cv2.getNumThreads()
    of_torch = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(of_torch)
        cv2.setNumThreads(of_opencv)
