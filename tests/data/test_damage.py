"""Files in which zeros replace what was written, as a power cut or a full disk leaves them."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.check import check_pictures
from sdnet_pl.data.image_io import PackedPicture, read_alpha, read_header, read_photo, read_rgb, read_rgba
from sdnet_pl.data.sources.base import PictureFile
from sdnet_pl.errors import InputError

FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {},
    "WEBP lossless": {"lossless": True},
    "AVIF": {},
    "JPEG": {},
    "JPEG optimized": {"optimize": True},
    "JPEG progressive": {"progressive": True},
    "JPEG2000": {},
    "GIF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "TIFF deflate": {"compression": "tiff_adobe_deflate"},
}


def scene(height: int = 160, width: int = 240) -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth.astype(int) + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)


def encoded(name: str, pixels: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, name.split()[0], **{**FORMATS.get(name, {}), **options})
    return stream.getvalue()


def zeros_from(data: bytes, share: float) -> bytes:
    whole = round(share * len(data))
    return data[:whole] + bytes(len(data) - whole)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("name", FORMATS)
def test_zeros_at_the_end_are_damage(tmp_path: Path, name: str, share: float):
    path = tmp_path / "photo.img"
    path.write_bytes(zeros_from(encoded(name, scene()), share))
    for reader in (read_rgb, read_photo, read_alpha):
        with pytest.raises(InputError, match=r"photo\.img .*; (restore it from its source|save it as grey)"):
            reader(path)
    with pytest.raises(InputError, match=r"image of 'a' in shards .*; (restore it from its source|save it as grey)"):
        read_rgb(PackedPicture(path.read_bytes(), "image of 'a' in shards"))


def test_a_jpeg_full_of_pixels_before_its_zeros_end_is_damage():
    """With tables made for a smooth picture, zeros stand for many pixels."""
    y, x = np.mgrid[:160, :240]
    data = encoded("JPEG optimized", np.stack([x, y, x], axis=-1).astype(np.uint8))
    with pytest.raises(InputError, match="damaged: it ends in zeros"):
        read_rgb(PackedPicture(zeros_from(data, 0.7), "photo"))


@pytest.mark.parametrize("name", ["PNG", "WEBP", "WEBP lossless", "AVIF"])
def test_cutouts_are_looked_at_too(tmp_path: Path, name: str):
    path = tmp_path / "cutout.img"
    path.write_bytes(zeros_from(encoded(name, np.dstack([scene(), scene()[..., 0]])), 0.9))
    with pytest.raises(InputError, match=r"cutout\.img cannot be read as a picture .*; restore it"):
        read_rgba(path)
    (reason,) = check_pictures([PictureFile(path, "cutout", str(tmp_path))], progress=False).unusable
    assert "cutout.img" in reason


@pytest.mark.parametrize("name", ["PNG", "WEBP", "WEBP lossless", "AVIF", "JPEG", "JPEG progressive", "JPEG2000"])
@pytest.mark.parametrize("place", [0.4, 0.7])
def test_a_lost_block_is_damage(tmp_path: Path, name: str, place: float):
    path = tmp_path / "photo.img"
    data = encoded(name, scene(320, 480), **({} if "lossless" in name or name == "PNG" else {"quality": 95}))
    start = round(place * len(data)) // 4096 * 4096
    assert start
    path.write_bytes(data[:start] + bytes(4096) + data[start + 4096 :])
    with pytest.raises(InputError, match=r"photo\.img cannot be read as a picture .*; restore it"):
        read_rgb(path)


def test_any_flipped_bit_of_the_pixels_of_a_png_is_damage(tmp_path: Path):
    # Stored without compression, where a decoder has nothing to stumble on.
    rows = b"".join(b"\0" + row.tobytes() for row in scene(16, 24))
    data = bytearray(encoded("PNG", scene(16, 24)))
    start, end = data.index(b"IDAT"), data.index(b"IEND") - 4
    pixels = b"IDAT" + zlib.compress(rows, 0)
    data[start - 4 : end] = (len(pixels) - 4).to_bytes(4) + pixels + zlib.crc32(pixels).to_bytes(4)
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), scene(16, 24))
    data[start + 100] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="its checksum does not fit its pixels"):
        read_rgb(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png")[:2] == (16, 24)


def with_plain_rest(rows: int, value: int) -> Callable[[], np.ndarray]:
    def picture() -> np.ndarray:
        pixels = scene(384, 640)
        pixels[rows:] = value
        return pixels

    return picture


@pytest.mark.parametrize("picture", [with_plain_rest(0, 0), with_plain_rest(24, 0), with_plain_rest(130, 255)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"quality": 100}),
        ("WEBP", {"lossless": True, "method": 0, "quality": 0}),
        ("AVIF", {"quality": 100, "speed": 10}),
        ("JPEG", {"optimize": True}),
        ("JPEG", {"progressive": True}),
        ("JPEG2000", {}),
        ("BMP", {}),
        ("TIFF", {}),
    ],
)
def test_pictures_of_one_colour_are_whole(picture: Callable[[], np.ndarray], name: str, options: dict[str, Any]):
    pixels = picture()
    for form in (pixels, np.dstack([pixels, pixels[..., 0]])):
        if name != "JPEG" or form.shape[2] == 3:
            read = read_rgb(PackedPicture(encoded(name, form, **options), "photo"))
            assert read.shape == pixels.shape


def test_zeros_behind_a_whole_picture_are_none_of_its_damage(tmp_path: Path):
    """Some cameras fill up the last block of a JPEG; a block of EXIF may end in zeros."""
    (tmp_path / "padded.jpg").write_bytes(encoded("JPEG", scene()) + bytes(700))
    assert read_rgb(tmp_path / "padded.jpg").shape == (160, 240, 3)
    data = encoded("WEBP", scene(), exif=b"Exif\0\0MM\0*" + (8).to_bytes(4) + bytes(600))
    assert data.endswith(bytes(500))
    (tmp_path / "late.webp").write_bytes(data)
    assert read_rgb(tmp_path / "late.webp").shape == (160, 240, 3)
