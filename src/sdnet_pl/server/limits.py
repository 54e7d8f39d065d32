"""What keeps a server's memory, disk and time bounded, whatever is sent to it."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from PIL import ImageFile
from starlette.types import Message, Receive

from sdnet_pl.data.decoding import PackedPicture, opened
from sdnet_pl.errors import InputError

MAX_PHOTO_BYTES = 64 * 2**20
"""Of the file of a photo; a JPEG of 50 megapixels has about 25."""
MAX_VIDEO_BYTES = 512 * 2**20
MAX_DISK_BYTES = 4 * 2**30
"""Of all visitors' files together; more is taken when older ones were deleted."""
UPLOADS = "uploads"
"""Folder of what visitors send."""
KEPT_SECONDS = 3600
"""For which a visitor's files are there."""
BODY_SECONDS = 60
"""For a request to arrive: who sends slowly keeps others from their turn."""
RETRY_AFTER = 5
"""Seconds after which a client that was sent away may try again."""
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Pillow's names of what is decoded for strangers: no drawings, and nothing that starts another program."""

P = ParamSpec("P")
R = TypeVar("R")


class TooLargeError(InputError):
    """A request that is larger than this server takes."""


class BusyError(InputError):
    """A request for which there is no place now."""


class GoneError(Exception):
    """The client went away while its request waited."""


class Queue:
    """Places for photos: a few are worked on in threads, a few more wait, and the rest is sent away.

    Args:
        working: photos at a time.
        waiting: photos that may wait besides.

    Attributes:
        taken: how many places are taken now.
    """

    def __init__(self, working: int, waiting: int) -> None:
        self.working, self.waiting, self.taken = working, waiting, 0
        # No thread can be stopped: one whose caller is cancelled works on, and the next waits for it.
        self._threads = ThreadPoolExecutor(working)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place, to be taken before a body is read.

        Raises:
            BusyError: all are taken.
        """
        if self.taken >= self.working + self.waiting:
            raise BusyError(
                f"All {self.working + self.waiting} places of this server are taken; try again in {RETRY_AFTER} s."
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def work(
        self,
        gone: Callable[[], bool] | None,
        function: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call a function in a thread when it is the place's turn.

        Args:
            gone: tells whether the client went away, asked when its turn has come.
            function: what to call.
            args: its arguments.
            kwargs: its arguments by name.

        Raises:
            GoneError: it did.
        """

        def call() -> R:
            if gone is not None and gone():
                raise GoneError
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def bounded(receive: Receive, length: str | None, most: int) -> Receive:
    """The messages of a request, none beyond a number of bytes.

    Args:
        receive: gives them.
        length: the header Content-Length.
        most: bytes of the body.

    Raises:
        TooLargeError: the header states more; and from what is returned, when more has come.
    """
    too_large = TooLargeError(
        f"The request has more than the {most // 2**20} MiB that this server takes; send a smaller file."
    )
    if length and length.isdecimal() and int(length) > most:
        raise too_large
    come = 0

    async def within() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise too_large
        return message

    return within


def make_room(folder: Path) -> None:
    """Delete old uploads that were broken off, which Gradio forgets, and see that there is room for more.

    Args:
        folder: of all visitors' files.

    Raises:
        BusyError: they fill the disk space that they may take.
    """
    found, oldest = 0, time.time() - KEPT_SECONDS
    for place, _, names in os.walk(folder):  # which passes over what vanishes meanwhile
        for name in names:
            with suppress(OSError):
                file = Path(place, name)
                status = file.stat()
                if status.st_ctime < oldest and Path(place) == folder / UPLOADS:  # whole ones have folders
                    file.unlink()
                else:
                    found += status.st_size
    if found > MAX_DISK_BYTES:
        raise BusyError("The server's disk space for visitors is full; try again later.")


def check_photo(photo: PackedPicture, max_megapixels: float) -> None:
    """Look at the header of a photo before its pixels are decoded.

    Raises:
        TooLargeError: it has more pixels.
        InputError: it is no picture, or of a format that is not decoded for strangers.
    """
    with opened(photo) as picture:
        _check_format(picture)
        if picture.width * picture.height > max_megapixels * 1e6:
            raise TooLargeError(
                f"The picture has {picture.width}×{picture.height} pixels, and this server takes up to "
                f"{max_megapixels:g} megapixels; scale it down."
            )


def _check_format(picture: ImageFile.ImageFile) -> None:
    if picture.format not in FORMATS:
        raise InputError(
            f"The picture is a {picture.format}, which this server does not take; save it as a JPEG or PNG."
        )
