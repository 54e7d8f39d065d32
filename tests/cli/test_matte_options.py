"""What sdnet-pl matte writes where: masks, backgrounds, formats, names, and the words of other programs."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.image_io import read_alpha, read_rgb, read_rgba
from sdnet_pl.errors import InputError
from sdnet_pl.inference import watching
from tests.matting import call, written

pytest_plugins = ["tests.matting"]  # its fixtures


@pytest.fixture
def cutout(tmp_path, photos, weights, loads):
    """What a plain call makes of a.jpg: colours and alpha."""
    call(photos / "a.jpg", "-o", tmp_path / "cutout.png", "--weights", weights)
    return read_rgba(tmp_path / "cutout.png")


def over(cutout, color):
    foreground, alpha = cutout[0].astype(float), cutout[1][..., None] / 255
    return foreground * alpha + np.array(color) * (1 - alpha)


# Masks, backgrounds and formats


def test_the_mask_alone(tmp_path, photos, weights, cutout):
    assert call(photos / "a.jpg", "-o", tmp_path / "mask.png", "--only-mask", "--weights", weights) == 0
    np.testing.assert_array_equal(read_alpha(tmp_path / "mask.png"), cutout[1])


@pytest.mark.parametrize("background", ["#0a141e", "picture"])
def test_another_background(tmp_path, photos, weights, cutout, background):
    if background == "picture":
        background = tmp_path / "beach.webp"
        Image.new("RGB", (90, 30), (10, 20, 30)).save(background, lossless=True)
    output = tmp_path / "out"
    assert call(photos, "-o", output, "--background", background, "--format", "webp", "--weights", weights) == 0
    assert written(output) == ["a.webp", "b.webp", "sub/a.webp"]
    np.testing.assert_allclose(read_rgb(output / "a.webp"), over(cutout, (10, 20, 30)), atol=1)


def test_a_blurred_background(tmp_path, photos, weights, cutout):
    assert call(photos / "a.jpg", "-o", tmp_path / "blur.png", "--background", "blur", "--weights", weights) == 0
    with Image.open(tmp_path / "blur.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (70, 40))


def test_a_webp_is_the_same_cutout_as_a_png(tmp_path, photos, weights, cutout):
    assert call(photos / "a.jpg", "-o", tmp_path / "cutout.webp", "--weights", weights) == 0
    with Image.open(tmp_path / "cutout.png") as png, Image.open(tmp_path / "cutout.webp") as webp:
        np.testing.assert_array_equal(np.asarray(webp), np.asarray(png))


@pytest.mark.parametrize("name", ["a.webp", "a.jpg", "a.JPEG"])
def test_other_formats_keep_metadata_and_carry_the_mark(tmp_path, weights, loads, name, capsys):
    exif = Image.Exif()
    exif[0x8298] = "Anna"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 18:30:00"
    Image.new("RGB", (80, 50), "red").save(tmp_path / "photo.jpg", exif=exif, dpi=(300, 300))
    arguments = tmp_path / "photo.jpg", "-o", tmp_path / name, "--weights", weights, "--background", "white"
    assert call(*arguments) == 0
    with Image.open(tmp_path / name) as picture:
        found = picture.getexif()
        assert found[0x8298] == "Anna"
        assert found[0x011A] == pytest.approx(300)
        assert found[0x0131].startswith("sdnet_pl ")
        assert found.get_ifd(0x8769)[0x9003] == "2024:05:31 18:30:00"
        if picture.format == "JPEG":
            assert picture.info["dpi"] == (300, 300)
    before = (tmp_path / name).stat().st_mtime_ns
    loads.clear()
    assert call(*arguments) == 0
    assert not loads
    assert (tmp_path / name).stat().st_mtime_ns == before
    with pytest.raises(InputError, match="with other options"):
        call(*arguments[:-1], "blue")
    assert call(*arguments[:-1], "blue", "--overwrite") == 0
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(InputError, match="was not written by sdnet-pl"):
        call(*arguments, "--overwrite")


def test_a_rerun_in_another_format_takes_no_output_for_a_photo(photos, weights, loads, capsys):
    more = "--background", "white", "--format", "jpg", "--weights", weights
    output = photos / "out"
    first = photos / "a.jpg", photos / "b.png"
    assert call(*first, "-o", photos, "--format", "webp", "--only-mask", "--weights", weights) == 0
    assert call(photos, "-o", output, *more) == 0
    assert call(photos, "-o", output, *more) == 0
    assert "3 existed already" in capsys.readouterr().err
    assert written(output) == ["a.jpg", "b.jpg", "sub/a.jpg"]


def test_the_format_fits_the_name_and_what_is_written(tmp_path, photos, weights, loads):
    for more, message in (
        (("-o", "x.jpg"), "x.jpg cannot be a JPEG, which holds no transparency"),
        (("-o", tmp_path / "out", "--format", "jpg"), "A cut-out cannot be a JPEG"),
        (("-o", "x.png", "--format", "webp"), "x.png is no name of a webp"),
        (("-o", "x.gif"), "x.gif is no name of what is written"),
        (("-o", "res.foo"), "res.foo looks like a file of a format that is not written"),
        (("-o", "x.png", "--only-mask", "--background", "red"), "do not go together"),
        (("-o", "x.png", "--background", "reddish"), "neither a colour"),
        (("-o", "x.png", "--background", ""), "background '' is neither a colour"),
        (("-o", "x.png", "--background", "."), "background '.' is neither a colour"),
        (("-o", "x.png", "--background", "#ff000080"), "background '#ff000080' is translucent"),
        (("-o", "x.png", "--jobs", "0"), "jobs is 0"),
    ):
        with pytest.raises(InputError, match=message):
            call(photos / "a.jpg", *more, "--weights", weights)
    assert not loads
    (tmp_path / "res.foo").mkdir()
    assert call(photos / "a.jpg", "-o", tmp_path / "res.foo", "--weights", weights) == 0
    assert call(photos / "a.jpg", "-o", tmp_path / "holiday.2024", "--weights", weights) == 0
    assert written(tmp_path / "holiday.2024") == ["a.png"]


def test_a_photo_that_a_format_cannot_hold_is_named(tmp_path, weights, loads, capsys):
    Image.new("RGB", (16384, 2)).save(tmp_path / "wide.png")
    assert call(tmp_path / "wide.png", "-o", tmp_path / "wide.webp", "--weights", weights) == 1
    assert "wide.png is 16384x2 pixels, and a side of a webp has at most 16383" in capsys.readouterr().err


def test_standard_output_takes_a_format(photos, weights, loads, capsysbinary):
    assert call(photos / "a.jpg", "-o", "-", "--format", "webp", "--weights", weights) == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as picture:
        assert (picture.format, picture.mode) == ("WEBP", "RGBA")


# Where to


def test_a_second_name_is_the_output(tmp_path, photos, weights, loads, monkeypatch, capsysbinary):
    monkeypatch.chdir(photos)
    for _ in range(2):  # the second time it exists
        assert call("a.jpg", "new/out.webp", "--weights", weights) == 0
    assert written(photos) == ["a.jpg", "b.png", "new/out.webp", "sub/a.webp"]
    assert len(loads) == 1
    assert call("a.jpg", "-", "--weights", weights) == 0
    assert capsysbinary.readouterr().out.startswith(b"\x89PNG")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((photos / "b.png").read_bytes())))
    assert call("-", "--weights", weights) == 0
    assert capsysbinary.readouterr().out.startswith(b"\x89PNG")


def test_photos_are_never_taken_for_the_output(photos, weights, loads, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    mine = (photos / "b.png").read_bytes()
    assert call("a.jpg", "b.png", "--weights", weights) == 0
    assert (photos / "b.png").read_bytes() == mine
    assert written(photos) == ["a.jpg", "a_cutout.png", "b.png", "b_cutout.png", "sub/a.webp"]
    assert "2 cut-out(s) written beside the photos" in capsys.readouterr().err
    for words, message in (
        (("a.jpg", "b.png", "c.png"), "c.png does not exist"),
        (("a.jpg", "outputs"), "outputs does not exist"),
        (("sub", "c.png"), "sub is a folder; say with -o"),
        (("gone.jpg", "c.png"), "gone.jpg does not exist"),
        (("a.jpg", "https://example.org/me.png"), "https://example.org/me.png is a URL, and only files"),
    ):
        with pytest.raises(InputError, match=message):
            call(*words, "--weights", weights)


def test_without_an_output_a_cutout_lies_beside_its_photo(photos, weights, loads, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    assert call("b.png", "--weights", weights) == 0
    assert capsys.readouterr().err == "sdnet-pl: 1 cut-out(s) written to b_cutout.png\n"
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes())
    for _ in range(2):
        assert call("*.png", "sub/a.webp", "--weights", weights) == 0
        assert call(*sorted(Path().glob("b*.png")), "sub/a.webp", "--weights", weights) == 0  # as a shell expands it
    assert written(photos) == ["a.jpg", "b.jpg", "b.png", "b.png_cutout.png", "b_cutout.png", "sub/a.webp",
                               "sub/a_cutout.png"]  # fmt: skip


def test_patterns_that_no_shell_expanded(tmp_path, photos, weights, loads):
    (photos / "notes.txt").write_text("no picture")
    (photos / "[1].jpg").write_bytes((photos / "a.jpg").read_bytes())
    for pattern, names in (
        ("*", ["[1].png", "a.png", "b.png"]),
        ("?.jpg", ["a.png"]),
        ("[1].jpg", ["[1].png"]),
        ("**", ["[1].png", "photos/a.jpg.png", "b.png", "photos/sub/a.webp.png"]),
    ):
        output = tmp_path / f"out{len(names)}{len(pattern)}"
        assert call(photos / pattern, "-o", output, "--weights", weights) == 0
        found = written(output)
        assert len(found) == len(names) + (pattern == "*")  # the folder's photo too
    with pytest.raises(InputError, match=r"z\* matches no photo"):
        call(photos / "z*", "-o", tmp_path / "out", "--weights", weights)


# Words of other programs


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("-om",), ("--only-mask",)),
        (("--type", "map"), ("--only-mask",)),
        (("-bgc", "120", "255", "155", "255"), ("--background", "#78ff9b")),
        (("--type", "green"), ("--background", "#78ff9b")),
        (("--type", "white"), ("--background", "white")),
        (("--type", "blur", "--background", "blur"), ("--background", "blur")),
        (("--type", "rgba"), ()),
    ],
)
def test_words_of_other_programs_are_those_options(tmp_path, photos, weights, loads, words, option):
    assert call(photos / "a.jpg", tmp_path / "a.png", "-m", weights, *words) == 0
    assert call(photos / "a.jpg", tmp_path / "b.png", "--weights", weights, *option) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert loads == [str(weights)] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", "sdnet-fast", "--weights", "sdnet"), "--weights, which means sdnet, and --model"),
        (("--type", "green", "--background", "red"), "--background, which means red, and --type green"),
        (("--type", "map", "--background", "red"), "do not go together"),
        (("--type", "rgba", "-om"), "--type rgba is a cut-out"),
        (("-bgc", "0", "0", "0", "0"), "its opacity, is 0, and a background is opaque"),
        (("-bgc", "0", "0", "256", "255"), "-bgc 0 0 256 255 is no colour"),
    ],
)
def test_contradictions(photos, loads, words, message):
    with pytest.raises(InputError, match=message):
        call(photos / "a.jpg", *words)
    assert not loads


# Watching


def test_photos_that_arrive_are_cut_out(tmp_path, weights, loads, monkeypatch, capsys):
    folder, output = tmp_path / "in", tmp_path / "in" / "out"
    (folder / "sub").mkdir(parents=True)
    packed = io.BytesIO()
    Image.effect_noise((60, 50), 90).convert("RGB").save(packed, "JPEG")
    whole = packed.getvalue()

    def put(name, content, age=0):
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(age, age))

    looks = iter(
        [
            lambda: put("a.jpg", whole[:500]),
            lambda: put("a.jpg", whole),  # it has grown since
            lambda: written(output) == [],
            lambda: put("sub/b.png", b"no picture"),
            lambda: None,
            lambda: put("sub/b.png", whole, age=1),
            lambda: None,
            lambda: None,
        ]
    )

    def sleep(seconds):
        try:
            next(looks)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(watching.time, "sleep", sleep)
    assert call(folder, "-o", output, "--watch", "--weights", weights) == 0
    assert written(output) == ["a.png", "sub/b.png"]
    assert len(loads) == 1
    err = capsys.readouterr().err
    assert err.count("b.png cannot be read as a picture") == 1  # and none at the end, since it was mended
    assert err.splitlines()[-1] == f"sdnet-pl: 2 cut-out(s) written to {output}"


def test_what_cannot_be_planned_is_said_once(tmp_path, photos, weights, loads, monkeypatch, capsys):
    output, looks = tmp_path / "out", []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            (photos / "new.png").write_bytes((photos / "b.png").read_bytes())
            (output / "new.png").write_text("someone else's")
        if len(looks) == 5:
            (output / "new.png").unlink()
        if len(looks) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", sleep)
    assert call(photos, "-o", output, "--watch", "--weights", weights) == 0
    assert written(output) == ["a.png", "b.png", "new.png", "sub/a.png"]
    assert capsys.readouterr().err.count("was not written by sdnet-pl") == 1


def test_there_is_a_folder_to_watch(photos, weights, loads):
    with pytest.raises(InputError, match="--watch waits for photos that arrive in a folder"):
        call(photos / "a.jpg", "--watch", "--weights", weights)
    with pytest.raises(InputError, match="say with -o"):
        call(photos, "--watch", "--weights", weights)
