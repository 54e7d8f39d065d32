"""The frames of a video, upright, in RGB and square pixels, with their times; what is broken is skipped and counted."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from sdnet_pl.errors import InputError
from sdnet_pl.inference.video.formats import url_of

BT709, BT601 = 1, 5
HDR = {16: "PQ", 18: "HLG"}
"""Of FFmpeg's numbers for transfers those of HDR."""
_MATRICES = (BT709, 4, BT601, 6, 7, 9)
"""Of FFmpeg's numbers for the matrix between RGB and YUV those that swscale knows."""
_UNKNOWN = 2
_HD = 1280, 576
"""Videos that do not name their matrix have that of HD where they are wider or higher, as players take it."""
_MOST_PIXELS = 2**26
"""Of a frame: twice those of 8K."""
_OF_PICTURES = ("image2", "_pipe")
"""Ends of FFmpeg's names for formats of single pictures."""
_OBLONG = 4
"""Pixels of a more extreme shape are a wrong header."""
_AGAIN = 0.25
"""Seconds back after which times begin again, as of parts put together; less is disorder."""
_CUT_SHORT = 0.5
"""Seconds that may be missing at the end before it is said: containers round."""


class Frame(NamedTuple):
    """A picture of a video.

    Attributes:
        image: RGB uint8 ``[H, W, 3]``, upright.
        pts: when it is shown, in units of the video's time base, from 0.
        duration: how long, in the same units.
    """

    image: NDArray[np.uint8]
    pts: int
    duration: int


class Color(NamedTuple):
    """How YUV means RGB, in the numbers of ITU-T H.273.

    Attributes:
        matrix: between RGB and YUV.
        primaries: of red, green and blue.
        transfer: from light to value.
    """

    matrix: int
    primaries: int
    transfer: int


class VideoReader:
    """An opened video; used in a ``with`` block, and read once from the first frame to the last.

    Args:
        path: a file in any container and codec that FFmpeg reads.

    Attributes:
        width: in square pixels, of the upright frames.
        height: in square pixels, of the upright frames.
        time_base: seconds of a unit of time.
        rate: frames a second, on average where it varies.
        total: about how many frames there are; 0 where the file does not say.
        color: how YUV means RGB.
        start: seconds at which the file's own times begin.
        skipped: packets and frames so far that could not be decoded.
        joined: seconds after which the file's times began again, and those of frames go on; 0 if never.
        missing: seconds by which the video ended before the time that its container states; 0 until it is read.

    Raises:
        InputError: the file is missing, not a video, or no frame of it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = open_video(path)
        try:
            if self.container.format.name.endswith(_OF_PICTURES):
                raise InputError(f"{path} is a picture; cut it out with sdnet-pl matte.")
            pictures = [s for s in self.container.streams.video if not s.disposition & Disposition.attached_pic]
            if not pictures:
                held = "sound alone" if self.container.streams.audio else "no pictures, or was cut off while written"
                raise InputError(f"{path} holds {held}; give a video that a player shows.")
            self._stream = pictures[0]
            if self._stream.codec_context is None:
                raise InputError(f"{path} is in a codec that FFmpeg does not know; give a video that a player shows.")
            if self._stream.width * self._stream.height > _MOST_PIXELS:
                raise InputError(
                    f"{path} has frames of {self._stream.width}×{self._stream.height} pixels, and {_MOST_PIXELS} are "
                    "the most; scale it down."
                )
            self._stream.codec_context.thread_count = 1
            self.skipped, self.missing, self.joined = 0, 0.0, 0.0
            self._decoded = self._decode()
            self._first = next(self._decoded, None)
            if self._first is None:
                raise InputError(f"{path} has no frame that can be decoded; give a video that a player shows.")
        except BaseException:
            self.container.close()
            raise
        first, stream = self._first, self._stream
        self.time_base = Fraction(stream.time_base or Fraction(1, 90000))
        # Some files state the time base for the rate: more frames than there are times for them.
        stated_rates = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        self.rate = next((rate for rate in stated_rates if rate * self.time_base <= 1), Fraction(25))
        self._turns = round(first.rotation / 90) % 4
        width, height = _square(first.width, first.height, Fraction(stream.sample_aspect_ratio or 1))
        self.width, self.height = (height, width) if self._turns % 2 else (width, height)
        hd = first.width >= _HD[0] or first.height > _HD[1]
        self.color = Color(
            first.colorspace if first.colorspace in _MATRICES else BT709 if hd else BT601,
            first.color_primaries or _UNKNOWN,
            first.color_trc or _UNKNOWN,
        )
        self.start = max(Fraction(0), Fraction(self.container.start_time or 0, av.time_base))
        stated = stream.duration * self.time_base if stream.duration else None
        if stated is None and self.container.duration:
            stated = Fraction(self.container.duration, av.time_base)
        self._stated = stated
        self.total = stream.frames or (round(stated * self.rate) if stated else 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def frames(self) -> Iterator[Frame]:
        """The frames in the order in which they are shown; their times rise strictly."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        shift, due, ended = round(self.start / self.time_base), 0, 0
        before: int | None = None
        for decoded in chain([self._first], self._decoded):
            assert decoded is not None
            try:
                image = self._upright(decoded)
            except av.FFmpegError:
                self.skipped += 1
                continue
            last = due - step
            pts = due
            if decoded.pts is not None:
                if before is not None and decoded.pts < before - _AGAIN / self.time_base:
                    shift = decoded.pts - due
                    self.joined = self.joined or float(due * self.time_base)
                before = decoded.pts
                pts = max(before - shift, last + 1, 0)
            duration = decoded.duration or step
            due, ended = pts + step, pts + duration
            yield Frame(image, pts, duration)
        if self._stated:
            missing = float(self._stated - ended * self.time_base)
            self.missing = missing if missing > max(_CUT_SHORT, 2 * float(1 / self.rate)) else 0

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self.container.demux(self._stream)
        flushed = False
        while not flushed:
            try:
                packet = next(packets, None)
                flushed = packet is None
                frames = self._stream.decode(packet)
            except av.EOFError:  # flushed before
                return
            except av.FFmpegError:
                self.skipped += 1
                continue
            for frame in frames:
                self.skipped += frame.is_corrupt  # decoders repair it as far as they can
                yield frame

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        rgb = frame.reformat(format="rgb24", src_colorspace=self.color.matrix, threads=1)
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if self._turns:
            image = np.ascontiguousarray(np.rot90(image, self._turns))
        if image.shape[:2] != (self.height, self.width):  # of pixels that are not square, and where it changes
            image = np.asarray(cv2.resize(image, (self.width, self.height)), np.uint8)
        return image


def _square(width: int, height: int, shape: Fraction) -> tuple[int, int]:
    """The size in square pixels of a frame whose pixels have another shape, width by height; no side shrinks."""
    if not 1 / _OBLONG <= shape <= _OBLONG:
        return width, height
    return (round(width * shape), height) if shape > 1 else (width, round(height / shape))


def open_video(path: Path) -> InputContainer:
    """Open a container for reading.

    Raises:
        InputError: it is missing, a folder, not readable, or not a video.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the videos in it, such as {path / '*.mp4'}.")
    try:
        return av.open(url_of(path), "r", metadata_errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    except av.FFmpegError as error:
        raise InputError(
            f"{path} cannot be read as a video ({error.strerror}): it is damaged, cut off, or something else; "
            "give a video that a player shows."
        ) from error
