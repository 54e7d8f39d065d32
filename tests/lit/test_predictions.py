"""sdnet-pl predict writes what matte writes, out of one process and of two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.errors import InputError
from sdnet_pl.lit.predictions import PredictionWriter


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos, the last of which cannot be read."""
    people, places = ProceduralPortraits(4, 96), ProceduralBackgrounds(4, 96)
    exif = Image.Exif()
    exif[0x8298] = "Anna"
    for i, name in enumerate(("a.jpg", "b.jpg", "sub/a.png", "sub/c.webp")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(composite_uint8(people.load(i), places.load(i))[: 90 - i])
        picture.save(tmp_path / "photos" / name, exif=exif, dpi=(300, 300))
    (tmp_path / "photos" / "z.jpg").write_bytes((tmp_path / "photos" / "a.jpg").read_bytes()[:700])
    return tmp_path / "photos"


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch):
    """As many threads as matte gives PyTorch."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def predict(photos: Path, run: Path, *more: str) -> list[str]:
    network = ["--model.weights=sdnet-fast", "--trainer.accelerator=cpu", "--data.workers=0"]
    return ["predict", *network, f"--data.predict={photos}", f"--run_dir={run}", *more]


def matte(photos: Path, output: Path, *more: str) -> list[str]:
    return ["matte", str(photos), "-o", str(output), "--backend", "torch", "--device", "cpu", *more]


OPTIONS = [
    ([], []),
    (["--predictions.only_mask=true", "--predictions.format=webp"], ["--only-mask", "--format", "webp"]),
    (["--predictions.background=#1e90ff", "--predictions.format=jpg"], ["--background", "#1e90ff", "--format", "jpg"]),
]


@pytest.mark.parametrize(("of_predict", "of_matte"), OPTIONS)
def test_the_files_are_those_of_matte(
    tmp_path: Path, photos: Path, one_thread: None, of_predict: list[str], of_matte: list[str], capsys
):
    assert main(matte(photos, tmp_path / "m", *of_matte)) == 1
    capsys.readouterr()
    assert main(predict(photos, tmp_path / "p", *of_predict)) == 1
    assert capsys.readouterr().err.count("z.jpg cannot be read as a picture") == 1
    expected = contents(tmp_path / "m")
    assert len(expected) == 4
    assert contents(tmp_path / "p" / "predictions") == expected


def test_either_takes_the_files_of_the_other_for_its_own(tmp_path: Path, photos: Path, one_thread: None, capsys):
    output = tmp_path / "p" / "predictions"
    assert main(matte(photos, output, "--only-mask")) == 1
    masks = "--predictions.only_mask=true"
    assert main(predict(photos, tmp_path / "p", masks, "--data.size=128")) == 1
    assert "4 predictions of the same photos existed already" in capsys.readouterr().err
    assert main(predict(photos, tmp_path / "p", "--predictions.background=red")) == 2  # but not of other options
    assert main(predict(photos, tmp_path / "q", masks)) == 1
    assert main(matte(photos, tmp_path / "q" / "predictions", "--only-mask")) == 1
    assert "4 existed already" in capsys.readouterr().err


NOTING = """
import os, sys
from sdnet_pl.cli import main
from sdnet_pl.data.photo import Photo

read = Photo.read

def noted(path):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(f"{os.environ.get('LOCAL_RANK', '0')} {path.name}\\n")
    return read(path)

Photo.read = noted
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path: Path, photos: Path, one_thread: None):
    """Five photos: one process has one more, and none is lost or done twice."""
    assert main(matte(photos, tmp_path / "m")) == 1
    (tmp_path / "noting.py").write_text(NOTING)
    two = predict(photos, tmp_path / "p", "--trainer.strategy=ddp", "--trainer.devices=2")
    environment = {**os.environ, "NOTES": str(tmp_path / "notes")}
    command = [sys.executable, str(tmp_path / "noting.py"), *two]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("z.jpg cannot be read as a picture") == 1
    notes = [line.split() for line in (tmp_path / "notes").read_text("utf-8").splitlines()]
    assert sorted(name for _, name in notes) == ["a.jpg", "a.png", "b.jpg", "c.webp", "z.jpg"]
    assert {rank for rank, _ in notes} == {"0", "1"}
    assert contents(tmp_path / "p" / "predictions") == contents(tmp_path / "m")


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match="do not go together"):
        PredictionWriter(only_mask=True, background="red")
    with pytest.raises(InputError, match="cannot be a JPEG"):
        PredictionWriter(format="jpg")
