import hashlib
import stat
import struct
import warnings
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from sdnet_pl.data import image_io
from sdnet_pl.data.formats import MAX_MEGAPIXELS, picture_suffixes
from sdnet_pl.data.image_io import (
    PackedPicture,
    atomic_write,
    list_pictures,
    read_alpha,
    read_header,
    read_rgb,
    read_rgba,
    require_single_channel,
    sha256,
    write_jpeg,
    write_png,
)
from sdnet_pl.errors import InputError

HEIGHT, WIDTH = 24, 40


@pytest.fixture
def rgb():
    """A smooth picture that no flip or turn maps to itself."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 6, y * 10, 255 - x * 3 - y], axis=-1).astype(np.uint8)


@pytest.fixture
def alpha():
    return np.linspace(0, 255, WIDTH).round().astype(np.uint8)[None].repeat(HEIGHT, axis=0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def over_white(color, alpha):
    weight = alpha[..., None] / 255
    return color * weight + 255 * (1 - weight)


# Colours


# Those that Pillow writes in all colours.
WRITTEN = {".pjpeg": "JPEG"} | {
    suffix: Image.EXTENSION[suffix]
    for suffix in sorted(picture_suffixes() & set(Image.EXTENSION))
    if Image.EXTENSION[suffix] in Image.SAVE.keys() - {"GIF", "MSP", "XBM", "BLP", "ICO", "ICNS", "IM"}
}
LOSSY = ("JPEG", "MPO", "AVIF", "WEBP", "HEIF", "JXL")


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_listed_format_is_read(tmp_path, rgb, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(rgb).save(path, format=WRITTEN[suffix])
    pixels = read_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == rgb.shape
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - rgb).mean() < (6 if WRITTEN[suffix] in LOSSY else 0.01)
    assert list_pictures(tmp_path) == [path]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_shown_over_white(tmp_path, rgb, alpha, suffix):
    path = tmp_path / f"cutout{suffix}"
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(np.dstack([rgb, alpha])).save(path, **options)
    assert np.abs(read_rgb(path) - over_white(rgb, alpha)).max() <= 1
    assert read_header(path) == (HEIGHT, WIDTH, "RGBA", True)


def test_grey_pictures_become_rgb(tmp_path, alpha):
    Image.fromarray(alpha).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey.png"), np.dstack([alpha] * 3))
    Image.fromarray(alpha > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "bits.png")[..., 1], np.where(alpha > 127, 255, 0))
    grey = np.full_like(alpha, 90)
    Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]).save(tmp_path / "la.png")
    assert np.abs(read_rgb(tmp_path / "la.png") - over_white(np.dstack([grey] * 3), alpha)).max() <= 1


def test_palettes_become_rgb(tmp_path, rgb):
    quantized = Image.fromarray(rgb).quantize(16)
    quantized.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "palette.png"), np.array(quantized.convert("RGB")))
    quantized.save(tmp_path / "clear.png", transparency=0)
    pixels, clear = read_rgb(tmp_path / "clear.png"), np.array(quantized) == 0
    assert clear.any()
    assert (pixels[clear] == 255).all()
    np.testing.assert_array_equal(pixels[~clear], np.array(quantized.convert("RGB"))[~clear])


def test_a_transparent_colour_of_an_rgb_picture_is_white(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = 10, 20, 30
    Image.fromarray(pixels).save(tmp_path / "key.png", transparency=(10, 20, 30))
    assert (read_rgb(tmp_path / "key.png")[:2] == 255).all()
    assert (read_rgb(tmp_path / "key.png")[2:] == 0).all()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_is_neither_inverted_nor_refused(tmp_path, suffix):
    color = np.zeros((16, 16, 3), np.uint8) + np.array([230, 120, 20], np.uint8)
    # Pillow writes the inverted values of Adobe with the marker that says so, as image editors do.
    Image.fromarray(color).convert("CMYK").save(tmp_path / f"print{suffix}")
    assert read_header(tmp_path / f"print{suffix}").mode == "CMYK"
    assert np.abs(read_rgb(tmp_path / f"print{suffix}").astype(int) - color).max() <= 4


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_keep_their_full_range(tmp_path, suffix, channels):
    path = tmp_path / f"deep{suffix}"
    ramp = np.linspace(0, 65535, 24 * 31).reshape(24, 31)
    deep = np.stack([np.roll(ramp, 7 * channel) for channel in range(channels)], axis=-1).round().astype(np.uint16)
    # OpenCV writes BGR(A).
    cv2.imwrite(str(path), deep[..., [2, 1, 0, 3][:channels]] if channels > 1 else deep)
    expected = deep / 257
    if channels == 4:
        color, opacity = read_rgba(path)
        assert np.abs(np.dstack([color, opacity]) - expected).max() < 1
    else:
        assert np.abs(read_rgb(path) - expected).max() < (1 if channels == 3 else 0.51)


def test_values_of_8_bits_widened_to_16_come_back_exactly(tmp_path, rgb, alpha):
    cv2.imwrite(str(tmp_path / "rgb.png"), rgb[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_rgb(tmp_path / "rgb.png"), rgb)
    np.testing.assert_array_equal(read_alpha(tmp_path / "alpha.png"), alpha)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("key", [0, 2])
def test_a_transparent_colour_of_grey_shows_white(tmp_path, depth, key):
    levels = np.array([[0, 1, 2, 3]], np.uint8) * 60
    pixels = levels if depth == 8 else levels.astype(np.uint16) * 257
    Image.fromarray(pixels).save(tmp_path / "key.png", transparency=int(pixels[0, key]))
    expected = np.where(np.arange(4) == key, 255, levels)
    np.testing.assert_array_equal(read_rgb(tmp_path / "key.png")[..., 1], expected)
    assert read_header(tmp_path / "key.png").has_alpha
    _, alpha = read_rgba(tmp_path / "key.png")
    np.testing.assert_array_equal(alpha, np.where(np.arange(4) == key, 0, 255)[None])
    with pytest.raises(InputError, match=r"key\.png has transparency, and an alpha has exactly one channel"):
        read_alpha(tmp_path / "key.png")


def test_a_transparent_colour_of_16_bits_shows_white(tmp_path):
    pixels = np.full((2, 2, 3), 1000, np.uint16)
    pixels[0] = 300, 400, 65000
    cv2.imwrite(str(tmp_path / "key.png"), pixels[..., ::-1])
    data = (tmp_path / "key.png").read_bytes()
    start = data.index(b"IDAT") - 4
    key = chunk(b"tRNS", struct.pack(">HHH", 300, 400, 65000))
    (tmp_path / "key.png").write_bytes(data[:start] + key + data[start:])
    assert (read_rgb(tmp_path / "key.png")[0] == 255).all()
    assert (read_rgb(tmp_path / "key.png")[1] < 5).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("reader", [read_rgb, read_alpha])
def test_32_bits_are_refused_with_the_remedy(tmp_path, dtype, reader):
    for value in (70000, 200):
        Image.fromarray(np.full((4, 4), value, dtype)).save(tmp_path / "hdr.tif")
        with pytest.raises(
            InputError, match=r"hdr\.tif holds 32-bit values, whose white is unknown; save it as grey, RGB"
        ):
            reader(tmp_path / "hdr.tif")
    Image.fromarray(np.full((4, 4), 257 * 200, np.int32)).save(tmp_path / "deep.tif")
    assert (reader(tmp_path / "deep.tif") == 200).all()


def test_a_header_in_floating_point_is_no_matter_of_channels(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "alpha.tif")
    header = read_header(tmp_path / "alpha.tif")
    with pytest.raises(InputError, match=r"alpha\.tif holds 32-bit values, whose white is unknown"):
        require_single_channel(tmp_path / "alpha.tif", header.mode, header.has_alpha)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 12), color) for color in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(tmp_path / f"moving{suffix}", save_all=True, append_images=frames[1:], duration=50, **options)
    np.testing.assert_array_equal(read_rgb(tmp_path / f"moving{suffix}"), np.array(frames[0]))


# Orientation


def stored(upright, orientation):
    """The pixels that a camera saves so that the orientation makes them upright (EXIF 2.3, tag 0x0112)."""
    return {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_photos_are_upright(tmp_path, rgb, orientation, suffix):
    path = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored(rgb, orientation).copy()).save(path, exif=exif, quality=95)
    assert np.abs(read_rgb(path).astype(int) - rgb).mean() < 4
    np.testing.assert_array_equal(read_rgb(PackedPicture(path.read_bytes(), "photo")), read_rgb(path))
    assert read_header(path)[:2] == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cutouts_and_alphas_are_upright(tmp_path, rgb, alpha, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored(np.dstack([rgb, alpha]), orientation).copy()).save(tmp_path / "cutout.png", exif=exif)
    color, opacity = read_rgba(tmp_path / "cutout.png")
    np.testing.assert_array_equal(color, rgb)
    np.testing.assert_array_equal(opacity, alpha)
    deep = stored(alpha, orientation).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "alpha.png", exif=exif)
    np.testing.assert_array_equal(read_alpha(tmp_path / "alpha.png"), alpha)


def test_the_orientation_is_read_from_an_exif_block_that_is_damaged_elsewhere(tmp_path, rgb):
    # Big-endian TIFF with two entries: the orientation, and one whose value lies beyond the end of the block.
    entries = struct.pack(">HHLHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHLL", 0x8769, 4, 1, 9999)
    block = b"Exif\0\0MM\0*" + struct.pack(">LH", 8, 2) + entries + struct.pack(">L", 0)
    Image.fromarray(stored(rgb, 6).copy()).save(tmp_path / "photo.jpg", exif=block, quality=95)
    assert np.abs(read_rgb(tmp_path / "photo.jpg").astype(int) - rgb).mean() < 4


def test_an_unreadable_exif_block_does_not_cost_the_photo(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "photo.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff", quality=95)
    assert read_rgb(tmp_path / "photo.jpg").shape == rgb.shape


# Damaged files


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
@pytest.mark.parametrize("reader", [read_rgb, read_rgba, read_alpha])
def test_a_truncated_file_is_named(tmp_path, suffix, reader):
    path = tmp_path / f"half{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"half{suffix} cannot be read as a picture .*; restore it"):
        reader(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<html>not found</html>", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "odd.png").write_bytes(content)
    for reader in (read_rgb, read_rgba, read_alpha, read_header):
        with pytest.raises(InputError, match=r"odd\.png cannot be read as a picture"):
            reader(tmp_path / "odd.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        read_rgb(tmp_path / "gone.png")
    with pytest.raises(InputError, match="is a folder where a picture is expected; give a picture"):
        read_rgb(tmp_path)


def test_a_damaged_checksum_is_found(tmp_path, rgb):
    path = tmp_path / "flipped.png"
    Image.fromarray(rgb).save(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"flipped\.png cannot be read"):
        read_rgb(path)


def claim(path, width, height):
    """A PNG whose header says that it is large."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))


@pytest.mark.parametrize("width", [26000, 60000])
@pytest.mark.parametrize("reader", [read_header, read_rgb])
def test_a_picture_above_the_limit_is_refused(tmp_path, width, reader):
    claim(tmp_path / "bomb.png", width, 10000)
    with pytest.raises(InputError, match=rf"bomb\.png holds more than {MAX_MEGAPIXELS} megapixels.*scale it down"):
        reader(tmp_path / "bomb.png")


@pytest.mark.parametrize("width", [9000, 17000, 20000, 25000])
def test_a_large_picture_is_opened_without_a_warning(tmp_path, width):
    claim(tmp_path / "large.png", width, 10000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(tmp_path / "large.png")[:2] == (10000, width)


# Cut-outs and alphas


def test_a_cutout_keeps_straight_colours(tmp_path, rgb, alpha):
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "cutout.png")
    color, opacity = read_rgba(tmp_path / "cutout.png")
    np.testing.assert_array_equal(color, rgb)
    np.testing.assert_array_equal(opacity, alpha)
    assert color.flags.c_contiguous
    assert opacity.flags.c_contiguous


def test_a_cutout_without_alpha_is_refused_with_the_remedy(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    with pytest.raises(InputError, match=r"photo\.png has no alpha channel.*fg/ and alpha/"):
        read_rgba(tmp_path / "photo.png")


def test_alphas_of_one_channel_are_read(tmp_path, alpha):
    Image.fromarray(alpha).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_alpha(tmp_path / "grey.png"), alpha)
    Image.fromarray(alpha > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_alpha(tmp_path / "bits.png"), np.where(alpha > 127, 255, 0))
    # A palette in another order than its greys.
    palette = Image.fromarray(255 - alpha, mode="L").convert("P")
    palette.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes())
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_alpha(tmp_path / "palette.png"), alpha)
    assert np.asarray(Image.open(tmp_path / "palette.png")).ndim == 2


def test_an_alpha_with_colour_channels_is_refused_even_if_they_are_equal(tmp_path, rgb, alpha):
    remedy = r"save it as a single-channel \(greyscale\) picture"
    Image.fromarray(np.dstack([alpha] * 3)).save(tmp_path / "equal.png")
    with pytest.raises(InputError, match=rf"equal\.png has 3 channels, .*{remedy}"):
        read_alpha(tmp_path / "equal.png")
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "rgba.png")
    with pytest.raises(InputError, match=rf"rgba\.png has 4 channels, .*{remedy}"):
        read_alpha(tmp_path / "rgba.png")
    Image.fromarray(rgb).quantize(16).save(tmp_path / "palette.png")
    with pytest.raises(InputError, match=rf"palette\.png has a palette of colours, .*{remedy}"):
        read_alpha(tmp_path / "palette.png")
    Image.fromarray(alpha).save(tmp_path / "key.png", transparency=0)
    with pytest.raises(InputError, match=rf"key\.png has transparency, .*{remedy}"):
        read_alpha(tmp_path / "key.png")


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg", "opaque.png"])
def test_equal_channels_are_an_alpha_where_they_are_asked_for(tmp_path, alpha, name):
    channels = [alpha] * 3 + [np.full_like(alpha, 255)] * (name == "opaque.png")
    Image.fromarray(np.dstack(channels)).save(tmp_path / name, quality=100)
    loaded = read_alpha(tmp_path / name, equal_channels=True)
    assert loaded.shape == alpha.shape
    assert np.abs(loaded.astype(int) - alpha).max() <= (2 if name == "grey.jpg" else 0)


def test_channels_that_differ_are_no_alpha(tmp_path, rgb, alpha):
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    with pytest.raises(InputError, match=r"rgb\.png has channels that differ"):
        read_alpha(tmp_path / "rgb.png", equal_channels=True)
    Image.fromarray(np.dstack([alpha] * 4)).save(tmp_path / "rgba.png")
    with pytest.raises(InputError, match=r"rgba\.png has transparency of its own"):
        read_alpha(tmp_path / "rgba.png", equal_channels=True)


# Writing


def test_a_jpeg_keeps_its_colours_at_full_resolution(tmp_path):
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 40, 40), (40, 40, 200)
    write_jpeg(tmp_path / "new" / "stripes.jpg", stripes)
    assert np.abs(read_rgb(tmp_path / "new" / "stripes.jpg").astype(int) - stripes).max() < 20
    digits = hashlib.sha256((tmp_path / "new" / "stripes.jpg").read_bytes()).hexdigest()
    assert sha256(tmp_path / "new" / "stripes.jpg") == digits
    with pytest.raises(ValueError, match="a JPEG takes uint8"):
        write_jpeg(tmp_path / "grey.jpg", stripes[..., 0])


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_png_round_trip(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, *channels), dtype=np.uint8)
    path = tmp_path / "new" / "folders" / "picture.png"
    write_png(path, pixels)
    np.testing.assert_array_equal(np.array(Image.open(path)), pixels)
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)])
def test_what_is_no_picture_is_not_written(tmp_path, pixels):
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "odd.png", pixels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_writer_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def stopped(stream, *arguments, **options):
        stream.write(b"half")
        raise error

    monkeypatch.setattr(image_io, "encode", stopped)
    with pytest.raises(type(error)):
        write_png(path, np.zeros((4, 4), np.uint8))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".csv"
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_atomic_write_changes_nothing_when_its_block_raises(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write():
        with atomic_write(path) as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_hidden_temporary_file_is_no_picture(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    with atomic_write(tmp_path / "b.png") as temporary:
        temporary.touch()
        assert list_pictures(tmp_path) == [tmp_path / "a.png"]


@pytest.mark.parametrize("shape", [(64, 96), (37, 51), (1, 1)])
@pytest.mark.parametrize("options", [{}, {"quality": 40}, {"subsampling": 0}, {"progressive": True}, {"quality": 100}])
def test_jpegs_are_those_of_pillow(tmp_path, shape, options):
    path = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(read_rgb(path), np.array(picture.convert("RGB")))
    assert read_rgb(path).flags.writeable


def test_a_cutout_is_split_into_arrays_of_its_own(tmp_path, rgb, alpha):
    path = tmp_path / "cutout.png"
    Image.fromarray(np.dstack([rgb, alpha])).save(path)
    for part, expected in zip(read_rgba(path), (rgb, alpha), strict=True):
        np.testing.assert_array_equal(part, expected)
        assert part.flags.c_contiguous
        assert part.flags.writeable


def test_a_header_is_read_without_decoding(tmp_path, rgb, alpha, monkeypatch):
    """Pillow alone would decode a PNG without EXIF; ten thousand cut-outs would take minutes to list."""
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "plain.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.png", exif=exif)

    def decode(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decode)
    assert read_header(tmp_path / "plain.png") == (*alpha.shape, "RGBA", True)
    assert read_header(tmp_path / "turned.png") == (*rgb.shape[1::-1], "RGB", False)


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path, rgb):
    path = tmp_path / "late.png"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(rgb).save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    assert read_header(path)[:2] == rgb.shape[1::-1]
    assert read_rgb(path).shape[:2] == rgb.shape[1::-1]
