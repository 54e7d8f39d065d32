"""Work is counted without being done, and as PyTorch's own counter counts it."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sdnet_pl.nn import create_model
from sdnet_pl.reporting.complexity import gmac


class Mixed(nn.Module):
    """What networks other than ours are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 5, stride=4, groups=1)
        self.deep = nn.Conv2d(8, 8, 3, dilation=2, groups=8)
        self.up = nn.ConvTranspose2d(8, 6, 4, stride=2)
        self.linear = nn.Linear(6, 5)
        self.norm = nn.BatchNorm2d(8)
        self.slope = nn.PReLU(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.slope(self.norm(F.hardswish(self.deep(self.down(1 - x)))))
        x = F.interpolate(self.up(2 * x), size=(16, 16), mode="bilinear").flatten(2).transpose(1, 2)
        x = F.scaled_dot_product_attention(x, x, x)
        return torch.matmul(self.linear(x), torch.ones(5, 7, device=x.device)) @ torch.ones(7, 2, device=x.device)


@pytest.mark.parametrize("network", ["mixed", "sdnet-tiny"])
def test_products_are_those_of_pytorchs_counter(network: str):
    model = (Mixed() if network == "mixed" else create_model(network)).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 3, 512, 512))
    assert gmac(model) == pytest.approx(counter.get_total_flops() / 2e9, rel=1e-9)
    assert next(model.parameters()).device.type == "cpu"  # the network stays as it is


def test_measuring_runs_no_network_and_loads_neither_compiler_nor_metrics():
    # Each of these takes seconds to load; a convolution at 512x512 would be done on the CPU.
    code = (
        "import sys, torch\n"
        "from sdnet_pl.reporting.complexity import measure\n"
        "convolve, on = torch.nn.Conv2d.forward, set()\n"
        "def watched(self, x):\n"
        "    on.add(x.device.type)\n"
        "    return convolve(self, x)\n"
        "torch.nn.Conv2d.forward = watched\n"
        "measure('sdnet-tiny')\n"
        "print(sorted(on), sorted({'torch._dynamo', 'torchmetrics', 'scipy', 'lightning'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "['meta'] []"
