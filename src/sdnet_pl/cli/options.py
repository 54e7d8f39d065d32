"""The options that several commands have."""

import argparse
from pathlib import Path

from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import BACKENDS, DEFAULT, QUALITIES

STEP, MAX_SIDE = 32, 4096
"""Sides of pictures of one size, in pixels: multiples of what networks halve, and no more than fits a memory."""


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Declare ``--weights``: a name or a file, as :func:`sdnet_pl.inference.load_weights` takes it."""
    parser.add_argument(
        "--weights",
        default=DEFAULT,
        metavar="WEIGHTS",
        help=f"the network: a name that ships (default: {DEFAULT}), a checkpoint of a run, or a file of `sdnet-pl "
        "export`",
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Declare ``--size`` in pixels, by default none: the size that the weights record."""
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="longer side in pixels at which the network sees a photo (default: the size that its weights record)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare ``--device``, by default none: the GPU if there is one."""
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps, ... (default: the GPU if there is one)")


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Declare ``--backend``, by default none: what :func:`sdnet_pl.inference.engine.open_engine` takes then."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="onnx (ONNX Runtime) or torch (default: onnx on a CPU, where the weights exist as ONNX)",
    )


def add_quality(parser: argparse.ArgumentParser, default: str | None, text: str) -> None:
    """Declare ``--quality``; ``text`` says what the default is."""
    parser.add_argument(
        "--quality",
        choices=QUALITIES,
        default=default,
        help=f"fast: one pass; best: a second one at more pixels where the first is not certain ({text})",
    )


def add_threads(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare ``--threads``, by default none."""
    parser.add_argument("--threads", type=int, metavar="N", help=text)


def add_output(parser: argparse.ArgumentParser, metavar: str, text: str, required: bool = False) -> None:
    """Declare ``-o`` and ``--output``, a path."""
    parser.add_argument("-o", "--output", type=Path, required=required, metavar=metavar, help=text)


def add_overwrite(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare ``--overwrite``: without it, nothing that exists is replaced."""
    parser.add_argument("--overwrite", action="store_true", help=text)


def to_shape(option: str, text: str) -> tuple[int, int]:
    """Height and width in pixels of ``N`` or ``WIDTHxHEIGHT``.

    Raises:
        InputError: it is neither, or no size that a network takes.
    """
    sides = text.split("x")
    try:
        width, height = (int(side) for side in (sides * 2 if len(sides) == 1 else sides))
    except ValueError:
        width = height = 0
    if not all(STEP <= side <= MAX_SIDE and side % STEP == 0 for side in (width, height)):
        raise InputError(
            f"{option} {text}: give N or WIDTHxHEIGHT in pixels, multiples of {STEP} from {STEP} to {MAX_SIDE}, such "
            "as 384x512."
        )
    return height, width


def add_workers(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare ``--workers``, by default none.

    Args:
        parser: of the command.
        default: what the command takes then.
    """
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes (default: {default})")


def add_no_check(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare ``--no-check``: odd alphas are taken as they are."""
    parser.add_argument("--no-check", action="store_true", help=text)
