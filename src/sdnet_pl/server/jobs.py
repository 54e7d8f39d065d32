"""What the buttons of the page do: photos, side outputs and videos, with errors as people understand them."""

import asyncio
import logging
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.provenance import mark
from sdnet_pl.errors import InputError
from sdnet_pl.inference.kinds import to_array
from sdnet_pl.inference.predictor import shows_nobody
from sdnet_pl.inference.rendering import BLUR, Background, Rendering, to_levels
from sdnet_pl.server.limits import MAX_PHOTO_BYTES, Queue, TooLargeError, make_room
from sdnet_pl.server.service import Service

BACKGROUNDS = ("Transparent", "Colour", "Picture", "Blurred")
MAX_PHOTOS = 50
MAX_VIDEO_SECONDS = 60
_PREVIEW, _CHECK = 1280, 12
"""Pixels of what is shown, and of a check behind what is transparent."""
_KEPT = 600
"""Seconds after which a result that is written no more is deleted; Gradio has its copy by then."""
_FAILED = "This did not work, for a reason that is the server's own; its log says which. Try another file."
_MAGIC = re.compile(rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL)
"""The beginnings of MP4 and MOV, of WebM and Matroska, and of AVI: no playlists, which name other files."""

_PROGRESS = gr.Progress()

logger = logging.getLogger(__name__)


class Made(NamedTuple):
    """A photo that is cut out.

    Attributes:
        file: the PNG.
        before: the photo, small.
        after: what was made of it, small.
        nobody: whether it shows next to nothing.
    """

    file: Path
    before: Image.Image
    after: Image.Image
    nobody: bool


class Jobs:
    """The handlers of the page's buttons.

    Args:
        service: cuts out.
        folder: of this run.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self._service, self._folder = service, folder
        self._videos = Queue(1, 2)
        self.shows_sides = Path(service.settings.weights).suffix != ".onnx"

    async def photo(self, photo: str | None, kind: str, color: str, picture: str | None) -> tuple[Any, Any]:
        """One photo: what the slider shows, and the download."""
        with _told(), self._service.place():
            made = await self._service.queue.work(None, self._cut_out, photo, kind, color, picture)
            if made.nobody:
                gr.Warning("Nobody was found in this photo.")
            return (made.before, made.after), gr.update(value=str(made.file), interactive=True)

    async def photos(
        self, photos: Sequence[str] | None, kind: str, color: str, picture: str | None, progress: Any = _PROGRESS
    ) -> tuple[Any, Any, Any]:
        """Several photos: the gallery, what there is to say, and the ZIP."""
        with _told():
            if not photos:
                raise InputError("There are no photos yet; choose some first.")
            if len(photos) > MAX_PHOTOS:
                raise TooLargeError(f"These are {len(photos)} photos, and {MAX_PHOTOS} are done at a time.")
            made, said = [], []
            with self._service.place():
                for photo in progress.tqdm(photos, unit="photos"):
                    try:
                        made.append(await self._service.queue.work(None, self._cut_out, photo, kind, color, picture))
                    except InputError as error:
                        said.append(f"- **{Path(photo).name}**: {error}")
            if not made:
                raise InputError("None of these could be read as a photo.")
            packed = self._make_folder() / "cutouts.zip"
            await asyncio.to_thread(_pack, packed, [one.file for one in made])
            shown = [(one.after, one.file.stem) for one in made]
            return shown, "\n".join(said), gr.update(value=str(packed), interactive=True)

    async def sides(self, photo: str | None) -> NDArray[np.uint8]:
        """The alphas of the side outputs, as one picture."""
        with _told(), self._service.place():
            return await self._service.queue.work(None, self._draw_sides, photo)

    async def video(self, video: str | None, kind: str, color: str, picture: str | None) -> tuple[str, Any]:
        """A video: what is shown, and the download."""
        with _told("The video", video), self._videos.place():
            file = str(await self._videos.work(None, self._cut_out_video, video, kind, color, picture))
            return file, gr.update(value=file, interactive=True)

    def _cut_out(self, photo: str | None, kind: str, color: str, picture: str | None) -> Made:
        image, metadata = self._read(photo, "The picture")
        rendering = Rendering(background=self._to_background(kind, color, picture))
        alpha = to_levels(self._service.session(self._service.model).alpha(image))
        result = rendering(image, alpha)
        assert photo is not None
        file = self._make_folder() / f"{Path(photo).stem}_cutout.png"
        write_png(file, result, metadata, mark())
        return Made(file, _small(image), _small(result), shows_nobody(alpha))

    def _read(self, file: str | None, name: str) -> tuple[NDArray[np.uint8], Any]:
        if file is None:
            raise InputError(f"There is no {name.split()[-1]} yet; choose one first.")
        if Path(file).stat().st_size > MAX_PHOTO_BYTES:
            raise TooLargeError(f"{name} has more than {MAX_PHOTO_BYTES // 2**20} MiB; choose a smaller one.")
        data = Path(file).read_bytes()
        self._service.check_photo(data)
        return to_array(data)

    def _to_background(self, kind: str, color: str, picture: str | None) -> Background | None:
        if kind == "Colour":
            return _to_color(color)
        if kind == "Picture":
            return self._read(picture, "The background picture")[0]
        return BLUR if kind == "Blurred" else None

    @cached_property
    def _module(self) -> tuple[Any, int]:
        from sdnet_pl.inference.weights import load_weights

        return load_weights(self._service.settings.weights)

    def _draw_sides(self, photo: str | None) -> NDArray[np.uint8]:
        image, _ = self._read(photo, "The picture")
        from sdnet_pl.explore.figures import decoder_figure
        from sdnet_pl.explore.inspection import inspect_picture
        from sdnet_pl.reporting.panels import to_array as draw

        model, size = self._module
        return draw(decoder_figure(inspect_picture(model, image, size), side=3))

    def _cut_out_video(self, video: str | None, kind: str, color: str, picture: str | None) -> Path:
        if video is None:
            raise InputError("There is no video yet; choose one first.")
        with open(video, "rb") as stream:
            if not _MAGIC.match(stream.read(16)):
                raise InputError("The video is none that is taken here; give an MP4, MOV, WebM, MKV or AVI.")
        from sdnet_pl.inference.video.jobs import Job
        from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render
        from sdnet_pl.inference.video.reader import VideoReader

        with VideoReader(Path(video)) as reader:
            if reader.total == 0 or reader.total / reader.rate > MAX_VIDEO_SECONDS:
                raise TooLargeError(f"The video is longer than {MAX_VIDEO_SECONDS} s, or does not say; cut it shorter.")
        background = self._to_background(kind, color, picture)
        target = self._make_folder() / f"{Path(video).stem}_cutout.{'webm' if background is None else 'mp4'}"
        predictor = self._service.session(self._service.model).predictor
        done = cut_out_video(Job(Path(video), target), "", predictor, Options(render(background), threads=1))
        if done.error:
            raise done.error
        return target

    def _make_folder(self) -> Path:
        """A folder for a result, which Gradio copies from; those that are long copied are deleted."""
        for old in self._folder.glob("made-*"):
            with suppress(FileNotFoundError):  # another thread was faster
                # A video may take longer than that, and its file grows meanwhile.
                if max(path.stat().st_mtime for path in (old, *old.rglob("*"))) < time.time() - _KEPT:
                    shutil.rmtree(old, ignore_errors=True)
        make_room(self._folder)
        return Path(tempfile.mkdtemp(prefix="made-", dir=self._folder))


@contextmanager
def _told(name: str = "", path: str | None = None) -> Iterator[None]:
    """Show errors as the page shows them, without any path of this machine."""
    try:
        yield
    except InputError as error:
        text = str(error).replace(path, name) if path else str(error)
        raise gr.Error(text, print_exception=False) from error
    except Exception as error:
        logger.exception("A request of the page failed.")
        raise gr.Error(_FAILED, print_exception=False) from error


def _small(picture: NDArray[np.uint8]) -> Image.Image:
    """For the screen; what is transparent is checkered."""
    scale = min(1, _PREVIEW / max(picture.shape[:2]))
    size = max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0]))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if small.shape[2] == 3:
        return Image.fromarray(small)
    y, x = (np.indices(small.shape[:2]) // _CHECK) % 2
    checks = np.where(y == x, 238, 187).astype(np.uint8)
    seen = Image.fromarray(np.dstack([checks] * 3))
    seen.paste(Image.fromarray(small[..., :3]), mask=Image.fromarray(small[..., 3]))
    return seen


def _to_color(text: str) -> tuple[int, int, int]:
    """The colour of Gradio's picker, which writes ``#rrggbb`` or ``rgba(255, 0, 0.5, 1)``."""
    if match := re.fullmatch(r"#([0-9a-fA-F]{6})", text):
        red, green, blue = bytes.fromhex(match[1])
    else:
        values = [round(float(value)) for value in re.findall(r"\d+(?:\.\d+)?", text)[:3]]
        if len(values) != 3 or max(values) > 255:
            raise InputError(f"{text[:40]!r} is no colour; choose one.")
        red, green, blue = values
    return red, green, blue


def _pack(packed: Path, files: Sequence[Path]) -> None:
    """Move files, each in a folder of its own, into a ZIP."""
    names: dict[str, int] = {}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # PNGs do not get smaller
        for file in files:
            count = names[file.name] = names.get(file.name, 0) + 1
            archive.write(file, file.name if count == 1 else f"{file.stem}_{count}{file.suffix}")
            shutil.rmtree(file.parent, ignore_errors=True)
