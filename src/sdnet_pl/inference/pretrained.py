"""The pretrained weights that ship with the package: their names and files. Imports nothing heavy."""

from importlib.resources import files
from pathlib import Path

from sdnet_pl.errors import InputError, did_you_mean

FOLDER = Path(str(files("sdnet_pl"))) / "weights"
DEFAULT = "sdnet-fast"
# Of the commands' option --weights
HELP = (
    f"the network: a name that ships (default: {DEFAULT}), a checkpoint of a run, or a .safetensors file of "
    "`sdnet-pl export`"
)


def pretrained_weights() -> dict[str, str]:
    """The sha256 of each file of weights that ships, by its name.

    The name is that of the preset, followed by ``-trimap`` where the network takes a trimap.
    """
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {file.removesuffix(".safetensors"): sha256 for sha256, file in map(str.split, lines)}


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
