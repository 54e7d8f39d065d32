import asyncio
import io
import signal
import socket
import subprocess
import sys
from threading import Event
from typing import Any
from urllib.request import Request, urlopen

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import sdnet_pl
from sdnet_pl.cli import main
from sdnet_pl.server import app as module
from sdnet_pl.server import requests
from sdnet_pl.server.app import create_app
from sdnet_pl.server.limits import GoneError, Queue
from sdnet_pl.server.service import Settings

API = "/api/remove"


@pytest.fixture(scope="module")
def expected(photo: bytes) -> np.ndarray:
    return np.array(
        Image.open(io.BytesIO(sdnet_pl.remove(photo, session=sdnet_pl.new_session(size=128, quality="fast"))))
    )


def opened(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.array(Image.open(io.BytesIO(answer.content)))


@pytest.mark.parametrize(
    "sent",
    [
        lambda photo: {"files": {"file": ("photo.png", photo)}},
        lambda photo: {"content": photo},
        lambda photo: {"content": photo, "headers": {"content-type": "image/png"}},
        lambda photo: {"content": iter([photo[:100], photo[100:]])},
    ],
    ids=["form", "body", "typed", "chunked"],
)
def test_a_photo_comes_back_cut_out_however_it_is_sent(client: TestClient, photo: bytes, expected: np.ndarray, sent):
    assert np.array_equal(opened(client.post(API, **sent(photo))), expected)


@pytest.mark.parametrize("place", ["query", "form"])
def test_options_are_rembgs_in_either_place(client: TestClient, photo: bytes, expected: np.ndarray, place: str):
    def ask(**options: str) -> np.ndarray:
        where: dict[str, Any] = {"params" if place == "query" else "data": options}
        return opened(client.post(API, files={"file": photo}, **where))

    assert np.array_equal(ask(om="true"), expected[..., 3])
    assert np.array_equal(ask(om="false", ppm="true", a="true", af="240", model="sdnet-fast"), expected)
    for color in ("10,20,30,255", "10,20,30", "#0a141e"):
        shown = ask(bgc=color)
        assert (shown[expected[..., 3] == 0] == (10, 20, 30)).all()
    blurred = ask(bgc="blur")
    assert blurred.shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://example.org/photo.jpg"}, "url is not taken: this server loads nothing"),
        ({"om": "perhaps"}, "om is 'perhaps'; give true or false"),
        ({"bgc": "1,2,3,4"}, "opacity of bgc '1,2,3,4' is 4"),
        ({"bgc": "256,0,0"}, "bgc '256,0,0' is no colour"),
        ({"bgc": "1,2"}, "is no colour"),
        ({"bgc": __file__}, "is no colour"),
        ({"om": "1", "bgc": "red"}, "give one of them"),
        ({"model": "u2net"}, "'u2net' is not served; give sdnet-fast or sdnet."),
        ({"model": "../../x"}, "is not served"),
        ({"modle": "sdnet"}, "did you mean model?"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_with_a_sentence(client: TestClient, photo: bytes, options, message: str):
    for where in ({"params": options}, {"data": options}):
        answer = client.post(API, files={"file": photo}, **where)
        assert answer.status_code == 400
        assert message in answer.json()["detail"]


def test_an_option_that_is_given_twice_must_be_the_same(client: TestClient, photo: bytes):
    def ask(*words: str) -> Any:
        return client.post(API, files={"file": photo}, params=[("om", word) for word in words], data={"om": "true"})

    assert opened(ask("true")).ndim == 2
    for words in (("false",), ("true", "false")):
        assert "om is given as" in ask(*words).json()["detail"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"content": b"no picture"}, "not a picture of a known format"),
        ({"content": b""}, "The picture is empty"),
        ({"files": {"file": b""}}, "The picture is empty"),
        ({"files": {"photo": b"x"}}, "The form has no file"),
        ({"files": [("file", b"x"), ("file", b"y")]}, "Too many files"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "The form cannot be read"),
        ({"content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"}, "is a EPS"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_sentence(client: TestClient, sent, message: str):
    answer = client.post(API, **sent)
    assert answer.status_code == 400
    assert message in answer.json()["detail"]


def test_a_url_by_get_is_told_what_to_do_instead(client: TestClient):
    answer = client.get(API, params={"url": "http://example.org/photo.jpg"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "send the picture itself" in answer.json()["detail"]


def test_too_many_pixels_are_refused_before_they_are_decoded(client: TestClient):
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")
    answer = client.post(API, content=stream.getvalue())
    assert answer.status_code == 413
    assert "9000×9000 pixels, and this server takes up to 0.1 megapixels" in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
def test_too_many_bytes_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch, photo: bytes, chunked: bool):
    monkeypatch.setattr(requests, "MAX_PHOTO_BYTES", 1000)
    for sent in ({"content": iter([photo]) if chunked else photo}, {"files": {"file": photo}}):
        assert client.post(API, **sent).status_code == 413


def test_a_full_queue_sends_away_and_says_when_to_return(client: TestClient, photo: bytes):
    places = client.app.state.service.queue.place  # type: ignore[attr-defined]
    with places(), places(), places():
        answer = client.post(API, content=photo)
        assert client.get("/health").status_code == 200
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert opened(client.post(API, content=photo)).shape == (128, 128, 4)


def test_a_body_that_does_not_arrive_gives_its_place_back(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(requests, "BODY_SECONDS", 0)

    async def ask() -> httpx.Response:
        async def never():
            await asyncio.Event().wait()
            yield b""

        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as slow:
            return await slow.post(API, content=never())

    assert asyncio.run(ask()).status_code == 408
    assert client.app.state.service.queue.taken == 0  # type: ignore[attr-defined]


def test_nothing_is_worked_on_for_a_client_that_is_gone():
    async def ask() -> None:
        with pytest.raises(GoneError):
            await Queue(1, 0).work(lambda: True, pytest.fail, "it was worked on")

    asyncio.run(ask())


def test_work_whose_caller_is_cancelled_keeps_its_turn():
    begun, end = Event(), Event()

    def work() -> None:
        begun.set()
        end.wait()

    async def ask() -> bool:
        queue = Queue(1, 1)
        first = asyncio.create_task(queue.work(None, work))
        await asyncio.to_thread(begun.wait)
        first.cancel()
        asyncio.get_running_loop().call_later(0.2, end.set)
        return await queue.work(None, end.is_set)

    assert asyncio.run(ask())


def test_a_failure_tells_no_path_and_stops_nobody(client: TestClient, monkeypatch: pytest.MonkeyPatch, photo: bytes):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left", "/home/someone/secret")

    with monkeypatch.context() as patch:
        patch.setattr(module, "remove", fail)
        answer = client.post(API, content=photo)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert opened(client.post(API, content=photo)).shape == (128, 128, 4)


def test_bad_requests_among_good_ones_harm_none(photo: bytes, expected: np.ndarray):
    app = create_app(Settings(device="cpu", size=128, threads=2, queue=20))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            bodies = (photo, photo[:500], b"x", photo)
            return await asyncio.gather(*(client.post(API, content=bodies[i % 4]) for i in range(12)))

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200, 400, 400, 200] * 3
    assert all(np.array_equal(opened(answer), expected) for answer in answers if answer.status_code == 200)


def test_metrics_count_what_became_of_requests(client: TestClient, photo: bytes):
    def count(outcome: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(
            float(line.split()[1]) for line in lines if line.startswith(f'sdnet_photos_total{{outcome="{outcome}')
        )

    before = count("done"), count("refused")
    client.post(API, content=photo)
    client.post(API, content=b"x")
    assert (count("done"), count("refused")) == (before[0] + 1, before[1] + 1)


def test_the_description_comes_from_this_machine_alone(client: TestClient):
    page = client.get("/docs").text
    assert "http" not in page.replace("http-equiv", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon.png"):
        assert f"/static-offline-docs/{name}" in page
        assert client.get(f"/static-offline-docs/{name}").status_code == 200
    described = client.get("/openapi.json").json()["paths"][API]["post"]
    names = {parameter["name"] for parameter in described["parameters"]}
    assert names == {"model", "om", "bgc", "ppm", "a", "af", "ab", "ae"}
    assert client.get("/", follow_redirects=False).headers["location"] == "/docs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "threads is 0"),
        (["--queue", "-1"], "queue -1"),
        (["--max-megapixels", "0"], "max-megapixels is 0"),
        (["--port", "99999"], "port 99999"),
        (["--weights", "sdnet-fast-trimap"], "needs a trimap"),
        (["--weights", "nothing"], "There are no weights nothing"),
    ],
)
def test_wrong_settings_are_told_at_once(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str):
    assert main(["serve", "--no-ui", "--port", "0", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_what_is_missing_is_told_with_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "serve needs uvicorn; install it with: pip install 'sdnet_pl[serve]'." in capsys.readouterr().err


def test_the_command_serves_on_loopback_without_torch_until_ctrl_c(photo: bytes):
    code = "import sys; from sdnet_pl.cli import main; status = main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", f"{code}; sys.exit(status)", "serve", "--no-ui", "--port", "0", "--size", "128"]
    with subprocess.Popen(
        [*command, "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        address = line.split("API ")[1].split(API)[0]
        assert address.startswith("http://127.0.0.1:")
        with urlopen(Request(address + API, photo)) as answer:
            assert Image.open(io.BytesIO(answer.read())).mode == "RGBA"
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=60)
    assert (server.returncode, out, err) == (0, "False\n", "")


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--no-ui", "--port", str(taken.getsockname()[1])]) == 2
    assert "give another --port or --host" in capsys.readouterr().err
