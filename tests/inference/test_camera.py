"""The preview of a camera, with streams that FFmpeg makes in place of one."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sdnet_pl.cli import main
from sdnet_pl.errors import InputError
from sdnet_pl.inference.video import camera
from sdnet_pl.inference.video.camera import Camera, Newest, open_camera
from sdnet_pl.inference.video.preview import Preview
from tests.browser import chromium, served
from tests.videos import make_video, picture

MADE = "cellauto=size=64x48:rate=30,realtime"


@pytest.fixture
def page() -> Iterator[Preview]:
    with Preview() as page:
        yield page


def ask(page: Preview, path: str, host: str | None = None) -> HTTPResponse:
    connection = HTTPConnection(page.address.removeprefix("http://"), timeout=60)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def next_picture(stream: HTTPResponse) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]`` of the next part of a stream, which is whole when the head of the one after has come."""
    head, jpeg = b"\r\n--next\r\nContent-Type: image/jpeg\r\n\r\n", b""
    while not jpeg:
        while not jpeg.endswith(head):
            jpeg += stream.readline()
        jpeg = jpeg.removesuffix(head)  # nothing comes before the first head
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def shows(stream: HTTPResponse, wanted: NDArray[np.uint8]) -> bool:
    return bool(np.abs(next_picture(stream).astype(int) - wanted).mean() < 4)


# Pictures


def test_what_comes_meanwhile_is_dropped():
    newest = Newest[int]()
    newest.put(1)
    items, others = newest.items(), newest.items()
    assert next(items) == 1
    for number in (2, 3, 4):
        newest.put(number)
    assert next(items) == next(others) == 4
    newest.put(5)
    newest.end()
    assert list(items) == list(others) == [5]


def test_who_waits_gets_the_next_one():
    newest, got = Newest[int](), list[int]()
    waiting = Thread(target=lambda: got.extend(newest.items()))
    waiting.start()
    newest.put(1)
    newest.end()
    waiting.join()
    assert got == [1]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(camera.SYSTEMS, sys.platform, ("lavfi", MADE))


def test_a_camera_gives_pictures_until_it_is_left(made: None):
    with Camera() as opened:
        pictures = opened.pictures()
        first, second = next(pictures), next(pictures)
    assert first.shape == second.shape == (48, 64, 3)
    assert (first != second).any()


def test_a_camera_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = make_video(tmp_path / "clip.mp4", frames=5, sound=None)
    monkeypatch.setitem(camera.SYSTEMS, sys.platform, ("mov", ""))
    with Camera(str(clip)) as opened:
        seen: list[NDArray[np.uint8]] = []
        with pytest.raises(InputError, match=r"clip\.mp4 gives no more pictures \(it is gone\); connect it"):
            seen.extend(opened.pictures())
    assert 1 <= len(seen) <= 5
    assert np.abs(seen[-1].astype(int) - picture(4)).mean() < 5


def test_broken_pictures_are_skipped_and_a_camera_may_have_none_yet(made: None, monkeypatch: pytest.MonkeyPatch):
    opened = Camera()
    real = opened._container

    class Shaky:
        calls = 0

        def decode(self, video: int) -> Iterator[av.VideoFrame]:
            self.calls += 1
            if self.calls == 1:
                raise av.BlockingIOError(11, "Resource temporarily unavailable")
            if self.calls == 2:
                raise av.InvalidDataError(1094995529, "Invalid data found")
            if self.calls == 4:
                raise OSError(19, "No such device")
            yield next(real.decode(video=video))
            raise av.InvalidDataError(1094995529, "Invalid data found")

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(opened, "_container", Shaky())
    with opened:
        pictures = opened.pictures()
        assert next(pictures).shape == (48, 64, 3)
        with pytest.raises(InputError, match="no more pictures \\(No such device\\)"):
            next(pictures)


def test_no_camera_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = str(tmp_path / "video7")
    with pytest.raises(InputError, match=r"video7 cannot be opened as a camera \(.+\): it must be connected, and no"):
        open_camera(gone, "v4l2")
    monkeypatch.setattr(camera, "_found", lambda _: ["/dev/video2"])
    with pytest.raises(InputError, match=r"give another, such as --camera /dev/video2\.$"):
        open_camera(gone, "v4l2")
    with pytest.raises(InputError, match="gives sound alone"):
        open_camera("sine", "lavfi")
    monkeypatch.setattr(sys, "platform", "amiga")
    with pytest.raises(InputError, match="Cameras are not read on amiga; use Linux"):
        Camera()


# Page


def test_the_page_shows_the_newest_picture_to_all(page: Preview):
    html = ask(page, "/").read().decode()
    assert '<img src="/stream"' in html
    assert ask(page, "/rate").read() == b"0.0"
    for number in range(3):
        page.show(picture(number))
    one, two = ask(page, "/stream"), ask(page, "/stream")
    assert one.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=next"
    assert shows(one, picture(2))
    assert shows(two, picture(2))
    page.show(picture(20))
    assert shows(one, picture(20))
    assert shows(two, picture(20))
    assert float(ask(page, "/rate").read()) > 0


def test_who_leaves_does_not_disturb_the_others(page: Preview, capfd: pytest.CaptureFixture[str]):
    page.show(picture(0))
    leaving, staying = ask(page, "/stream"), ask(page, "/stream")
    assert shows(staying, picture(0))
    leaving.close()
    for number in range(1, 200):
        page.show(picture(number % 20))
        next_picture(staying)
    with socket.create_connection(("127.0.0.1", int(page.address.rpartition(":")[2]))) as rude:
        rude.sendall(b"GET /str")
    assert ask(page, "/").status == 200
    assert capfd.readouterr().err == ""


def test_other_names_of_this_machine_and_other_paths_are_refused(page: Preview):
    port = page.address.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1"):
        for path in ("/", "/stream", "/rate"):
            assert ask(page, path, host).status == 403
    assert ask(page, "/", f"localhost:{port}").status == 200
    assert ask(page, "/../etc/passwd").status == 404
    # A page of someone else can show neither the stream nor what it is made of
    assert ask(page, "/stream").headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert page._server.server_address == ("127.0.0.1", int(port))


RED = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.drawImage(document.querySelector("img"), 0, 0);
  return canvas.getImageData(0, 0, 1, 1).data[0];
}"""


@pytest.mark.slow
def test_a_browser_shows_each_picture_and_the_end_and_no_page_of_others_does(tmp_path: Path):
    with chromium() as browser:
        tab = browser.new_page()
        with Preview() as page:
            tab.goto(page.address, wait_until="domcontentloaded")
            for value in (50, 200):
                page.show(np.full((48, 64, 3), value, np.uint8))
                tab.wait_for_function(f"Math.abs(({RED})() - {value}) < 4")
            tab.wait_for_function("/^[0-9.]+ frames a second$/.test(rate.textContent)")
            events = "onload='document.title = 1' onerror='document.title = 2'"
            (tmp_path / "index.html").write_text(f"<img src={page.address}/stream {events}>")
            with served(tmp_path) as foreign, browser.new_page() as other:
                other.goto(foreign, wait_until="domcontentloaded")
                other.wait_for_function("document.title")
                assert other.title() == "2"
        tab.wait_for_function("rate.textContent.startsWith('sdnet-pl has ended')")


# Command

SHOWING = f"""
import signal
import sys
from sdnet_pl.cli import main
from sdnet_pl.inference.video import camera

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
camera.SYSTEMS[sys.platform] = "lavfi", {MADE!r}
sys.exit(main(["video", "--camera", "--size", "32", "--device", "cpu", "--threads", "1", "--background", "#ff00ff"]))
"""


def test_the_command_shows_a_camera_until_ctrl_c(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", SHOWING], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("sdnet-pl: http://127.0.0.1:"), said + process.stderr.read()
        address = said.split()[1].removeprefix("http://")
        connection = HTTPConnection(address, timeout=60)
        connection.request("GET", "/stream")
        stream = connection.getresponse()
        shown = [next_picture(stream) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.stderr.read() == ""
    assert shown[0].shape == (48, 64, 3)
    assert not list(tmp_path.iterdir())


def test_what_does_not_go_with_a_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def error_of(*arguments: str) -> str:
        assert main(["video", *arguments]) == 2
        return capsys.readouterr().err

    assert "give videos, or --camera" in error_of()
    assert "writes nothing; leave out VIDEO and --format" in error_of("a.mp4", "--format", "png", "--camera")
    assert "leave out -o." in error_of("--camera", "/dev/video0", "-o", str(tmp_path))
    assert f"{tmp_path} cannot be opened as a camera" in error_of("--camera", str(tmp_path))
    assert "size is 3" in error_of("--camera", "--size", "3")
    assert "neither a colour" in error_of("--camera", "--background", "grene")
