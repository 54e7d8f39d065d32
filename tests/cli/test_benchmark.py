"""``sdnet-pl benchmark``: what it says where it cannot measure."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sdnet_pl.cli import main
from sdnet_pl.reporting import latency


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "99999968"], "--sizes 99999968: give N or WIDTHxHEIGHT in pixels, multiples of 32 from 32 to"),
        (["--csv", "model.onnx", "--overwrite"], "model.onnx does not end in .csv"),
        (["--csv", "folder.csv", "--overwrite"], "folder.csv is a folder"),
        (["--csv", "file/table.csv"], "file/table.csv cannot be written"),
        (["empty.ckpt", "--sizes", "64"], "empty.ckpt"),
        (["theirs.mlpackage", "--sizes", "64"], "Core ML"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("folder.csv", "theirs.mlpackage"):
        (tmp_path / name).mkdir()
    for name in ("file", "model.onnx", "empty.ckpt"):
        (tmp_path / name).touch()
    assert main(["benchmark", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_table_of_its_own_is_replaced_and_that_of_others_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latency, "_load", lambda model, shape, threads: ("fp32", None, 1.0))
    monkeypatch.setattr(latency, "_time", float)
    monkeypatch.setattr(latency, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    table = tmp_path / "table.csv"
    arguments = ["benchmark", "sdnet-fast", "--sizes", "32", "--rounds", "1", "--csv", str(table), "--overwrite"]
    for _ in range(2):
        assert main(arguments) == 0
    assert table.read_text().startswith("network,backend,precision,width,")
    table.write_text("network,mine\n")
    monkeypatch.setattr(latency, "measure", None)
    assert main(arguments) == 2
    assert f"{table} exists and was not written by sdnet-pl" in capsys.readouterr().err
    assert table.read_text() == "network,mine\n"
