"""Networks out of the checkpoints that training leaves."""

import pickle
from pathlib import Path
from typing import Any

import torch

from sdnet_pl.errors import InputError
from sdnet_pl.nn import SDNet, create_model

ARCHITECTURE = ("preset", "trimap", "network")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint of SDNetModule, on the CPU.

    Raises:
        InputError: For a missing file, one that torch cannot read, or one that SDNetModule did not write.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no checkpoint {path}; give the best.ckpt or last.ckpt of a run.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError, KeyError) as error:
        raise InputError(
            f"{path} is not a checkpoint that can be read safely, or it is damaged; give the best.ckpt or last.ckpt "
            "of a run."
        ) from error
    if not isinstance(checkpoint, dict) or not set(ARCHITECTURE) <= checkpoint.get("hyper_parameters", {}).keys():
        raise InputError(
            f"{path} holds no SDNet checkpoint (its preset is not recorded); give the best.ckpt or last.ckpt of a run."
        )
    return checkpoint


def architecture(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Which network a checkpoint holds: ``preset``, ``trimap`` and the changed constructor arguments ``network``."""
    found = {key: checkpoint["hyper_parameters"][key] for key in ARCHITECTURE}
    return found | {"network": found["network"] or {}}


def load_checkpoint(path: str | Path) -> tuple[SDNet, int]:
    """The trained network of a checkpoint, in eval mode on the CPU, and the picture size that it was trained at.

    Where training kept an average of the weights, the network has the averaged ones.

    Raises:
        InputError: As :func:`read_checkpoint`, and where the weights do not fit the recorded preset.
    """
    checkpoint = read_checkpoint(path)
    return network(checkpoint, path), int(checkpoint["training_size"])


def network(checkpoint: dict[str, Any], path: str | Path) -> SDNet:
    """The trained network out of the contents of the checkpoint ``path``, as :func:`load_checkpoint` gives it.

    Raises:
        InputError: The weights do not fit the recorded preset.
    """
    found = architecture(checkpoint)
    model = create_model(found["preset"], trimap=found["trimap"], **found["network"])
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"The weights in {path} do not fit the preset {found['preset']!r} that the file names; it was written by "
            "another version of sdnet_pl: use that version, or train again."
        ) from error
    return model.eval()
