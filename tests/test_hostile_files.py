"""Files that are damaged, or made to do harm, whatever the damage: an error that names the file comes out, or nothing.

Each is a valid file with a few changes, which get further than noise does.
"""

import json
import re
import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdnet_pl.data.camera_raw import is_raw
from sdnet_pl.errors import InputError
from tests import hostile
from tests.videos import cut, make_video

EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x01", b"\x01\0\0\0", b"\xff\xff\xff\x7f")
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "zeros", "repeat", "move", "number"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=3,
)


def changed(content: bytes, changes: list[tuple[str, float, float, int]]) -> bytes:
    for change, here, there, value in changes:
        i, j = int(here * len(content)), int(there * len(content))
        part = content[j : j + 1 + value]
        match change:
            case "flip":
                content = content[:i] + bytes([(content[i : i + 1] or b"\0")[0] ^ (1 << value % 8)]) + content[i + 1 :]
            case "cut":
                content = content[:i]
            case "zeros":
                content = content[:i] + bytes(len(content[i : i + value])) + content[i + value :]
            case "repeat":
                content = content[:i] + part + content[i:]
            case "move":
                content = content[:i] + part + content[i + len(part) :]
            case "number":
                content = content[:i] + EXTREMES[value % len(EXTREMES)] + content[i + 4 :]
    return content


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind != "config"])  # which takes a second a file
def test_a_changed_file_is_read_or_refused(kind: str, monkeypatch: pytest.MonkeyPatch):
    hostile.limit_pixels(monkeypatch.setattr)
    valid = hostile.KINDS[kind][0]()
    for content in valid.values():
        hostile.read(kind, content, valid=True)

    @settings(max_examples=25, derandomize=True, database=None, deadline=None)
    @given(st.sampled_from(sorted(valid)), CHANGES)
    def check(name: str, changes: list[tuple[str, float, float, int]]) -> None:
        hostile.read(kind, changed(valid[name], changes))

    check()


@pytest.mark.parametrize(
    "network",
    [
        '{"depths": [1000000, 1, 1, 1]}',
        '{"widths": [1000000000, 8, 8, 8]}',
        '{"stem_channels": 1e400}',
        '{"widths": "wide"}',
        "[" * 100_000,
        "null",
    ],
    ids=lambda text: text[:32],
)
def test_weights_of_a_network_that_they_are_not(network: str, tmp_path: Path):
    """A number takes no memory and no hours before it is compared with the weights."""
    from sdnet_pl.inference.weights import load_weights

    head, numbers = hostile.small_weights()
    described = json.loads(head[8:])
    described["__metadata__"]["network"] = network
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    with pytest.raises(InputError, match=r"a\.safetensors"):
        load_weights(tmp_path / "a.safetensors")


# What the test below has found


@pytest.mark.parametrize(
    "content",
    [
        b"II*\0" + struct.pack("<LHHHLLL", 8, 1, 262, 3, 0, 0, 0),  # no value at all
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1),  # a place beyond what a file may have
    ],
    ids=["empty", "far"],
)
def test_a_tiff_with_odd_tags_is_no_raw_file(content: bytes):
    assert not is_raw(BytesIO(content.ljust(64, b"\0")))


def test_a_video_of_an_unknown_codec_is_refused(tmp_path: Path):
    video = make_video(tmp_path / "in.mp4")
    video.write_bytes(video.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InputError, match=r"in\.mp4 is in a codec that FFmpeg does not know"):
        cut(video, tmp_path / "out.mov")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "runs"), [(k, 500 if k == "config" else 2000) for k in hostile.KINDS])
def test_ten_thousand_files_in_bounded_memory(kind: str, runs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """More than that in all; libFuzzer ends at the first other error, and where one file takes too much or too long."""
    pytest.importorskip("atheris")
    limits = [f"-runs={runs}", "-seed=1", "-max_len=60000", "-rss_limit_mb=1500", "-timeout=60", "-print_final_stats=1"]
    command = [sys.executable, "-m", "tests.fuzz", kind, str(tmp_path), *limits]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-6000:]
    numbers = dict(re.findall(r"stat::(\w+):\s+(\d+)", ran.stderr))
    with capsys.disabled():
        print(f"\n{kind}: {numbers['number_of_executed_units']} files, at most {numbers['peak_rss_mb']} MiB")
    assert int(numbers["number_of_executed_units"]) >= runs
