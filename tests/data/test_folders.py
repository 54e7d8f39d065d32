import hashlib
import os
import pickle
import shutil
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.foreground_colors import extend_foreground
from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder, LabelledFolder, MaskFolder, PairFolder
from sdnet_pl.errors import InputError

SHAPE = (20, 30)


@pytest.fixture
def color():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture
def alpha():
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[5:15, 8:20] = np.random.default_rng(1).integers(1, 256, (10, 12))
    return pixels


@pytest.fixture
def cutouts(tmp_path, color, alpha):
    for number, name in enumerate(("a.png", "b.png", "sub/c.png")):
        hidden = np.where(alpha[..., None] > 0, color + np.uint8(number), np.uint8(0))
        write_png(tmp_path / name, np.dstack([hidden, alpha]))
    return tmp_path


@pytest.fixture
def pairs(tmp_path, color, alpha):
    for number, name in enumerate(("a", "b", "sub/c")):
        (tmp_path / "fg" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(color + np.uint8(number)).save(tmp_path / "fg" / f"{name}.bmp")
        write_png(tmp_path / "alpha" / f"{name}.png", alpha)
    return tmp_path


@pytest.fixture
def masked(tmp_path, color):
    """The masks are white from the tenth, the eleventh and the twelfth column on."""
    for number, name in enumerate(("a", "b", "sub/c")):
        mask = np.zeros(SHAPE, np.uint8)
        mask[:, 10 + number :] = 255
        write_png(tmp_path / "mask" / f"{name}.png", mask)
        write_png(tmp_path / "image" / f"{name}.png", color + np.uint8(number))
    return tmp_path


def check_wrapping(source):
    assert len(source) == 3
    for index in range(3):
        for first, second in zip(source.load(index), source.load(index + 3), strict=True):
            np.testing.assert_array_equal(first, second)
        assert source.fingerprint(index) == source.fingerprint(index + 6)
    assert len({source.fingerprint(index) for index in range(3)}) == 3
    assert pickle.loads(pickle.dumps(source)).fingerprint(0) == source.fingerprint(0)


def test_cutouts(cutouts, color, alpha):
    source = CutoutFolder(str(cutouts))
    check_wrapping(source)
    loaded = source.load(1)
    np.testing.assert_array_equal(loaded.alpha, alpha)
    np.testing.assert_array_equal(loaded.color[alpha > 0], (color + np.uint8(1))[alpha > 0])
    assert loaded.color[alpha == 0].mean() > 50
    assert source.fingerprint(0) == hashlib.sha256((cutouts / "a.png").read_bytes()).hexdigest()


def test_a_cutout_without_alpha_is_found_at_construction(cutouts, color):
    Image.fromarray(color).save(cutouts / "plain.jpg")
    with pytest.raises(InputError, match=r"plain\.jpg has no alpha channel"):
        CutoutFolder(str(cutouts))


def test_every_cutout_without_alpha_is_named(cutouts, color):
    for name in ("plain", "white"):
        Image.fromarray(color).save(cutouts / f"{name}.jpg")
    with pytest.raises(
        InputError, match=r"2 pictures in .* are not as they should be\.\n.*plain\.jpg .*\n.*white\.jpg has no"
    ):
        CutoutFolder(str(cutouts))


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("kind", ["cutouts", "pairs"])
def test_a_file_without_a_header_is_found_by_load(request, kind, content):
    """With those whose pixels do not decode: the check before a job names all of them at once."""
    folder = request.getfixturevalue(kind)
    file = folder / ("a.png" if kind == "cutouts" else "alpha/a.png")
    file.write_bytes(content)
    source = CutoutFolder(str(folder)) if kind == "cutouts" else PairFolder(str(folder))
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        source.load(0)


@pytest.mark.parametrize("kind", ["pairs", "masked"])
def test_a_picture_that_changes_its_size_later_is_named(request, kind, alpha):
    folder = request.getfixturevalue(kind)
    source = PairFolder(str(folder)) if kind == "pairs" else MaskFolder(str(folder))
    write_png(
        folder / ("alpha" if kind == "pairs" else "mask") / "a.png", np.asarray(alpha[:-1] // 128 * 255, np.uint8)
    )
    with pytest.raises(InputError, match=r"a\.png is 30×19; both must have one size"):
        source.load(0)


def test_every_pair_of_two_sizes_and_every_coloured_alpha_is_named(pairs, alpha):
    write_png(pairs / "alpha" / "a.png", alpha[:-1])
    write_png(pairs / "alpha" / "b.png", cv2.merge([alpha] * 3))
    with pytest.raises(InputError, match=r"(?s)2 pictures .*b\.png has 3 channels.*a\.png is 30×19"):
        PairFolder(str(pairs))


def test_a_truncated_cutout_is_found_by_load(cutouts):
    data = (cutouts / "a.png").read_bytes()
    (cutouts / "a.png").write_bytes(data[: len(data) // 2])
    source = CutoutFolder(str(cutouts))
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        source.load(0)


@pytest.mark.parametrize("source", [CutoutFolder, BackgroundFolder, PairFolder, MaskFolder])
def test_a_missing_or_empty_folder_is_named(tmp_path, source):
    with pytest.raises(InputError, match=r"nowhere.* does not exist"):
        source(str(tmp_path / "nowhere"))
    for folder in ("fg", "image"):
        (tmp_path / folder).mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        source(str(tmp_path))


def test_pairs(pairs, color, alpha):
    source = PairFolder(str(pairs))
    check_wrapping(source)
    loaded = source.load(2)
    np.testing.assert_array_equal(loaded.alpha, alpha)
    np.testing.assert_array_equal(loaded.color[alpha > 0], (color + np.uint8(2))[alpha > 0])


def test_photos_with_alphas_are_foregrounds(pairs, color, alpha):
    (pairs / "fg").rename(pairs / "image")
    with pytest.raises(InputError, match="fg"):
        PairFolder(str(pairs))
    source = PairFolder(str(pairs), fg="image", weight=2, estimated_edge=True)
    assert (len(source), source.pictures, source.estimated_edge, source.name(4)) == (6, 3, True, "b")
    np.testing.assert_array_equal(source.load(0).color[alpha > 0], color[alpha > 0])
    assert {Path(file.folder).name: file.role for file in source.picture_files()} == {
        "image": "picture",
        "alpha": "alpha",
    }


@pytest.mark.parametrize("part", ["fg/b.bmp", "alpha/b.png"])
def test_the_fingerprint_of_a_pair_follows_both_files(pairs, part):
    before = [PairFolder(str(pairs)).fingerprint(index) for index in range(3)]
    Image.new("L", SHAPE[::-1], 77).save(pairs / part)
    after = [PairFolder(str(pairs)).fingerprint(index) for index in range(3)]
    assert [first == second for first, second in zip(before, after, strict=True)] == [True, False, True]


def test_the_colours_of_a_transparent_foreground_are_taken_as_they_are(pairs, color, alpha):
    (pairs / "fg" / "a.bmp").unlink()
    write_png(pairs / "fg" / "a.png", np.dstack([color, np.full_like(alpha, 30)]))
    np.testing.assert_array_equal(PairFolder(str(pairs)).load(0).color[alpha > 0], color[alpha > 0])


def test_missing_partners_are_listed(pairs, color, alpha):
    for number in range(3):
        write_png(pairs / "fg" / f"lonely{number}.png", color)
    write_png(pairs / "alpha" / "alone.png", alpha)
    with pytest.raises(InputError, match=r"4 file\(s\) without a partner.*alone\.png.*lonely0.*lonely1\.png, \.\.\.\)"):
        PairFolder(str(pairs))


def test_two_files_of_one_name_are_refused(pairs, color):
    write_png(pairs / "fg" / "b.png", color)
    with pytest.raises(InputError, match=r"b\.bmp and .*b\.png have one name"):
        PairFolder(str(pairs))


def test_sizes_must_agree(pairs, alpha):
    write_png(pairs / "alpha" / "b.png", alpha[:-1])
    with pytest.raises(InputError, match=r"b\.bmp is 30×20 pixels and .*b\.png is 30×19;"):
        PairFolder(str(pairs))


def test_sizes_are_those_of_the_upright_pictures(pairs, color, alpha):
    (pairs / "fg" / "a.bmp").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(color).copy()).save(pairs / "fg" / "a.png", exif=exif)
    np.testing.assert_array_equal(PairFolder(str(pairs)).load(0).color[alpha > 0], color[alpha > 0])


def test_an_alpha_of_three_channels_is_found_at_construction(pairs, alpha):
    write_png(pairs / "alpha" / "b.png", cv2.merge([alpha] * 3))
    with pytest.raises(InputError, match=r"b\.png has 3 channels, .*single-channel"):
        PairFolder(str(pairs))


def test_backgrounds(tmp_path, color):
    for number, name in enumerate(("a.png", "sub/b.png", "sub/c.png")):
        write_png(tmp_path / name, color + np.uint8(number))
    source = BackgroundFolder(str(tmp_path))
    check_wrapping(source)
    np.testing.assert_array_equal(source.load(4), color + np.uint8(1))


def test_colours_of_extended_pairs_are_taken_as_they_are(pairs, color, alpha):
    plain, extended = PairFolder(str(pairs)), PairFolder(str(pairs), extended=True)
    for index in range(len(plain)):
        person = extended.load(index)
        np.testing.assert_array_equal(person.alpha, plain.load(index).alpha)
        expected = extend_foreground(person.color, person.alpha)
        np.testing.assert_array_equal(plain.load(index).color, expected)
    assert (extended.load(0).color != plain.load(0).color).any()


def test_photos_with_masks(masked, color):
    source = MaskFolder(str(masked), band=0.1)
    check_wrapping(source)
    loaded = source.load(1)
    np.testing.assert_array_equal(loaded.photo, color + np.uint8(1))
    # A tenth of the 30 columns is unknown on either side of the edge before the eleventh.
    row = np.repeat(np.array([0, 128, 255], np.uint8), [8, 6, 16])
    np.testing.assert_array_equal(loaded.known, np.tile(np.where(row == 128, 0, 255), (20, 1)))
    np.testing.assert_array_equal(loaded.alpha[loaded.known == 255], np.tile(row, (20, 1))[loaded.known == 255])


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (400, 100)])
@pytest.mark.parametrize("band", [0, 0.01, 0.05])
def test_the_band_is_a_share_of_the_longer_side(tmp_path, shape, band):
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 2 :] = 255
    write_png(tmp_path / "mask/a.png", mask)
    write_png(tmp_path / "image/a.png", np.zeros((*shape, 3), np.uint8))
    loaded = MaskFolder(str(tmp_path), band).load(0)
    assert ((loaded.known == 0).sum(axis=0) == 2 * round(band * max(shape))).all()
    np.testing.assert_array_equal(loaded.alpha, mask)


@pytest.mark.parametrize("band", [-0.01, 0.5, float("nan")])
def test_a_band_that_is_no_share_of_half_the_photo_is_refused(masked, band):
    with pytest.raises(InputError, match=rf"band is {band}; .* from 0 to below 0\.5"):
        MaskFolder(str(masked), band)


def test_a_mask_with_greys_is_named(masked, alpha):
    write_png(masked / "mask" / "b.png", alpha)
    source = MaskFolder(str(masked))
    source.load(0)
    with pytest.raises(InputError, match=r"b\.png holds greys"):
        source.load(1)


def test_a_mask_of_one_bit_is_a_mask(masked):
    expected = MaskFolder(str(masked)).load(0)
    Image.open(masked / "mask" / "a.png").convert("1").save(masked / "mask" / "a.png")
    np.testing.assert_array_equal(MaskFolder(str(masked)).load(0).alpha, expected.alpha)


def test_photos_and_masks_must_pair(masked, alpha):
    write_png(masked / "mask" / "b.png", alpha[:-1])
    with pytest.raises(InputError, match=r"b\.png is 30×20 pixels and .*b\.png is 30×19; both must have one size"):
        MaskFolder(str(masked))
    (masked / "mask" / "b.png").unlink()
    with pytest.raises(InputError, match=r"1 file\(s\) without a partner \(.*b\.png\).*in image/ .* in mask/"):
        MaskFolder(str(masked))


@pytest.mark.parametrize("part", ["image", "mask"])
def test_the_fingerprint_of_a_photo_follows_both_files(masked, part):
    before = [MaskFolder(str(masked)).fingerprint(index) for index in range(3)]
    Image.new("L", SHAPE[::-1], 255).save(masked / part / "b.png")
    after = [MaskFolder(str(masked)).fingerprint(index) for index in range(3)]
    assert [first == second for first, second in zip(before, after, strict=True)] == [True, False, True]


def test_the_fingerprint_of_a_photo_follows_its_band(masked):
    assert MaskFolder(str(masked), band=0.0).fingerprint(0) != MaskFolder(str(masked), band=0.2).fingerprint(0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_of_names_may_be_saved_by_any_editor(cutout_root: Path, tmp_path: Path, encoding: str):
    """With a BOM or in UTF-16, with accents composed or not; a file's name may be no UTF-8 at all."""
    folder = cutout_root / "cutouts" / "train"
    (folder / "00.png").rename(folder / "Zoe\N{COMBINING DIAERESIS} Łuk.png")
    (tmp_path / "names.txt").write_bytes("Zo\u00eb Łuk\r\n01".encode(encoding))
    chosen = CutoutFolder(str(folder), names=str(tmp_path / "names.txt"))
    assert [unicodedata.normalize("NFC", chosen.name(i)) for i in range(2)] == ["Zoë Łuk", "01"]
    try:
        shutil.copy(folder / "01.png", folder / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    (tmp_path / "names.txt").write_bytes(b"caf\xe9\n")
    assert CutoutFolder(str(folder), names=str(tmp_path / "names.txt")).name(0) == r"caf\xe9"


def test_named_cutouts_come_as_often_as_asked(cutout_root: Path, tmp_path: Path):
    everyone = CutoutFolder(str(cutout_root / "cutouts"))
    (tmp_path / "names.txt").write_text("val/01\n\ntrain/03 \n")
    chosen = CutoutFolder(str(cutout_root / "cutouts"), names=str(tmp_path / "names.txt"), weight=3)
    assert len(chosen) == 6
    expected = [str(file) for (file,) in everyone.files if file.match("val/01.png") or file.match("train/03.png")]
    assert sorted(str(file) for (file,) in chosen.files) == sorted(expected)
    assert chosen.fingerprint(0) == chosen.fingerprint(4) != chosen.fingerprint(1)
    np.testing.assert_array_equal(chosen.load(1).alpha, chosen.load(5).alpha)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("val/01\nval/77\nnobody\n", r"names 2 picture\(s\) .* does not hold \(val/77, nobody\)"),
        ("\n", "names.txt is empty"),
        (None, "names.txt does not exist"),
    ],
)
def test_bad_lists_of_names(cutout_root: Path, tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "names.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        CutoutFolder(str(cutout_root / "cutouts"), names=str(tmp_path / "names.txt"))


def test_patterns_of_names_choose_pictures(cutout_root: Path):
    path = str(cutout_root / "cutouts")
    chosen = CutoutFolder(path, names=["val/*", "train/0[45]"])
    assert [chosen.name(i) for i in range(chosen.pictures)] == ["train/04", "train/05", "val/00", "val/01", "val/02"]
    backgrounds = BackgroundFolder(str(cutout_root / "backgrounds"), names=["val/*"], weight=0.5)
    assert (len(backgrounds), backgrounds.pictures) == (2, 4)
    with pytest.raises(InputError, match=r"No name of a picture in .*cutouts fits 'test/\*'"):
        CutoutFolder(path, names=["val/*", "test/*"])


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1001])
def test_a_weight_is_above_zero(cutout_root: Path, masked: Path, weight: float):
    for make in (
        lambda: CutoutFolder(str(cutout_root / "cutouts"), weight=weight),
        lambda: BackgroundFolder(str(cutout_root / "backgrounds"), weight=weight),
        lambda: MaskFolder(str(masked), weight=weight),
    ):
        with pytest.raises(InputError, match=rf"weight of .* is {weight}; .* above 0"):
            make()


@pytest.fixture
def labelled(masked: Path, alpha: np.ndarray) -> Path:
    """Three photos with a soft alpha, certain in its upper half."""
    known = np.zeros_like(alpha)
    known[: len(known) // 2] = 255
    for name in ("a", "b", "sub/c"):
        write_png(masked / "alpha" / f"{name}.png", alpha)
        write_png(masked / "known" / f"{name}.png", known)
    return masked


def test_photos_with_a_soft_alpha(labelled: Path, color: np.ndarray, alpha: np.ndarray):
    source = LabelledFolder(str(labelled))
    check_wrapping(source)
    photo, soft, known = source.load(1)
    np.testing.assert_array_equal(photo, color + np.uint8(1))
    np.testing.assert_array_equal(soft, alpha)
    assert (known[: len(known) // 2] == 255).all()
    assert (known[len(known) // 2 :] == 0).all()
    assert len(LabelledFolder(str(labelled), weight=3)) == 9


def test_people_of_photos_need_their_folder_named(labelled: Path):
    with pytest.raises(InputError, match=r"has no fg/, but image/; .* fg: image"):
        PairFolder(str(labelled))
    assert len(PairFolder(str(labelled), fg="image")) == 3


@pytest.mark.parametrize("part", ["image", "alpha", "known"])
def test_three_files_make_a_labelled_photo(labelled: Path, part: str):
    before = [LabelledFolder(str(labelled)).fingerprint(index) for index in range(3)]
    Image.new("L", SHAPE[::-1], 255).save(labelled / part / "b.png")
    after = [LabelledFolder(str(labelled)).fingerprint(index) for index in range(3)]
    assert [first == second for first, second in zip(before, after, strict=True)] == [True, False, True]
    (labelled / part / "b.png").unlink()
    with pytest.raises(InputError, match=r"without a partner \(.*b\.png"):
        LabelledFolder(str(labelled))
