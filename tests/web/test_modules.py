"""The modules of the page, run by Node, give what the package gives in Python."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.foreground_colors import cut_out
from sdnet_pl.inference.closer import find_small
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.rendering import to_levels

WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node here")

Levels = NDArray[np.uint8]


def run(script: str, *inputs: Levels) -> bytes:
    """What a script leaves in ``result``, an array of bytes; ``inputs`` holds the arrays, flat."""
    code = f"""
        import fs from "node:fs";
        const bytes = new Uint8ClampedArray(fs.readFileSync(0));
        let at = 0;
        const inputs = {json.dumps([array.size for array in inputs])}.map((size) => bytes.slice(at, (at += size)));
        let result;
        {script}
        fs.writeFileSync(1, result);
    """
    sent = b"".join(array.tobytes() for array in inputs)
    done = subprocess.run([str(NODE), "--input-type=module", "-e", code], cwd=WEB, input=sent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def picture(height: int, width: int) -> Levels:
    rng = np.random.default_rng(height)
    noise = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 4), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def soft_alpha(height: int, width: int) -> Levels:
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 2), (width // 4, height // 3), 20, 0, 360, 255, -1)
    return np.asarray(cv2.blur(alpha, (9, 9)), np.uint8)


@pytest.mark.parametrize(("size", "to"), [((90, 120), (45, 60)), ((301, 200), (77, 51)), ((40, 70), (40, 70))])
def test_pictures_are_scaled_down_as_by_opencv(size: tuple[int, int], to: tuple[int, int]):
    image = picture(*size)
    (height, width), (rows, columns) = size, to
    box = f"{{top: 0, left: 0, bottom: {height}, right: {width}}}"
    script = f"""const {{ area }} = await import("./resize.js");
        result = area(inputs[0], {width}, {box}, {columns}, {rows});"""
    found = np.frombuffer(run(script, image), np.uint8).reshape(rows, columns, 4)
    expected = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    # A mean that falls between two levels may be rounded either way.
    difference = cv2.absdiff(found, np.asarray(expected, np.uint8))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.13  # OpenCV rounds halves up where it halves a side


def test_alphas_are_stretched_as_by_opencv():
    alpha = picture(31, 47)[..., 0]
    script = """const { stretch } = await import("./resize.js");
        const data = Float32Array.from(inputs[0], (level) => level / 255);
        result = stretch({ data, width: 47, height: 31 }, 200, 120);"""
    found = np.frombuffer(run(script, alpha), np.uint8).reshape(120, 200)
    expected = to_levels(np.asarray(cv2.resize(alpha / np.float32(255), (200, 120)), np.float32))
    assert cv2.absdiff(found, expected).max() <= 1


@pytest.mark.parametrize("size", [(150, 90), (60, 5), (1200, 700)])  # the last is larger than the blurs
def test_cut_outs_have_the_same_colours(size: tuple[int, int]):
    height, width = size
    image, alpha = picture(*size), soft_alpha(*size)
    script = f"""const {{ cutOut }} = await import("./foreground.js");
        result = cutOut(inputs[0], inputs[1], {width}, {height});"""
    found = np.frombuffer(run(script, image, alpha), np.uint8).reshape(height, width, 4)
    expected = cut_out(np.ascontiguousarray(image[..., :3]), alpha)
    assert np.array_equal(found[..., 3], expected[..., 3])
    # OpenCV's warp rounds places to 1/32 of a pixel where the photo is larger than the blurs.
    assert cv2.absdiff(found, expected).max() <= (3 if max(size) > 1024 else 1)


def test_a_png_holds_the_pixels_as_they_are():
    image = picture(130, 33)
    image[:40, :, 3] = 0
    script = """const { encodePng } = await import("./png.js");
        result = new Uint8Array(await (await encodePng(inputs[0], 33, 130)).arrayBuffer());"""
    with Image.open(io.BytesIO(run(script, image))) as opened:
        assert opened.mode == "RGBA"
        assert np.array_equal(np.asarray(opened), image)


def test_small_people_are_found_as_in_python():
    """A network that takes red for people sees two blobs, one of which comes up at twice the scale."""
    size, (height, width) = 64, (150, 200)
    photo = np.zeros((height, width, 4), np.uint8)
    cv2.ellipse(photo, (60, 70), (9, 20), 0, 0, 360, (255, 0, 0, 255), -1, cv2.LINE_AA)
    cv2.circle(photo, (150, 40), 3, (200, 0, 0, 255), -1, cv2.LINE_AA)
    predictor = MattePredictor(lambda pictures: pictures[:, :1], size)
    image = np.ascontiguousarray(photo[..., :3])
    alpha = find_small(image, predictor.look(image, size), size, predictor.look)
    assert alpha is not None
    script = f"""const [{{ area, fit }}, {{ findSmall }}] = [await import("./resize.js"), await import("./closer.js")];
        const look = async (box, size) => {{
            const [width, height] = fit(box.right - box.left, box.bottom - box.top, size);
            const pixels = area(inputs[0], {width}, box, width, height);
            const data = Float32Array.from({{ length: width * height }}, (_, i) => pixels[4 * i] / 255);
            return {{ data, width, height }};
        }};
        const whole = await look({{ top: 0, left: 0, bottom: {height}, right: {width} }}, {size});
        result = await findSmall({width}, {height}, whole, {size}, look);"""
    found = np.frombuffer(run(script, photo), np.uint8).reshape(height, width)
    assert found[70, 60] == 255
    assert cv2.absdiff(found, to_levels(alpha)).max() <= 2
