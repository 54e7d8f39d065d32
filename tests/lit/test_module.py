"""The module: another network in SDNet's place."""

import pytest
import torch
from torch import Tensor, nn

from sdnet_pl.lit import SDNetModule, module
from sdnet_pl.nn import MattingNetwork, MattingOutput


class Blur(MattingNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward_side_outputs(self, x: Tensor) -> MattingOutput:
        return MattingOutput(self.conv(x).sigmoid(), {}, {})


class BlurModule(SDNetModule):
    method = "blur"

    def build_network(self) -> MattingNetwork:
        assert self.hparams["lr"] == 0.5  # what it needs is there
        return Blur()


def test_a_subclass_trains_its_own_network_and_builds_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "create_model", None)
    trained = BlurModule(lr=0.5, distillation="none")
    assert {name.split(".")[0] for name in trained.state_dict()} == {"model"}
    x = torch.rand(2, 3, 64, 64)
    out = trained.training_forward(x)
    assert torch.equal(trained(x), out.alpha)
    truth = {name: torch.rand(2, channels, 64, 64) for name, channels in (("alpha", 1), ("f", 3), ("b", 3))}
    trained.objective(out.alpha, out.side_alphas, *truth.values())["total"].backward()
    gradient = trained.model.get_parameter("conv.weight").grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
