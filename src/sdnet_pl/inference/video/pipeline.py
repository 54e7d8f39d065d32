"""Cut-outs of whole videos: decoding, network, colours and encoding run at the same time, on a few frames each."""

from itertools import islice
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import unwritable
from sdnet_pl.inference.predictor import MattePredictor, shows_nobody
from sdnet_pl.inference.rendering import Background, Rendering, to_levels
from sdnet_pl.inference.video.flicker import Matted, Window, steadied, windows
from sdnet_pl.inference.video.formats import choose_encoder, is_video_name
from sdnet_pl.inference.video.jobs import Job
from sdnet_pl.inference.video.overlap import Workers
from sdnet_pl.inference.video.parts import SEGMENT, Finished, Parts
from sdnet_pl.inference.video.reader import HDR, Frame, VideoReader
from sdnet_pl.inference.video.writer import PictureWriter, VideoWriter, Writer

GREEN = "green"
_GREEN_SCREEN = "#00b140"
"""What ``green`` means for videos: the colour of green screens, which editors key out."""
_COLOR_SIDE = 512
_DECODED = 2
"""Frames that wait for the network."""


class Options(NamedTuple):
    """How videos are cut out.

    Attributes:
        rendering: what is shown of a frame, by :func:`render`.
        threads: how many threads work at a time.
        steady: whether to reduce flicker (:func:`sdnet_pl.inference.video.flicker.steadied`).
        progress: whether to show a bar.
    """

    rendering: Rendering = Rendering(color_side=_COLOR_SIDE)
    threads: int = 1
    steady: bool = True
    progress: bool = True


class Done(NamedTuple):
    """What became of a job.

    Attributes:
        job: the video and what was made of it.
        notes: what there is to say of it.
        error: why there is nothing.
    """

    job: Job
    notes: tuple[str, ...] = ()
    error: InputError | None = None

    def __str__(self) -> str:
        """What to say of it."""
        return str(self.error) if self.error else "; ".join([f"sdnet-pl: {self.job.target} written", *self.notes])


class _Painted(NamedTuple):
    frame: Frame
    picture: NDArray[np.uint8]
    seen: bool


def cut_out_video(job: Job, number: str, predictor: MattePredictor, options: Options) -> Done:
    """Write the cut-out of a video; what a killed call has finished is taken over.

    Memory depends on the size of a frame and on the threads, not on the length of the video.

    Args:
        job: the video, and the file or folder to write.
        number: what is made of what and how, by :func:`sdnet_pl.data.provenance.job_hash`.
        predictor: what mattes frames.
        options: the rest.

    Returns:
        What became of it; with the error of a video that cannot be read or encoded, or that another process is writing.

    Raises:
        InputError: the cut-out cannot be written.
    """
    try:
        video = VideoReader(job.video)
    except InputError as error:
        return Done(job, error=error)
    with video:
        try:
            # Segments of two versions of an encoder do not fit together.
            with Parts(job.target, f"{number} {av.__version__}") as parts:
                return Done(job, tuple(_write(video, parts, job, number, predictor, options)))
        except InputError as error:
            return Done(job, error=error)
        except OSError as error:
            raise unwritable(job.target, error) from error
        except av.FFmpegError as error:
            reason = InputError(
                f"{job.video}, whose frames are {video.width}×{video.height} pixels, cannot be encoded as "
                f"{job.target.suffix} ({error.strerror}); scale it down, or choose another format in sdnet-pl video."
            )
            return Done(job, error=reason)


def _write(
    video: VideoReader, parts: Parts, job: Job, number: str, predictor: MattePredictor, options: Options
) -> list[str]:
    encoding = max(1, options.threads // 3)
    writer: Writer
    if is_video_name(job.target.suffix):
        encoder = choose_encoder(job.target.suffix.lower(), not options.rendering.opaque, video.width, video.height)
        writer = VideoWriter(video, parts, encoder, encoding)
    else:
        writer = PictureWriter(video, parts, number)
    try:
        with Workers(options.threads, encoding - 1) as workers:
            _write_segments(video, parts, writer, predictor, options, workers)
    finally:
        writer.abandon()
    notes = [] if any(frame.seen for frame in parts.finished) else ["nobody found"]
    notes += writer.finish(job.target, number)
    if video.color.transfer in HDR:
        notes.append(f"colours stay HDR ({HDR[video.color.transfer]}), with 8 bits and not tone-mapped")
    if video.joined:
        notes.append(
            f"its times begin again after {video.joined:.1f} s, as of parts put together, and the sound does not fit "
            "from there; join the parts with FFmpeg's concat first"
        )
    if video.skipped:
        notes.append(f"{video.skipped} broken packet(s) or frame(s) skipped or repaired")
    if video.missing:
        notes.append(f"the video ends {video.missing:.1f} s before the time that it states: it was cut off")
    return notes


def _write_segments(
    video: VideoReader, parts: Parts, writer: Writer, predictor: MattePredictor, options: Options, workers: Workers
) -> None:
    """The frames that are not finished yet."""
    rendering = options.rendering.fitted(video.height, video.width)

    def matte(frame: Frame) -> Matted:
        return Matted.of(frame, predictor.alpha(frame.image))

    def paint(window: Window) -> _Painted:
        frame, own, _ = window[1]
        alpha = steadied(window) if options.steady else own
        levels = to_levels(alpha)
        picture = rendering(frame.image, levels)
        return _Painted(frame, picture, not shows_nobody(levels))

    # The last frame that is finished is matted again: the one after it needs its alpha.
    again = min(1, parts.done)
    unfinished = islice(workers.read(video.frames(), _DECODED), parts.done - again, None)
    wanted = islice(windows(workers.map(matte, unfinished)), again, None)
    segment: list[Finished] = []
    total, hidden = video.total or None, not options.progress
    with tqdm(total=total, initial=parts.done, desc=video.path.name, unit="frame", disable=hidden) as bar:
        for painted in workers.map(paint, wanted):
            with workers.working:
                writer.add(painted.frame, painted.picture)
            segment.append(Finished(painted.frame.pts, painted.frame.duration, painted.seen))
            bar.update()
            if len(segment) == SEGMENT:
                writer.end_segment(parts.done + len(segment))
                parts.finish_segment(segment)
                segment = []
        if segment:
            writer.end_segment(parts.done + len(segment))
            parts.finish_segment(segment)
        bar.total = bar.n


def render(background: Background | None) -> Rendering:
    """What frames show behind the people; ``green`` is the colour of green screens.

    Raises:
        InputError: it is neither a colour, nor a picture that exists, nor ``blur``.
    """
    return Rendering(background=_GREEN_SCREEN if background == GREEN else background, color_side=_COLOR_SIDE)
