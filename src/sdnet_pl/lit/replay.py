"""A training step that was skipped, computed again: which term, which gradient, and where it began."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.dataset import collate
from sdnet_pl.data.files import read_text
from sdnet_pl.errors import InputError
from sdnet_pl.inference.weights import read_checkpoint
from sdnet_pl.lit.module import SDNetModule

_HALVES = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


class Record(NamedTuple):
    """What a run keeps of a step that it skips.

    Attributes:
        file: ``bad-batch-STEP.json``.
        config: That of the run.
        weights: The checkpoint to compute with.
        seed: That of the data.
        precision: That of the trainer.
        batches: Of each process and accumulated batch: ``process``, and ``numbers`` and ``seeds`` of its samples.
    """

    file: Path
    config: Path
    weights: Path
    seed: int
    precision: str
    batches: list[dict[str, Any]]


class Found(NamedTuple):
    """What a replay finds.

    Attributes:
        lines: A report.
        finite: Whether every loss and gradient is finite.
    """

    lines: list[str]
    finite: bool


def read_record(file: Path, weights: Path | None = None) -> Record:
    """What a run has kept of a step.

    Args:
        file: ``bad-batch-STEP.json``.
        weights: A checkpoint to take instead of the step's own weights.

    Raises:
        InputError: The file is missing or of something else, or the step's weights were not finite themselves.
    """
    try:
        held = json.loads(read_text(file))
        config, own, broken = held["config"], held["weights"], held["weights_not_finite"]
        batches = [{key: batch[key] for key in ("process", "numbers", "seeds")} for batch in held["batches"]]
        if any(not isinstance(n, int) or n < 0 for batch in batches for n in batch["numbers"]):
            raise ValueError("a sample's number is a whole number from 0 on")
        if not batches or not all(batch["numbers"] for batch in batches):
            raise ValueError("it names no samples")
        if not all(name is None or isinstance(name, str) for name in (config, own)):
            raise ValueError("config and weights are names of files")
        seed, precision = int(held["seed"]), str(held["precision"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{file} is not the record of a skipped step ({error!r}); give a bad-batch-STEP.json of a run."
        ) from error
    if config is None:
        raise InputError(f"{file} names no config: its training was not run by `sdnet-pl fit`, which replay needs.")
    if weights is None and own is None:
        raise InputError(
            f"The weights of {file} were not finite before the step ({', '.join(broken)}); give --weights, a "
            f"checkpoint that was saved before, such as {file.with_name('last.ckpt')}."
        )
    # Names, and no paths: a run may have moved.
    folder = file.parent
    return Record(file, folder / Path(config).name, weights or folder / Path(own).name, seed, precision, batches)


def replay(record: Record, module: SDNetModule, data: MattingDataModule, device: torch.device) -> Found:
    """Make the samples of a step again, bit for bit, and compute loss and gradient as in training.

    Args:
        record: What was kept.
        module: The run's network, with any weights.
        data: The run's data.
        device: Where to compute; on another kind than in training, numbers differ in their last digits.

    Raises:
        InputError: The samples are no longer those of the training, or the weights are of another network.
    """
    checkpoint = read_checkpoint(record.weights)
    try:
        # Beside an average, what training computes with has a place of its own.
        module.load_state_dict(checkpoint.get("current_model_state", checkpoint["state_dict"]))
    except RuntimeError as error:
        raise InputError(
            f"{record.weights} does not fit the network of {record.config}; give a checkpoint of that run."
        ) from error
    data.setup("fit")
    module.to(device).train()
    lines, finite = [f"{record.file.name} with the weights of {record.weights}, {record.precision}, on {device}"], True
    for held in record.batches:
        batch = training_batch(data, held["numbers"], device)
        if (seeds := batch["seed"].tolist()) != held["seeds"]:
            raise InputError(
                f"The samples of {record.file} have changed (their seeds are {seeds}, and were {held['seeds']}): "
                "the config, the data or the version of sdnet_pl has changed; go back to those of the training."
            )
        problems = _problems(module, batch, record.precision)
        finite = finite and not problems
        lines.append(f"process {held['process']}, samples {' '.join(map(str, held['numbers']))}:")
        lines += [f"  {problem}" for problem in problems or ["the loss and every gradient are finite"]]
    return Found(lines, finite)


def training_batch(data: MattingDataModule, numbers: list[int], device: torch.device) -> TrainingBatch:
    """The batch of the samples of these numbers, as a training step gets it."""
    batch = data.transfer_batch_to_device(collate([data.training[number] for number in numbers]), device, 0)
    made: TrainingBatch = data.on_after_batch_transfer(batch, 0)
    return made


def _problems(module: SDNetModule, batch: TrainingBatch, precision: str) -> list[str]:
    """What is not finite in forward and backward, the first layer and the first parameters by name."""
    layers: list[str] = []

    def watch(name: str) -> Any:
        def hook(layer: torch.nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not output.isfinite().all():
                layers.append(name)

        return hook

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in module.model.named_modules() if name]
    module.zero_grad(set_to_none=True)
    half = _HALVES.get(precision)
    with torch.autocast(module.device.type, half, cache_enabled=False) if half else nullcontext():
        terms = module.loss_terms(batch)
    terms["total"].backward()
    for hook in hooks:
        hook.remove()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    broken = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    lost = [f"{name} {value.item():g}" for name, value in terms.items() if not value.isfinite()]
    said = [f"terms that are not finite: {', '.join(lost)}"] if lost else []
    if layers:
        said.append(f"the first layer whose output is not finite: {layers[0]}")
    if broken:
        said.append(f"gradients that are not finite: {len(broken)} of {len(gradients)}, {', '.join(broken[:3])}, ...")
    return said
