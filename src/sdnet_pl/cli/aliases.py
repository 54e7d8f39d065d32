"""Words of rembg and transparent-background that ``sdnet-pl matte`` takes too, each for an option of its own."""

import argparse
from typing import Any

from sdnet_pl.errors import InputError

TYPES: dict[str, dict[str, Any]] = {
    "rgba": {},
    "map": {"only_mask": True},
    "green": {"background": "#78ff9b"},
    "white": {"background": "white"},
    "blur": {"background": "blur"},
}
"""What transparent-background's types mean here; the green is its own."""
_EPILOG = "Also taken, as by rembg and transparent-background: -m or --model for --weights, -om for --only-mask, "
_EPILOG += f"-bgc R G B A (A: 255) for --background, and --type {'|'.join(TYPES)}."


def add_aliases(parser: argparse.ArgumentParser) -> None:
    """Declare them, without a place in the list of options: the help ends with one line on them."""
    hidden = argparse.SUPPRESS
    parser.set_defaults(weights=None)  # so that resolve_aliases sees whether it was given
    parser.add_argument("-m", "--model", help=hidden)
    parser.add_argument("-om", action="store_true", dest="only_mask", help=hidden)
    parser.add_argument("-bgc", "--bgcolor", nargs=4, type=int, metavar=tuple("RGBA"), help=hidden)
    parser.add_argument("--type", choices=tuple(TYPES), help=hidden)
    parser.epilog = _EPILOG


def resolve_aliases(args: argparse.Namespace) -> None:
    """Bring them to ``weights``, ``only_mask`` and ``background``.

    Raises:
        InputError: they contradict each other or an option, or a colour is not opaque.
    """
    args.weights = _one({"--weights": args.weights, "--model": args.model})
    kind = TYPES.get(args.type, {})
    if args.type == "rgba" and (args.only_mask or args.background or args.bgcolor):
        raise InputError("--type rgba is a cut-out, and the mask or a background is asked for too; give one of them.")
    args.only_mask = args.only_mask or kind.get("only_mask", False)
    args.background = _one(
        {
            "--background": args.background,
            "-bgc": _hex(args.bgcolor) if args.bgcolor else None,
            f"--type {args.type}": kind.get("background"),
        }
    )


def _one(words: dict[str, str | None]) -> str | None:
    """The value that was given, by whichever word."""
    given = {word: value for word, value in words.items() if value is not None}
    if len(set(given.values())) > 1:
        shown = " and ".join(f"{word}, which means {value}," for word, value in given.items())
        raise InputError(f"{shown} contradict each other; give one of them.")
    return next(iter(given.values()), None)


def _hex(color: list[int]) -> str:
    *rgb, alpha = color
    if not all(0 <= value <= 255 for value in color):
        raise InputError(f"-bgc {' '.join(map(str, color))} is no colour; give four numbers in [0, 255].")
    if alpha != 255:
        raise InputError(
            f"The last number of -bgc, its opacity, is {alpha}, and a background is opaque; give 255, or leave -bgc "
            "out for a transparent background."
        )
    return "#" + bytes(rgb).hex()
