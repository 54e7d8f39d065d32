"""remove(): every kind of picture comes back as its kind, cut out, masked, or before another background."""

import io
import pickle
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageDraw, ImageOps, PngImagePlugin

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.datamodule import PhotoDataset
from sdnet_pl.data.image_io import read_rgb
from sdnet_pl.data.trimap import predicted_trimap
from sdnet_pl.errors import InputError, InputWarning
from sdnet_pl.inference.engine import onnx_file
from sdnet_pl.inference.kinds import to_array
from sdnet_pl.inference.pretrained import QUALITIES
from sdnet_pl.inference.removal import Session, new_session, remove
from sdnet_pl.inference.trimaps import read_trimap


@pytest.fixture(scope="module")
def session() -> Session:
    return new_session("sdnet-fast", "cpu", size=256)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    person, place = ProceduralPortraits(1, 300).load(0), ProceduralBackgrounds(1, 300).load(0)
    return composite_uint8(person, place)[:, 20:]


@pytest.fixture(scope="module")
def expected(photo: np.ndarray, session: Session) -> np.ndarray:
    return remove(photo, session=session)


def test_every_kind_comes_back_as_itself(tmp_path: Path, photo: np.ndarray, session: Session, expected: np.ndarray):
    assert expected.shape == (300, 280, 4)
    assert expected.dtype == np.uint8
    assert 0.05 < (expected[..., 3] > 127).mean() < 0.95
    image = Image.fromarray(photo)
    np.testing.assert_array_equal(np.asarray(remove(image, session=session)), expected)
    packed = io.BytesIO()
    image.save(packed, "PNG")
    np.testing.assert_array_equal(Image.open(io.BytesIO(remove(packed.getvalue(), session=session))), expected)
    image.save(tmp_path / "me.png")
    written = remove(tmp_path / "me.png", session=session)
    assert written == tmp_path / "me_cutout.png"
    np.testing.assert_array_equal(Image.open(written), expected)
    assert remove(str(tmp_path / "me.png"), output=tmp_path / "a" / "b.png", session=session).exists()
    planes = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))
    np.testing.assert_array_equal(remove(planes, session=session).numpy().transpose(1, 2, 0), expected)
    floats = remove(planes / 255, session=session)
    assert floats.dtype == torch.float32
    np.testing.assert_array_equal((floats * 255).round().numpy().transpose(1, 2, 0), expected)


def test_the_mask_alone(photo: np.ndarray, session: Session, expected: np.ndarray):
    np.testing.assert_array_equal(remove(photo, only_mask=True, session=session), expected[..., 3])
    assert remove(Image.fromarray(photo), only_mask=True, session=session).mode == "L"
    assert remove(torch.zeros(3, 64, 48), only_mask=True, session=session).shape == (1, 64, 48)


@pytest.mark.parametrize("background", ["#0a141e", (10, 20, 30), "picture", "array"])
def test_another_background(
    tmp_path: Path, photo: np.ndarray, session: Session, expected: np.ndarray, background: object
):
    plain = np.full((50, 200, 3), (10, 20, 30), np.uint8)
    if background == "picture":
        background = tmp_path / "beach.png"
        Image.fromarray(plain).save(tmp_path / "beach.png")
    given = plain if background == "array" else background
    result = remove(photo, background=given, session=session)  # type: ignore[call-overload]
    alpha = expected[..., 3:].astype(float) / 255
    np.testing.assert_allclose(result, expected[..., :3] * alpha + np.array([10, 20, 30]) * (1 - alpha), atol=1)


def test_a_blurred_background_does_not_shine_around_the_person(session: Session):
    photo = np.full((200, 200, 3), (0, 0, 200), np.uint8)
    photo[60:, 70:130] = (255, 220, 190)
    alpha = np.zeros((200, 200), np.float32)
    alpha[60:, 70:130] = 1

    class Known:
        def alpha(self, image: np.ndarray, trimap: None) -> np.ndarray:
            return alpha

    result = remove(photo, background="blur", session=Known())  # type: ignore[call-overload]
    assert np.abs(result[alpha == 0].astype(int) - (0, 0, 200)).max() <= 2


def test_pillow_images_of_other_modes_and_orientations(photo: np.ndarray, session: Session, expected: np.ndarray):
    turned = Image.fromarray(photo).rotate(90, expand=True)
    turned.getexif()[0x0112] = 6
    np.testing.assert_array_equal(np.asarray(remove(turned, session=session)), expected)
    for mode in ("CMYK", "L", "P", "RGBA", "HSV", "La", "RGBa", "I;16"):
        start = Image.fromarray(photo).convert("RGBA" if mode == "RGBa" else "LA" if mode == "La" else "RGB")
        start = start.convert("L") if mode == "I;16" else start
        assert remove(start.convert(mode), session=session).mode == "RGBA"


def test_a_transparent_colour_is_seen_as_in_a_file(photo: np.ndarray, session: Session):
    palette = Image.fromarray(photo).convert("P")
    packed = io.BytesIO()
    palette.save(packed, "PNG", transparency=int(np.asarray(palette)[0, 0]))
    image = Image.open(io.BytesIO(packed.getvalue()))
    of_file = Image.open(io.BytesIO(remove(packed.getvalue(), session=session)))
    np.testing.assert_array_equal(np.asarray(remove(image, session=session)), np.asarray(of_file))


GREY = np.tile(np.linspace(0, 65535, 40).astype(np.uint16), (30, 1))
COLORS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def png_chunk(kind: bytes, data: bytes) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(kind, data)
    return chunks


def adobe_rgb() -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: "R03"}
    return exif


def deep_png() -> bytes:
    """RGB of 16 bit whose first colour is transparent."""
    deep = COLORS.astype(np.uint16) * 257 + 7
    data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    key = b"tRNS" + struct.pack(">3H", *deep[0, 0])
    return data[:33] + struct.pack(">L", 6) + key + struct.pack(">L", zlib.crc32(key)) + data[33:]


FILES = {
    "deep.png": lambda path: path.write_bytes(deep_png()),
    "grey.pgm": lambda path: path.write_bytes(b"P5 40 30 65535\n" + GREY.astype(">u2").tobytes()),
    "transparent.png": lambda path: Image.fromarray(GREY).save(path, transparency=int(GREY[0, 9])),
    "big-endian.tif": lambda path: tifffile.imwrite(path, GREY, byteorder=">"),
    "white-is-0.tif": lambda path: tifffile.imwrite(path, GREY, photometric="miniswhite"),
    "32-bits.tif": lambda path: tifffile.imwrite(path, GREY.astype(np.uint32)),
    "adobe.jpg": lambda path: Image.fromarray(COLORS).save(path, exif=adobe_rgb(), quality=98),
    "gamma.png": lambda path: Image.fromarray(COLORS).save(path, pnginfo=png_chunk(b"gAMA", struct.pack(">L", 100000))),
    "cicp.png": lambda path: Image.fromarray(COLORS).save(path, pnginfo=png_chunk(b"cICP", bytes([12, 13, 0, 1]))),
}


@pytest.mark.parametrize("name", FILES)
def test_an_opened_picture_means_what_its_file_does(tmp_path: Path, name: str):
    FILES[name](tmp_path / name)
    expected = read_rgb(tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        np.testing.assert_array_equal(to_array(picture)[0], expected)
        np.testing.assert_array_equal(to_array(picture)[0], expected)  # which is decoded now
        turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if name not in ("white-is-0.tif", "cicp.png"):  # which images that Pillow makes of another do not know
        np.testing.assert_array_equal(to_array(turned)[0][:, ::-1], expected)


def test_the_pixels_of_a_pillow_image_count_and_not_its_file(tmp_path: Path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        ImageDraw.Draw(picture).rectangle((0, 0, 20, 20), "red")
        drawn = np.asarray(picture)
    (tmp_path / "a.png").unlink()
    assert (drawn[:20, :20] == (255, 0, 0)).all()
    np.testing.assert_array_equal(to_array(picture)[0], drawn)
    frames = [Image.fromarray(np.full((40, 40), level, np.uint8)) for level in (0, 100, 200)]
    for name in ("a.gif", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with Image.open(tmp_path / name) as picture:
            picture.seek(2)
            assert (to_array(picture)[0] == 200).all()
            assert picture.tell() == 2
    Image.fromarray(COLORS).resize((512, 384)).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        picture.draft("RGB", (128, 96))
        assert to_array(picture)[0].shape == (96, 128, 3)


def test_a_pillow_image_is_left_as_it_was(tmp_path: Path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(COLORS).save(tmp_path / "turned.jpg", exif=exif)
    stream = io.BytesIO((tmp_path / "turned.jpg").read_bytes())
    with Image.open(stream) as picture:
        assert to_array(picture)[0].shape == (64, 48, 3)
        assert (picture.size, picture.getexif()[ExifTags.Base.Orientation]) == ((64, 48), 6)
        np.testing.assert_array_equal(to_array(ImageOps.exif_transpose(picture))[0], to_array(picture)[0])
    wide = Image.fromarray(COLORS)
    wide.info["transparency"] = (65535, 0, 0)  # as Pillow keeps it of a PNG of 16 bit
    to_array(wide)
    assert wide.info["transparency"] == (65535, 0, 0)


def test_what_a_file_is_refused_for_its_pillow_image_is_too(tmp_path: Path, session: Session):
    raw = tmp_path / "photo.dng"
    tifffile.imwrite(raw, COLORS, photometric="rgb", extratags=[(50706, 1, 4, bytes([1, 4, 0, 0]), True)])
    floats = Image.fromarray(GREY / np.float32(65535))
    dim = Image.fromarray(GREY.astype(np.int32) // 257)
    for picture, message in (
        (Image.open(raw), "is a camera raw file"),
        (Image.open(io.BytesIO(raw.read_bytes())), "is a camera raw file"),
        (floats, "holds 32-bit values, whose white is unknown"),
        (dim, "holds 32-bit values, whose white is unknown"),
    ):
        with pytest.raises(InputError, match=f"The picture {message}"):
            remove(picture, session=session)
        with pytest.raises(InputError, match=f"The picture {message}"):
            remove(COLORS, background=picture, session=session)
    with Image.open(tmp_path / "photo.dng") as closed:
        pass
    with pytest.raises(InputError, match="The picture cannot be read as a picture"):
        remove(Image.open(io.BytesIO(b"P5 40 30 65535\n")), session=session)
    with pytest.raises(InputError):
        remove(closed, session=session)


def test_a_preview_in_a_tiff_is_called_so(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(COLORS[::4, ::4].copy(), photometric="rgb", subfiletype=1)
        writer.write(COLORS, photometric="rgb")
    with Image.open(tmp_path / "two.tif") as picture:
        with pytest.warns(InputWarning, match="holds a preview, 16x12 pixels; give the path"):
            assert to_array(picture)[0].shape == (12, 16, 3)
        picture.seek(1)
        np.testing.assert_array_equal(to_array(picture)[0], COLORS)


def test_a_pillow_image_of_a_bare_stream():
    """Pillow asks for three methods alone."""

    class Bare:
        def __init__(self, content: bytes) -> None:
            held = io.BytesIO(content)
            self.read, self.seek, self.tell = held.read, held.seek, held.tell

    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, "PNG")
    picture = Image.open(Bare(buffer.getvalue()))  # type: ignore[arg-type]
    np.testing.assert_array_equal(to_array(picture)[0], COLORS)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint16, 257), (np.int32, 257), (np.uint16, 1), (np.float32, 1)])
def test_a_trimap_of_more_bits_in_a_pillow_image_keeps_its_codes(dtype: type, scale: int):
    codes = np.array([0, 128, 255], np.uint8).repeat(20)[None].repeat(40, 0)
    picture = Image.fromarray(codes.astype(dtype) * scale)
    np.testing.assert_array_equal(read_trimap(picture, codes.shape), codes)
    with pytest.raises(InputError, match="the trimap has channels that differ"):
        read_trimap(Image.fromarray(COLORS), COLORS.shape)


def test_sessions_are_pickled_and_shared(photo: np.ndarray, session: Session, expected: np.ndarray):
    other = pickle.loads(pickle.dumps(session))
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: remove(photo, session=other), range(8)):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        (7, {}, "a picture is a path, bytes, a Pillow image, an array or a tensor, not int"),
        (np.zeros((4, 4)), {}, r"RGB uint8 \[H, W, 3\], not float64 \[4, 4\]"),
        (torch.zeros(4, 8, 8), {}, r"RGB \[3, H, W\], not \[4, 8, 8\]"),
        (torch.zeros(3, 8, 8, dtype=torch.int32), {}, r"uint8, or of floats in \[0, 1\], not torch.int32"),
        (torch.full((3, 8, 8), 200.0), {}, r"not torch.float32 in \[200, 200\]"),
        (torch.full((3, 8, 8), float("nan")), {}, "not torch.float32"),
        (torch.zeros(3, 0, 8), {}, "at least one pixel"),
        (Image.new("RGB", (0, 5)), {}, "at least one pixel"),
        (b"text", {}, "The picture cannot be read as a picture"),
        ("nobody.jpg", {}, "nobody.jpg"),
        (str(Path(__file__).parent), {"output": "a.png"}, "inference is a folder where a picture is expected"),
        ("nobody.jpg", {"output": ".png"}, r"\.png is the end of a name alone; give a whole one, such as out\.png"),
        (np.zeros((40, 40, 3), np.uint8), {"output": "a.png"}, "output is for paths"),
        (np.zeros((40, 40, 3), np.uint8), {"only_mask": True, "background": "red"}, "do not go together"),
        (np.zeros((40, 40, 3), np.uint8), {"background": "reddish"}, "neither a colour"),
        ("gone/photo.jpg", {}, "gone/photo.jpg does not exist"),
        (np.zeros((40, 40, 3), np.uint8), {"background": (1, 2, 300)}, r"three numbers in \[0, 255\]"),
    ],
)
def test_what_cannot_be_done_is_refused(session: Session, picture: object, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        remove(picture, session=session, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "options"), [("a.webp", {}), ("a.jpg", {"background": "red"}), ("a.jpg", {"only_mask": True})]
)
def test_other_formats(tmp_path: Path, photo: np.ndarray, session: Session, expected: np.ndarray, name: str, options):
    Image.fromarray(photo).save(tmp_path / "me.png")
    for _ in range(2):  # its own file is replaced
        assert remove(tmp_path / "me.png", output=tmp_path / name, session=session, **options) == tmp_path / name
    with Image.open(tmp_path / name) as picture:
        assert picture.format == ("WEBP" if name == "a.webp" else "JPEG")
        written = np.asarray(picture)
    if not options:
        np.testing.assert_array_equal(written, expected)
    elif "only_mask" in options:
        assert np.abs(written.astype(int) - expected[..., 3]).mean() < 2
    else:
        assert written.shape == (300, 280, 3)


def test_the_name_keeps_its_suffix_where_another_picture_has_it_too(
    tmp_path: Path, photo: np.ndarray, session: Session
):
    for name in ("me.png", "me.jpg"):
        Image.fromarray(photo).save(tmp_path / name)
    assert remove(tmp_path / "me.jpg", session=session) == tmp_path / "me.jpg_cutout.png"


def test_files_of_others_are_not_replaced(tmp_path: Path, photo: np.ndarray, session: Session):
    Image.fromarray(photo).save(tmp_path / "me.png")
    Image.fromarray(photo).save(tmp_path / "me_cutout.png")
    with pytest.raises(InputError, match="was not written by sdnet-pl"):
        remove(tmp_path / "me.png", session=session)
    with pytest.raises(InputError, match=r"me\.jpg cannot be a JPEG"):
        remove(tmp_path / "me.png", output="me.jpg", session=session)


@pytest.fixture(scope="module")
def trimap(expected: np.ndarray) -> np.ndarray:
    alpha = torch.from_numpy(expected[..., 3].astype(np.float32) / 255)
    return predicted_trimap(alpha[None, None], 0.1, 0.9, 12)[0, 0].numpy()


@pytest.mark.parametrize("kind", ["array", "picture", "file", "colours"])
def test_a_trimap_says_what_is_known(tmp_path: Path, photo: np.ndarray, trimap: np.ndarray, kind: str):
    given: object = trimap
    if kind != "array":
        given = Image.fromarray(trimap)
        if kind != "picture":
            Image.fromarray(trimap if kind == "file" else np.dstack([trimap] * 3)).save(tmp_path / "trimap.png")
            given = tmp_path / "trimap.png"
    mask = remove(photo, only_mask=True, trimap=given)  # type: ignore[call-overload]
    known = trimap != 128
    np.testing.assert_array_equal(mask[known], trimap[known])
    assert 0.2 < mask[~known].mean() / 255 < 0.8
    session = new_session("sdnet-fast-trimap")
    np.testing.assert_array_equal(remove(photo, only_mask=True, trimap=trimap, session=session), mask)
    best = new_session(quality="best")
    np.testing.assert_array_equal(remove(photo, only_mask=True, trimap=trimap, session=best), mask)


def test_the_default_network_makes_two_passes_and_others_one(photo: np.ndarray, session: Session):
    best, fast = (
        remove(photo, only_mask=True, session=new_session("sdnet-fast", "cpu", size=256, quality=quality))
        for quality in QUALITIES[::-1]
    )
    default = remove(photo, only_mask=True, session=session)
    np.testing.assert_array_equal(default, best)
    assert (default != fast).any()
    file = onnx_file("sdnet-fast")
    assert file is not None
    np.testing.assert_array_equal(remove(photo, only_mask=True, session=new_session(file, size=256)), fast)


def test_trimaps_that_do_not_fit_are_refused(tmp_path: Path, photo: np.ndarray, trimap: np.ndarray, session: Session):
    (tmp_path / "text.png").write_text("text")
    for given, message in (
        (trimap[:-1], "the trimap is 280×299 pixels and its photo 280×300; scale the trimap"),
        (np.where(trimap == 128, 127, trimap).astype(np.uint8), "the trimap holds 127; a trimap's codes are 0"),
        (trimap.astype(np.float32), r"array, uint8 \[H, W\], not float32 \[300, 280\]"),
        (7, "not int"),
        (tmp_path / "text.png", r"text\.png cannot be read"),
        (tmp_path / "none.png", r"none\.png"),
    ):
        with pytest.raises(InputError, match=message):
            remove(photo, trimap=given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sdnet-fast holds a network that takes no trimap"):
        remove(photo, trimap=trimap, session=new_session(quality="fast"))
    with pytest.raises(InputError, match="sdnet-fast-trimap holds a network that needs a trimap beside each photo"):
        remove(photo, session=new_session("sdnet-fast-trimap"))


def test_cutouts_in_a_folder_are_no_photos_to_predict(tmp_path: Path, photo: np.ndarray, session: Session):
    Image.fromarray(photo).save(tmp_path / "me.jpg")
    written = remove(tmp_path / "me.jpg", session=session)
    assert written.name == "me_cutout.png"
    assert list(PhotoDataset(str(tmp_path)).files) == ["me"]
    (tmp_path / "me.jpg").unlink()
    with pytest.raises(InputError, match="holds nothing but cut-outs"):
        PhotoDataset(str(tmp_path))
