"""The page in a headless Chromium, as people use it; `make web` builds what is served."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import sdnet_pl
from sdnet_pl.data.foreground_colors import cut_out
from sdnet_pl.inference.rendering import to_levels
from tests.browser import chromium, served
from tests.web.street import ROOT, street_photo

LIMIT = 180_000  # ms; a page that hangs must not hang the tests
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    subprocess.run(["make", "web/dist"], cwd=ROOT, check=True)
    with served(ROOT / "web/dist") as url:
        yield url


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fake camera films: the photo, as Motion JPEG."""
    file = tmp_path_factory.mktemp("camera") / "person.mjpeg"
    stream = io.BytesIO()
    street_photo(4).crop((0, 0, 480, 640)).save(stream, "JPEG", quality=95)
    file.write_bytes(2 * stream.getvalue())
    return file


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[Any]:
    options = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        "--enable-precise-memory-info",
        "--js-flags=--expose-gc",
    ]
    with chromium(*options) as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page with its network loaded, what it asked servers for, and its errors."""
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    context.set_default_timeout(LIMIT)
    asked: list[str] = []
    errors: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/index.html")
    says(page, "Ready.")
    yield page, asked, errors
    context.close()


@pytest.fixture
def page(opened: tuple[Any, list[str], list[str]], address: str) -> Iterator[Any]:
    """The page; after each test nothing was asked of any other origin, and nothing failed."""
    page, asked, errors = opened
    page.get_by_role("radio", name="Transparent").check()
    yield page
    assert any(url.endswith("sdnet-fast.onnx") for url in asked)  # the worker's requests are seen too
    assert [url for url in asked if not url.startswith((f"{address}/", f"blob:{address}/", "data:"))] == []
    assert errors == []


def says(page: Any, text: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_role("status")).to_have_text(text, timeout=LIMIT)


def as_png(photo: Image.Image) -> dict[str, Any]:
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    return {"name": "street.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def downloaded(page: Any) -> NDArray[np.uint8]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename.endswith("_cutout.png")
    with Image.open(download.value.path()) as picture:
        return np.array(picture)


def on_canvas(page: Any, name: str) -> NDArray[np.uint8]:
    """The pixels of a canvas, RGBA, as far as a canvas keeps them."""
    numbers, width = page.evaluate(
        """(id) => { const { width, height } = document.getElementById(id);
            const context = document.getElementById(id).getContext("2d");
            return [Array.from(context.getImageData(0, 0, width, height).data), width]; }""",
        name,
    )
    return np.array(numbers, np.uint8).reshape(-1, width, 4)


@pytest.mark.parametrize("scale", [5, 1.5])  # larger than the network sees it, and smaller
def test_a_cut_out_is_the_one_of_python(page: Any, scale: float):
    photo = street_photo(scale)
    page.get_by_label("Photo", exact=True).set_input_files(as_png(photo))
    says(page, re.compile(rf"^Done: {photo.width} × {photo.height} pixels"))
    found = downloaded(page)
    image = np.array(photo)
    expected = cut_out(image, sdnet_pl.new_session(backend="onnx").alpha(image))
    alphas = cv2.absdiff(found[..., 3], expected[..., 3])
    assert alphas.mean() < 1  # of 255 levels; it is below 0.01, and other sums in other orders
    assert alphas.max() <= 8
    seen = (found[..., 3] > 0) & (expected[..., 3] > 0)
    assert cv2.absdiff(found, expected)[seen].mean() < 0.1
    assert (found[found[..., 3] == 0] > 0).any()  # edges keep their colours under an alpha of 0


def test_a_small_person_is_found_as_in_python(page: Any):
    photo = Image.fromarray(np.array(street_photo(1))).convert("RGB")
    wide = photo.resize((900, 700), Image.Resampling.BICUBIC, box=(0, 0, 30, 60))
    wide.paste(photo, (400, 400))
    image = np.array(wide)
    expected = to_levels(sdnet_pl.new_session(backend="onnx").alpha(image))
    assert 0.001 < (expected > 127).mean() < 0.16
    page.get_by_label("Photo", exact=True).set_input_files(as_png(wide))
    says(page, re.compile("^Done"))
    assert cv2.absdiff(downloaded(page)[..., 3], expected).mean() < 1


def test_backgrounds_are_put_behind_the_person(page: Any):
    photo = street_photo(3)
    page.get_by_label("Photo", exact=True).set_input_files(as_png(photo))
    says(page, re.compile("^Done"))
    page.get_by_role("radio", name="Blurred").check()
    blurred = downloaded(page)
    assert blurred.shape[:2] == (photo.height, photo.width)
    assert (blurred[..., 3] == 255).all()
    image = np.array(photo)
    expected = sdnet_pl.remove(image, background="blur", session=sdnet_pl.new_session(backend="onnx"))
    # Three means stand in for a Gaussian, and a browser enlarges the blur in its own way.
    assert cv2.absdiff(blurred[..., :3], expected).mean() < 3
    page.get_by_role("radio", name="Colour").check()
    page.get_by_label("Background colour").fill("#102030")
    assert downloaded(page)[5, 5].tolist() == [16, 32, 48, 255]
    page.get_by_role("radio", name="Picture").check()
    page.get_by_label("Background picture").set_input_files(as_png(Image.new("RGB", (40, 30), (9, 99, 199))))
    says(page, "The background is in place.")
    assert on_canvas(page, "after")[5, 5].tolist() == [9, 99, 199, 255]


def test_a_dropped_and_a_pasted_picture_are_opened(page: Any):
    for kind in ("drop", "paste"):
        page.evaluate(
            """async ([kind, numbers]) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(numbers)], `${kind}.png`, { type: "image/png" }));
                const event = kind === "drop"
                    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
                document.body.dispatchEvent(event); }""",
            [kind, list(as_png(Image.new("RGB", (64, 48 + len(kind)), "grey"))["buffer"])],
        )
        says(page, "Nobody found in this picture.")
        assert on_canvas(page, "before").shape[0] == 48 + len(kind)


def test_what_is_no_picture_is_refused_in_words(page: Any):
    broken = {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Photo", exact=True).set_input_files(broken)
    says(page, re.compile("^This file is not a picture"))


def test_the_camera_shows_people_cut_out_and_takes_a_photo(page: Any):
    from playwright.sync_api import expect

    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#rate")).to_have_text(re.compile(r"^[\d.]+ frames/s$"), timeout=LIMIT)
    frame = on_canvas(page, "after")
    assert 0.05 < (frame[..., 3] > 250).mean() < 0.8
    assert (frame[..., 3] == 0).mean() > 0.2
    page.get_by_role("button", name="Take a photo").click()
    says(page, re.compile(rf"^Done: {frame.shape[1]} × {frame.shape[0]} pixels"))
    photo = on_canvas(page, "before")[..., :3]
    expected = to_levels(sdnet_pl.new_session(backend="onnx").alpha(np.ascontiguousarray(photo)))
    assert cv2.absdiff(downloaded(page)[..., 3], expected).mean() < 1
    page.get_by_role("button", name="Use the camera").click()
    says(page, "The camera is on.")
    page.get_by_role("button", name="Stop the camera").click()
    says(page, "Ready.")


@pytest.mark.parametrize("missing", ["sdnet-fast.onnx", "matting.js"])
def test_a_network_that_does_not_load_is_told_and_leaves_no_camera_on(browser: Any, address: str, missing: str):
    context = browser.new_context()
    context.route(f"**/{missing}", lambda route: route.fulfill(status=404))
    page = context.new_page()
    page.add_init_script(
        """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));"""
    )
    page.goto(f"{address}/index.html")
    says(page, re.compile("^The network could not be loaded"))
    page.get_by_role("button", name="Use the camera").click()
    says(page, re.compile("^That did not work"))
    assert page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
    context.close()


def test_all_can_be_done_with_the_keyboard(page: Any):
    def walk_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            label = page.evaluate("document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText")
            aria = page.evaluate("document.activeElement.getAttribute('aria-label')")
            if name in (label.strip(), aria):
                return
        pytest.fail(f"{name} cannot be reached with Tab")

    page.evaluate("document.activeElement.blur()")
    walk_to("Choose a photo")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(as_png(street_photo(2)))
    says(page, re.compile("^Done"))
    walk_to("Part of the original that is shown, in per cent from the left")
    page.keyboard.press("Home")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert "30%" in page.evaluate("getComputedStyle(document.getElementById('after')).clipPath")
    page.get_by_role("radio", name="Transparent").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Blurred").is_checked()
    walk_to("Download PNG")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_nothing_is_wider_than_a_phone(page: Any):
    page.set_viewport_size({"width": 360, "height": 640})
    page.get_by_label("Photo", exact=True).set_input_files(as_png(street_photo(5)))
    says(page, re.compile("^Done"))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.set_viewport_size({"width": 1000, "height": 800})


def test_memory_does_not_grow_over_200_runs(browser: Any, address: str):
    """Pictures of four sizes: what the network's memory has become after each was seen twice is what it stays."""
    context = browser.new_context(bypass_csp=True)
    context.add_init_script(
        """const Memory = WebAssembly.Memory;
        globalThis.memories = [];
        WebAssembly.Memory = function (...options) {
            const memory = new Memory(...options);
            memories.push(memory);
            return memory;
        };
        WebAssembly.Memory.prototype = Memory.prototype;"""
    )
    page = context.new_page()
    page.set_default_timeout(LIMIT)
    page.goto(f"{address}/style.css")  # a page that loads no network itself
    cut = """async (count) => {
        globalThis.matting ??= await (await import("/matting.js")).Matting.load();
        for (let i = 0; i < count; i++) await matting.cutout(new ImageData(64 + 32 * (i % 4), 96));
        for (let i = 0; i < 5; i++) {
            gc();
            await new Promise((resolve) => setTimeout(resolve));  // what is freed between tasks
        }
        return [memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0), performance.memory.usedJSHeapSize];
    }"""
    network, heap = page.evaluate(cut, 8)
    network_later, heap_later = page.evaluate(cut, 200)
    context.close()
    assert network > 1e6
    assert network_later == network
    # 200 pictures of 49 kB each would be 10 MB; what the engine itself keeps goes up and down by 2.
    assert heap_later < heap + 5e6


def test_memory_does_not_grow_over_200_frames_of_the_camera(browser: Any, address: str):
    context = browser.new_context(bypass_csp=True)
    context.set_default_timeout(LIMIT)
    context.add_init_script(
        """const post = Worker.prototype.postMessage;
        globalThis.frames_asked = 0;
        Worker.prototype.postMessage = function (message, ...others) {
            frames_asked += message.task === "frame";
            return post.call(this, message, ...others);
        };"""
    )
    page = context.new_page()
    page.goto(f"{address}/index.html")
    says(page, "Ready.")
    page.get_by_role("radio", name="Blurred").check()
    page.get_by_role("button", name="Use the camera").click()
    used = []
    for count in range(50, 251, 50):
        page.wait_for_function(f"frames_asked >= {count}")
        page.evaluate("gc()")
        used.append(resident(browser))
    context.close()
    assert used[-1] < used[0] + 60e6  # 200 frames of 480x640 pixels would be 246 MB; what is not collected yet is 20


def resident(browser: Any) -> int:
    """Bytes of memory that the processes of pages hold."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    files = [Path(f"/proc/{process['id']}/status") for process in processes if process["type"] == "renderer"]
    return sum(1024 * int(file.read_text().split("VmRSS:")[1].split()[0]) for file in files if file.exists())
