"""Trainings that diverge, broken on purpose: what is skipped, kept, computed again, and when a run ends."""

import csv
import itertools
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

from sdnet_pl.cli import main
from sdnet_pl.data import MattingDataModule
from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.errors import InputError
from sdnet_pl.lit import SDNetModule
from sdnet_pl.lit.divergence import Divergence
from sdnet_pl.lit.replay import Record, replay
from tests import forked
from tests.conftest import SMALL

Fit = Callable[..., list[str]]
State = dict[str, Tensor]


class Poison:
    """Spoils training batches that have a sample of some numbers, in trainings and in replays.

    Attributes:
        numbers: Of the samples.
        picture: What the batch's pictures are multiplied with.
        loss: What is added to its loss; infinity leaves the gradient as it is.
        batches: All that were seen, by the number of their first sample.
        states: Of the module before each of them.
    """

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.picture, self.loss = torch.inf, 0.0
        self.batches: dict[int, Any] = {}
        self.states: list[State] = []

    def terms(self, compute: Any, module: SDNetModule, batch: TrainingBatch) -> State:
        own = batch["number"].tolist()
        held: Any = batch
        self.batches[own[0]] = {key: value.clone() for key, value in held.items()}
        self.states.append({name: value.clone() for name, value in module.state_dict().items()})
        if not self.numbers & set(own):
            return compute(module, batch)
        found = compute(module, {**batch, "image": batch["image"] * self.picture})
        return {**found, "total": found["total"] + self.loss}


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    made, compute = Poison(), SDNetModule.loss_terms
    monkeypatch.setattr(SDNetModule, "loss_terms", lambda module, batch: made.terms(compute, module, batch))
    return made


def data() -> MattingDataModule:
    return MattingDataModule(size=64, batch_size=2, samples_per_epoch=8, workers=0)


def train(run: Path, *callbacks: Divergence, **options: Any) -> SDNetModule:
    """Four batches an epoch, without a command line."""
    torch.manual_seed(0)
    module = SDNetModule("sdnet-tiny", network=SMALL)
    settings: dict[str, Any] = {"max_epochs": 1, "limit_val_batches": 0, "logger": False, "enable_checkpointing": False}
    settings |= {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(default_root_dir=run, callbacks=list(callbacks), **settings | options)
    trainer.fit(module, data())
    return module


def record(run: Path, step: int) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((run / f"bad-batch-{step:06d}.json").read_text())
    return held


def same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("blank_figures")
def test_a_bad_batch_leaves_no_trace_and_is_computed_again(
    tiny_fit: Fit, tmp_path: Path, poison: Poison, capsys: pytest.CaptureFixture[str]
):
    """Its pictures are infinite: BatchNorm's statistics would be lost, and with them the average of the weights."""
    run = tmp_path / "run"
    poison.numbers = {3, 6}
    settings = ["--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging", "--trainer.gradient_clip_val=1"]
    settings += ["--data.size=96", "--data.growing_sizes={1: 64}", "--data.degradation=1", "--seed_everything=5"]
    settings += ["--divergence.patience=2"]  # not two in a row
    with pytest.warns(UserWarning, match=r"step 1 is skipped; `sdnet-pl replay .*bad-batch-000001\.json`"):
        assert main(tiny_fit(run, *settings)) == 0
    assert [same(*pair) for pair in itertools.pairwise(poison.states)] == [False, True, False]
    for name in ("last.ckpt", "best.ckpt"):
        held = torch.load(run / name, weights_only=True)
        assert held["skipped_steps"] == held["optimizer_states"][0]["state"][0]["step"] == 2
        for state in ("state_dict", "current_model_state"):
            assert all(value.isfinite().all() for value in held[state].values())
    rows = [row for row in csv.DictReader((run / "logs/version_0/metrics.csv").open()) if row["train/total"]]
    assert [row["train/skipped_steps"] for row in rows] == ["0.0", "1.0", "1.0", "2.0"]
    assert [0 < float(row["train/gradient_norm"]) < torch.inf for row in rows] == [True, False, True, False]
    assert [len(list(run.glob(pattern))) for pattern in ("bad-batch-*.json", "bad-batch-*.ckpt", ".*")] == [2, 2, 0]

    trained, before = poison.batches[2], poison.states[1]
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    command = ["replay", str(run / "bad-batch-000001.json"), "--device=cpu"]
    capsys.readouterr()
    poison.states.clear()
    assert main(command) == 1
    assert all(torch.equal(poison.batches[2][key], trained[key]) for key in trained)
    assert same(poison.states[0], before)
    out = capsys.readouterr().out
    assert "process 0, samples 2 3:" in out
    assert "terms that are not finite: l1 nan, laplacian nan, composition nan" in out
    assert "the first layer whose output is not finite: normalization" in out
    assert "model.encoder.stem.0.weight" in out
    poison.numbers = set()
    assert main([*command, "--weights", str(run / "last.ckpt")]) == 0
    assert "the loss and every gradient are finite" in capsys.readouterr().out
    assert same(poison.states[-1], torch.load(run / "last.ckpt", weights_only=True)["current_model_state"])
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files


def test_steps_that_fail_in_a_row_end_the_training(tmp_path: Path, poison: Poison):
    poison.numbers = {2, 4, 6}
    with pytest.raises(InputError, match=r"diverged: 2 steps in a row, up to step 2,.*lower model\.lr"):
        train(tmp_path, Divergence(patience=2))
    assert len(poison.states) == 3
    # The weights are the same in both, and kept once.
    assert [record(tmp_path, step)["weights"] for step in (1, 2)] == ["bad-batch-000001.ckpt"] * 2
    assert len(list(tmp_path.glob("*.ckpt"))) == 1
    kept = torch.load(tmp_path / "bad-batch-000001.ckpt", weights_only=True)["state_dict"]
    assert same(kept, poison.states[1])


def test_a_module_on_its_own_is_protected_too(tmp_path: Path, poison: Poison):
    poison.numbers, poison.picture, poison.loss = {4}, 1, torch.nan  # with a gradient that is finite
    module = train(tmp_path)
    assert module.skipped_steps == 1
    assert same(poison.states[2], poison.states[3])
    assert not same(poison.states[3], module.state_dict())

    held = Record(Path("a.json"), Path("config.yaml"), tmp_path / "bad-batch-000002.ckpt", 0, "32-true", [])
    batch = record(tmp_path, 2)["batches"][0]
    found = replay(held._replace(batches=[batch]), module, data(), torch.device("cpu"))
    assert found.lines[2] == "  terms that are not finite: total nan"
    with pytest.raises(InputError, match=r"have changed \(their seeds are .*, and were \[3, 4\]\)"):
        replay(held._replace(batches=[batch | {"seeds": [3, 4]}]), module, data(), torch.device("cpu"))


def test_an_accumulated_step_is_skipped_as_a_whole(tmp_path: Path, poison: Poison):
    poison.numbers = {6}
    module = train(tmp_path, accumulate_grad_batches=4)
    batches = record(tmp_path, 0)["batches"]
    assert [batch["numbers"] for batch in batches] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [batch["loss_is_finite"] for batch in batches] == [True, True, True, False]
    assert same(poison.states[0], module.state_dict())
    assert not same(poison.states[0], poison.states[3])  # each batch has changed BatchNorm's statistics


class Half(MixedPrecision):
    """The steps of fp16 without its arithmetic, which a CPU lacks."""

    def __init__(self, scale: float) -> None:
        self.scaling = torch.amp.GradScaler("cpu", init_scale=scale)
        super().__init__("16-mixed", "cpu", self.scaling)

    def forward_context(self) -> Any:
        return nullcontext()


def overflow_above(scale: float, precision: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that overflow where the loss is scaled by more."""
    start = SDNetModule.on_train_start

    def hooked(module: SDNetModule) -> None:
        spoil = lambda g: g * torch.inf if precision.scaling.get_scale() > scale else g  # noqa: E731
        next(module.parameters()).register_hook(spoil)
        start(module)

    monkeypatch.setattr(SDNetModule, "on_train_start", hooked)


def test_what_the_scaler_of_fp16_mends_is_no_divergence(
    tmp_path: Path, poison: Poison, monkeypatch: pytest.MonkeyPatch
):
    precision = Half(16)
    overflow_above(4, precision, monkeypatch)
    module = train(tmp_path, Divergence(patience=1), plugins=precision)
    assert (module.skipped_steps, precision.scaling.get_scale()) == (0, 4)
    assert [same(*pair) for pair in itertools.pairwise(poison.states)] == [False, False, False]
    weights = [{name: state[name] for name, _ in module.named_parameters()} for state in poison.states]
    assert [same(*pair) for pair in itertools.pairwise(weights)] == [True, True, False]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_the_scaler_of_fp16_cannot_mend_is_one(tmp_path: Path, poison: Poison, monkeypatch: pytest.MonkeyPatch):
    precision = Half(4)
    overflow_above(0, precision, monkeypatch)
    with pytest.raises(InputError, match="2 steps in a row, up to step 3"):
        train(tmp_path, Divergence(patience=2), plugins=precision)
    assert len(list(tmp_path.glob("*.json"))) == 2  # at scales 1 and 0.5
    monkeypatch.undo()


@pytest.mark.slow
def test_an_infinite_loss_in_fp16_is_one(tmp_path: Path, poison: Poison):
    poison.numbers, poison.picture, poison.loss = {2}, 1, torch.inf
    module = train(tmp_path, plugins=Half(16))
    assert module.skipped_steps == 1
    assert same(poison.states[1], poison.states[2])


def test_weights_that_were_not_finite_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    name = "model.encoder.stem.0.weight"

    def spoil(module: SDNetModule, batch: TrainingBatch, batch_idx: int) -> None:
        if batch_idx == 1:
            module.get_parameter(name).data[0] = torch.nan

    monkeypatch.setattr(SDNetModule, "on_train_batch_start", spoil)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="2 steps in a row"):
        train(tmp_path, Divergence(patience=2))
    assert (record(tmp_path, 2)["weights"], record(tmp_path, 2)["weights_not_finite"]) == (None, [name])
    assert not list(tmp_path.glob("*.ckpt"))
    assert main(["replay", str(tmp_path / "bad-batch-000002.json")]) == 2
    assert f"were not finite before the step ({name}); give --weights" in capsys.readouterr().err


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SDNetModule, "data", data())
    module = SDNetModule("sdnet-tiny", network=SMALL)
    for state in ("state_dict", "current_model_state"):
        weights = module.state_dict() | {"model.decoder.head.bias": torch.tensor([torch.inf])}
        with pytest.raises(InputError, match=r"diverged: model\.decoder\.head\.bias holds .* no checkpoint is written"):
            module.on_save_checkpoint({"state_dict": {}, state: weights})


NUMBERS = '{"config": "c.yaml", "weights": "a.ckpt", "weights_not_finite": [], "batches": [{"process": 0, '
NUMBERS += '"seeds": [1], "numbers": ["../1"]}], "seed": 0, "precision": "32-true"}'

NO_SAMPLES, NO_NAME = NUMBERS.replace('"../1"', ""), NUMBERS.replace('"../1"', "1").replace('"c.yaml"', "5")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"config": "c.yaml", "weights": null}', NUMBERS, NO_SAMPLES, NO_NAME]
)
def test_what_is_no_record_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "bad-batch-000001.json"
    file.write_text(content)
    assert main(["replay", str(file)]) == 2
    assert f"{file} is not the record of a skipped step" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_skip_and_stop_alike(tmp_path: Path, poison: Poison):
    """The loss of one is infinite, and the gradient, which both share, is finite."""
    poison.numbers, poison.picture, poison.loss = {3}, 1, torch.inf

    def skip() -> int:
        module = train(tmp_path, devices=2, strategy="ddp")
        torch.save(module.state_dict(), tmp_path / f"{module.global_rank}.pt")
        return module.skipped_steps

    def stop() -> int:
        try:
            train(tmp_path / "stopped", Divergence(patience=1), devices=2, strategy="ddp")
        except InputError:
            return 7
        return 0

    assert forked.run(skip, count=2) == [1, 1]
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    names = [name for name, _ in SDNetModule("sdnet-tiny", network=SMALL).named_parameters()]
    assert all(torch.equal(one[name], other[name]) for name in names)
    batches = record(tmp_path, 0)["batches"]
    assert [(batch["process"], batch["numbers"]) for batch in batches] == [(0, [0, 2]), (1, [1, 3])]
    assert [batch["loss_is_finite"] for batch in batches] == [True, False]
    assert forked.run(stop, count=2) == [7, 7]
