"""TIFFs in forms that Pillow does not write, against the values that were stored."""

import struct
from pathlib import Path

import numpy as np
import pytest

from sdnet_pl.data.image_io import read_alpha, read_rgb, read_rgba

MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2


def write_tiff(path: Path, planes: np.ndarray, photometric: int, order: str, planar: bool, rows: int = 5) -> None:
    """Planes ``[C, H, W]`` without compression, in strips of a few rows (TIFF 6.0)."""
    channels, height, width = planes.shape
    stored = planes.astype(f"{order}{planes.dtype.str[1:]}")
    parts = stored if planar else stored.transpose(1, 2, 0)[None]
    strips = [part[top : top + rows].tobytes() for part in parts for top in range(0, height, rows)]
    starts = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    data = b"".join(strips)
    short, long = "H", "L"
    tags = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [8 * planes.itemsize] * channels),
        (259, short, [1]),
        (262, short, [photometric]),
        (273, long, starts),
        (277, short, [channels]),
        (278, long, [rows]),
        (279, long, [len(strip) for strip in strips]),
        (284, short, [2 if planar else 1]),
        *([(338, short, [2])] if channels == 4 else []),
    ]
    directory, behind = struct.pack(f"{order}H", len(tags)), b""
    place = 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, kind, values in tags:
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(content) > 4:
            content, behind = struct.pack(f"{order}L", place + len(behind)), behind + content
        directory += struct.pack(f"{order}HHL", tag, 3 if kind == short else 4, len(values)) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8 + len(data))
    path.write_bytes(head + data + directory + bytes(4) + behind)


def noise(channels: int, dtype: type[np.unsignedinteger]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (channels, 12, 18), dtype, endpoint=True)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [MIN_IS_WHITE, MIN_IS_BLACK])
def test_grey_is_white_where_the_file_says_so(
    tmp_path: Path, dtype: type[np.unsignedinteger], order: str, planar: bool, photometric: int
):
    stored = noise(1, dtype)
    write_tiff(tmp_path / "grey.tif", stored, photometric, order, planar)
    levels = stored[0] / np.iinfo(dtype).max * 255
    expected = 255 - levels if photometric == MIN_IS_WHITE else levels
    assert np.abs(read_alpha(tmp_path / "grey.tif") - expected).max() < 0.51
    assert np.abs(read_rgb(tmp_path / "grey.tif") - expected[..., None]).max() < 0.51


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_planes_of_colours_are_read(
    tmp_path: Path, dtype: type[np.unsignedinteger], order: str, planar: bool, channels: int
):
    stored = noise(channels, dtype)
    write_tiff(tmp_path / "color.tif", stored, RGB, order, planar)
    expected = stored.transpose(1, 2, 0) / np.iinfo(dtype).max * 255
    if channels == 3:
        assert np.abs(read_rgb(tmp_path / "color.tif") - expected).max() < 1
    else:
        assert np.abs(np.dstack(read_rgba(tmp_path / "color.tif")) - expected).max() < 1
