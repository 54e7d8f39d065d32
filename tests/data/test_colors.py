"""Colours against arithmetic in floating point, from the primaries and curves that the standards give."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from sdnet_pl.data.colors import _rgb_to_srgb
from sdnet_pl.data.icc_profiles import adobe_rgb, cicp_profile, gamma_profile, matrix_to_srgb
from sdnet_pl.data.image_io import PackedPicture, read_alpha, read_photo, read_rgb, read_rgba
from sdnet_pl.errors import InputWarning

D65 = (0.3127, 0.329)
SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
LITTLE_CMS = ImageCms.createProfile("sRGB")
SRGB_PROFILE = ImageCms.ImageCmsProfile(LITTLE_CMS).tobytes()
DISPLAY_P3 = cicp_profile(12, 13) or b""


def light_of_srgb(level):
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def srgb_of_light(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def to_xyz(primaries, white=D65):
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(primaries[::2], primaries[1::2], strict=True)]).T
    x, y = white
    return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])


def expected(pixels, primaries, curve):
    """In levels of 255; for primaries whose white is D65 no adaptation is needed."""
    matrix = np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)
    return 255 * srgb_of_light(curve(pixels / 255) @ matrix.T)


@pytest.fixture
def pixels():
    """Smooth, so that lossy formats keep it, and of all hues."""
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y], axis=-1).astype(np.uint8)


@pytest.fixture
def shown(pixels):
    """What Display P3 makes of them."""
    return expected(pixels, P3, light_of_srgb)


FORMATS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 100, "subsampling": 0},
    ".png": {},
    ".webp": {"lossless": True},
    ".tif": {},
    ".avif": {"quality": 100, "subsampling": "4:4:4"},
    ".mpo": {"quality": 100, "subsampling": 0},
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_display_p3_becomes_srgb(tmp_path, pixels, shown, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(pixels).save(path, icc_profile=DISPLAY_P3, **FORMATS[suffix])
    assert np.abs(shown - pixels).mean() > 8
    for read in (read_rgb(path), read_photo(path)[0], read_rgb(PackedPicture(path.read_bytes(), "photo"))):
        assert np.abs(read - shown).mean() < 1.2  # of the lossy formats; the others below
        if suffix in (".png", ".webp", ".tif"):
            assert np.abs(read - shown).max() < 1
        assert read.flags.writeable


@pytest.mark.parametrize("suffix", FORMATS)
def test_srgb_and_no_profile_change_nothing(tmp_path, pixels, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(pixels).save(path, **FORMATS[suffix])
    plain = read_rgb(path)
    Image.fromarray(pixels).save(path, icc_profile=SRGB_PROFILE, **FORMATS[suffix])
    np.testing.assert_array_equal(read_rgb(path), plain)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_photo_is_in_srgb_too(tmp_path, pixels, shown, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.rot90(pixels, 2 if orientation == 3 else 1).copy()
    Image.fromarray(stored).save(tmp_path / "photo.jpg", exif=exif, icc_profile=DISPLAY_P3, **FORMATS[".jpg"])
    assert np.abs(read_rgb(tmp_path / "photo.jpg") - shown).mean() < 1.2


PROFILES: dict[str, tuple[bytes, tuple[float, ...], Any]] = {
    "display p3": (DISPLAY_P3, P3, light_of_srgb),
    "adobe rgb": (adobe_rgb(), ADOBE, lambda level: level ** (563 / 256)),
    "bt2020": (cicp_profile(9, 13) or b"", BT2020, light_of_srgb),
    "linear": (gamma_profile(1.0, None) or b"", SRGB, lambda level: level),
    "gamma 1.8": (gamma_profile(1 / 1.8, None) or b"", SRGB, lambda level: level**1.8),
}


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_mean_what_their_standards_say(name):
    profile, primaries, curve = PROFILES[name]
    colors = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    true = expected(colors, primaries, curve)
    assert np.abs(_rgb_to_srgb(colors.copy(), profile) - true).max() < 0.75
    # An independent reader of the profile agrees.
    transform = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), LITTLE_CMS, "RGB", "RGB")
    assert np.abs(np.array(ImageCms.applyTransform(Image.fromarray(colors), transform)) - true).max() < 0.75


def parametric(kind, *numbers):
    return b"para" + struct.pack(f">4xHxx{len(numbers)}l", kind, *(round(number * 65536) for number in numbers))


def table(values):
    return b"curv" + struct.pack(">4xL", len(values)) + np.rint(65535 * np.asarray(values)).astype(">u2").tobytes()


def with_tags(space, tags):
    """A profile of any tags, with the head of another."""
    start, entries, data = 132 + 12 * len(tags), struct.pack(">L", len(tags)), b""
    for name, content in tags.items():
        entries += name + struct.pack(">LL", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">L", start + len(data)) + DISPLAY_P3[4:16] + space + DISPLAY_P3[20:128]
    return head + entries + data


def with_curve(curve):
    tags = {
        name: DISPLAY_P3[start : start + 20]
        for name, start in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (240, 260, 280), strict=True)
    }
    return with_tags(b"RGB ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


@pytest.mark.parametrize(
    "curve",
    [
        b"curv" + bytes(8),
        b"curv" + struct.pack(">4xLH", 1, 563) + bytes(2),
        table(np.linspace(0, 1, 1024) ** 1.8),
        table([0, 0.3, 1]),
        parametric(0, 2.2),
        parametric(1, 2.4, 1 / 1.055, 0.055 / 1.055),
        parametric(2, 2.2, 0.9, 0.05, 0.02),
        parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
        parametric(4, 2.4, 0.9, 0.05, 1 / 12.92, 0.04045, 0.01, 0.0),
    ],
)
def test_every_kind_of_curve_is_that_of_littlecms(curve):
    profile = with_curve(curve)
    assert matrix_to_srgb(profile) is not None
    colors = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        LITTLE_CMS,
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.NOOPTIMIZE,
    )
    independent = np.array(ImageCms.applyTransform(Image.fromarray(colors), transform)).astype(int)
    assert np.abs(_rgb_to_srgb(colors.copy(), profile) - independent).max() <= 1


def test_three_curves_that_differ_stay_apart():
    tags = {
        name: DISPLAY_P3[start : start + 20]
        for name, start in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (240, 260, 280), strict=True)
    }
    curves = {name: parametric(0, gamma) for name, gamma in ((b"rTRC", 1.8), (b"gTRC", 2.0), (b"bTRC", 2.4))}
    colors = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    true = expected(colors, P3, lambda level: level ** np.array([1.8, 2.0, 2.4]))
    assert np.abs(_rgb_to_srgb(colors, with_tags(b"RGB ", tags | curves)) - true).max() < 0.75


# Transparency, alphas, greys, print


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_cutouts_are_converted_and_their_alphas_are_not(tmp_path, pixels, shown, suffix):
    path = tmp_path / f"cutout{suffix}"
    alpha = np.linspace(0, 255, 64).round().astype(np.uint8)[None].repeat(48, axis=0)
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(np.dstack([pixels, alpha])).save(path, icc_profile=DISPLAY_P3, **options)
    color, opacity = read_rgba(path)
    assert np.abs(color - shown).max() < 1
    np.testing.assert_array_equal(opacity, alpha)
    weight = alpha[..., None] / 255
    assert np.abs(read_rgb(path) - (shown * weight + 255 * (1 - weight))).max() < 2


def test_a_palette_with_transparency_is_converted(tmp_path, pixels):
    quantized = Image.fromarray(pixels).quantize(16)
    colors, clear = np.array(quantized.convert("RGB")), np.array(quantized) == 3
    quantized.save(tmp_path / "palette.png", transparency=3, icc_profile=DISPLAY_P3)
    read = read_rgb(tmp_path / "palette.png")
    assert (read[clear] == 255).all()
    assert np.abs(read - expected(colors, P3, light_of_srgb))[~clear].max() < 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_greys_are_converted_by_their_profile_and_alphas_are_not(tmp_path, dtype, suffix):
    levels = np.arange(256).reshape(16, 16)
    linear = with_tags(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + DISPLAY_P3[68:80], b"kTRC": parametric(0, 1.0)})
    grey = levels.astype(np.uint8) if dtype == np.uint8 else levels.astype(np.uint16) * 257
    path = tmp_path / f"grey{suffix}"
    for profile in (linear, gamma_profile(1.0, None)):  # many greys hold a profile of RGB
        Image.fromarray(grey).save(path, icc_profile=profile)
        true = 255 * srgb_of_light(levels / 255)
        assert np.abs(read_rgb(path) - true[..., None]).max() < 0.75
        np.testing.assert_array_equal(read_alpha(path), levels)


def test_a_grey_with_alpha_is_converted(tmp_path):
    linear = with_tags(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + DISPLAY_P3[68:80], b"kTRC": parametric(0, 1.0)})
    pixels = np.full((4, 4, 2), (128, 200), np.uint8)
    Image.fromarray(pixels, "LA").save(tmp_path / "la.png", icc_profile=linear)
    color, alpha = read_rgba(tmp_path / "la.png")
    assert (color == 188).all()  # half the light
    assert (alpha == 200).all()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_profile_of_greys_is_applied_where_a_decoder_gives_them_as_rgb(tmp_path, pixels, suffix):
    linear = with_tags(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + DISPLAY_P3[68:80], b"kTRC": parametric(0, 1.0)})
    grey = np.dstack([pixels[..., :1]] * 3)
    path = tmp_path / f"grey{suffix}"
    for form in (grey, np.dstack([grey, np.full_like(grey[..., :1], 255)])):
        if form.shape[2] == 3 or suffix not in (".jpg", ".mpo"):
            Image.fromarray(form).save(path, icc_profile=linear, **FORMATS[suffix])
            true = 255 * srgb_of_light(grey / 255)
            assert np.abs(read_rgb(path) - true)[grey > 40].max() < (0.75 if suffix in (".png", ".tif") else 6)
    Image.fromarray(pixels).save(path, icc_profile=linear, **FORMATS[suffix])
    with pytest.warns(InputWarning, match="it is a grey profile of a picture in RGB"):
        assert np.abs(read_rgb(path).astype(int) - pixels).mean() < 1


def press_profile():
    """A press of CMYK as a table of its sixteen overprints, in Lab, with paper that is no white (ICC.1:2022, 10.10)."""
    ink = np.array([(55, -37, -50), (48, 74, -3), (89, -5, 93), (16, 0, 0)])
    lab = []
    for mask in range(16):
        covered = [ink[bit] for bit in range(4) if mask >> (3 - bit) & 1]
        light = 95 * np.prod([color[0] / 100 for color in covered]) if covered else 95
        a, b = np.sum([color[1:] for color in covered], axis=0) * 0.6 if covered else (0, -2)
        lab.append((light * 65280 / 100, (a + 128) * 256, (b + 128) * 256))
    identity = np.array([0, 65535], ">u2").tobytes()
    tag = b"mft2" + struct.pack(">4xBBBx9l", 4, 3, 2, *(65536 * np.eye(3, dtype=int)).flatten().tolist())
    tag += struct.pack(">HH", 2, 2) + identity * 4 + np.rint(lab).clip(0, 65535).astype(">u2").tobytes() + identity * 3
    profile = with_tags(b"CMYK", {b"A2B0": tag, b"wtpt": b"XYZ " + bytes(4) + DISPLAY_P3[68:80]})
    return profile[:8] + b"\2\x40" + profile[10:12] + b"prtr" + b"CMYKLab " + profile[24:]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_print_colours_are_converted_by_their_profile(tmp_path, pixels, suffix):
    path = tmp_path / f"print{suffix}"
    printed = Image.fromarray(pixels).convert("CMYK")
    options: dict[str, Any] = {"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}
    printed.save(path, icc_profile=press_profile(), **options)
    with Image.open(path) as stored:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(press_profile())), LITTLE_CMS, "CMYK", "RGB"
        )
        true = np.array(ImageCms.applyTransform(stored, transform)).astype(int)
    assert np.abs(true - np.array(printed.convert("RGB"))).mean() > 15
    np.testing.assert_array_equal(read_rgb(path), true)


# What stands in place of a profile


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(path, picture, *chunks):
    picture.save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])


def test_code_points_of_a_png_come_before_its_profile(tmp_path, pixels, shown):
    profile = chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE))
    png_with(tmp_path / "p3.png", Image.fromarray(pixels), chunk(b"cICP", bytes([12, 13, 0, 1])), profile)
    assert np.abs(read_rgb(tmp_path / "p3.png") - shown).max() < 1
    png_with(tmp_path / "srgb.png", Image.fromarray(pixels), chunk(b"cICP", bytes([1, 13, 0, 1])))
    np.testing.assert_array_equal(read_rgb(tmp_path / "srgb.png"), pixels)


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_high_dynamic_range_is_cut_off_at_paper_white(tmp_path, transfer):
    white = {16: 0.5807, 18: 0.75}[transfer]  # the signal of 203 cd/m², ITU-R BT.2408
    levels = np.round(255 * np.array([[0, white / 2, white, 1]])).astype(np.uint8)
    png_with(tmp_path / "hdr.png", Image.fromarray(np.dstack([levels] * 3)), chunk(b"cICP", bytes([9, transfer, 0, 1])))
    black, middle, paper, sun = read_rgb(tmp_path / "hdr.png")[0, :, 1]
    assert black == 0
    assert 40 < middle < 150
    assert paper >= 250
    assert sun == 255


@pytest.mark.parametrize("grey", [False, True])
def test_the_gamma_of_a_png_counts_unless_it_says_srgb(tmp_path, pixels, grey):
    picture = Image.fromarray(pixels[..., 0] if grey else pixels)
    linear = chunk(b"gAMA", struct.pack(">L", 100000))
    png_with(tmp_path / "linear.png", picture, linear)
    true = 255 * srgb_of_light(np.asarray(picture.convert("RGB")) / 255)
    assert np.abs(read_rgb(tmp_path / "linear.png") - true).max() < 0.75
    usual = chunk(b"gAMA", struct.pack(">L", 45455)) + chunk(
        b"cHRM", struct.pack(">8L", *(round(value * 100000) for value in (*D65, *SRGB)))
    )
    for name, chunks in {
        "srgb": chunk(b"sRGB", b"\0") + linear,
        "usual": usual,
        "nonsense": chunk(b"gAMA", bytes(4)),
    }.items():
        png_with(tmp_path / f"{name}.png", picture, chunks)
        np.testing.assert_array_equal(read_rgb(tmp_path / f"{name}.png"), np.array(picture.convert("RGB")))


def test_the_primaries_of_a_png_count(tmp_path, pixels):
    primaries = chunk(b"cHRM", struct.pack(">8L", *(round(value * 100000) for value in (*D65, *ADOBE))))
    png_with(tmp_path / "wide.png", Image.fromarray(pixels), chunk(b"gAMA", struct.pack(">L", 45470)), primaries)
    true = expected(pixels, ADOBE, light_of_srgb)
    assert np.abs(read_rgb(tmp_path / "wide.png") - true).max() < 1


def test_code_points_of_an_avif_count(tmp_path, pixels, shown):
    path = tmp_path / "photo.avif"
    Image.fromarray(pixels).save(path, **FORMATS[".avif"])
    data = path.read_bytes()
    place = data.index(b"colrnclx") + 8
    assert data[place : place + 4] == bytes([0, 1, 0, 13])
    path.write_bytes(data[:place] + bytes([0, 12]) + data[place + 2 :])
    assert np.abs(read_rgb(path) - shown).mean() < 1.2


def test_the_profile_of_a_jpeg_2000_counts(tmp_path, pixels, shown):
    path = tmp_path / "photo.jp2"
    Image.fromarray(pixels).save(path)
    data = path.read_bytes()
    place = data.index(b"colr") - 4
    size = int.from_bytes(data[place : place + 4])
    box = struct.pack(">L", 11 + len(DISPLAY_P3)) + b"colr\2\0\0" + DISPLAY_P3
    head = data.index(b"jp2h") - 4
    length = int.from_bytes(data[head : head + 4]) - size + len(box)
    path.write_bytes(data[:head] + struct.pack(">L", length) + data[head + 4 : place] + box + data[place + size :])
    assert np.abs(read_rgb(path) - shown).max() < 1


def test_adobe_rgb_as_cameras_mark_it(tmp_path, pixels):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    taken = exif.get_ifd(ExifTags.IFD.Exif)
    taken[ExifTags.Base.ColorSpace] = 0xFFFF
    taken[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: "R03"}
    Image.fromarray(pixels).save(tmp_path / "_DSC0001.jpg", exif=exif, **FORMATS[".jpg"])
    true = expected(pixels, ADOBE, lambda level: level ** (563 / 256))
    assert np.abs(read_rgb(tmp_path / "_DSC0001.jpg") - true).mean() < 1
    taken[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: "R98"}
    Image.fromarray(pixels).save(tmp_path / "DSC_0001.jpg", exif=exif, **FORMATS[".jpg"])
    assert np.abs(read_rgb(tmp_path / "DSC_0001.jpg").astype(int) - pixels).mean() < 1


# Profiles that cannot be used


@pytest.mark.parametrize(
    "profile",
    [
        b"nonsense",
        DISPLAY_P3[:200],
        DISPLAY_P3[:128] + bytes(320),
        press_profile(),
        bytes(4000),
        DISPLAY_P3[:244] + bytes(204),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_broken_profile_is_left_out_and_the_file_named(tmp_path, pixels, profile, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(pixels).save(path, icc_profile=profile, **FORMATS[suffix])
    with pytest.warns(InputWarning, match=rf"photo\{suffix} has a colour profile that cannot be used"):
        read = read_rgb(path)
    assert np.abs(read.astype(int) - pixels).mean() < 1


def test_a_profile_that_was_cut_short_is_named(tmp_path, pixels):
    compressed = zlib.compress(DISPLAY_P3)
    png_with(tmp_path / "cut.png", Image.fromarray(pixels), chunk(b"iCCP", b"P3\0\0" + compressed[:50]))
    with pytest.warns(InputWarning, match=r"cut\.png has a colour profile that cannot be used"):
        np.testing.assert_array_equal(read_rgb(tmp_path / "cut.png"), pixels)
    Image.fromarray(pixels).save(tmp_path / "half.jpg", icc_profile=DISPLAY_P3, quality=100)
    data = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2"))  # one part of two
    with pytest.warns(InputWarning, match=r"half\.jpg has a colour profile that cannot be used \(it is damaged\)"):
        assert np.abs(read_rgb(tmp_path / "half.jpg").astype(int) - pixels).mean() < 5


def test_alphas_with_a_broken_profile_are_read_in_silence(tmp_path, pixels):
    Image.fromarray(pixels[..., 0]).save(tmp_path / "alpha.png", icc_profile=b"nonsense")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_alpha(tmp_path / "alpha.png"), pixels[..., 0])
