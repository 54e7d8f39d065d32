"""Two passes against one: that the tables come out, on drawn pictures."""

from pathlib import Path
from shutil import copytree

import pytest

from benchmarks.passes import main


def test_prints_errors_of_composites_and_overlap_with_masks(
    cutout_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, copy in (
        ("cutouts/val", "people/val"),
        ("backgrounds/val", "backgrounds/val2"),
        ("natural/val", "photos/val"),
    ):
        copytree(cutout_root / folder, cutout_root / copy)
    main(["--root", str(cutout_root), "--sizes", "96", "--drawn", "--count", "2", "--photos", "1", "--only", "256"])
    out = capsys.readouterr().out
    assert "| 96 px | 256, pass 2 at 640 |" in out
    assert "| 1 of photos/val | 256, pass 2 at 640 |" in out
