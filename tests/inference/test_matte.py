import argparse
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from torch import nn

from sdnet_pl.data.pictures import read_rgba, write_png
from sdnet_pl.errors import InputError
from sdnet_pl.inference import matte


class Red(nn.Module):
    def forward(self, x):
        return x[:, :1]


@pytest.fixture
def loads(monkeypatch):
    """Stands in for the checkpoint of a trained network, and counts how often it is loaded."""
    calls: list[object] = []

    def load_weights(path):
        calls.append(path)
        return Red(), 64

    monkeypatch.setitem(sys.modules, "sdnet_pl.inference.weights", SimpleNamespace(load_weights=load_weights))
    return calls


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "best.ckpt").touch()
    return tmp_path / "best.ckpt"


@pytest.fixture
def photos(tmp_path):
    for number, name in enumerate(("a.jpg", "b.png", "sub/a.webp")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((40 + number, 70, 3), 40 * number, np.uint8)
        pixels[10:30, 10:30] = 255
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def call(*arguments):
    parser = argparse.ArgumentParser()
    matte.add_arguments(parser)
    return matte.run(parser.parse_args([str(argument) for argument in arguments]))


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


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


def test_the_size_and_the_device_are_those_asked_for(tmp_path, photos, weights, loads, monkeypatch):
    seen = []

    def forward(self, x):
        seen.append(x.shape[2:])
        return x[:, :1]

    monkeypatch.setattr(Red, "forward", forward)
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
    save = Image.Image.save

    def interrupted(self, target, **options):
        if any((tmp_path / "out").glob("a.png")):
            target.write_bytes(b"half")
            raise KeyboardInterrupt
        save(self, target, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    assert written(tmp_path / "out") == ["a.png"]
    assert read_rgba(tmp_path / "out" / "a.png")[1].shape == (40, 70)


def test_a_full_disk_is_one_sentence(tmp_path, photos, weights, loads, monkeypatch):
    def full(self, target, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"a\.png cannot be written \(No space left on device\)"):
        call(photos, "-o", tmp_path / "out", "--weights", weights)
    assert written(tmp_path / "out") == []


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


def test_two_photos_of_one_name(tmp_path, photos, weights, loads):
    write_png(photos / "a.png", np.zeros((40, 40, 3), np.uint8))
    for given in ((photos,), (photos / "a.jpg", photos / "a.png"), (photos / "a.jpg", photos / "sub" / "a.webp")):
        message = refused(loads, tmp_path / "out", *given, "--weights", weights)
        assert f"{photos / 'a.jpg'} and " in message
        assert f"would both be written to {tmp_path / 'out' / 'a.png'}; rename one" in message


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_photo_is_never_overwritten(photos, weights, loads, overwrite):
    for given in (photos / "b.png", photos):
        message = refused(loads, photos, given, "--weights", weights, *overwrite)
        assert message == f"{photos / 'b.png'} would be overwritten by a cut-out; give another folder with -o."


def test_existing_cutouts_are_kept_unless_asked(tmp_path, photos, weights, loads):
    output = tmp_path / "out"
    for name in ("a.png", "b.png", "sub/a.png"):
        write_png(output / name, np.zeros((5, 5, 4), np.uint8))
    message = refused(loads, output, photos, "--weights", weights)
    assert f"3 cut-out(s) exist already ({output / 'a.png'}, " in message
    assert "--overwrite" in message
    assert call(photos, "-o", output, "--weights", weights, "--overwrite") == 0
    assert read_rgba(output / "b.png")[1].shape == (41, 70)


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


def test_a_network_that_needs_a_trimap_is_refused(tmp_path, photos, weights, loads, monkeypatch):
    monkeypatch.setattr(Red, "trimap", True, raising=False)
    with pytest.raises(InputError, match=r"best\.ckpt holds a network that needs a trimap"):
        call(photos, "-o", tmp_path / "out", "--weights", weights)


def test_the_command_is_described_without_loading_anything_heavy():
    code = (
        "import argparse, sys; from sdnet_pl.inference import matte; matte.add_arguments(argparse.ArgumentParser());"
        "print(sorted({'torch', 'cv2', 'numpy', 'PIL', 'lightning'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
