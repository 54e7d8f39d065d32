"""sdnet-pl predict writes what matte and video write, out of one process and of two."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.errors import InputError
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.video import pipeline, writer
from sdnet_pl.lit.predictions import PredictionWriter
from tests.videos import frames_of, make_video, rgba_of, sound_of


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
    return [
        "matte",
        str(photos),
        "-o",
        str(output),
        "--backend",
        "torch",
        "--device",
        "cpu",
        "--quality",
        "fast",
        *more,
    ]


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
    cut = min(output.rglob("*.png"))
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-20])
    assert main(predict(photos, tmp_path / "p", masks, "--data.size=128")) == 1
    assert "3 prediction(s) of the same photos existed already" in capsys.readouterr().err
    assert cut.read_bytes() == whole
    assert main(predict(photos, tmp_path / "p", masks, "--data.size=128")) == 1
    assert "4 prediction(s) of the same photos existed already" in capsys.readouterr().err
    assert main(predict(photos, tmp_path / "p", "--predictions.background=red")) == 2  # but not of other options
    assert main(predict(photos, tmp_path / "q", masks)) == 1
    assert main(matte(photos, tmp_path / "q" / "predictions", "--only-mask")) == 1
    assert "4 existed already" in capsys.readouterr().err


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two videos of one stem beside a photo of it, one in a sub-folder, and one that cannot be read."""
    folder = tmp_path / "clips"
    (folder / "sub").mkdir(parents=True)
    make_video(folder / "a.mp4", metadata={"title": "Walk"})
    make_video(folder / "a.MOV", frames=3, sound=None)
    make_video(folder / "sub" / "b.mkv", frames=2, sound=None)
    (folder / "z.mp4").write_bytes((folder / "a.mp4").read_bytes()[:500])
    Image.new("RGB", (60, 50)).save(folder / "a.jpg")
    return folder


def same_video(file: Path, other: Path) -> bool:
    pairs = zip(frames_of(file), frames_of(other), strict=True)
    return all(a.pts == b.pts and (rgba_of(a) == rgba_of(b)).all() for a, b in pairs)


def test_videos_are_those_of_video(tmp_path: Path, clips: Path, one_thread: None, capsys):
    video = ["video", "--backend=torch", "--device=cpu"]
    assert main([*video, str(clips / "a.mp4"), "-o", str(tmp_path / "v")]) == 0
    assert main([*video, str(clips / "sub" / "b.mkv")]) == 0
    capsys.readouterr()
    output = tmp_path / "p" / "predictions"
    # Of videos there are no masks
    assert main(predict(clips, tmp_path / "p", "--predictions.only_mask=true", "--predictions.format=webp")) == 1
    assert contents(output).keys() == {"a.webp", "a.MOV_cutout.webm", "a.mp4_cutout.webm", "sub/b_cutout.webm"}
    assert same_video(output / "a.mp4_cutout.webm", tmp_path / "v" / "a_cutout.webm")
    assert same_video(output / "sub" / "b_cutout.webm", clips / "sub" / "b_cutout.webm")
    assert sound_of(output / "a.mp4_cutout.webm") == sound_of(tmp_path / "v" / "a_cutout.webm")
    said = capsys.readouterr().err
    assert said.count("z.mp4 cannot be read as a video") == 1
    assert f"{output / 'a.mp4_cutout.webm'} written; sound encoded again, aac as opus" in said
    assert "sdnet-pl: 1 photo(s) and 3 video(s) written" in said
    before = contents(output)
    assert main([*video, str(clips / "sub" / "b.mkv"), "-o", str(output / "sub")]) == 0
    assert main(predict(clips, tmp_path / "p", "--predictions.only_mask=true", "--predictions.format=webp")) == 1
    assert capsys.readouterr().err.count("existed already, of the same video") == 4
    assert contents(output) == before
    (output / "a.png").write_bytes((clips / "a.jpg").read_bytes())
    assert main(predict(clips, tmp_path / "p")) == 2  # a picture of someone else's


@pytest.mark.slow
def test_a_video_that_was_begun_is_continued(tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch, capsys):
    clip = make_video(tmp_path / "clip.mp4", frames=7)
    arguments = predict(clip, tmp_path / "p", "--predictions.background=red", "--predictions.format=jpg")
    seen, alpha = [], MattePredictor.alpha

    def counted(self: MattePredictor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(image)
        return alpha(self, image)

    monkeypatch.setattr(MattePredictor, "alpha", counted)
    monkeypatch.setattr(pipeline, "SEGMENT", 3)
    with monkeypatch.context() as patch:
        patch.setattr(writer.VideoWriter, "finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(arguments)
    assert len(seen) == 7
    assert main(arguments) == 0
    assert len(seen) == 8  # the last one again
    assert len(frames_of(tmp_path / "p" / "predictions" / "clip_cutout.mp4")) == 7
    capsys.readouterr()
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "clip_cutout.mp4 existed already" in said
    assert "DataLoader" not in said  # nothing is left, which is no reason to warn
    assert "clip_cutout.mp4 exists already, of a video that has changed" in error_of(capsys, arguments, "blue")
    clip.unlink()
    assert "clip.mp4 does not exist" in error_of(capsys, arguments, "red")


def error_of(capsys: pytest.CaptureFixture[str], arguments: list[str], color: str) -> str:
    capsys.readouterr()
    assert main([*arguments, f"--predictions.background={color}"]) == 2
    return capsys.readouterr().err


def test_a_folder_of_cutouts_alone(tmp_path: Path, capsys):
    clip = make_video(tmp_path / "clip.mp4", frames=1)
    assert main(["video", str(clip), "--size=32"]) == 0
    clip.unlink()
    assert main(predict(tmp_path, tmp_path / "p")) == 2
    assert f"{tmp_path} holds nothing but cut-outs" in capsys.readouterr().err


NOTING = """
import os, sys
from sdnet_pl.cli import main
from sdnet_pl.data.photo import Photo
from sdnet_pl.lit import predictions

read, cut_out_video = Photo.read, predictions.cut_out_video

def note(path):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(f"{os.environ.get('LOCAL_RANK', '0')} {path.name}\\n")

def noted_read(path):
    note(path)
    return read(path)

def noted_video(job, *more):
    note(job.video)
    return cut_out_video(job, *more)

Photo.read, predictions.cut_out_video = noted_read, noted_video
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path: Path, photos: Path, one_thread: None):
    """Five photos and two videos: one process has one more, and none is lost or done twice."""
    clips = [make_video(photos / name, frames=2) for name in ("a.mp4", "sub/b.mp4")]
    assert main(matte(photos, tmp_path / "m")) == 1
    for clip in clips:
        folder = tmp_path / "m" / clip.parent.relative_to(photos)
        assert main(["video", str(clip), "-o", str(folder), "--backend=torch", "--device=cpu"]) == 0
    (tmp_path / "noting.py").write_text(NOTING)
    two = predict(photos, tmp_path / "p", "--trainer.strategy=ddp", "--trainer.devices=2")
    environment = {**os.environ, "NOTES": str(tmp_path / "notes")}
    command = [sys.executable, str(tmp_path / "noting.py"), *two]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("z.jpg cannot be read as a picture") == 1
    assert result.stderr.count("sdnet-pl: 4 photo(s) and 2 video(s) written") == 1
    notes = [line.split() for line in (tmp_path / "notes").read_text("utf-8").splitlines()]
    assert sorted(name for _, name in notes) == ["a.jpg", "a.mp4", "a.png", "b.jpg", "b.mp4", "c.webp", "z.jpg"]
    assert {rank for rank, _ in notes} == {rank for rank, name in notes if name.endswith(".mp4")} == {"0", "1"}
    expected, written = contents(tmp_path / "m"), contents(tmp_path / "p" / "predictions")
    assert written.keys() == expected.keys()
    for name in expected:
        if name.endswith(".webm"):  # whose bytes hold a random number
            assert same_video(tmp_path / "m" / name, tmp_path / "p" / "predictions" / name)
        else:
            assert written[name] == expected[name]


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match="do not go together"):
        PredictionWriter(only_mask=True, background="red")
    with pytest.raises(InputError, match="cannot be a JPEG"):
        PredictionWriter(format="jpg")
