"""The benchmark of the data path runs on tiny pictures and prints every part."""

import cv2
import pytest
import torch

from benchmarks.data import main

PARTS = ["decode", "warp", "flip, colours, blur", "trimap", "collate", "transfer", "composite", "degradation", "worker"]
TINY = ["--size", "64", "--full-size", "90", "160", "--samples", "3", "--rounds", "1"]


@pytest.fixture(autouse=True)
def _threads():
    before = cv2.getNumThreads(), torch.get_num_threads()
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


@pytest.mark.parametrize("with_folder", [True, False])
def test_every_part_is_timed_against_the_naive_order(cutout_root, tmp_path, capsys, with_folder):
    root = cutout_root if with_folder else tmp_path / "absent"
    main(["--root", str(root), "--shortest", "90", "60", *TINY])
    tables = capsys.readouterr().out.split("| part |")[1:]
    assert len(tables) == 2 + with_folder
    for table in tables:
        rows = [
            [cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:] if line[:1] == "|"
        ]
        assert len(rows) == 11
        for name, row in zip(PARTS, rows, strict=False):
            assert row[0].startswith(name)
            assert row[1].endswith("%")
            assert float(row[2]) > 0
        assert rows[-1][0].startswith("naive order")
        assert float(rows[-1][-1]) == 1
        assert all(float(row[-1]) > 0 for row in rows[-3:])
