import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sdnet_pl.data import image_io
from sdnet_pl.data.image_io import read_rgba, write_png
from sdnet_pl.data.photo import Photo
from sdnet_pl.errors import InputError
from sdnet_pl.inference import batch
from tests.matting import call, written

pytest_plugins = ["tests.matting"]  # its fixtures


def test_a_photo_becomes_a_cutout_of_its_own_size(tmp_path, photos, weights, loads, capsys):
    output = tmp_path / "new" / "out"
    assert call(photos / "a.jpg", "-o", output, "--weights", weights) == 0
    assert written(output) == ["a.png"]
    color, alpha = read_rgba(output / "a.png")
    assert color.shape == (40, 70, 3)
    assert (alpha[12:28, 12:28] > 240).all()
    assert (alpha[35:] < 10).all()
    assert loads == [str(weights)]
    assert "photo" not in capsys.readouterr().err


def test_a_rotated_photo_comes_out_upright(tmp_path, weights, loads):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 50)).save(tmp_path / "phone.jpg", exif=exif)
    assert call(tmp_path / "phone.jpg", "-o", tmp_path / "out", "--weights", weights) == 0
    assert read_rgba(tmp_path / "out" / "phone.png")[1].shape == (80, 50)


def test_folders_keep_their_structure(tmp_path, photos, weights, loads, capsys):
    output = tmp_path / "out"
    assert call(photos, "-o", output, "--weights", weights) == 0
    assert written(output) == ["a.png", "b.png", "sub/a.png"]
    assert "Matting" in capsys.readouterr().err
    assert len(loads) == 1


def test_a_photo_given_twice_is_done_once(tmp_path, photos, weights, loads):
    assert call(photos / "a.jpg", photos / "sub" / ".." / "a.jpg", "-o", tmp_path / "out", "--weights", weights) == 0
    assert written(tmp_path / "out") == ["a.png"]


def test_a_photo_given_alone_and_in_its_folder_is_written_to_both_places(tmp_path, photos, weights, loads):
    (photos / "a.jpg").unlink()
    assert call(photos / "sub" / "a.webp", photos, "-o", tmp_path / "out", "--weights", weights) == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "sub/a.png"]


def test_the_size_and_the_device_are_those_asked_for(tmp_path, photos, weights, loads, network, monkeypatch):
    seen = []

    def forward(self, x):
        seen.append(x.shape[2:])
        return x[:, :1]

    monkeypatch.setattr(network, "forward", forward)
    base = photos / "a.jpg", "-o", tmp_path / "out", "--weights", weights, "--overwrite", "--device", "cpu"
    assert call(*base) == 0
    assert call(*base, "--size", "35") == 0
    assert [max(shape) for shape in seen] == [64, 35]


def test_photos_that_do_not_decode_are_named_at_the_end(tmp_path, photos, weights, loads, capsys):
    (photos / "a.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    (photos / "z.png").write_bytes(b"<html>")
    assert call(photos, "-o", tmp_path / "out", "--weights", weights) == 1
    assert written(tmp_path / "out") == ["b.png", "sub/a.png"]
    sentences = [line for line in capsys.readouterr().err.splitlines() if "cannot be read as a picture" in line]
    assert len(sentences) == 2
    assert sentences[0].startswith(str(photos / "a.jpg"))
    assert sentences[1].startswith(str(photos / "z.png"))


def test_ctrl_c_leaves_whole_files_only(tmp_path, photos, weights, loads, monkeypatch):
    encode, calls = image_io.encode, []

    def interrupted(stream, *arguments, **options):
        calls.append(stream)
        if len(calls) == 2:
            stream.write(b"half")
            raise KeyboardInterrupt
        encode(stream, *arguments, **options)

    monkeypatch.setattr(image_io, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    # Photos that other threads had begun are finished.
    names = written(tmp_path / "out")
    assert 1 <= len(names) <= 2
    for name in names:
        assert not name.startswith(".")
        read_rgba(tmp_path / "out" / name)


def test_a_full_disk_is_one_sentence(tmp_path, photos, weights, loads, monkeypatch):
    def full(stream, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_io, "encode", full)
    with pytest.raises(InputError, match=r"\.png cannot be written \(No space left on device\)"):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    assert written(tmp_path / "out") == []


def test_a_photo_in_which_nobody_is_found_is_named(tmp_path, photos, weights, loads, capsys):
    Image.new("RGB", (200, 100), (0, 90, 200)).save(photos / "sea.png")
    assert call(photos, "-o", tmp_path / "out", "--weights", weights) == 0
    err = capsys.readouterr().err
    assert f"sdnet-pl: 4 cut-out(s) written to {tmp_path / 'out'}; nobody found in {photos / 'sea.png'}" in err
    assert "sea.png" in written(tmp_path / "out")
    assert call(photos / "sea.png", "-o", tmp_path / "alone", "--weights", weights) == 0
    assert capsys.readouterr().err == f"sdnet-pl: nobody found in {photos / 'sea.png'}\n"
    assert call(photos, "-o", tmp_path / "out", "--weights", weights) == 0
    assert f"4 existed already, of the same photos; nobody found in {photos / 'sea.png'}" in capsys.readouterr().err


def test_cutouts_keep_what_belongs_to_the_photo_and_say_who_made_them(tmp_path, weights, loads):
    exif = Image.Exif()
    exif[0x8298] = "Anna"
    Image.new("RGB", (80, 50), "red").save(tmp_path / "photo.jpg", exif=exif, dpi=(300, 300))
    assert call(tmp_path / "photo.jpg", "-o", tmp_path / "out", "--weights", weights) == 0
    with Image.open(tmp_path / "out" / "photo.png") as cutout:
        assert cutout.getexif()[0x8298] == "Anna"
        assert cutout.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert cutout.info["Software"].startswith("sdnet_pl ")


def test_photos_are_done_side_by_side(tmp_path, photos, weights, loads, monkeypatch):
    monkeypatch.setattr(batch, "usable_cores", lambda: 2)
    both, at_once = threading.Barrier(2), list[Any]()
    read = Photo.read

    def reads(path):
        if len(at_once) < 2:
            at_once.append(path)
            both.wait(30)  # ends when the second thread is here too
        return read(path)

    monkeypatch.setattr(Photo, "read", reads)
    threads = torch.get_num_threads()
    assert call(photos, "-o", tmp_path / "out", "--weights", weights) == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "sub/a.png"]
    assert torch.get_num_threads() == threads


# One photo to one file, and streams


def test_a_single_photo_goes_to_a_single_file(tmp_path, photos, weights, loads):
    assert call(photos / "a.jpg", "-o", tmp_path / "new" / "result.png", "--weights", weights) == 0
    assert read_rgba(tmp_path / "new" / "result.png")[1].shape == (40, 70)
    (tmp_path / "folder.png").mkdir()
    assert call(photos / "a.jpg", "-o", tmp_path / "folder.png", "--weights", weights) == 0
    assert written(tmp_path / "folder.png") == ["a.png"]


def test_several_photos_do_not_go_to_a_single_file(tmp_path, photos, weights, loads):
    for given in ((photos,), (photos / "a.jpg", photos / "b.png")):
        message = refused(loads, tmp_path / "result.png", *given, "--weights", weights)
        assert message == f"{tmp_path / 'result.png'} is one file and holds one cut-out; give a folder with -o."
    message = refused(loads, tmp_path / "result.jpg", photos / "a.jpg", "--weights", weights)
    assert "cannot be a JPEG, which holds no transparency" in message
    assert "gone.jpg does not exist" in refused(loads, tmp_path / "a.png", photos / "gone.jpg", "--weights", weights)


def test_standard_input_and_output(tmp_path, photos, weights, loads, monkeypatch, capsysbinary):
    data = (photos / "b.png").read_bytes()
    assert call(photos / "b.png", "-o", tmp_path / "b.png", "--weights", weights) == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert call("-", "-o", "-", "--weights", weights) == 0
    streamed = capsysbinary.readouterr().out
    with Image.open(io.BytesIO(streamed)) as picture:
        np.testing.assert_array_equal(np.asarray(picture)[..., 3], read_rgba(tmp_path / "b.png")[1])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert call("-", "-o", tmp_path / "stdin.png", "--weights", weights) == 0
    assert call(photos / "b.png", "-o", "-", "--weights", weights) == 0
    assert capsysbinary.readouterr().out[:8] == streamed[:8]
    assert read_rgba(tmp_path / "stdin.png")[1].shape == (41, 70)


def test_a_photo_on_standard_input_is_done_once(tmp_path, photos, weights, loads, monkeypatch):
    def from_stdin(name, *options):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((photos / name).read_bytes())))
        return call("-", "-o", tmp_path / "a.png", "--weights", weights, *options)

    assert from_stdin("a.jpg") == 0
    before = (tmp_path / "a.png").stat().st_mtime_ns
    assert from_stdin("a.jpg") == 0
    assert call(photos / "a.jpg", "-o", tmp_path / "a.png", "--weights", weights) == 0  # the same photo by its name
    assert (tmp_path / "a.png").stat().st_mtime_ns == before
    for name, options in (("b.png", ()), ("a.jpg", ("--size", "35"))):
        with pytest.raises(InputError, match=r"a\.png exists already, of another photo .*, or --overwrite to replace"):
            from_stdin(name, *options)
    assert from_stdin("b.png", "--overwrite") == 0
    assert read_rgba(tmp_path / "a.png")[1].shape == (41, 70)


def test_what_is_no_picture_on_standard_input_is_named(weights, loads, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert call("-", "-o", "-", "--weights", weights) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("The picture on standard input cannot be read as a picture")
    assert captured.out == ""


def test_streams_go_with_one_photo_alone(tmp_path, photos, weights, loads, monkeypatch):
    assert "has no name" in refused(loads, tmp_path / "out", "-", "--weights", weights)
    assert "has no name" in refused(loads, Path("-"), "-", photos, "--weights", weights)
    assert "- is one file" in refused(loads, Path("-"), photos, "--weights", weights)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "terminal cannot show a picture" in refused(loads, Path("-"), photos / "a.jpg", "--weights", weights)


# A second call


def test_a_stopped_batch_goes_on_with_what_is_left(tmp_path, photos, weights, loads, capsys):
    output = tmp_path / "out"
    assert call(photos / "a.jpg", "-o", output, "--weights", weights) == 0
    before = (output / "a.png").stat().st_mtime_ns
    assert call(photos, "-o", output, "--weights", weights) == 0
    assert written(output) == ["a.png", "b.png", "sub/a.png"]
    assert (output / "a.png").stat().st_mtime_ns == before
    assert "2 cut-out(s) written" in (err := capsys.readouterr().err)
    assert "1 existed already, of the same photos" in err
    loads.clear()
    assert call(photos, "-o", output, "--weights", weights) == 0
    assert not loads  # with nothing to do there is no network to load
    assert "3 existed already, of the same photos" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_cutout_that_lost_its_end_is_made_again(tmp_path, photos, weights, loads, capsys, kind):
    words = photos, "-o", tmp_path / "out", "--weights", weights, "--format", kind, "--background", "red"
    assert call(*words) == 0
    cutout = tmp_path / "out" / f"a.{kind}"
    whole = cutout.read_bytes()
    cutout.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=rf"3 cut-out\(s\) exist already, .*a\.{kind}"):
        call(*words, "--size", "35")
    capsys.readouterr()
    assert call(*words) == 0
    assert "1 cut-out(s) written" in (err := capsys.readouterr().err)
    assert "2 existed already" in err
    assert cutout.read_bytes() == whole


def test_a_cutout_whose_name_is_no_longer_used_is_named(tmp_path, photos, weights, loads, capsys):
    output = tmp_path / "out"
    assert call(photos, "-o", output, "--weights", weights) == 0
    Image.new("RGB", (30, 30), "red").save(photos / "a.bmp")
    capsys.readouterr()
    for _ in range(2):  # a call with nothing to do names it as well
        assert call(photos, "-o", output, "--weights", weights) == 0
        assert capsys.readouterr().err.count(f"{output / 'a.png'} is from an earlier call") == 1
    assert written(output) == ["a.bmp.png", "a.jpg.png", "a.png", "b.png", "sub/a.png"]


def test_other_photos_and_options_are_not_taken_for_the_same(tmp_path, photos, weights, loads):
    output = tmp_path / "out"
    assert call(photos, "-o", output, "--weights", weights) == 0
    loads.clear()
    other = tmp_path / "other.ckpt"
    other.write_text("other")
    for options in (("--weights", other), ("--weights", weights, "--size", "35")):
        message = refused(loads, output, photos, *options)
        assert (
            f"3 cut-out(s) exist already, of photos that have changed or with other options ({output / 'a.png'}, "
            in (message)
        )
        assert "--overwrite" in message
    Image.new("RGB", (30, 30), "red").save(photos / "b.png")
    assert f"1 cut-out(s) exist already, of photos that have changed or with other options ({output / 'b.png'})" in (
        refused(loads, output, photos, "--weights", weights)
    )
    assert call(photos, "-o", output, "--weights", weights, "--overwrite") == 0
    assert read_rgba(output / "b.png")[1].shape == (30, 30)


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_file_of_someone_elses_is_never_replaced(tmp_path, photos, weights, loads, overwrite):
    output = tmp_path / "out"
    write_png(output / "a.png", np.zeros((5, 5, 4), np.uint8))
    for given, target in ((photos, output), (photos / "a.jpg", output / "a.png")):
        message = refused(loads, target, given, "--weights", weights, *overwrite)
        assert message.startswith(f"{output / 'a.png'} exists and was not written by sdnet-pl")
        assert "--overwrite" not in message
        assert "cut-out" not in message


def test_a_photo_beside_another_of_its_name(photos, weights, loads):
    mine = (photos / "b.png").read_bytes()
    Image.new("RGB", (50, 40), "red").save(photos / "b.jpg")
    for _ in range(2):  # the second time it is done already
        assert call(photos / "b.jpg", "-o", photos, "--weights", weights) == 0
        assert written(photos) == ["a.jpg", "b.jpg", "b.jpg.png", "b.png", "sub/a.webp"]
    assert (photos / "b.png").read_bytes() == mine


def test_the_photos_folder_may_be_that_of_the_cutouts(photos, weights, loads):
    (photos / "b.png").rename(photos / "b.tif.png")
    Image.open(photos / "b.tif.png").save(photos / "b.tif")
    (photos / "b.tif.png").unlink()
    for _ in range(2):
        assert call(photos, "-o", photos, "--weights", weights) == 0
        assert written(photos) == ["a.jpg", "a.png", "b.png", "b.tif", "sub/a.png", "sub/a.webp"]
    assert len(loads) == 1


def test_two_photos_of_one_name_get_two_names(tmp_path, photos, weights, loads):
    Image.new("RGB", (50, 40), "red").save(photos / "A.png")
    for given, names in (
        ((photos,), ["A.png.png", "a.jpg.png", "b.png", "sub/a.png"]),
        ((photos / "a.jpg",), ["a.jpg.png"]),  # whatever is asked for beside it
        ((photos / "a.jpg", photos / "sub" / "a.webp"), ["a.jpg.png", "a.png"]),
    ):
        output = tmp_path / f"out{len(given)}{len(names)}"
        assert call(*given, "-o", output, "--weights", weights) == 0
        assert written(output) == names


def test_photos_of_one_name_out_of_two_folders(tmp_path, photos, weights, loads):
    Image.new("RGB", (50, 40), "red").save(photos / "sub" / "b.png")
    output = tmp_path / "out"
    assert call(photos / "b.png", photos / "sub" / "b.png", "-o", output, "--weights", weights) == 0
    assert written(output) == ["b.png.png", "sub/b.png.png"]


# What is refused before the network is loaded


def refused(loads, output, *arguments):
    before = written(output) if output.is_dir() else None
    with pytest.raises(InputError) as raised:
        call(*arguments, "-o", output)
    assert not loads
    assert (written(output) if output.is_dir() else None) == before
    return str(raised.value)


def test_missing_weights(tmp_path, photos, loads):
    message = refused(loads, tmp_path / "out", photos, "--weights", tmp_path / "none.ckpt")
    assert message.startswith(f"There are no weights {tmp_path / 'none.ckpt'}; give one of sdnet-fast")


def test_missing_photos_and_empty_folders(tmp_path, photos, weights, loads):
    (tmp_path / "empty").mkdir()
    assert "gone.jpg does not exist" in refused(loads, tmp_path / "out", photos / "gone.jpg", "--weights", weights)
    assert "empty holds no picture" in refused(loads, tmp_path / "out", tmp_path / "empty", "--weights", weights)


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_photo_is_never_overwritten(photos, weights, loads, overwrite):
    for given in (photos / "b.png", photos):
        message = refused(loads, photos, given, "--weights", weights, *overwrite)
        assert message == f"{photos / 'b.png'} would be overwritten by a cut-out; give another folder with -o."


def test_cutouts_below_the_folder_of_photos_are_no_photos(photos, weights, loads):
    output = photos / "out"
    for overwrite in ((), ("--overwrite",)):
        assert call(photos, "-o", output, "--weights", weights, *overwrite) == 0
        assert written(output) == ["a.png", "b.png", "sub/a.png"]


def test_a_folder_of_nothing_but_cutouts(tmp_path, weights, loads):
    write_png(tmp_path / "photos" / "out" / "a.png", np.zeros((5, 5, 4), np.uint8))
    output = tmp_path / "photos" / "out"
    message = refused(loads, output, tmp_path / "photos", "--weights", weights)
    assert "photos holds no photo but those below" in message


def test_photos_may_lie_below_the_output(tmp_path, photos, weights, loads):
    assert call(photos / "sub", "-o", photos, "--weights", weights) == 0
    assert (photos / "a.png").is_file()


def test_the_output_must_be_a_folder(tmp_path, photos, weights, loads):
    (tmp_path / "file").touch()
    assert "file is a file; give a folder with -o" in refused(loads, tmp_path / "file", photos, "--weights", weights)
    assert "cannot be written" in refused(loads, tmp_path / "file" / "out", photos, "--weights", weights)


def test_size_and_device_are_checked_first(tmp_path, photos, weights, loads):
    output = tmp_path / "out"
    assert "size is 8" in refused(loads, output, photos, "--weights", weights, "--size", "8")
    assert "size is 0" in refused(loads, output, photos, "--weights", weights, "--size", "0")
    assert "device 'gpu'" in refused(loads, output, photos, "--weights", weights, "--device", "gpu")


def test_a_network_that_needs_a_trimap_is_refused(tmp_path, photos, weights, loads, network, monkeypatch):
    monkeypatch.setattr(network, "trimap", True, raising=False)
    with pytest.raises(InputError, match=r"best\.ckpt holds a network that needs a trimap"):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def trimaps(tmp_path, photos, network, monkeypatch):
    """Of the three photos: the left is the person, the right is not, and the middle is for the network."""
    monkeypatch.setattr(network, "trimap", True, raising=False)
    for name in ("a.jpg", "b.png", "sub/a.webp"):
        width, height = Image.open(photos / name).size
        pixels = np.full((height, width), 128, np.uint8)
        pixels[:, :5], pixels[:, -5:] = 255, 0
        (tmp_path / "trimaps" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save((tmp_path / "trimaps" / name).with_suffix(".png"))
    return tmp_path / "trimaps"


def test_photos_with_trimaps(tmp_path, photos, trimaps, weights, loads, capsys):
    out = tmp_path / "out"
    assert call(photos, "-o", out, "--weights", weights, "--trimap", trimaps) == 0
    for name in ("a", "b", "sub/a"):
        alpha = np.asarray(Image.open(out / f"{name}.png"))[..., 3]
        assert (alpha[:, :5] == 255).all()
        assert (alpha[:, -5:] == 0).all()
        assert alpha[20, 30] == 255  # red there
    one = tmp_path / "one.png"
    assert call(photos / "a.jpg", "-o", one, "--weights", weights, "--trimap", trimaps / "a.png") == 0
    assert call(photos / "a.jpg", "-o", tmp_path / "two.png", "--weights", weights, "--trimap", trimaps) == 0
    assert np.asarray(Image.open(one)).tobytes() == np.asarray(Image.open(out / "a.png")).tobytes()
    loads.clear()
    assert call(photos, "-o", out, "--weights", weights, "--trimap", trimaps) == 0
    assert not loads
    Image.new("L", (70, 40), 255).save(trimaps / "a.png")  # only that photo's cut-out is of another job now
    with pytest.raises(InputError, match=r"1 cut-out\(s\) exist already"):
        call(photos, "-o", out, "--weights", weights, "--trimap", trimaps)


def test_trimaps_of_names_that_systems_write_differently(tmp_path, photos, trimaps, weights, loads):
    apart, composed, foreign = "Zoe\u0308", "Zo\u00eb", os.fsdecode(b"caf\xe9")
    for name, of_trimap in ((apart, composed), (foreign, foreign)):
        shutil.copy(photos / "a.jpg", photos / f"{name}.jpg")
        shutil.copy(trimaps / "a.png", trimaps / f"{of_trimap}.png")
        out = tmp_path / f"{name}.png"
        assert call(photos / f"{name}.jpg", "-o", out, "--weights", weights, "--trimap", trimaps) == 0
    assert call(photos, "-o", tmp_path / "out", "--weights", weights, "--trimap", trimaps) == 0
    assert {f"{apart}.png", f"{foreign}.png"} < set(written(tmp_path / "out"))


def test_two_passes_are_the_default_of_the_default_network(tmp_path, photos):
    given = photos / "a.jpg", "--weights", "sdnet-fast"
    assert (
        call(*given, "-o", tmp_path / "default.png")
        == call(*given, "-o", tmp_path / "fast.png", "--quality", "fast")
        == 0
    )
    assert call(*given, "-o", tmp_path / "default.png", "--quality", "best") == 0  # done already, as the same job
    with pytest.raises(InputError, match="exist already"):
        call(*given, "-o", tmp_path / "default.png", "--quality", "fast")


def test_weights_that_were_named_are_not_replaced_for_a_trimap(tmp_path, photos, trimaps):
    for words in (["--weights", "sdnet-fast"], ["-m", "sdnet-fast"]):
        with pytest.raises(InputError, match="sdnet-fast holds a network that takes no trimap"):
            call(photos / "a.jpg", "-o", tmp_path / "a.png", "--trimap", trimaps / "a.png", "--quality", "fast", *words)


def test_trimaps_that_are_missing_or_do_not_fit(tmp_path, photos, trimaps, weights, loads, capsys):
    out = tmp_path / "out"
    assert "none does not exist" in refused(loads, out, photos, "--weights", weights, "--trimap", tmp_path / "none")
    message = refused(loads, out, photos, "--weights", weights, "--trimap", trimaps / "a.png")
    assert "a.png is one trimap, and there are 3 photos" in message
    (trimaps / "sub" / "a.png").unlink()
    message = refused(loads, out, photos, "--weights", weights, "--trimap", trimaps)
    assert "has no trimap for 1 photo(s) (sub/a)" in message
    Image.new("L", (7, 4)).save(trimaps / "sub" / "a.png")
    assert call(photos, "-o", out, "--weights", weights, "--trimap", trimaps) == 1
    assert "a.png is 7×4 pixels and its photo 70×42" in capsys.readouterr().err
    assert (out / "a.png").exists()


def test_a_network_that_takes_no_trimap_is_named(tmp_path, photos, trimaps, weights, loads, network, monkeypatch):
    monkeypatch.setattr(network, "trimap", False)
    with pytest.raises(InputError, match=r"best\.ckpt holds a network that takes no trimap"):
        call(photos, "-o", tmp_path / "out", "--weights", weights, "--trimap", trimaps)
    assert not (tmp_path / "out").exists()


def test_the_command_is_described_without_loading_anything_heavy():
    code = (
        "import argparse, sys; from sdnet_pl.cli import matte; matte.add_arguments(argparse.ArgumentParser());"
        "print(sorted({'torch', 'cv2', 'numpy', 'PIL', 'lightning'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
