"""Pictures into segments of a video, and segments into the whole; or pictures into a folder of PNGs."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sdnet_pl.data.files import to_disk, write_text
from sdnet_pl.data.provenance import mark
from sdnet_pl.data.written import write_picture
from sdnet_pl.inference.video.formats import Encoder, fourcc, url_of
from sdnet_pl.inference.video.parts import Parts
from sdnet_pl.inference.video.provenance import FRAMES, comment_of, kept_metadata
from sdnet_pl.inference.video.reader import Frame, VideoReader, open_video
from sdnet_pl.inference.video.tracks import Tracks

_LIMITED = 1
"""The range of YUV values that every player expects, 16 to 235."""
_SEGMENT = "mkv"


class Writer(Protocol):
    """Takes the pictures of a video one after the other."""

    def add(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Take what was made of a frame: RGB or RGBA, uint8 ``[H, W, 3 or 4]``."""

    def end_segment(self, last: int) -> None:
        """Have everything up to a frame, counted from 1, on the disk."""

    def finish(self, target: Path, job: str) -> list[str]:
        """Put the whole in the place of a file or folder; returns what there is to say of it."""

    def abandon(self) -> None:
        """Remove what is not a whole segment."""


class VideoWriter:
    """Segments of a video, which are joined with the sound and subtitles of the original.

    Args:
        video: the original.
        parts: where the segments go.
        encoder: of the pictures.
        threads: of the encoder.
    """

    def __init__(self, video: VideoReader, parts: Parts, encoder: Encoder, threads: int) -> None:
        self._video, self._parts, self._encoder, self._threads = video, parts, encoder, threads
        self._output: OutputContainer | None = None

    def add(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Encode a picture, RGB or RGBA, uint8 ``[H, W, 3 or 4]``.

        Raises:
            OSError: the disk is full.
        """
        if self._output is None:
            self._open()
        assert self._output is not None
        color, encoder = self._video.color, self._encoder
        raw = av.VideoFrame.from_ndarray(picture, "rgba" if picture.shape[2] == 4 else "rgb24")
        encoded = raw.reformat(format=encoder.pixels, dst_colorspace=color.matrix, dst_color_range=_LIMITED, threads=1)
        encoded.color_primaries, encoded.color_trc = color.primaries, color.transfer
        encoded.time_base, encoded.pts, encoded.duration = self._video.time_base, frame.pts, frame.duration
        self._output.mux(self._stream.encode(encoded))

    def end_segment(self, last: int) -> None:
        """Close the segment and have it on the disk."""
        assert self._output is not None
        self._output.mux(self._stream.encode(None))
        self._output.close()
        self._output = None
        to_disk(self._file)
        self._file.replace(self._parts.segment(last, _SEGMENT))

    def finish(self, target: Path, job: str) -> list[str]:
        """Join the segments with the sound and subtitles, without encoding again."""
        whole = self._parts.folder / f"whole{target.suffix}"
        options = {}
        if target.suffix.lower() in (".mov", ".mp4"):
            options = {"video_track_timescale": str(self._video.time_base.denominator), "movflags": "faststart"}
        with open_video(self._video.path) as original, av.open(url_of(whole), "w", options=options) as output:
            with av.open(url_of(self._parts.segment(self._parts.segments[0], _SEGMENT))) as first:
                source = first.streams.video[0]
                stream = output.add_stream_from_template(source, opaque=True)
                if tag := fourcc(source.codec_context.name):
                    stream.codec_tag = tag
            if self._encoder.pixels.startswith("yuva") and target.suffix.lower() != ".mov":
                stream.metadata["alpha_mode"] = "1"
            output.metadata.update(kept_metadata(original.metadata) | {"comment": comment_of(original.metadata, job)})
            output.set_chapters(original.chapters())
            tracks = Tracks(original, output, target.suffix.lower(), self._video.start)
            for packet in merge(self._pictures(stream), tracks.packets(), key=_seconds):
                output.mux(packet)
        to_disk(whole)
        self._parts.replace(whole.name, target)
        return tracks.notes

    def abandon(self) -> None:
        """Remove the segment that is not finished."""
        if self._output is not None:
            with suppress(av.FFmpegError, OSError):
                self._output.close()
            self._output = None
            self._file.unlink(missing_ok=True)

    def _open(self) -> None:
        video, encoder = self._video, self._encoder
        self._file = self._parts.folder / f"{uuid4().hex}.{_SEGMENT}"
        self._output = av.open(url_of(self._file), "w")
        stream = self._output.add_stream(encoder.name, rate=video.rate, options=encoder.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, encoder.pixels
        context = stream.codec_context
        context.time_base = video.time_base
        context.thread_count = self._threads
        context.color_range, context.colorspace = _LIMITED, video.color.matrix
        context.color_primaries, context.color_trc = video.color.primaries, video.color.transfer
        self._stream = stream

    def _pictures(self, stream: VideoStream) -> Iterator[Packet]:
        """The packets of all segments. Each holds one frame, whose time is known exactly."""
        frames = iter(self._parts.finished)
        for last in self._parts.segments:
            with av.open(url_of(self._parts.segment(last, _SEGMENT))) as segment:
                for packet in segment.demux(video=0):
                    if packet.size:
                        packet.stream, packet.time_base = stream, self._video.time_base
                        frame = next(frames)
                        packet.pts, packet.dts, packet.duration = frame.pts, frame.pts, frame.duration
                        yield packet


class PictureWriter:
    """A folder of PNGs, one a frame, with a list of their durations that FFmpeg reads.

    Args:
        video: the original.
        parts: where the pictures go until the last one is written.
        job: what they are made of and how.
    """

    def __init__(self, video: VideoReader, parts: Parts, job: str) -> None:
        self._video, self._parts, self._texts = video, parts, mark(job)
        self._folder, self._number = parts.folder / "frames", parts.done

    def add(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Write a picture, RGB or RGBA, uint8 ``[H, W, 3 or 4]``.

        Raises:
            OSError: the disk is full.
        """
        self._number += 1
        write_picture(self._folder / _name(self._number), picture, texts=self._texts)

    def end_segment(self, last: int) -> None:
        """Nothing: each picture is whole, and on the disk."""

    def finish(self, target: Path, job: str) -> list[str]:
        """Write the list, and put the folder in its place."""
        lines = ["ffconcat version 1.0", f"# {self._texts['Software']}"]
        starts, final = [frame.pts for frame in self._parts.finished], self._parts.finished[-1]
        ends = [*starts[1:], final.pts + final.duration]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
            seconds = float((end - start) * self._video.time_base)
            # FFmpeg counts the time of pictures in units of their frame rate, which is 25 by default.
            lines += [f"file {_name(number)}", "option framerate 90000", f"duration {seconds:.6f}"]
        write_text(self._folder / FRAMES, "\n".join(lines) + "\n")
        self._parts.replace(self._folder.name, target)
        return ["a folder of pictures has no sound"] if self._video.container.streams.audio else []

    def abandon(self) -> None:
        """Nothing: pictures after the last segment are written again."""


def _name(number: int) -> str:
    return f"{number:06d}.png"


def _seconds(packet: Packet) -> Fraction:
    return (packet.dts or 0) * Fraction(packet.time_base)
