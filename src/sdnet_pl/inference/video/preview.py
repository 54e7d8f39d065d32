"""A page on this machine that shows pictures as they are made, as a stream of JPEGs."""

import socket
import sys
import time
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.inference.video.camera import Newest

_HOST = "127.0.0.1"
_QUALITY = 85
_COUNTED = 30
"""Pictures over which their rate is taken."""
_BUFFER = 2**17
"""Bytes that wait for a slow browser: few pictures, so that it does not lag behind."""
_PATIENCE = 10
"""Seconds after which a browser that takes nothing is given up."""
_NEXT = b"\r\n--next\r\nContent-Type: image/jpeg\r\n\r\n"
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>sdnet-pl: camera</title>
<link rel="icon" href="data:,">
<style>
  body { margin: 0; background: #222; color: #ddd; font: 16px sans-serif; text-align: center }
  img { display: block; margin: auto; max-width: 100%; max-height: calc(100vh - 3em) }
</style>
<img src="/stream" alt="What the camera sees, with the background that was chosen">
<p id="rate">Waiting for the first picture</p>
<script>
  const rate = document.getElementById("rate");
  setInterval(async () => {
    try {
      rate.textContent = `${await (await fetch("/rate")).text()} frames a second`;
    } catch {
      rate.textContent = "sdnet-pl has ended; start it again, and open its new link.";
    }
  }, 1000);
</script>
"""


class Preview:
    """The page; used in a ``with`` block, in which it is served to this machine alone.

    Attributes:
        address: of the page.
    """

    def __init__(self) -> None:
        self.jpegs = Newest[bytes]()
        self._times: deque[float] = deque(maxlen=_COUNTED)
        self._server = _Server(self)
        self.address = f"http://{_HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.jpegs.end()
        self._server.shutdown()
        self._server.server_close()

    @property
    def rate(self) -> float:
        """Pictures a second, lately."""
        times = list(self._times)
        return (len(times) - 1) / (times[-1] - times[0]) if times[1:] else 0.0

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, RGB uint8 ``[H, W, 3]``."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        self.jpegs.put(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
        self._times.append(time.monotonic())


class _Server(ThreadingHTTPServer):
    def __init__(self, preview: Preview) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.preview = preview

    def handle_error(self, *arguments: Any) -> None:
        """A browser that is gone is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*arguments)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def do_GET(self) -> None:
        # Another name for this machine is how a page of someone else would reach the camera.
        if self.headers["Host"] not in (f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")):
            self.send_error(HTTPStatus.FORBIDDEN, f"Open {self.server.preview.address}")
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _PAGE)
        elif self.path == "/rate":
            self._send("text/plain", f"{self.server.preview.rate:.1f}")
        elif self.path == "/stream":
            self._stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _send(self, kind: str, text: str) -> None:
        self._begin(kind)
        self.wfile.write(text.encode())

    def _stream(self) -> None:
        self._begin("multipart/x-mixed-replace; boundary=next")
        self.wfile.write(_NEXT)
        for jpeg in self.server.preview.jpegs.items():
            # Chromium shows a part when the head of the next one has come, which is why that follows at once.
            self.wfile.write(jpeg + _NEXT)

    def _begin(self, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
