import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import matplotlib
import numpy as np
import pytest
from fastapi.testclient import TestClient
from gradio.utils import get_hash_seed
from PIL import Image

from sdnet_pl.server import limits, shield
from sdnet_pl.server.app import create_app
from sdnet_pl.server.jobs import BACKGROUNDS, Jobs
from sdnet_pl.server.service import Service, Settings
from tests.server.conftest import SIZE
from tests.videos import make_video

SETTINGS = Settings(device="cpu", size=SIZE, threads=2, queue=4, max_megapixels=0.1)
PLAIN = ("Transparent", "#ffffff", None)


@pytest.fixture(scope="module")
def page() -> Iterator[TestClient]:
    with TestClient(create_app(SETTINGS, page=True)) as client:
        yield client


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(SETTINGS)


@pytest.fixture
def jobs(service: Service, tmp_path: Path) -> Jobs:
    return Jobs(service, tmp_path)


@pytest.fixture
def file(tmp_path: Path, photo: bytes) -> str:
    path = tmp_path / "someone.png"
    path.write_bytes(photo)
    return str(path)


def upload(page: TestClient, photo: bytes) -> str:
    answer = page.post("/gradio_api/upload", files={"files": ("someone.png", photo, "image/png")})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def press(page: TestClient, data: list[Any], button: str = "Cut out") -> dict[str, Any]:
    """What a button answers: the first of that name."""
    config = page.get("/config").json()
    number = next(c["id"] for c in config["components"] if c["props"].get("value") == button)
    event = next(d["id"] for d in config["dependencies"] if [number, "click"] in d["targets"])
    asked = {"data": data, "fn_index": event, "session_hash": "visitor"}
    answer = page.post("/gradio_api/queue/join", json=asked)
    assert answer.status_code == 200, answer.text
    told = page.get("/gradio_api/queue/data", params={"session_hash": "visitor"}).text
    messages = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
    return next(message for message in messages if message["msg"] == "process_completed")


def as_file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "someone.png"}


def test_the_page_loads_nothing_from_elsewhere(page: TestClient):
    answer = page.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for start in ('src="http', "src='http", '<link rel="preconnect"', '<link rel="stylesheet" href="http', "url(http"):
        assert start not in answer.text
    assert "fonts.googleapis.com" not in page.get("/theme.css").text
    assert page.get("/docs").status_code == 200
    for path in ("/", "/config", "/gradio_api/info"):
        assert all(place not in page.get(path).text for place in ("site-packages", "/tmp/", "sdnet_pl-"))


def test_a_photo_is_cut_out_and_downloaded(page: TestClient, photo: bytes):
    done = press(page, [as_file(upload(page, photo)), *PLAIN])
    assert done["success"], done
    (before, after), download = done["output"]["data"]
    for shown in (before, after):
        assert Image.open(io.BytesIO(page.get(shown["url"]).content)).size == (SIZE, SIZE)
    assert download["value"]["orig_name"] == "someone_cutout.png"
    downloaded = Image.open(io.BytesIO(page.get(download["value"]["url"]).content))
    of_api = Image.open(io.BytesIO(page.post("/api/remove", content=photo).content))
    assert np.array_equal(np.asarray(downloaded), np.asarray(of_api))


@pytest.mark.parametrize(
    "path",
    [
        "proxy=http://example.org/",
        "file=http://example.org/",
        "file=http:/example.org/",
        "file=/etc/passwd",
        "file=../../../etc/passwd",
        "file=%2e%2e/%2e%2e/etc/passwd",
        "file/etc/passwd",
        "runs",
        "openapi.json",
        "vibe-code",
    ],
)
def test_what_the_page_does_not_need_is_not_there(page: TestClient, path: str):
    answer = page.get(f"/gradio_api/{path}")
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text
    assert page.get("/monitoring").status_code == 404
    for name in ("call/photo", "run/photo", "api/photo", "process_recording", "run-history/connect"):
        assert page.post(f"/gradio_api/{name}", json={"data": []}).status_code == 404


def test_files_of_one_visitor_cannot_be_guessed_by_another(page: TestClient, photo: bytes):
    path = Path(upload(page, photo))
    assert page.get(f"/gradio_api/file={path}").content == photo
    folder = path.parent.parent
    assert folder.parent.stat().st_mode & 0o077 == 0  # nor by other users of the machine
    guesses = [folder / hashlib.sha256(photo).hexdigest() / path.name, folder, path.parent, folder.parent]
    seeded = hashlib.sha256(get_hash_seed().encode() + photo).hexdigest()  # what an unchanged Gradio would take
    for guess in [*guesses, folder / seeded / path.name, *folder.parent.glob("made-*/*")]:
        assert page.get(f"/gradio_api/file={guess}").status_code == 403


@pytest.mark.parametrize("path", ["http://example.org/a.png", "https://example.org/a.png", "relative.png", ""])
def test_nothing_is_fetched_from_elsewhere(page: TestClient, path: str):
    asked = {"data": [as_file(path), *PLAIN], "fn_index": 0, "session_hash": "visitor"}
    assert page.post("/gradio_api/queue/join", json=asked).status_code == 400
    assert page.post("/gradio_api/queue/join", content=b"{").status_code == 400


def test_a_file_that_was_not_uploaded_is_not_read(page: TestClient):
    done = press(page, [as_file("/etc/passwd"), *PLAIN])
    assert not done["success"]
    assert "passwd" not in json.dumps(done)


def test_uploads_are_bounded(page: TestClient, monkeypatch: pytest.MonkeyPatch, photo: bytes):
    with monkeypatch.context() as patch:
        patch.setattr(shield, "MAX_VIDEO_BYTES", 100)
        assert page.post("/gradio_api/upload", files={"files": photo}).status_code == 413
    upload(page, photo)
    monkeypatch.setattr(limits, "MAX_DISK_BYTES", 100)
    answer = page.post("/gradio_api/upload", files={"files": photo})
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)


def test_results_are_bounded_too(jobs: Jobs, file: str, monkeypatch: pytest.MonkeyPatch):
    run(jobs.photo(file, *PLAIN))
    monkeypatch.setattr(limits, "MAX_DISK_BYTES", 100)
    with pytest.raises(gr.Error, match="disk space"):
        run(jobs.photo(file, *PLAIN))


def test_uploads_that_were_broken_off_are_deleted_when_they_are_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "uploads").mkdir()
    left = tmp_path / "uploads" / "tmp123"
    left.write_bytes(b"x")
    limits.make_room(tmp_path)
    assert left.exists()
    monkeypatch.setattr(limits, "KEPT_SECONDS", -1)
    limits.make_room(tmp_path)
    assert not left.exists()


def test_visitors_files_are_gone_when_the_server_ends(photo: bytes):
    with TestClient(create_app(SETTINGS, page=True)) as page:
        path = Path(upload(page, photo))
        assert path.exists()
    assert not path.parent.parent.parent.exists()


def run(job: Any) -> Any:
    return asyncio.run(job)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds(jobs: Jobs, file: str, kind: str):
    (_, shown), download = run(jobs.photo(file, kind, "rgba(255, 0, 0.4, 1)", file))
    made = Image.open(download["value"])
    assert made.mode == ("RGBA" if kind == "Transparent" else "RGB")
    assert shown.mode == "RGB"
    if kind == "Colour":
        assert made.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "There is no picture yet; choose one first."), (b"nonsense", "not a picture of a known format")],
)
def test_errors_are_sentences_without_paths(jobs: Jobs, tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "secret.png"
    path.write_bytes(content or b"")
    with pytest.raises(gr.Error) as told:
        run(jobs.photo(str(path) if content else None, *PLAIN))
    assert message in told.value.message
    assert "secret" not in told.value.message


def test_a_failure_of_the_server_is_logged_and_told_without_its_reason(
    jobs: Jobs, file: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(jobs, "_cut_out", lambda *_: 1 / 0)
    with pytest.raises(gr.Error, match="a reason that is the server's own"):
        run(jobs.photo(file, *PLAIN))
    assert "ZeroDivisionError" in caplog.text


def test_several_photos_become_a_gallery_and_a_zip(jobs: Jobs, file: str, tmp_path: Path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nonsense")
    shown, said, download = run(jobs.photos([file, str(bad), file], *PLAIN))
    assert [name for _, name in shown] == ["someone_cutout", "someone_cutout"]
    assert "**bad.png**" in said
    assert str(tmp_path) not in said
    with zipfile.ZipFile(download["value"]) as archive:
        assert archive.namelist() == ["someone_cutout.png", "someone_cutout_2.png"]
        assert Image.open(archive.open("someone_cutout.png")).mode == "RGBA"
    for photos, message in ((None, "no photos yet"), ([file] * 51, "50 are done at a time"), ([str(bad)], "None of")):
        with pytest.raises(gr.Error, match=message):
            run(jobs.photos(photos, *PLAIN))


def test_a_video_is_cut_out(jobs: Jobs, tmp_path: Path):
    video = str(make_video(tmp_path / "clip.mp4", frames=3))
    for kind, suffix in (("Transparent", ".webm"), ("Blurred", ".mp4")):
        shown, download = run(jobs.video(video, kind, "#ffffff", None))
        assert Path(shown).suffix == suffix
        assert download["value"] == shown


def test_videos_that_are_none_or_name_other_files_are_refused(jobs: Jobs, tmp_path: Path):
    playlist = tmp_path / "clip.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(gr.Error, match="none that is taken here"):
        run(jobs.video(str(playlist), *PLAIN))
    with pytest.raises(gr.Error, match="no video yet"):
        run(jobs.video(None, *PLAIN))
    broken = tmp_path / "secret.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises(gr.Error) as told:
        run(jobs.video(str(broken), *PLAIN))
    assert told.value.message.startswith("The video cannot be read as a video")
    assert "secret" not in told.value.message
    long = make_video(tmp_path / "long.mp4", frames=3, times=[0, 30_000, 30_000 * 90], sound=None)
    with pytest.raises(gr.Error, match="longer than 60 s"):
        run(jobs.video(str(long), *PLAIN))


def test_side_outputs_are_drawn(jobs: Jobs, file: str):
    drawn = run(jobs.sides(file))
    assert drawn.shape[1] > 4 * drawn.shape[0]


def test_side_outputs_drawn_at_the_same_time_are_those_drawn_alone(jobs: Jobs, file: str):
    async def several() -> list[np.ndarray]:
        return await asyncio.gather(*(jobs.sides(file) for _ in range(3)))

    settings = dict(matplotlib.rcParams)  # a copy would not settle the backend
    alone = run(jobs.sides(file))
    assert all(np.array_equal(drawn, alone) for drawn in run(several()))
    assert dict(matplotlib.rcParams) == settings
