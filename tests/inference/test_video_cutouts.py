"""Videos to cut-outs, with real small files of every kind."""

import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.image_io import read_rgba, write_png
from sdnet_pl.errors import InputError
from sdnet_pl.inference.video import pipeline, writer
from sdnet_pl.inference.video.flicker import Matted, steadied, windows
from sdnet_pl.inference.video.jobs import Job
from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render
from sdnet_pl.inference.video.provenance import is_of_job, is_own_video
from sdnet_pl.inference.video.reader import Frame, VideoReader
from tests.videos import RATE, TICK, Red, frames_of, make_video, picture, rgba_of


def cut(
    source: Path, target: Path, predictor: Any = None, background: str | None = None, **options: Any
) -> tuple[str, ...]:
    matting: Any = predictor or Red()
    done = cut_out_video(Job(source, target), "ab12", matting, Options(render(background), **options))
    if done.error:
        raise done.error
    return done.notes


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(audio=0) if packet.size]


@pytest.fixture
def source(tmp_path):
    metadata = {"title": "Walk", "comment": "mine", "location": "+52.5+13.4/", "artist": "Bo"}
    return make_video(tmp_path / "in.mp4", metadata=metadata)


@pytest.mark.parametrize("suffix", [".webm", ".mov", ".mkv"])
def test_a_video_becomes_a_transparent_one(tmp_path, source, suffix):
    target = tmp_path / f"out{suffix}"
    cut(source, target)
    frames = frames_of(target)
    assert len(frames) == 12
    for number in (0, 5, 11):
        seen, wanted = rgba_of(frames[number]), picture(number)
        assert np.abs(seen[..., 3].astype(int) - wanted[..., 0]).mean() < 5
        inside = (slice(14, 34), slice(12 + number, 28 + number))
        assert (seen[..., 3][inside] > 245).all()
        assert np.abs(seen[..., :3][inside].astype(int) - wanted[inside]).mean() < 6
    with av.open(str(target)) as video:
        metadata = {key.lower(): value for key, value in video.metadata.items()}
        assert video.streams.video[0].average_rate == RATE
        assert len(video.streams.audio) == 1
    assert metadata["title"] == "Walk"
    assert metadata["artist"] == "Bo"
    assert "location" not in metadata
    assert metadata["comment"].startswith("mine [sdnet_pl ")
    assert is_of_job(target, "ab12")
    assert not is_of_job(target, "ab13")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", target.name]


def test_sound_is_copied_where_the_container_takes_it(tmp_path, source):
    assert cut(source, tmp_path / "out.mov") == ()
    assert sound_of(tmp_path / "out.mov") == sound_of(source)
    assert cut(source, tmp_path / "out.webm") == ("sound encoded again, aac as opus",)
    with av.open(str(tmp_path / "out.webm")) as video:
        heard = [frame for frame in video.decode(audio=0) if frame.pts is not None]
        assert video.streams.audio[0].codec_context.name == "opus"
        samples = sum(frame.samples for frame in heard)
    assert samples == pytest.approx(12 / RATE * 48_000, abs=1500)
    # The tone and not silence: 48,000 / (20 pi) Hz
    wave = np.concatenate([frame.to_ndarray()[0] for frame in heard])[2000:12000]
    assert np.abs(np.fft.rfft(wave)).argmax() * 4.8 == pytest.approx(764, abs=10)
    make_video(tmp_path / "silent.mp4", sound=None)
    assert cut(tmp_path / "silent.mp4", tmp_path / "silent.webm") == ()


def test_every_frame_keeps_its_time(tmp_path):
    times = [0, 1001, 2002, 5005, 6006, 9009, 9500, 12000, 13001, 14002, 15003, 20000]
    source = make_video(tmp_path / "in.mp4", times=times)
    cut(source, tmp_path / "out.mov")
    cut(source, tmp_path / "out.mp4", background="black")
    cut(source, tmp_path / "out.webm")
    for name in ("out.mov", "out.mp4"):
        found = frames_of(tmp_path / name)
        assert [frame.pts for frame in found] == times
        assert {frame.time_base for frame in found} == {TICK}
    # WebM counts milliseconds
    assert [frame.pts for frame in frames_of(tmp_path / "out.webm")] == [round(t / 30) for t in times]


def test_the_times_of_a_video_that_begins_late_stay_with_its_sound(tmp_path):
    source = make_video(tmp_path / "in.ts")
    with av.open(str(source)) as video:
        assert video.start_time > 0
    cut(source, tmp_path / "out.mp4", background="black")
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.start_time == 0
    gaps = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as video:
            times: dict[str, Any] = {stream.type: stream for stream in video.streams}
            sound, pictures = (times[kind].start_time * times[kind].time_base for kind in ("audio", "video"))
            gaps.append(float(pictures - sound))
    assert gaps[0] == pytest.approx(gaps[1], abs=0.001)


@pytest.mark.parametrize(("rotation", "turns"), [(-90, -1), (90, 1), (180, 2)])
def test_a_phone_s_rotation_is_applied(tmp_path, rotation, turns):
    source = make_video(tmp_path / "in.mp4", frames=2, rotation=rotation)
    cut(source, tmp_path / "out.mp4", background="white")
    frame = frames_of(tmp_path / "out.mp4")[0]
    assert frame.rotation == 0
    wanted = np.rot90(picture(0), turns)
    seen = rgba_of(frame)
    assert seen.shape[:2] == wanted.shape[:2]
    person = wanted[..., 0] == 255
    assert np.abs(seen[..., :3].astype(int) - np.where(person[..., None], wanted, 255)).mean() < 12


@pytest.mark.parametrize("name", ["out.webm", "out.mov", "out.mp4"])
@pytest.mark.parametrize("size", [(65, 49), (64, 49), (65, 48), (1, 1)])
def test_odd_sizes_stay(tmp_path, name, size):
    source = make_video(tmp_path / "in.mkv", frames=2, size=size, codec="ffv1", pixels="bgr0", sound=None)
    cut(source, tmp_path / name, background="blur" if name == "out.mp4" else None)
    frame = frames_of(tmp_path / name)[0]
    assert (frame.width, frame.height) == size


def test_backgrounds(tmp_path, source):
    scene = np.zeros((48, 64, 3), np.uint8)
    scene[:, 32:] = 250
    write_png(tmp_path / "scene.png", scene)
    for background, left, right in (
        ("green", (0, 177, 64), (0, 177, 64)),
        ("#102030", (16, 32, 48), (16, 32, 48)),
        (str(tmp_path / "scene.png"), (0, 0, 0), (250, 250, 250)),
        ("blur", (0, 60, 200), (0, 60, 200)),
    ):
        cut(source, tmp_path / "out.mp4", background=background)
        seen = rgba_of(frames_of(tmp_path / "out.mp4")[0])[..., :3].astype(int)
        assert np.abs(seen[:, :3] - left).max() < 12
        assert np.abs(seen[:, -6:] - right).max() < 12
        assert np.abs(seen[16:30, 14:26] - (255, 180, 150)).max() < 14
    with pytest.raises(InputError, match="neither a colour"):
        cut(source, tmp_path / "out.mp4", background="grene")


def test_full_range_and_hd_colours_are_the_same_afterwards(tmp_path):
    source = make_video(tmp_path / "in.mp4", frames=2, size=(1280, 64), pixels="yuvj420p", sound=None)
    cut(source, tmp_path / "out.mp4", background="white", steady=False)
    with VideoReader(source) as video:
        before = next(video.frames()).image
        assert video.color.matrix == 1
    with VideoReader(tmp_path / "out.mp4") as video:
        after = next(video.frames()).image
    person = before[..., 0] > 250
    assert np.abs(before[person].astype(int) - after[person]).mean() < 3


def test_a_folder_of_pictures(tmp_path):
    times = [0, 1001, 4004, 5005]
    source = make_video(tmp_path / "in.mp4", frames=4, times=times)
    target = tmp_path / "frames"
    assert cut(source, target) == ("a folder of pictures has no sound",)
    assert sorted(path.name for path in target.iterdir()) == [
        *(f"{n:06d}.png" for n in range(1, 5)),
        "frames.ffconcat",
    ]
    alpha = read_rgba(target / "000003.png")[1]
    assert (alpha[14:34, 14:30] > 245).all()
    lines = (target / "frames.ffconcat").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("duration")] == [
        "0.033367",
        "0.100100",
        "0.033367",
        "0.033367",
    ]
    assert is_of_job(target, "ab12")
    cut(source, target, background="white")
    with Image.open(target / "000001.png") as shown:
        assert shown.mode == "RGB"
    (target / "notes.txt").touch()
    assert not is_own_video(target)


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
    cut_out_video(Job(source, tmp_path / "out.mov"), "cd34", other, Options())  # type: ignore[arg-type]
    assert len(other.seen) == 7
    assert is_of_job(tmp_path / "out.mov", "cd34")


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


def test_what_is_no_video_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
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


def test_time_is_a_fraction(tmp_path, source):
    with VideoReader(source) as video:
        assert video.rate == RATE
        assert video.time_base == TICK
        assert video.total == 12
        assert [frame.pts * video.time_base for frame in video.frames()][11] == Fraction(11 * 1001, 30000)
