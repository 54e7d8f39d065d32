"""Videos to cut-outs, with real small files of every kind."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data.image_io import read_rgba, write_png
from sdnet_pl.errors import InputError
from sdnet_pl.inference.video.provenance import is_of_job, is_own_video
from sdnet_pl.inference.video.reader import VideoReader
from tests.videos import RATE, TICK, add_subtitles, cut, frames_of, make_video, picture, rgba_of, sound_of


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


@pytest.mark.parametrize(
    ("name", "codec", "sound", "target", "again"),
    [
        ("in.webm", "libvpx-vp9", "libopus", "out.webm", ""),
        ("in.webm", "libvpx-vp9", "libopus", "out.mov", "opus as aac"),
        ("in.mov", "mpeg4", "pcm_s16le", "out.mov", ""),
        ("in.mov", "mpeg4", "pcm_s16le", "out.mp4", "pcm_s16le as aac"),
    ],
)
def test_sound_that_a_container_does_not_take_is_encoded_again(tmp_path, name, codec, sound, target, again):
    source = make_video(tmp_path / name, frames=3, codec=codec, sound=sound)
    notes = cut(source, tmp_path / target, background="white" if target == "out.mp4" else None)
    assert notes == ((f"sound encoded again, {again}",) if again else ())
    assert (sound_of(source) == sound_of(tmp_path / target)) is not bool(again)


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


def test_pixels_become_square(tmp_path):
    source = make_video(tmp_path / "in.mp4", frames=2, shape=Fraction(3, 2), rotation=90)
    cut(source, tmp_path / "out.webm")
    frame = frames_of(tmp_path / "out.webm")[0]
    assert (frame.width, frame.height) == (48, 96)
    wanted = np.rot90(picture(0).repeat(3, 1)[:, ::2])
    assert np.abs(rgba_of(frame)[..., 3].astype(int) - wanted[..., 0]).mean() < 8


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
    with av.open(str(target / "frames.ffconcat"), options={"safe": "0"}) as again:
        assert [frame.pts for frame in again.decode(video=0)] == [3 * time for time in times]
    assert is_of_job(target, "ab12")
    cut(source, target, background="white")
    with Image.open(target / "000001.png") as shown:
        assert shown.mode == "RGB"
    (target / "notes.txt").touch()
    assert not is_own_video(target)


def test_time_is_a_fraction(tmp_path, source):
    with VideoReader(source) as video:
        assert video.rate == RATE
        assert video.time_base == TICK
        assert video.total == 12
        assert [frame.pts * video.time_base for frame in video.frames()][11] == Fraction(11 * 1001, 30000)


def subtitles_of(path):
    with av.open(str(path)) as video:
        (stream,) = video.streams.subtitles
        packets: list[Any] = [
            packet for packet in video.demux(stream) if packet.size > 2
        ]  # of two bytes are gaps in MP4
        return stream.metadata["language"], [(float(p.pts * p.time_base), bytes(p)) for p in packets]


def test_subtitles_are_copied_where_the_container_takes_them(tmp_path, source):
    lines = add_subtitles(
        source, tmp_path / "in.mkv", "ass", [b"0,0,Default,,0,0,0,,Hello", b"1,0,Default,,0,0,0,,you"]
    )
    assert cut(lines, tmp_path / "out.mkv") == ()
    assert subtitles_of(tmp_path / "out.mkv") == subtitles_of(lines)
    assert cut(lines, tmp_path / "out.mov") == ("subtitles left out: .mov does not take ass",)
    texts = add_subtitles(source, tmp_path / "in.mov", "mov_text", [b"\0\5Hello", b"\0\3you"])
    assert cut(texts, tmp_path / "out.mp4", background="white") == ()
    assert subtitles_of(tmp_path / "out.mp4") == subtitles_of(texts)
    assert len(subtitles_of(texts)[1]) == 2


def test_a_rate_that_no_frames_can_have_is_not_taken(tmp_path, source):
    late = add_subtitles(source, tmp_path / "in.mkv", "ass", [])
    with av.open(str(late)) as video:
        assert video.streams.video[0].average_rate == 30000  # of milliseconds
    cut(late, tmp_path / "out.webm")
    assert len(frames_of(tmp_path / "out.webm")) == 12


def test_hdr_is_said(tmp_path):
    source = make_video(tmp_path / "in.mp4", frames=2, sound=None, transfer=16)
    assert cut(source, tmp_path / "out.mov") == ("colours stay HDR (PQ), with 8 bits and not tone-mapped",)
