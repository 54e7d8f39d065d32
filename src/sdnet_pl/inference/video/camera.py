"""A camera's pictures, always the newest: what comes while one is worked on is dropped, so that nothing lags behind."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Condition, Event, Thread
from typing import Generic, Self, TypeVar

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from sdnet_pl.errors import InputError

SYSTEMS = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0"), "win32": ("dshow", "")}
"""What FFmpeg reads cameras with, and the first of them; DirectShow has only names, which are asked for."""
_OPTIONS = {"avfoundation": {"framerate": "30"}}
"""FFmpeg's own 29.97 frames a second are refused by cameras of macOS."""
_WAKE = 1.0
"""Seconds after which who waits looks again: on Windows Ctrl-C does not end a wait."""
_NOT_YET = 0.005
"""Seconds to wait where a camera has no picture yet and does not wait itself."""
_MOST_BROKEN = 100
"""Broken pictures in a row after which a camera counts as lost."""
_LONGEST_PICTURE = 2.0
"""Seconds to wait for a last picture before a camera is left as it is."""

X = TypeVar("X")


class Newest(Generic[X]):
    """Hands the newest of what a thread puts to others, each of which misses what came while it was busy."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: X | None = None
        self._number, self._ended = 0, False

    def put(self, item: X) -> None:
        """Put one in the place of the one before."""
        with self._changed:
            self._item, self._number = item, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def items(self) -> Iterator[X]:
        """The newest whenever one is asked for, each once; waits for it, and ends after the last."""
        seen = 0
        while True:
            with self._changed:
                while self._number == seen and not self._ended:
                    self._changed.wait(_WAKE)
                if self._number == seen:
                    return
                item, seen = self._item, self._number
            assert item is not None
            yield item


class Camera:
    """An opened camera; used in a ``with`` block, in which a thread reads it.

    Args:
        device: as FFmpeg calls it: ``/dev/video0``, on macOS ``0``, on Windows ``video=NAME``; empty for the first.

    Attributes:
        device: its name.

    Raises:
        InputError: there is none, or it cannot be opened.
    """

    def __init__(self, device: str = "") -> None:
        if sys.platform not in SYSTEMS:
            raise InputError(f"Cameras are not read on {sys.platform}; use Linux, macOS or Windows, or give a video.")
        format, first = SYSTEMS[sys.platform]
        self.device = device or first or next(iter(_found(format)), "video=")
        self._container = open_camera(self.device, format)
        self._newest, self._stop, self._reason = Newest[av.VideoFrame](), Event(), "it is gone"
        self._reader = Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reader.join(_LONGEST_PICTURE)
        if not self._reader.is_alive():
            self._container.close()

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """The newest picture whenever one is asked for, RGB uint8 ``[H, W, 3]``.

        Raises:
            InputError: the camera gives no more.
        """
        for frame in self._newest.items():
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        raise InputError(f"{self.device} gives no more pictures ({self._reason}); connect it, and start again.")

    def _read(self) -> None:
        broken = 0
        try:
            while not self._stop.is_set() and broken < _MOST_BROKEN:
                try:
                    for frame in self._container.decode(video=0):
                        broken = 0
                        self._newest.put(frame)
                        if self._stop.is_set():
                            return
                    return
                except av.BlockingIOError:
                    time.sleep(_NOT_YET)
                except av.InvalidDataError:
                    broken += 1
        except (av.FFmpegError, OSError) as error:
            self._reason = error.strerror or str(error)
        finally:
            self._newest.end()


def open_camera(device: str, format: str) -> InputContainer:
    """Open a device of FFmpeg for reading.

    Args:
        device: as FFmpeg calls it.
        format: the name of FFmpeg's format for devices, such as ``v4l2``.

    Raises:
        InputError: it does not exist, is in use, or is no camera.
    """
    try:
        container = av.open(device, format=format, options=_OPTIONS.get(format, {}))
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        others = [name for name in _found(format) if name != device]
        raise InputError(
            f"{device} cannot be opened as a camera ({reason}): it must be connected, and no other program may use it; "
            f"{'give another, such as' if others else 'connect one, or name another:'} --camera "
            f"{others[0] if others else 'DEVICE'}."
        ) from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{device} gives sound alone; name a camera: --camera DEVICE.")
    return container


def _found(format: str) -> list[str]:
    """The cameras that are connected, where FFmpeg can tell."""
    with suppress(av.FFmpegError, OSError, ValueError):
        devices = av.enumerate_input_devices(format)
        kind = "video=" if format == "dshow" else ""
        return [kind + device.name for device in devices if device.media_types in ([], ["video"])]
    return []
