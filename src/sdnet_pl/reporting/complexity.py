"""Parameters, sizes of files and work of a network, measured on itself (Table 4 of the paper).

``python -m sdnet_pl.reporting.complexity > src/sdnet_pl/reporting/networks.csv`` writes the table that `info` prints.
"""

from io import BytesIO
from pathlib import Path

import torch
from torch import nn

from sdnet_pl.inference.weights import Trained, weights_file
from sdnet_pl.nn import PRESETS, create_model
from sdnet_pl.reporting.networks import NETWORK, TRIMAP
from sdnet_pl.reporting.tables import to_csv
from sdnet_pl.reporting.work import CountProducts

SIDE = 512


def measure(preset: str, trimap: bool = False) -> dict[str, str | float]:
    """A row of the table.

    Args:
        preset: a key of ``PRESETS``.
        trimap: the network with the trimap as fourth channel.

    Returns:
        Parameters in millions, the file of its weights as they ship (fp16) in MiB, and GMAC.

    Raises:
        InputError: there is no such preset.
    """
    model = create_model(preset, trimap=trimap).eval()
    weights = weights_file(Trained(preset, trimap, {}, SIDE, model.state_dict(), Path(preset)), {})
    return {
        NETWORK: preset,
        TRIMAP: "✓" if trimap else "",
        "parameters (M)": sum(p.numel() for p in model.parameters()) / 1e6,
        "fp16 weights (MiB)": len(weights) / 2**20,
        f"GMAC at {SIDE}×{SIDE}": gmac(model, model.in_channels),
    }


def state_dict_size(preset: str) -> float:
    """The file of a network's state_dict in MiB, which is what the paper's Table 4 gives."""
    state = BytesIO()
    with torch.serialization.skip_data():  # only the size is wanted
        torch.save(create_model(preset).state_dict(), state)
    return state.tell() / 2**20


def gmac(model: nn.Module, channels: int = 3) -> float:
    """Multiply–accumulate operations in billions of one 512×512 picture: those of convolutions and matrix products.

    They are counted on the meta device, where nothing is computed.

    Args:
        model: a network that takes ``[1, channels, H, W]``; it stays as it is.
        channels: of its input.
    """
    shapes = {name: x.detach().to("meta") for name, x in (*model.named_parameters(), *model.named_buffers())}
    picture = torch.empty(1, channels, SIDE, SIDE, device="meta")
    with CountProducts() as counted, torch.inference_mode():
        torch.func.functional_call(model, shapes, picture)
    return counted.total / 1e9


if __name__ == "__main__":
    print(to_csv([measure(preset, trimap) for preset in PRESETS for trimap in (False, True)]), end="")
