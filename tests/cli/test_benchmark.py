"""``sdnet-pl benchmark``: what it says where it cannot measure."""

from pathlib import Path

import pytest

from sdnet_pl.cli import main


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
