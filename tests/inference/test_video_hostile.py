"""Videos that are damaged, killed runs, full disks, threads and flicker."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from sdnet_pl.data.image_io import read_rgba, write_png
from sdnet_pl.errors import InputError
from sdnet_pl.inference.video import pipeline, writer
from sdnet_pl.inference.video.flicker import Matted, steadied, windows
from sdnet_pl.inference.video.jobs import Job
from sdnet_pl.inference.video.parts import Parts
from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render
from sdnet_pl.inference.video.provenance import is_of_job
from sdnet_pl.inference.video.reader import Frame
from tests.videos import Red, cut, frames_of, make_video, rgba_of


@pytest.fixture
def source(tmp_path):
    return make_video(tmp_path / "in.mp4")


# Killed and continued

KILLED = """
import os, signal, sys
from pathlib import Path
from sdnet_pl.inference.video import pipeline
from sdnet_pl.inference.video.jobs import Job
from tests.videos import Red

class Killed(Red):
    def alpha(self, image):
        if len(self.seen) == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().alpha(image)

pipeline.SEGMENT = 5
pipeline.cut_out_video(Job(Path(sys.argv[1]), Path(sys.argv[2])), "ab12", Killed(), pipeline.Options())
"""


@pytest.mark.parametrize("name", ["out.mov", "out.webm", "out.mp4", "frames"])
def test_a_killed_run_continues(tmp_path, monkeypatch, name):
    source = make_video(tmp_path / "in.mp4", frames=22)
    monkeypatch.setattr(pipeline, "SEGMENT", 5)
    background = "white" if name == "out.mp4" else None
    killed = KILLED.replace("Options()", f"Options(pipeline.render({background!r}))")
    target = tmp_path / name
    result = subprocess.run([sys.executable, "-c", killed, str(source), str(target)], cwd=Path(__file__).parents[2])
    assert result.returncode == -signal.SIGKILL
    assert not target.exists()
    (parts,) = (path for path in tmp_path.iterdir() if path.name.endswith(".parts"))
    assert (parts / "00000010.npy").exists()
    rest = Red()
    cut(source, target, rest, background)
    assert len(rest.seen) == 13  # the last finished one is looked at again
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", name])
    whole = tmp_path / f"whole{target.suffix}"
    cut(source, whole, background=background)
    if name == "frames":
        again, once = ([read_rgba(folder / f"{n:06d}.png")[1] for n in range(1, 23)] for folder in (target, whole))
    else:
        again, once = ([rgba_of(frame) for frame in frames_of(path)] for path in (target, whole))
        assert [frame.pts for frame in frames_of(target)] == [frame.pts for frame in frames_of(whole)]
    assert len(again) == 22
    np.testing.assert_array_equal(np.stack(again), np.stack(once))


def test_parts_of_other_options_are_not_taken(tmp_path, monkeypatch):
    source = make_video(tmp_path / "in.mp4", frames=7)
    monkeypatch.setattr(pipeline, "SEGMENT", 5)
    monkeypatch.setattr(writer.VideoWriter, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cut(source, tmp_path / "out.mov")
    monkeypatch.undo()
    other = Red()
    cut_out_video(Job(source, tmp_path / "out.mov"), "cd34", other, Options(render(None)))  # type: ignore[arg-type]
    assert len(other.seen) == 7
    assert is_of_job(tmp_path / "out.mov", "cd34")


def test_two_calls_do_not_write_one_video(tmp_path, source):
    target = tmp_path / "out.mov"
    with Parts(target, f"ab12 {av.__version__}") as other:
        before = sorted(other.folder.iterdir())
        for job in ("ab12", "cd34"):
            done = cut_out_video(Job(source, target), job, Red(), Options())  # type: ignore[arg-type]
            said = f"{target} is being written by another call; wait until it is done, or give another name."
            assert str(done.error) == said
        assert sorted(other.folder.iterdir()) == before
    cut(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mov"]


def test_a_full_disk_names_the_file_and_leaves_no_half(tmp_path, source, monkeypatch):
    real = av.open

    def full(file, mode="r", **options):
        return real(file, mode, **options) if mode == "r" else real("/dev/full", mode, format="matroska")

    monkeypatch.setattr(writer.av, "open", full)
    with pytest.raises(InputError, match=r"out\.webm cannot be written \(No space left on device\)"):
        cut(source, tmp_path / "out.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    monkeypatch.undo()
    cut(source, tmp_path / "out.webm")
    assert len(frames_of(tmp_path / "out.webm")) == 12


# Damaged and odd input


def test_a_broken_packet_is_skipped_and_counted(tmp_path):
    source = make_video(tmp_path / "whole.mkv", codec="mjpeg", pixels="yuvj420p")
    with av.open(str(source)) as before, av.open(str(tmp_path / "in.mkv"), "w") as after:
        streams = {stream.index: after.add_stream_from_template(stream, opaque=True) for stream in before.streams}
        for packet in (p for p in before.demux() if p.size):
            copy = packet
            if packet.stream.type == "video" and packet.pts == 167:
                copy = av.Packet(b"\xff" * 50)
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.stream = streams[packet.stream.index]
            after.mux(copy)
    (note,) = cut(tmp_path / "in.mkv", tmp_path / "out.mov")
    assert note == "1 broken packet(s) or frame(s) skipped or repaired"
    times = [frame.pts for frame in frames_of(tmp_path / "out.mov")]
    assert times == [t for t in [0, 33, 67, 100, 133, 167, 200, 234, 267, 300, 334, 367] if t != 167]


def test_a_truncated_video_is_said_to_be(tmp_path):
    whole = make_video(tmp_path / "whole.mkv", frames=60, codec="ffv1", pixels="bgr0", sound=None)
    (tmp_path / "in.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    notes = cut(tmp_path / "in.mkv", tmp_path / "out.mov")
    assert any("before the time that it states: it was cut off" in note for note in notes)
    assert 20 < len(frames_of(tmp_path / "out.mov")) < 40
    mp4 = make_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(mp4[: len(mp4) // 2])
    with pytest.raises(InputError, match=r"in\.mp4 (cannot be read as a video|holds no pictures)"):
        cut(tmp_path / "in.mp4", tmp_path / "out.mov")


def test_parts_put_together_whose_times_begin_again(tmp_path):
    part = make_video(tmp_path / "part.ts", sound=None).read_bytes()
    (tmp_path / "in.ts").write_bytes(part + part)
    (note,) = cut(tmp_path / "in.ts", tmp_path / "out.mov")
    assert note.startswith("its times begin again after 0.4 s")
    times = [float(frame.time) for frame in frames_of(tmp_path / "out.mov")]
    np.testing.assert_allclose(np.diff(times), 1001 / 30000, atol=1e-3)
    assert len(times) == 24


def test_what_is_no_video_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    write_png(tmp_path / "photo.png", np.zeros((8, 8, 3), np.uint8))
    make_video(tmp_path / "sound.mp4", frames=3)
    with av.open(str(tmp_path / "sound.mp4")) as both, av.open(str(tmp_path / "alone.m4a"), "w", format="mp4") as alone:
        stream = alone.add_stream_from_template(both.streams.audio[0])
        for packet in both.demux(audio=0):
            if packet.size:
                packet.stream = stream
                alone.mux(packet)
    for name, said in (
        ("text.mp4", "cannot be read as a video (Invalid data found when processing input)"),
        ("empty.mp4", "cannot be read as a video"),
        ("folder.mp4", "is a folder; give the videos in it"),
        ("gone.mp4", "cannot be read (No such file or directory)"),
        ("alone.m4a", "holds sound alone"),
        ("photo.png", "is a picture; cut it out with sdnet-pl matte"),
    ):
        with pytest.raises(InputError) as raised:
            cut(tmp_path / name, tmp_path / "out.webm")
        assert str(raised.value).startswith(f"{tmp_path / name} {said}")
        assert not list(tmp_path.glob(".*"))


def test_one_frame(tmp_path):
    source = make_video(tmp_path / "in.mp4", frames=1)
    cut(source, tmp_path / "out.mov")
    assert len(frames_of(tmp_path / "out.mov")) == 1


def test_nobody_is_said(tmp_path, source):
    class Nobody(Red):
        def alpha(self, image):
            return np.zeros(image.shape[:2], np.float32)

    assert cut(source, tmp_path / "out.mov", Nobody()) == ("nobody found",)


# At the same time, in little memory


def test_no_more_threads_work_than_are_given_and_few_frames_are_held(tmp_path, monkeypatch):
    source = make_video(tmp_path / "in.mp4", frames=60, sound=None)
    busy, lock, most, ahead = [0], threading.Lock(), [0], [0]
    written = [0]

    class Counted(Red):
        def alpha(self, image):
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
                ahead[0] = max(ahead[0], len(self.seen) - written[0])
            result = super().alpha(image)
            with lock:
                busy[0] -= 1
            return result

    add = writer.VideoWriter.add

    def counted(*arguments):
        add(*arguments)
        written[0] += 1

    monkeypatch.setattr(writer.VideoWriter, "add", counted)
    cut(source, tmp_path / "out.webm", Counted(), threads=2)
    assert most[0] <= 2
    assert ahead[0] <= 8


# Flicker


def steady(images: list[np.ndarray], alphas: list[np.ndarray]) -> list[np.ndarray]:
    frames = [Matted.of(Frame(image, n, 1), alpha) for n, (image, alpha) in enumerate(zip(images, alphas, strict=True))]
    return [steadied(window) for window in windows(frames)]


def test_a_flash_is_taken_out_where_the_picture_stands_still():
    random = np.random.default_rng(0)
    scene = random.integers(0, 255, (12, 16, 3)).repeat(8, 0).repeat(8, 1)
    images = [(scene + random.normal(0, 2, scene.shape)).clip(0, 255).astype(np.uint8) for _ in range(9)]
    truth = np.zeros((96, 128), np.float32)
    truth[40:] = 1
    alphas = [truth.copy() for _ in images]
    alphas[4][10:30, 20:60] = 0.8
    alphas[0][10:30, 20:60] = 0.8
    result = steady(images, alphas)
    assert np.abs(result[4] - truth).max() < 0.1
    for number in (0, 2, 8):  # nothing is known before the first frame
        np.testing.assert_array_equal(result[number], alphas[number])


def test_alpha_does_not_lag_on_motion():
    images = []
    for number in range(10):
        image = np.full((96, 128, 3), 60, np.uint8)
        image[30:70, 10 * number : 10 * number + 30] = 200
        images.append(image)
    alphas = [(image[..., 0] == 200).astype(np.float32) for image in images]
    np.testing.assert_allclose(steady(images, alphas), alphas, atol=1e-6)
