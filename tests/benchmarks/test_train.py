"""The training benchmark runs and prints what it measured."""

from functools import partial

import pytest

from benchmarks import train
from sdnet_pl.lit import SDNetModule
from tests.conftest import SMALL


@pytest.mark.slow
def test_prints_the_parts_of_a_step(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(train, "SDNetModule", partial(SDNetModule, network=SMALL))
    monkeypatch.setitem(train.PEAKS, "cpu", (64, 2**12))
    train.main(["--preset", "sdnet-tiny", "--size", "64", "--batch-size", "2", "--rounds", "1", "--device", "cpu"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "sdnet-tiny, 2 crops of 64x64, cpu"
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    assert header == ["", "fp32", "bf16-mixed"]
    table = {row[0]: [float(value) for value in row[1:]] for row in rows}
    for column in (0, 1):
        shares = [table[f"{part}, %"][column] for part in train.PARTS]
        assert min(shares) > 0
        assert sum(shares) == pytest.approx(100, abs=0.1)  # four digits each
        assert table["objective (loss and its backward), %"][column] == pytest.approx(shares[2] + shares[3], abs=0.1)
        assert 0 < table["kernels run, % of the time"][column] <= 100
    assert table["step, relative to fp32"][0] == 1
    # bfloat16 changes what moves, not what is computed.
    flops, moved = table["network, GFLOP a sample"], table["network, GB a sample"]
    assert flops[0] == flops[1] > 0
    assert 0 < moved[1] != moved[0]
