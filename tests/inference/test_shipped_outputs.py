"""What the weights that ship make of one picture stays as it is, whatever the code around them becomes.

``python -m tests.inference.test_shipped_outputs`` writes the vectors anew: where other weights ship, and then alone.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from sdnet_pl.inference import load_weights, pretrained

VECTORS = Path(__file__).parents[1] / "vectors" / "shipped_outputs.json"


def picture() -> Tensor:
    """Head and shoulders before waves, and a trimap that knows the borders: float64 ``[1, 4, 96, 128]``."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side, dtype=torch.float64) for side in (96, 128)), indexing="ij")
    head = torch.sigmoid(30 * (0.32 - (x**2 + 1.7 * (y + 0.25) ** 2).sqrt()))
    shoulders = torch.sigmoid(30 * (0.62 - (x**2 + 0.8 * (y - 1) ** 2).sqrt()))
    person = torch.maximum(head, shoulders)
    waves = 0.35 + 0.35 * torch.stack([torch.sin(9 * x + 4 * y), torch.sin(7 * y - 3 * x), torch.sin(5 * x * y)])
    skin = torch.tensor([0.8, 0.6, 0.5], dtype=torch.float64).view(3, 1, 1) * (0.9 + 0.1 * torch.sin(20 * y))
    trimap = torch.where(x.abs() > 0.8, 0.0, 0.5).to(x)
    return torch.cat([person * skin + (1 - person) * waves, trimap[None]])[None]


@torch.no_grad()
def outputs(name: str) -> dict[str, Any]:
    """Means of a grid of alpha's and the side outputs' logits, which say more than alphas near 0 or 1."""
    model = load_weights(name)[0].double()
    out = model.forward_side_outputs(picture()[:, : model.in_channels])
    maps = {"alpha": out.alpha, **{f"side{i}": side for i, side in out.side_alphas.items()}}
    grids = {key: adaptive_avg_pool2d(value.logit(1e-12), (3, 4)).flatten().tolist() for key, value in maps.items()}
    return {"sha256": pretrained.checksums()[f"{name}.safetensors"], **grids}


@pytest.mark.parametrize("name", pretrained.pretrained_weights())
def test_the_outputs_of_what_ships_stay(name: str):
    expected = json.loads(VECTORS.read_text(encoding="utf-8"))[name]
    found = outputs(name)
    assert found.pop("sha256") == expected.pop("sha256"), "other weights ship: renew the vectors"
    assert found.keys() == expected.keys()
    for key, values in found.items():
        # float64 rounds at 1e-16 a step; some hundred layers with weights up to some tens stay far below.
        assert values == pytest.approx(expected[key], abs=1e-7), key


if __name__ == "__main__":
    found = {name: outputs(name) for name in pretrained.pretrained_weights()}
    VECTORS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
