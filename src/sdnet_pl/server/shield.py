"""What of Gradio's server is reachable: what the page needs, and none of what fetches, proxies, runs or records."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sdnet_pl.errors import InputError
from sdnet_pl.server.limits import MAX_VIDEO_BYTES, RETRY_AFTER, BusyError, TooLargeError, bounded, make_room

_MAX_EVENT_BYTES = 2**20
_GET = ("/assets/", "/static/", "/gradio_api/file=", "/gradio_api/heartbeat/")
_GET_EXACT = (
    "/",
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/gradio_api/queue/data",
    "/gradio_api/upload_progress",
)
_UPLOAD, _EVENT = "/gradio_api/upload", "/gradio_api/queue/join"
_POST = (_UPLOAD, _EVENT, "/gradio_api/cancel", "/gradio_api/reset")
_HEADERS = {
    # Gradio's page is scripted inline.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shield:
    """Stands before Gradio's application.

    Args:
        app: Gradio's.
        folder: where it keeps the files of visitors.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app, self._folder = app, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path = "/" + scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        if not _is_needed(scope["method"], path):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        try:
            if scope["method"] == "POST":
                receive = await self._checked(scope, receive, path)
            await self._app(scope, receive, _with_headers(send))
        except ClientDisconnect:
            pass  # who broke off an upload takes no answer, and the log needs no traceback
        except TooLargeError as error:
            await PlainTextResponse(str(error), 413)(scope, receive, send)
        except BusyError as error:
            await PlainTextResponse(str(error), 503, {"Retry-After": str(RETRY_AFTER)})(scope, receive, send)
        except InputError as error:
            await PlainTextResponse(str(error), 400)(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, path: str) -> Receive:
        request = Request(scope)
        most = MAX_VIDEO_BYTES if path == _UPLOAD else _MAX_EVENT_BYTES
        receive = bounded(receive, request.headers.get("content-length"), most)
        if path == _UPLOAD:
            make_room(self._folder)
            return receive
        body = await Request(scope, receive).body()
        if path == _EVENT and _names_elsewhere(body):
            raise InputError("This server loads nothing from elsewhere; upload the file.")
        return _replayed(body, receive)


def _is_needed(method: str, path: str) -> bool:
    if method == "POST":
        return path in _POST
    if method not in ("GET", "HEAD") or "://" in path or ".." in path:
        return False
    # A proxy or a browser may have written one slash for two.
    return path in _GET_EXACT or (path.startswith(_GET) and "=http" not in path.lower())


def _names_elsewhere(body: bytes) -> bool:
    """Whether an event has a file that Gradio would fetch: anything but an uploaded one."""
    found = False

    def look(value: dict[str, Any]) -> dict[str, Any]:
        nonlocal found
        found |= isinstance(path := value.get("path"), str) and not Path(path).is_absolute()
        return value

    try:
        json.loads(body, object_hook=look)
    except (ValueError, RecursionError):
        return True
    return found


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Callable[[Message], Any]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sending
