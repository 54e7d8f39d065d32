"""The inference benchmark runs and prints what it measured."""

from concurrent.futures import ThreadPoolExecutor

import onnx
import pytest
import torch

from benchmarks import inference

PEER = "MobileNetV2 + DeepLabV3+"


@pytest.mark.parametrize("peers", [[], pytest.param([PEER], marks=pytest.mark.slow)])
def test_prints_a_row_for_each_network(
    peers: list[str], tmp_path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path / "other.onnx"
    torch.onnx.export(torch.nn.Conv2d(3, 1, 1), (torch.rand(1, 3, 64, 96),), other, dynamo=False)
    if not peers:  # without tracing the network, and without processes that import for seconds
        monkeypatch.setattr(inference, "to_onnx", lambda model, precision: onnx.load(other))
        monkeypatch.setattr(inference, "ProcessPoolExecutor", lambda workers, context: ThreadPoolExecutor(workers))
    options = ["--sizes", "64x96", "--threads", "1", "--rounds", "1", "--onnx", str(other)]
    inference.main([*options, "--models", "sdnet-tiny", *peers, "--reference", "sdnet-tiny"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "64x96, threads: 1; 1 = sdnet-tiny in ONNX Runtime"
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert list(table) == ["other", "sdnet-tiny", *peers]
    assert table["sdnet-tiny"]["M parameters"] == "0.5518"
    assert float(table["sdnet-tiny"]["ORT time"]) == 1
    assert table["other"]["PyTorch time"] == ""
    for name in ("sdnet-tiny", *peers):
        assert float(table[name]["PyTorch time"]) > 0
        # A process that is large already does not grow, and the kernel's own counts are a few pages off.
        assert float(table[name]["PyTorch MiB"]) > -1


def test_a_reference_that_is_not_measured_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        inference.main(["--models", "sdnet-tiny", "--reference", "MODNet"])
    assert "--reference MODNet is not measured; choose one of sdnet-tiny." in capsys.readouterr().err
