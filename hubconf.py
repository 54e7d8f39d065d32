"""Entry points of torch.hub: ``torch.hub.load(FOLDER, "sdnet_fast", source="local", pretrained=True)``."""

# Modules alone are imported: torch.hub takes every function and class here for an entry point.
import pathlib
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "src"))  # this clone's, whether or not sdnet_pl is installed

import sdnet_pl

dependencies = ["torch", "numpy", "safetensors", "tqdm"]


def sdnet_fast(pretrained: bool = False, trimap: bool = False, **changes: typing.Any) -> sdnet_pl.SDNet:
    """The network for use, 1.97 M parameters; the arguments are those of :func:`sdnet_pl.create_model`."""
    return sdnet_pl.create_model("sdnet-fast", pretrained, trimap=trimap, **changes)


def sdnet(pretrained: bool = False, trimap: bool = False, **changes: typing.Any) -> sdnet_pl.SDNet:
    """The paper's network, 2.03 M parameters; the arguments are those of :func:`sdnet_pl.create_model`."""
    return sdnet_pl.create_model("sdnet", pretrained, trimap=trimap, **changes)
