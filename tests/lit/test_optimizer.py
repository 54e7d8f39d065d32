"""Muon: what its steps are, that it learns, and that it resumes as if it had not stopped."""

import copy
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.errors import InputError
from sdnet_pl.lit import SDNetModule
from sdnet_pl.lit.optimizer import Muon, orthogonalise
from sdnet_pl.nn.ampa import AMPA


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 72), (2, 72, 8), (1, 320, 40)])
def test_singular_values_come_close_to_one(
    shape: tuple[int, int, int], bfloat16: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sdnet_pl.lit.optimizer.computes_in_bfloat16", lambda device: bfloat16)
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    values = torch.linalg.svdvals(orthogonalise(matrices))
    # The quintic ends between 0.68 and 1.14 for values that are not tiny; a square random matrix has tiny ones too.
    assert values.median() == pytest.approx(0.95, abs=0.2)
    assert values.max() < 1.3
    before = torch.linalg.svd(matrices)
    after = before.U.mT @ orthogonalise(matrices) @ before.Vh.mT
    diagonal = after.diagonal(dim1=-2, dim2=-1)
    # In the same singular vectors; bfloat16 leaves some hundredths beside the diagonal.
    assert (after.abs().sum((1, 2)) - diagonal.abs().sum(1)).max() / after[0].numel() < 0.03


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 1, 1),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def quiet_trainer(**length: Any) -> Trainer:
    return Trainer(
        **length,
        accelerator="cpu",
        logger=False,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        x = torch.randn(4, 3, 16, 16, generator=generator)
        loss = (model(x) - x.mean(1, keepdim=True).tanh()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_weights_that_mix_channels_get_muon_and_all_others_adam():
    model = network()
    adam, muon = Muon(model.parameters(), lr=1e-3, muon_lr=0.1).param_groups
    assert [tuple(p.shape) for p in muon["params"]] == [(8, 3, 3, 3)]
    assert len(adam["params"]) == len(list(model.parameters())) - 1
    assert (adam["lr"], muon["lr"]) == (1e-3, 0.1)


def test_parameters_can_be_kept_from_muon():
    model = network()
    adam, muon = Muon(model.parameters(), [next(model.parameters())]).param_groups
    assert not muon["params"]
    assert len(adam["params"]) == len(list(model.parameters()))


def test_the_gates_of_ampa_get_adam():
    """With Muon every weight of SE became 0 or 1 for every picture: 419 of 480 channels were shut for good."""
    module = SDNetModule("sdnet-tiny", optimizer="muon")
    data = MattingDataModule(size=64, batch_size=2, samples_per_epoch=2, workers=0)
    trainer = quiet_trainer(max_steps=1)
    trainer.fit(module, data)
    adam, muon = ({id(p) for p in group["params"]} for group in trainer.optimizers[0].param_groups)
    modules = [part for part in module.model.modules() if isinstance(part, AMPA)]
    assert len(modules) == 3
    for ampa in modules:
        assert {id(p) for p in ampa.attention.parameters()} <= adam
        assert id(ampa.project.weight) in muon


def test_a_step_of_muon_has_the_length_that_was_asked_for():
    model = network()
    weight = next(model.parameters())
    before = weight.detach().clone()
    steps(model, Muon(model.parameters(), lr=0.0, muon_lr=0.01), 1, 0)
    moved = torch.linalg.svdvals((weight.detach() - before).reshape(8, 27))
    assert moved.max() == pytest.approx(0.01, rel=0.3)  # the quintic's own spread


def test_weight_decay_shrinks_the_matrices_of_muon_alone():
    model = network()
    matrix = next(model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    Muon(model.parameters(), muon_lr=0.1, weight_decay=0.5).step()
    for p, old in zip(model.parameters(), before, strict=True):
        # A gradient of zero moves nothing, so what is left is 1 - 0.1 * 0.5.
        torch.testing.assert_close(p.detach(), old * 0.95 if p is matrix else old)


def test_weight_decay_is_a_number_for_muon():
    with pytest.raises(InputError, match=r"model\.weight_decay is -0\.1"):
        SDNetModule("sdnet-tiny", optimizer="muon", weight_decay=-0.1)
    with pytest.raises(InputError, match=r"set model\.optimizer to muon"):
        SDNetModule("sdnet-tiny", weight_decay=0.1)


@pytest.mark.parametrize("name", ["trimap", "preset"])
def test_what_has_an_option_of_its_own_is_no_argument_of_the_network(name: str):
    with pytest.raises(InputError, match=rf"model\.network holds {name}; set model\.{name}"):
        SDNetModule("sdnet-tiny", network={name: True})


def test_a_cooldown_is_constant_and_then_linear_to_zero():
    module = SDNetModule("sdnet-tiny", schedule="cooldown", lr=1e-3, warmup_steps=1)
    data = MattingDataModule(size=64, batch_size=2, samples_per_epoch=40, workers=0)
    rates: list[float] = []
    trainer = quiet_trainer(max_epochs=1)
    module.training_step = lambda *_: rates.append(trainer.optimizers[0].param_groups[0]["lr"])  # type: ignore
    trainer.fit(module, data)
    assert rates == pytest.approx([5e-4, *[1e-3] * 16, 7.5e-4, 5e-4, 2.5e-4])


def test_the_rest_moves_exactly_as_with_adam():
    ours, theirs = network(), network()
    rest = [p for p in ours.parameters() if p.shape != (8, 3, 3, 3)]
    for model, optimizer in (
        (ours, Muon(rest, lr=1e-2)),
        (theirs, torch.optim.Adam([p for p in theirs.parameters() if p.shape != (8, 3, 3, 3)], lr=1e-2)),
    ):
        steps(model, optimizer, 5, 0)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_it_learns():
    model = network()
    optimizer = Muon(model.parameters(), lr=1e-2, muon_lr=0.05)
    first = steps(model, optimizer, 1, 0)
    assert steps(model, optimizer, 60, 1) < 0.3 * first


def test_a_resumed_optimiser_goes_on_as_if_it_had_not_stopped():
    model = network()
    optimizer = Muon(model.parameters())
    steps(model, optimizer, 3, 0)
    resumed_model = copy.deepcopy(model)
    resumed = Muon(resumed_model.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(model, optimizer, 3, 1)
    steps(resumed_model, resumed, 3, 1)
    for a, b in zip(model.parameters(), resumed_model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_that_was_shared_otherwise_is_refused():
    model = network()
    before = Muon(model.parameters()).state_dict()
    with pytest.raises(InputError, match=r"cannot be resumed\. Start another from its weights: --model\.weights"):
        Muon(model.parameters(), [next(model.parameters())]).load_state_dict(before)


def test_parameters_without_a_gradient_stay():
    model = network()
    optimizer = Muon(model.parameters())
    before = copy.deepcopy(model.state_dict())
    optimizer.zero_grad()
    optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
