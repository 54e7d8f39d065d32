"""The page in a headless Chromium, on a real server."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser import chromium
from tests.server.test_load import serving
from tests.videos import make_video

pytestmark = pytest.mark.slow

WAIT = 120_000
"""Milliseconds for anything to appear: a limit, not an expectation."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving("--size", "128") as server:
        yield server.address


@pytest.fixture(params=[("light", 1280, 900), ("dark", 390, 844)], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """The page on a screen; whatever it asks of another machine, or finds wrong, fails the test."""
    scheme, width, height = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    answers: list[tuple[int, str]] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: answers.append((answer.status, answer.url)))
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.get_by_role("button", name="Cut out", exact=True).first.wait_for()
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert [answer for answer in answers if answer[0] >= 400] == []
    assert errors == []


def test_a_photo_is_cut_out_with_another_background(page: Any, photo: bytes):
    page.get_by_role("button", name="Cut out", exact=True).first.click()
    page.get_by_text("There is no picture yet; choose one first.").wait_for()
    page.locator("input[type=file]").first.set_input_files(
        {"name": "someone.png", "mimeType": "image/png", "buffer": photo}
    )
    page.get_by_label("Picture").first.check()
    page.get_by_text("Background picture").wait_for()
    page.get_by_label("Blurred").first.check()
    page.get_by_text("Background picture").wait_for(state="hidden")
    page.get_by_role("button", name="Cut out", exact=True).first.click()
    page.get_by_role("button", name="Download PNG").and_(page.locator(":enabled")).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename == "someone_cutout.png"
    assert Image.open(download.value.path()).mode == "RGB"


def test_several_photos_become_a_zip(page: Any, photo: bytes):
    page.get_by_role("tab", name="Several photos").click()
    one, two = ({"name": f"{name}.png", "mimeType": "image/png", "buffer": photo} for name in ("one", "two"))
    page.locator("input[type=file][multiple]").set_input_files([one, two])
    page.get_by_role("button", name="Cut out all").click()
    page.get_by_role("button", name="Download all as ZIP").and_(page.locator(":enabled")).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all as ZIP").click()
    assert download.value.path().read_bytes()[:2] == b"PK"


def test_a_video_is_shown(page: Any, tmp_path: Path):
    page.get_by_role("tab", name="Video").click()
    page.locator("input[type=file][accept*=video]").set_input_files(make_video(tmp_path / "clip.mp4", frames=3))
    page.get_by_role("button", name="Cut out", exact=True).last.click()
    page.get_by_role("button", name="Download video").and_(page.locator(":enabled")).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download video").click()
    assert download.value.suggested_filename == "clip_cutout.webm"
    assert io.BytesIO(download.value.path().read_bytes()).read(4) == b"\x1a\x45\xdf\xa3"


def test_the_description_of_the_api_is_drawn_without_a_network(browser: Any, address: str):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs")
    page.get_by_text("Cut the people out of a photo").wait_for(timeout=WAIT)
    assert asked
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)
