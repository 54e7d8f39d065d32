"""The notes that pictures of this package carry, in every format that is written."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.metadata import Metadata
from sdnet_pl.data.notes import is_whole, read_notes
from sdnet_pl.data.provenance import found_nobody, is_ours, mark, was_made_of
from sdnet_pl.data.written import encode_picture, write_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)


@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
@pytest.mark.parametrize("metadata", [None, Metadata(dpi=(300.0, 300.0), artist="Zoë", captured="2024:05:31 18:30:00")])
def test_a_mark_is_found_again(tmp_path: Path, kind: str, metadata: Metadata | None):
    file = tmp_path / f"a.{kind}"
    write_picture(file, PIXELS[..., :3], metadata, mark("0f", nobody=True), kind)
    assert is_ours(file)
    assert was_made_of(file, "0f")
    assert not was_made_of(file, "0")
    assert found_nobody(file)
    write_picture(file, PIXELS[..., 0], metadata, mark(), kind)
    assert is_ours(file)
    assert not found_nobody(file)
    write_picture(file, PIXELS[..., :3], metadata, None, kind)
    assert not is_ours(file)


def test_a_webp_keeps_colours_under_transparency():
    packed = io.BytesIO()
    encode_picture(packed, PIXELS // 128 * 255, kind="webp")
    np.testing.assert_array_equal(np.asarray(Image.open(packed)), PIXELS // 128 * 255)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_files_that_end_anywhere_or_are_damaged_have_notes_or_none(tmp_path: Path, kind: str):
    packed = io.BytesIO()
    encode_picture(packed, PIXELS[..., :3], None, mark("0f"), kind)
    whole = packed.getvalue()
    for length in range(0, len(whole), 7):
        (tmp_path / "a").write_bytes(whole[:length])
        assert read_notes(tmp_path / "a").keys() <= {"Software", "sdnet_pl job"}
        damaged = bytearray(whole)
        damaged[length] ^= 255
        (tmp_path / "a").write_bytes(damaged)
        read_notes(tmp_path / "a")


@pytest.mark.parametrize("size", [(20, 30), (19, 31)])
@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_a_file_that_lost_its_end_is_not_whole(tmp_path: Path, kind: str, size: tuple[int, int]):
    file = tmp_path / f"a.{kind}"
    write_picture(file, PIXELS[: size[0], :30, :3], None, mark("0f"), kind)
    assert is_whole(file)
    whole = file.read_bytes()
    for length in (0, 11, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert not is_whole(file) or length < 12
    (tmp_path / "text").write_text("text")
    assert is_whole(tmp_path / "text")


def test_files_of_other_programs_have_none_of_ours(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0131] = "GIMP 2.10"
    for name in ("a.jpg", "a.webp", "a.png", "a.tif"):
        Image.fromarray(PIXELS[..., :3]).save(tmp_path / name, exif=exif)
        assert not is_ours(tmp_path / name)
    (tmp_path / "empty.jpg").touch()
    assert not is_ours(tmp_path / "empty.jpg")
    assert not is_ours(tmp_path)
    assert not is_ours(tmp_path / "none.jpg")
