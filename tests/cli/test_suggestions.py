"""What is said of a command, an option, a key or a name that is mistyped."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

import sdnet_pl.data  # noqa: F401 (the classes that a config names)
from sdnet_pl.cli import main
from sdnet_pl.data.config_suggestions import suggest
from sdnet_pl.errors import InputError
from sdnet_pl.inference import load_pretrained, load_weights
from sdnet_pl.nn import create_model


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["fitt"], "fit"),
        (["mate", "photo.jpg"], "matte"),
        (["matte", "photo.jpg", "-o", "out", "--sise", "5"], "--size"),
        (["matte", "photo.jpg", "-o", "out", "--overwrit2"], "--overwrite"),
        (["evaluate", "--pred", "a", "--alpa=b"], "--alpha"),
        (["report", "--tabel", "5"], "--table"),
        (["prepare", "p3m10", "a", "b"], "p3m10k"),
        (["prepare", "p3m10k", "a", "b", "--max-sied", "3"], "--max-side"),
        (["export", "a.onnx", "--precision", "in8"], "int8"),
    ],
)
def test_a_mistyped_word_of_a_command(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.strip().endswith(f"did you mean {meant}?")


@pytest.mark.parametrize("arguments", [["report", "--table", "55"], ["photo.jpg"], ["matte", "a.jpg", "-o"]])
def test_nothing_is_meant(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "did you mean" not in capsys.readouterr().err


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser()
    command = parser.add_subparsers().add_parser("fit")
    for option in ("--data.root", "--data.batch_size", "--model.preset", "--model.lr", "--config"):
        command.add_argument(option)
    return parser


@pytest.mark.parametrize(
    ("message", "arguments", "meant"),
    [
        ("unrecognized arguments: --modle.preset x", ["fit", "--modle.preset", "x"], "--model.preset"),
        ("unrecognized arguments: --batch_size=2", ["fit", "--config", "c", "--batch_size=2"], "--data.batch_size"),
        ("Subcommand 'fit' does not accept option 'model.presett'", [], "model.preset"),
        ("Interpolation key '.rooot' not found (resolved to 'fit.data.rooot')", [], "data.root"),
        ("module 'sdnet_pl.data' has no attribute 'CutoutFoldr' - Not valid", [], "CutoutFolder"),
        ("Expected a path but BackgroundFoldr either not accessible", [], "BackgroundFolder"),
        ("Option 'backgrounds_per_foregrounds' is not accepted", [], "backgrounds_per_foreground"),
        ("Expected a typing.Literal['none', 'dense']. Got value: dens", [], "dense"),
    ],
)
def test_what_jsonargparse_does_not_know(parser: ArgumentParser, message: str, arguments: list[str], meant: str):
    assert suggest(message, parser, arguments) == f"; did you mean {meant}?"


def test_a_mistyped_config_file(parser: ArgumentParser, tmp_path: Path):
    (tmp_path / "cutouts.yaml").touch()
    assert suggest(f"File does not exist: '{tmp_path}/cutout.yaml'", parser) == "; did you mean cutouts.yaml?"
    assert suggest(f"File does not exist: '{tmp_path}/none/cutout.yaml'", parser) == ""


def test_names_of_networks_and_weights():
    with pytest.raises(InputError, match=r"no preset 'sdnet-fats'.*; did you mean sdnet-fast\?"):
        create_model("sdnet-fats")
    with pytest.raises(InputError, match=r"'ammpa'; did you mean ampa\?"):
        create_model("sdnet", ammpa=False)
    with pytest.raises(InputError, match=r"There are no weights sdnet-fst.*; did you mean sdnet-fast\?"):
        load_weights("sdnet-fst")
    with pytest.raises(InputError, match=r"No weights sdnt-trimap ship.*; did you mean sdnet-trimap\?"):
        load_pretrained("sdnt", trimap=True)
