"""What a request to the API may ask for, in the words of rembg's server, and how it is read."""

import asyncio
from collections.abc import Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

from PIL import ImageColor
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from sdnet_pl.errors import InputError, did_you_mean
from sdnet_pl.inference.rendering import BLUR
from sdnet_pl.server.limits import BODY_SECONDS, MAX_PHOTO_BYTES, GoneError, bounded

OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"type": "string", "description": "the network"},
    "om": {"type": "boolean", "default": False, "description": "only the mask: the alpha as a grey picture"},
    "bgc": {
        "type": "string",
        "description": "background instead of transparency: R,G,B or R,G,B,255, a name, #rrggbb, or blur for the "
        "photo's own",
        "examples": ["255,255,255,255", "teal", "blur"],
    },
}
WITHOUT_EFFECT = ("ppm", "a", "af", "ab", "ae")
"""Post-processing and alpha matting of rembg, which make an alpha of a hard mask: here it is one already."""
NO_URL = "url is not taken: this server loads nothing from elsewhere; send the picture itself, as file or as the body."
_IN_MEMORY = 2**20
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Asked(NamedTuple):
    """A request.

    Attributes:
        photo: the file of a picture, whatever it holds; in memory while it is small. To be closed.
        options: what else was given, checked.
    """

    photo: IO[bytes]
    options: Mapping[str, str]


async def read(request: Request) -> Asked:
    """Read a request: the picture is the part ``file`` of a form, or the whole body; options stand in either place.

    Raises:
        TooLargeError: the body is larger than a photo may be.
        TimeoutError: it does not arrive.
        GoneError: the client went away.
        InputError: an option is wrong, or there is no picture.
    """
    shown_by(request.query_params)  # wrong ones are refused before the body is read
    within = bounded(request.receive, request.headers.get("content-length"), MAX_PHOTO_BYTES)
    request = Request(request.scope, within)
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            photo, fields = await (_read_form(request) if is_form else _read_body(request))
    except ClientDisconnect:
        raise GoneError from None
    except HTTPException as error:
        raise InputError(
            f"The form cannot be read ({error.detail}); send it as curl -F file=@photo.jpg does."
        ) from error
    options: dict[str, str] = {}
    for name, value in (*request.query_params.multi_items(), *fields):
        if options.setdefault(name, value) != value:
            raise InputError(f"{name} is given as {options[name]!r} and as {value!r}; give it once.")
    shown_by(options)
    return Asked(photo, options)


async def _read_form(request: Request) -> tuple[IO[bytes], list[tuple[str, str]]]:
    form = await request.form(max_files=1, max_fields=len(OPTIONS) + len(WITHOUT_EFFECT))
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str) and name != "file"]
    shown_by(dict(fields))
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InputError("The form has no file; send the picture as its part file: -F file=@photo.jpg")
    return file.file, fields


async def _read_body(request: Request) -> tuple[IO[bytes], list[tuple[str, str]]]:
    photo = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 it is handed on
    async for chunk in request.stream():
        photo.write(chunk)
    photo.seek(0)
    return photo, []


async def until_gone(request: Request) -> None:
    """Wait until the client of a request that is read goes away: asking once sees only what has come in already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def shown_by(options: Mapping[str, str]) -> dict[str, Any]:
    """What options ask to be shown, as arguments of :func:`sdnet_pl.remove`.

    Raises:
        InputError: one is unknown or wrong.
    """
    if "url" in options:
        raise InputError(NO_URL)
    for name in options:
        if name not in (*OPTIONS, *WITHOUT_EFFECT):
            remedy = did_you_mean(name, OPTIONS, f"; give {', '.join(OPTIONS)}.")
            raise InputError(f"There is no option {name!r}{remedy}")
    word = options.get("om", "").lower() or "false"
    if word not in _BOOLEANS:
        raise InputError(f"om is {word!r}; give true or false.")
    background = to_background(options["bgc"]) if options.get("bgc") else None
    if _BOOLEANS[word] and background is not None:
        raise InputError("om asks for the mask alone, and bgc for a background; give one of them.")
    return {"only_mask": _BOOLEANS[word], "background": background}


def to_background(text: str) -> str | tuple[int, int, int]:
    """The colour that a text means, or ``blur``; never a file.

    Raises:
        InputError: it means none.
    """
    if text == BLUR:
        return BLUR
    try:
        values = [int(part) for part in text.split(",")] if "," in text else ImageColor.getcolor(text, "RGBA")
    except ValueError:
        values = ()
    if not isinstance(values, (list, tuple)) or len(values) not in (3, 4) or not all(0 <= v <= 255 for v in values):
        raise InputError(f"bgc {text!r} is no colour; give R,G,B in [0, 255], a name, #rrggbb, or blur.")
    red, green, blue, *opacity = values
    if opacity and opacity != [255]:
        raise InputError(
            f"The opacity of bgc {text!r} is {opacity[0]}, and a background is opaque; give 255, or leave bgc out for "
            "a transparent one."
        )
    return red, green, blue
