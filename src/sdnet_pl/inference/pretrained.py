"""The pretrained weights that ship with the package: their names and files. Imports nothing heavy."""

import hashlib
from pathlib import Path

from sdnet_pl.errors import InputError, did_you_mean

FOLDER = Path(__file__).parent.parent / "weights"
DEFAULT = "sdnet-fast"
SECOND = "sdnet-fast-trimap"
"""The network of the second of two passes, and of photos with a trimap."""
BACKENDS = ("onnx", "torch")
"""ONNX Runtime, or PyTorch."""
QUALITIES = ("fast", "best")
"""One pass, or two."""


def default_quality(weights: str | Path) -> str:
    """Two passes of the network for which they were measured to be better, one pass of any other."""
    return "best" if str(weights) == DEFAULT else "fast"


def pretrained_weights() -> list[str]:
    """The names of the weights that ship: a preset, with ``-trimap`` after it for a network that takes a trimap."""
    # A wheel lacks one of those that a clone has.
    return [Path(file).stem for file in checksums() if file.endswith(".safetensors") and (FOLDER / file).exists()]


def check_damage(file: Path) -> None:
    """Compare a file that ships with its checksum; files of others have none.

    Raises:
        InputError: it is damaged.
    """
    expected = checksums().get(file.name) if file.parent == FOLDER else None
    if expected and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
        raise InputError(f"{file} is damaged: its sha256 is not {expected}; install sdnet_pl again.")


def checksums() -> dict[str, str]:
    """The sha256 of each file that ships, by its name."""
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {file: sha256 for sha256, file in map(str.split, lines)}


def locate(weights: str | Path) -> Path:
    """The file of a name that ships, or of a path.

    Raises:
        InputError: Neither such a name nor such a file exists.
    """
    names = pretrained_weights()
    if str(weights) in names:
        return FOLDER / f"{weights}.safetensors"
    if not Path(weights).is_file():
        raise InputError(
            f"There are no weights {weights}; give one of {', '.join(names)}, or a file of your own: the best.ckpt "
            f"or last.ckpt of a run, or the .safetensors of an export{did_you_mean(str(weights), names, '.')}"
        )
    return Path(weights)
