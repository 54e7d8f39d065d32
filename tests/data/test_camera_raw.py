"""Camera raw files, as small imitations of the layouts that cameras and converters write."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sdnet_pl.data import formats
from sdnet_pl.data.camera_raw import tiff_directories
from sdnet_pl.data.image_io import PackedPicture, read_alpha, read_header, read_photo, read_rgb, read_rgba
from sdnet_pl.errors import InputError

SENSOR = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)
PREVIEW = np.full((8, 12, 3), 90, np.uint8)
DNG_VERSION = [(50706, "B", 4, (1, 4, 0, 0), True)]
READERS = [read_rgb, read_rgba, read_alpha, read_header, read_photo]


def preview_first(path: Path, photometric: str = "cfa", extra: list | None = None, **options) -> None:
    """As DNG, NEF, ARW, PEF and others: the first picture is a preview, what the sensor saw lies below it."""
    with tifffile.TiffWriter(path, **options) as tiff:
        tiff.write(PREVIEW, photometric="rgb", subifds=1, subfiletype=1, extratags=extra or [])
        seen = np.dstack([SENSOR] * 3) if photometric == "linear_raw" else SENSOR
        tiff.write(seen, photometric=photometric, subfiletype=0)


def refused(path: Path) -> None:
    for reader in READERS:
        with pytest.raises(
            InputError, match=rf"{path.name} is a camera raw file.*develop it, and save it as a JPEG or TIFF"
        ):
            reader(path)


@pytest.mark.parametrize("name", ["photo.dng", "photo.tif", "PHOTO.NEF", "photo.jpg", "photo"])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_a_raw_file_is_told_by_what_it_holds(tmp_path, name, options):
    preview_first(tmp_path / name, **options)
    refused(tmp_path / name)
    preview_first(tmp_path / name, "linear_raw", **options)
    refused(tmp_path / name)


def test_a_dng_is_told_by_its_version(tmp_path):
    preview_first(tmp_path / "scan.tif", "minisblack", DNG_VERSION)
    refused(tmp_path / "scan.tif")


def test_a_raw_file_of_one_picture_is_told(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", SENSOR, photometric="cfa")
    refused(tmp_path / "photo.tif")


def test_a_raw_file_in_memory_is_told(tmp_path):
    preview_first(tmp_path / "photo.dng")
    with pytest.raises(InputError, match="stdin is a camera raw file"):
        read_rgb(PackedPicture((tmp_path / "photo.dng").read_bytes(), "stdin"))


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"IIU\0\x18\0\0\0",
        b"\0MRM\0\0\0\0",
        b"FOVb\0\0\2\0",
        b"II\x1a\0\0\0HEAPCCDR",
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"II*\0\x08\0\0\0IIII",
    ],
)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.raf"])
def test_raw_files_of_other_layouts_are_told(tmp_path, head, name):
    (tmp_path / name).write_bytes(head + bytes(200))
    refused(tmp_path / name)


@pytest.mark.parametrize(
    "suffix", [".nef", ".DNG", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".iiq"]
)
def test_a_name_is_enough_where_the_content_says_nothing(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(b"nothing known" * 20)
    refused(path)
    tifffile.imwrite(path, PREVIEW, photometric="rgb")  # as old cameras wrote them
    refused(path)


def test_a_finished_picture_under_the_name_of_a_raw_file_is_read(tmp_path):
    Image.fromarray(PREVIEW).save(tmp_path / "photo.dng", format="JPEG")
    assert read_rgb(tmp_path / "photo.dng").shape == PREVIEW.shape


def test_a_tiff_whose_first_picture_is_a_preview_gives_the_full_one(tmp_path):
    full = np.full((64, 96, 3), 200, np.uint8)
    with tifffile.TiffWriter(tmp_path / "scan.tif") as tiff:
        tiff.write(PREVIEW, photometric="rgb", subfiletype=1)
        tiff.write(np.zeros((64, 96), bool), photometric="minisblack", subfiletype=4)
        tiff.write(full, photometric="rgb", subfiletype=0)
    np.testing.assert_array_equal(read_rgb(tmp_path / "scan.tif"), full)
    assert read_header(tmp_path / "scan.tif")[:2] == (64, 96)
    packed = PackedPicture((tmp_path / "scan.tif").read_bytes(), "scan")
    np.testing.assert_array_equal(read_rgb(packed), full)


def test_a_preview_of_what_is_not_read_is_not_taken_for_it(tmp_path):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as tiff:
        tiff.write(PREVIEW, photometric="rgb", subfiletype=1)
        tiff.write(np.zeros((64, 96, 3), np.float32), photometric="rgb", subfiletype=0)
    with pytest.raises(InputError, match=r"scan\.tif cannot be read as a picture"):
        read_rgb(tmp_path / "scan.tif")


def test_a_tiff_of_several_pages_gives_its_first(tmp_path):
    first = Image.fromarray(np.full((8, 8, 3), 10, np.uint8))
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert (read_rgb(tmp_path / "pages.tif") == 10).all()


def test_a_damaged_directory_ends_the_reading(tmp_path):
    # A directory that names itself as its next, one beyond the end, and one that holds less than it says.
    for directory in (struct.pack("<HL", 0, 8), struct.pack("<HL", 0, 9999), struct.pack("<H", 9000) + bytes(30)):
        (tmp_path / "odd.tif").write_bytes(b"II*\0" + struct.pack("<L", 8) + directory + bytes(8))
        with open(tmp_path / "odd.tif", "rb") as stream:
            assert len(tiff_directories(stream)) <= 2
        with pytest.raises(InputError, match=r"odd\.tif"):
            read_rgb(tmp_path / "odd.tif")


# Other files that are not read


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_tiff_in_floating_point_is_called_so(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "hdr.tif", np.zeros((8, 8, 3), dtype), photometric="rgb")
    for reader in READERS:
        with pytest.raises(
            InputError, match=r"hdr\.tif holds floating-point values, whose white is unknown; save it as"
        ):
            reader(tmp_path / "hdr.tif")


def test_a_tiff_in_a_form_that_is_not_read_says_which(tmp_path):
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((8, 8, 3), np.uint32), photometric="rgb")
    with pytest.raises(
        InputError, match=r"deep\.tif is a TIFF with 3 channel\(s\) of 32 bits in a form that is not read"
    ):
        read_rgb(tmp_path / "deep.tif")


@pytest.mark.parametrize("head", [b"v/1\1\2\0\0\0", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n"])
def test_other_files_in_floating_point_are_called_so(tmp_path, head):
    (tmp_path / "light.hdr").write_bytes(head + bytes(100))
    with pytest.raises(InputError, match=r"light\.hdr holds floating-point values"):
        read_rgb(tmp_path / "light.hdr")


@pytest.mark.parametrize(
    ("head", "kind", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", "pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC", "pillow-heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "pillow-jxl-plugin"),
        (b"\xff\x0a\xfa\x7f\1", "JPEG XL", "pillow-jxl-plugin"),
    ],
)
def test_what_takes_another_package_says_which(tmp_path, head, kind, package):
    if formats.register_plugins():
        pytest.skip("the packages are installed")
    (tmp_path / "photo.jpg").write_bytes(head + bytes(100))
    with pytest.raises(
        InputError, match=rf"photo\.jpg is a {kind} picture, and {package} is not installed; install it"
    ):
        read_rgb(tmp_path / "photo.jpg")


@pytest.mark.parametrize(("module", "suffix"), [("pillow_heif", ".heic"), ("pillow_jxl", ".jxl")])
def test_the_packages_are_used_where_they_are_installed(tmp_path, module, suffix):
    pytest.importorskip(module)
    formats.register_plugins()
    y, x = np.mgrid[:48, :64]
    pixels = np.stack([x * 4, y * 5, 255 - x], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"photo{suffix}", quality=95)
    assert suffix in formats.picture_suffixes()
    assert np.abs(read_rgb(tmp_path / f"photo{suffix}").astype(int) - pixels).mean() < 4
