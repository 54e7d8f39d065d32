import argparse
import subprocess
import sys
from pathlib import Path

import av
import pytest

from sdnet_pl.cli import video
from sdnet_pl.errors import InputError
from sdnet_pl.inference.video.jobs import plan
from sdnet_pl.inference.video.parts import Parts
from sdnet_pl.inference.video.provenance import is_own_video
from tests.videos import frames_of, make_video


def call(*arguments):
    parser = argparse.ArgumentParser()
    video.add_arguments(parser)
    return video.run(parser.parse_args([*map(str, arguments), "--size", "32", "--threads", "1"]))


def refused(*arguments):
    with pytest.raises(InputError) as raised:
        call(*arguments)
    return str(raised.value)


@pytest.fixture
def clip(tmp_path):
    return make_video(tmp_path / "clip.mp4", frames=3)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_cutout_lies_beside_its_video(tmp_path, clip, capsys):
    assert call(clip) == 0
    assert names(tmp_path) == ["clip.mp4", "clip_cutout.webm"]
    assert len(frames_of(tmp_path / "clip_cutout.webm")) == 3
    said = capsys.readouterr().err
    assert "clip.mp4: 100%" in said
    assert f"sdnet-pl: {tmp_path / 'clip_cutout.webm'} written; " in said
    assert "sound encoded again, aac as opus" in said
    assert call(clip, "--background", "#ffffff") == 0
    assert call(clip, "--format", "png") == 0
    assert names(tmp_path) == ["clip.mp4", "clip_cutout", "clip_cutout.mp4", "clip_cutout.webm"]


def test_a_video_too_large_for_the_format_does_not_stop_the_others(tmp_path, clip, capsys):
    wide = make_video(tmp_path / "wide.mkv", frames=1, size=(16_400, 16), codec="ffv1", pixels="bgr0", sound=None)
    assert call(wide, clip, "-o", tmp_path / "out", "--background", "red") == 1
    assert "wide.mkv, whose frames are 16400×16 pixels, cannot be encoded as .mp4" in capsys.readouterr().err
    assert is_own_video(tmp_path / "out" / "clip_cutout.mp4")
    assert not (tmp_path / "out" / "wide_cutout.mp4").exists()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that opens and cannot be read is there")
def test_a_video_that_cannot_be_read_does_not_stop_the_others(tmp_path, clip, capsys):
    (tmp_path / "closed.mp4").symlink_to("/proc/self/mem")
    assert call(tmp_path / "closed.mp4", clip, "-o", tmp_path / "out") == 1
    assert "closed.mp4 cannot be read (" in capsys.readouterr().err
    assert names(tmp_path / "out") == ["clip_cutout.webm"]


def test_a_name_with_a_colon(tmp_path, clip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip.rename("12:30.mp4")
    assert call("12:30.mp4") == 0
    assert call("12:30.mp4", "-o", "13:00", "--format", "mov") == 0
    assert names(tmp_path) == ["12:30.mp4", "12:30_cutout.webm", "13:00"]
    assert is_own_video(tmp_path / "13:00" / "12:30_cutout.mov")


def test_what_is_done_is_kept_and_other_options_are_not_taken_for_the_same(tmp_path, clip, capsys):
    target = tmp_path / "new" / "out.mov"
    assert call(clip, target) == 0
    before = target.stat().st_mtime_ns
    assert call(clip, target) == 0
    assert f"{target} existed already, of the same video" in capsys.readouterr().err
    assert target.stat().st_mtime_ns == before
    assert "give --overwrite to replace it" in refused(clip, target, "--background", "red")
    assert call(clip, "-o", target, "--background", "red", "--overwrite") == 0
    assert target.stat().st_mtime_ns != before


def test_a_file_of_someone_elses_is_never_replaced(tmp_path, clip):
    other = make_video(tmp_path / "clip_cutout.webm", frames=1, codec="libvpx-vp9", sound=None)
    content = other.read_bytes()
    (tmp_path / "clip_cutout").mkdir()
    (tmp_path / "clip_cutout" / "note.txt").touch()
    for overwrite in ([], ["--overwrite"]):
        for more in ([], ["-o", other], ["--format", "png"]):
            assert "exists and was not written by sdnet-pl" in refused(clip, *more, *overwrite)
    assert other.read_bytes() == content
    assert "would be overwritten by its own cut-out" in refused(clip, "-o", clip, "--background", "red")


def test_several_videos_and_a_bad_one(tmp_path, clip, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    second = make_video(tmp_path / "second.mkv", frames=2, sound=None)
    assert call(tmp_path / "text.mp4", clip, second, tmp_path / "out") == 1
    assert names(tmp_path / "out") == ["clip_cutout.webm", "second_cutout.webm"]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'text.mp4'} cannot be read as a video")
    assert is_own_video(tmp_path / "out" / "clip_cutout.webm")


def test_a_pattern_that_no_shell_expanded(tmp_path, clip):
    assert call(clip) == 0
    for _ in range(2):
        assert call(tmp_path / "c*", "-o", tmp_path / "out", "--format", "mov") == 0
        assert names(tmp_path / "out") == ["clip_cutout.mov"]


def test_a_video_that_another_call_is_writing(tmp_path, clip, capsys):
    second = make_video(tmp_path / "second.mp4", frames=2, sound=None)
    with Parts(tmp_path / "clip_cutout.mov", "of another call"):
        assert call(clip, second, "--format", "mov") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"{tmp_path / 'clip_cutout.mov'} is being written by")
    assert names(tmp_path) == ["clip.mp4", "second.mp4", "second_cutout.mov"]


def test_what_is_refused_before_the_network_is_loaded(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("sdnet_pl.inference.engine.choose_engine", lambda *_, **__: None)
    second = make_video(tmp_path / "second.mp4", frames=1)
    assert "out.avi is not a format that is written; give .webm, .mov" in refused(clip, tmp_path / "out.avi")
    assert "out.mp4 cannot be transparent" in refused(clip, tmp_path / "out.mp4")
    assert "--format mp4 cannot be transparent" in refused(clip, "--format", "mp4")
    assert "is one file and holds one video" in refused(clip, second, tmp_path / "out.webm")
    assert "do not go together" in refused(clip, tmp_path / "out.webm", "--format", "mov")
    assert "gone.mp4 does not exist" in refused(tmp_path / "gone.mp4")
    assert "https://a.b/c.mp4 is a URL" in refused("https://a.b/c.mp4")
    assert "x*.mp4 matches no video" in refused(tmp_path / "x*.mp4")
    assert "neither a colour" in refused(clip, "--background", "grene")
    assert ".webm is the end of a name alone" in refused(clip, "-o", tmp_path / ".webm")
    (tmp_path / "gone.webm").symlink_to("nowhere")
    assert "gone.webm is a link to nothing" in refused(clip, "-o", tmp_path / "gone.webm")
    (tmp_path / "file").touch()
    assert "file is a file" in refused(clip, "-o", tmp_path / "file")
    assert not list(tmp_path.glob("*cutout*"))


def test_videos_of_one_name_get_distinct_ones(tmp_path, clip):
    other, moved, link = tmp_path / "clip.mov", tmp_path / "sub" / "clip.mp4", tmp_path / "link.mp4"
    moved.parent.mkdir()
    for copy in (other, moved):
        copy.write_bytes(clip.read_bytes())
    link.symlink_to(clip)
    into = [job.target for job in plan([clip, moved, link], tmp_path / "out", "mov", True)]
    assert into == [tmp_path / "out/clip.mp4_cutout.mov", tmp_path / "out/sub/clip.mp4_cutout.mov"]
    beside = [job.target for job in plan([clip, other, moved], None, "png", True)]
    assert beside == [tmp_path / "clip.mp4_cutout", tmp_path / "clip.mov_cutout", tmp_path / "sub/clip_cutout"]


def test_no_permission_is_a_sentence(tmp_path, clip, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("sdnet_pl.inference.video.parts.write_text", denied)
    with pytest.raises(InputError, match=r"clip_cutout\.webm cannot be written \(Permission denied\)"):
        call(clip)


def test_a_cpu_needs_no_torch(tmp_path, clip):
    code = (
        "import sys; from sdnet_pl.cli import main; "
        f"status = main(['video', {str(clip)!r}, '--size', '32', '--device', 'cpu']); "
        "print(status, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "0 False\n", result.stderr
    with av.open(str(tmp_path / "clip_cutout.webm")) as cutout:
        assert cutout.streams.video[0].metadata["ALPHA_MODE"] == "1"
