"""PNG files hold what was given, stay small, and tell their notes without being decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data import png
from sdnet_pl.data.image_io import read_rgb, write_png
from sdnet_pl.data.png import encode, read_texts, text_chunks


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 7, 3), (300, 40, 4), (64, 64), (2, 20000, 4)])
@pytest.mark.parametrize("small", [False, True])
def test_pixels_come_back(shape, small, monkeypatch):
    monkeypatch.setattr(png, "_BYTES", 4000)  # several bands, of which the first row refers to the one before
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    encode(stream, pixels, small=small)
    with Image.open(stream) as picture:
        assert picture.mode == {2: "L", 3: "RGB", 4: "RGBA"}[len(shape) if len(shape) == 2 else shape[2]]
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_an_array_of_another_order_is_written(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 30), dtype=np.uint8).transpose(1, 2, 0)[::-1]
    write_png(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), pixels)


def test_every_chunk_is_as_the_standard_says():
    stream = io.BytesIO()
    encode(stream, np.zeros((9, 9), np.uint8), [(b"sRGB", b"\0"), *text_chunks({"Software": "x", "Author": "Łukasz"})])
    data, kinds = stream.getvalue()[8:], []
    while data:
        length, kind = struct.unpack(">L4s", data[:8])
        assert struct.unpack(">L", data[8 + length : 12 + length])[0] == zlib.crc32(data[4 : 8 + length])
        kinds.append(kind)
        data = data[12 + length :]
    assert list(dict.fromkeys(kinds)) == [b"IHDR", b"sRGB", b"tEXt", b"iTXt", b"IDAT", b"IEND"]
    with Image.open(stream) as picture:
        assert (picture.info["Software"], picture.info["Author"]) == ("x", "Łukasz")


def test_a_cutout_is_as_small_as_pillow_makes_it_and_a_drawing_too():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:500, :600].astype(np.float32)
    alpha = np.clip(4 * (180 - np.hypot(y - 250, x - 300)), 0, 255).astype(np.uint8)
    photo = np.dstack([x / 3, y / 3, 90 + 40 * np.sin(x / 40)]) + rng.normal(0, 2, (500, 600, 3))  # a camera's noise
    cutout = np.dstack([np.where(alpha[..., None] > 0, photo, 0).astype(np.uint8), alpha])
    drawing = np.full((500, 600, 3), 255, np.uint8)
    drawing[::50, :, 1:] = drawing[:, ::40, :2] = 60

    def sizes(pixels, small):
        own, others = io.BytesIO(), io.BytesIO()
        encode(own, pixels, small=small)
        Image.fromarray(pixels).save(others, "PNG")
        return len(own.getvalue()) / len(others.getvalue())

    # Measured 1.17, and 1.1 on a photo, whose noise differs less from pixel to pixel; zlib's fastest level gives 1.23.
    assert sizes(cutout, False) < 1.2
    assert sizes(drawing, True) < 1.5  # of a few kB


def test_notes_are_read_from_the_front(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((3, 3), np.uint8), texts={"Software": "sdnet_pl", "more": "a b"})
    assert read_texts(tmp_path / "a.png") == {"Software": "sdnet_pl", "more": "a b"}
    (tmp_path / "short.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    (tmp_path / "text.png").write_text("no picture")
    assert read_texts(tmp_path / "short.png") == read_texts(tmp_path / "text.png") == {}
