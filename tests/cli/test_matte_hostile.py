"""Photos and places that sdnet-pl matte can do nothing with: each is named, and the others are done."""

import builtins
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data.image_io import read_rgba
from sdnet_pl.errors import InputError
from sdnet_pl.inference import jobs
from tests.matting import call, written

pytest_plugins = ["tests.matting"]  # its fixtures


def claim(path: Path, width: int, height: int) -> None:
    """A PNG that says it is of another size than it is."""
    Image.new("RGB", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">LL", width, height)
    content[29:33] = struct.pack(">L", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def test_bad_photos_are_listed_and_the_others_are_done(tmp_path, photos, weights, loads, capsys):
    (photos / "truncated.jpg").write_bytes((photos / "a.jpg").read_bytes()[:400])
    (photos / "text.jpg").write_text("This is no picture.")
    (photos / "empty.jpg").touch()
    claim(photos / "bomb.png", 60000, 60000)
    claim(photos / "no_rows.png", 8, 0)
    claim(photos / "no_columns.png", 0, 8)
    claim(photos / "larger.png", 9, 9)
    Image.new("RGB", (1, 1), "red").save(photos / "pixel.png")
    Image.new("RGB", (1, 3000), "red").save(photos / "line.png")
    assert call(photos, "-o", tmp_path / "out", "--weights", weights) == 1
    assert written(tmp_path / "out") == ["a.png", "b.png", "line.png", "pixel.png", "sub/a.png"]
    assert read_rgba(tmp_path / "out" / "pixel.png")[1].shape == (1, 1)
    errors = capsys.readouterr().err
    for name in ("truncated.jpg", "text.jpg", "empty.jpg", "bomb.png", "no_rows.png", "no_columns.png", "larger.png"):
        assert errors.count(f"\n{photos / name} ") == 1, name
    assert "bomb.png holds more than 250 megapixels" in errors
    assert "5 cut-out(s) written" in errors
    assert "7 photo(s) could not be read" in errors


def test_a_photo_that_vanishes_is_named(tmp_path, photos, weights, loads, monkeypatch, capsys):
    output = tmp_path / "out"
    assert call(photos / "a.jpg", "-o", output, "--weights", weights) == 0
    plan = jobs.plan

    def planned(*arguments, **options):
        found = plan(*arguments, **options)
        for name in ("a.jpg", "b.png"):  # the first has a cut-out already
            (photos / name).unlink()
        return found

    monkeypatch.setattr("sdnet_pl.cli.matte.plan", planned)
    assert call(photos, "-o", output, "--weights", weights) == 1
    errors = capsys.readouterr().err
    assert f"{photos / 'a.jpg'} does not exist" in errors
    assert f"{photos / 'b.png'} does not exist" in errors
    assert written(output) == ["a.png", "sub/a.png"]


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_a_photo_without_permission_is_named(tmp_path, photos, weights, loads, monkeypatch, capsys, format):
    opened = builtins.open

    def refuse(file, *arguments, **options):
        if str(file) == str(photos / "a.jpg"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", refuse)
    more = "--weights", weights, "--background", "red", "--format", format
    assert call(photos, "-o", tmp_path / "out", *more) == 1
    assert "a.jpg cannot be read as a picture (" in (errors := capsys.readouterr().err)
    assert "Permission denied" in errors
    assert written(tmp_path / "out") == [f"b.{format}", f"sub/a.{format}"]


def test_a_folder_of_the_name_of_a_cutout(tmp_path, photos, weights, loads):
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    with pytest.raises(InputError, match=r"a\.png is a folder, and the cut-out of .*a\.jpg has that name; rename one"):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    assert not loads
    (photos / "me.jpg").mkdir()
    with pytest.raises(InputError, match=r"me\.jpg holds no picture"):
        call(photos / "me.jpg", "-o", tmp_path / "new", "--weights", weights)


def test_outputs_that_are_no_names_of_files(tmp_path, photos, weights, loads, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".png", "new/.JPG", ".tif"):
        for given in (photos / "a.jpg", photos):
            with pytest.raises(InputError, match=rf"{name} is the end of a name alone; give .* such as out\."):
                call(given, "-o", name, "--weights", weights)
    Path("gone.png").symlink_to("nowhere")
    Path("gone").symlink_to("nowhere")
    for name in ("gone.png", "gone"):
        for options in ((), ("--overwrite",)):
            with pytest.raises(InputError, match=rf"{name} is a link to nothing; remove the link"):
                call(photos / "a.jpg", "-o", name, "--weights", weights, *options)
    assert not loads
    Path(".png").mkdir()
    assert call(photos / "a.jpg", "-o", ".png", "--weights", weights) == 0
    assert call(photos / "a.jpg", "-o", ".hidden", "--weights", weights) == 0
    assert written(tmp_path / ".png") == written(tmp_path / ".hidden") == ["a.png"]


def test_names_that_begin_with_a_dash(tmp_path, photos, weights, loads, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    for name in ("-om.jpg", "--size.jpg"):
        (photos / name).write_bytes((photos / "a.jpg").read_bytes())
    assert call("-o", tmp_path / "out", "--weights", weights, "--", "-om.jpg", "--size.jpg") == 0
    assert call(".", "-o", tmp_path / "out", "--weights", weights) == 0
    assert written(tmp_path / "out") == ["--size.png", "-om.png", "a.png", "b.png", "sub/a.png"]
    assert call("--weights", weights, "--", "-om.jpg") == 0
    assert (photos / "-om_cutout.png").is_file()
    (photos / "-me.jpg").write_bytes((photos / "a.jpg").read_bytes())
    with pytest.raises(SystemExit):
        main(["matte", "-me.jpg"])
    assert "; for the file -me.jpg write ./-me.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_a_full_disk_leaves_nothing_by_halves(tmp_path, kind):
    """The system refuses to let the file grow, as a full disk does."""
    resource = pytest.importorskip("resource")
    Image.effect_noise((300, 300), 90).convert("RGB").save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "sdnet_pl", "matte", "photo.png", f"out.{kind}", "--background", "blur"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit)
    assert result.returncode == 2
    assert f"sdnet-pl: error: out.{kind} cannot be written (File too large)" in result.stderr
    assert written(tmp_path) == ["photo.png"]


def test_names_of_any_language_where_the_system_speaks_ascii(tmp_path):
    folder = tmp_path / "Łódź"
    folder.mkdir()
    pixels = np.zeros((50, 40, 3), np.uint8)
    for name in ("日本.jpg", os.fsdecode(b"caf\xe9.jpg")):
        Image.fromarray(pixels).save(folder / name)
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    base = [sys.executable, "-m", "sdnet_pl", "matte"]
    for words in (["Łódź", "-o", "out", "--format", "webp"], ["Łódź/*.jpg"], ["Łódź/日本.jpg", "ł.png"]):
        result = subprocess.run([*base, *words], cwd=tmp_path, capture_output=True, env=environment)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "日本.webp").is_file()
    assert (tmp_path / "ł.png").is_file()
    assert len(list(folder.iterdir())) == 4


def test_urls_are_refused_in_one_sentence(photos, capsys):
    for words in (["https://example.org/a.jpg"], ["file:///a.jpg", "b.png"], [str(photos / "a.jpg"), "-o", "s3://x/"]):
        assert main(["matte", *words]) == 2
        assert "is a URL, and only files are read and written" in capsys.readouterr().err


def test_a_video_is_named_with_the_command_for_it(tmp_path, weights, loads, capsys):
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(99))
    assert call(tmp_path / "clip.mp4", "-o", tmp_path / "a.png", "--weights", weights) == 1
    said = f"{tmp_path / 'clip.mp4'} is a video; cut the people out of it with sdnet-pl video."
    assert said in capsys.readouterr().err
