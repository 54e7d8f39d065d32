"""The benchmark of videos runs on drawn people and prints flicker, error and speed."""

import pytest

from benchmarks import video


def test_prints_flicker_and_speed(cutout_root, tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(video, "WIDTH", 96)
    monkeypatch.setattr(video, "HEIGHT", 64)
    (cutout_root / "people").symlink_to(cutout_root / "cutouts")
    options = [
        "--clips",
        "2",
        "--frames",
        "24",
        "--threads",
        "1",
        "--formats",
        "webm",
        "--write",
        str(tmp_path / "out"),
    ]
    video.main(["--data", str(cutout_root), *options])
    flicker, speed = capsys.readouterr().out.split("2 clips of 24 frames, 96x64; times 1000")[1].split("| format")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in flicker.strip().splitlines()]
    assert rows[0] == ["alpha", "flicker", "still", "error", "moving"]
    assert [row[0] for row in rows[2:]] == ["as the network has it", "steadied", "ratio"]
    assert all(float(cell) >= 0 for row in rows[2:] for cell in row[1:])
    assert float(speed.strip().splitlines()[-1].split("|")[3]) > 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip0.mp4", "clip1.mp4", "cutout.webm"]
