"""Cut-outs of many photos: each is read, matted and written by one thread, as many at a time as there are cores."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import NamedTuple

import cv2
from tqdm import tqdm

from sdnet_pl.data.image_io import PackedPicture, encode_png, read_photo, sha256, write_png
from sdnet_pl.data.parallel import usable_cores
from sdnet_pl.data.provenance import job_hash, mark
from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import STREAM, Job, unwritable
from sdnet_pl.inference.predictor import MattePredictor, shows_nobody

MOST_THREADS = 4
"""Each takes about 20 bytes for a pixel of its photo."""
LARGE = 40_000_000
"""Photos of more pixels are matted one at a time."""
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


def cut_out_all(jobs: Sequence[Job], predictor: MattePredictor, options: Sequence[object], done: list[Done]) -> None:
    """Write the cut-outs of photos, with a progress bar if there are several.

    Whatever ends it early, Ctrl-C too, leaves whole files alone: photos that are begun are finished.

    Args:
        jobs: what to do, at least one.
        predictor: what mattes them.
        options: what decides on a cut-out beside its photo.
        done: takes what became of each, in their order.

    Raises:
        InputError: a cut-out cannot be written.
    """
    threads = min(len(jobs), MOST_THREADS, usable_cores())
    if threads == 1:
        for job in tqdm(jobs, desc="Matting", unit="photo", disable=len(jobs) == 1):
            done.append(_cut_out(job, predictor, options))
        return
    outcomes: dict[int, Done] = {}
    pool = ThreadPoolExecutor(threads)
    try:
        futures = {pool.submit(_cut_out, job, predictor, options): i for i, job in enumerate(jobs)}
        for future in tqdm(as_completed(futures), total=len(jobs), desc="Matting", unit="photo"):
            outcomes[futures[future]] = future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        done += [outcomes[i] for i in sorted(outcomes)]


def _cut_out(job: Job, predictor: MattePredictor, options: Sequence[object]) -> Done:
    try:
        if job.photo == STREAM:
            image, metadata = read_photo(PackedPicture(sys.stdin.buffer.read(), "The picture on standard input"))
        else:
            image, metadata = read_photo(job.photo)
    except InputError as error:
        return Done(job, error=error)
    with _large if image[..., 0].size > LARGE else nullcontext():
        cutout = predictor.cutout(image)
        nobody = shows_nobody(cutout[..., 3])
        texts = mark(None if job.photo == STREAM else job_hash(sha256(job.photo), *options), nobody)
        try:
            if job.target == STREAM:
                encode_png(sys.stdout.buffer, cutout, metadata, texts)
                sys.stdout.buffer.flush()
            else:
                write_png(job.target, cutout, metadata, texts)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(job.target, error) from error
    return Done(job, nobody)


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
