"""Scripts of experiments, run in a clone as ``python -m experiments.FOLDER.NAME``; each names the data it needs."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sdnet_pl.errors import InputError

WRONG_USE = 2  # as argparse exits


def run_script(main: Callable[[], int | None]) -> None:
    """Calls a script's ``main`` and exits with its status; input that is refused gives its message, no traceback."""
    try:
        sys.exit(main())
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(WRONG_USE)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Declares ``--data``, the folder of the pictures: by default that of SDNET_DATA, or else ``data``."""
    default = Path(os.environ.get("SDNET_DATA", "data"))
    parser.add_argument(
        "--data", type=Path, default=default, metavar="FOLDER", help="of the pictures (default: SDNET_DATA)"
    )


def need_folders(parser: argparse.ArgumentParser, root: Path, *folders: str) -> None:
    """Ends the script with an error that names the folders below ``root`` that are missing."""
    if missing := [folder for folder in folders if not (root / folder).is_dir()]:
        parser.error(
            f"{root} has no {', no '.join(missing)}, whose pictures this needs; set SDNET_DATA to the folder that "
            "holds them. experiments/README.md says what is in them."
        )


def need_new_weights(parser: argparse.ArgumentParser, path: Path) -> None:
    """Ends the script with an error if ``path`` is no new .safetensors: nothing is replaced."""
    if path.suffix != ".safetensors" or path.exists():
        parser.error(f"{path} exists or does not end in .safetensors; name a new file that does.")
