"""remove(): every kind of picture comes back as its kind, cut out, masked, or before another background."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.data.datamodule import PhotoDataset
from sdnet_pl.data.trimap import predicted_trimap
from sdnet_pl.errors import InputError
from sdnet_pl.inference.engine import onnx_file
from sdnet_pl.inference.pretrained import QUALITIES
from sdnet_pl.inference.removal import Session, new_session, remove


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
