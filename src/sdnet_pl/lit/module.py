"""The LightningModule: the network, its objective, its schedule and its scores."""

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from sdnet_pl.data.batches import EvaluationBatch, TrainingBatch
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.parallel import usable_cores
from sdnet_pl.data.trimap import trimap_channel
from sdnet_pl.errors import InputError
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.weights import inherited_licence, read_weights, start_from
from sdnet_pl.lit.divergence import Divergence
from sdnet_pl.lit.first_pass import FirstPass
from sdnet_pl.lit.optimizer import Muon, computes_in_bfloat16
from sdnet_pl.losses import Distillation, MattingObjective
from sdnet_pl.metrics import BenchmarkMetrics
from sdnet_pl.nn import MattingNetwork, MattingOutput, create_model
from sdnet_pl.nn.ampa import SqueezeExcitation
from sdnet_pl.nn.sdnet import MIN_SIZE
from sdnet_pl.reporting.tables import NETWORK

HEADLINE = "val/mad"


def _side_outputs(network: MattingNetwork, x: Tensor) -> MattingOutput:
    return network.forward_side_outputs(x)


@functools.cache
def _compiled() -> Callable[[MattingNetwork, Tensor], MattingOutput]:
    """The network's training forward, compiled.

    A function of the network and no wrapper around it: state_dict keys and copies of the module (EMA) stay as they
    are, and the module can be pickled. The crops have few sizes, so each is compiled for itself.
    """
    return torch.compile(_side_outputs, fullgraph=True, dynamic=False)


class SDNetModule(LightningModule):
    """Trains and scores a network of the preset table with the paper's objective and schedule (section 4.3).

    A subclass trains another network under the same conditions: it overrides :meth:`build_network` and ``method``.

    Args:
        preset: A network of ``sdnet_pl.nn.PRESETS``.
        trimap: Gives the network a trimap as fourth channel.
        weights: Trained weights to start from, of the same preset: a name that ships, a checkpoint of another run, or
            a file of ``sdnet-pl export``. A network with a trimap may start from one without. What is recorded of
            their licence stays with what comes of them.
        first_pass: Weights of a network without a trimap, which lets this one, with a trimap, learn to be the second of
            two passes: half of the trimaps in training, and all in validation and test, come from its alpha.
        network: Constructor arguments of ``SDNet`` that replace the preset's, for example ``{ampa: false}``.
        distillation: Which side output teaches which: none, best_teacher, dense or transitive (Table 5).
        l1_weight: Weight of L_l1.
        laplacian_weight: Weight of L_lap.
        composition_weight: Weight of L_c.
        aux_weight: λ_aux, the weight of the side outputs' losses.
        distillation_weight: λ_sd, the weight of self-distillation.
        optimizer: ``adam`` (the paper's) or ``muon``, which learns more from as many samples; see
            :class:`sdnet_pl.lit.optimizer.Muon`. Its steps are ten times ``lr`` long.
        lr: Learning rate of Adam.
        weight_decay: Of the matrices that Muon drives; see :class:`sdnet_pl.lit.optimizer.Muon`.
        schedule: ``steps`` (x 0.1 at each milestone, as the paper), ``cosine`` (to zero at the end of training), or
            ``cooldown``: constant, and over the last fifth of the training linear to zero, so that a training can be
            resumed with another end.
        milestones: Epochs of ``steps``.
        warmup_steps: Optimiser steps over which the learning rate rises linearly from zero.
        compile: Compiles the network's training step with ``torch.compile``: minutes at the start for a shorter step.
            On a CPU it needs a C++ compiler. Crops may have eight sizes at most, each of which is compiled.
            Validation, whose pictures differ in size, stays as it is.
    """

    # Names the rows of its scores. Another network than SDNet's has another name: no preset describes it
    method = NETWORK

    def __init__(
        self,
        preset: str = "sdnet",
        trimap: bool = False,
        network: dict[str, Any] | None = None,
        weights: str | None = None,
        first_pass: str | None = None,
        distillation: Distillation = "best_teacher",
        l1_weight: float = 1.0,
        laplacian_weight: float = 1.0,
        composition_weight: float = 1.0,
        aux_weight: float = 1.0,
        distillation_weight: float = 1.0,
        optimizer: Literal["adam", "muon"] = "adam",
        lr: float = 1e-4,
        weight_decay: float = 0.0,
        schedule: Literal["steps", "cosine", "cooldown"] = "steps",
        milestones: Sequence[int] = (75, 100),
        warmup_steps: int = 0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        milestones = list(milestones)  # checkpoints load with weights_only=True: plain values alone
        self.save_hyperparameters()
        if not lr > 0:
            raise InputError(f"model.lr is {lr}; a learning rate is a number > 0 (the paper: 1e-4).")
        if not weight_decay >= 0:
            raise InputError(f"model.weight_decay is {weight_decay}; it is a number >= 0 (0: none).")
        if weight_decay and optimizer != "muon":
            raise InputError("model.weight_decay is for the matrices that Muon drives; set model.optimizer to muon.")
        if warmup_steps < 0:
            raise InputError(f"model.warmup_steps is {warmup_steps}; it must be at least 0.")
        for name in {"preset", "trimap"} & (network or {}).keys():
            raise InputError(f"model.network holds {name}; set model.{name} in its place.")
        self.model = self.build_network()
        self.training_size: int | None = None  # of what was loaded
        self.licence: str | None = None
        if weights is not None:
            trained = read_weights(weights)
            start_from(self.model, trained)
            self.training_size, self.licence = trained.training_size, inherited_licence(trained)
        if first_pass is not None and not trimap:
            raise InputError("model.first_pass makes trimaps, and this network takes none; set model.trimap to true.")
        self.first_pass = FirstPass(first_pass) if first_pass is not None else None
        # A fifth to a quarter faster on a CPU, and what half precision wants on a GPU.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.compiled = compile
        self.objective = MattingObjective(
            distillation, l1_weight, laplacian_weight, composition_weight, aux_weight, distillation_weight
        )
        self.optimizer, self.lr, self.weight_decay, self.schedule = optimizer, lr, weight_decay, schedule
        self.milestones, self.warmup_steps = milestones, warmup_steps
        self.metrics: dict[str, dict[str, BenchmarkMetrics]] = {"val": {}, "test": {}}
        self.scores: dict[str, dict[str, float]] = {}
        self.skipped_steps = 0

    def build_network(self) -> MattingNetwork:
        """The network to train, with random weights: that of ``preset``, ``trimap`` and ``network``.

        Called once, when ``hparams`` are set and nothing else is.
        """
        held = self.hparams
        return create_model(held["preset"], trimap=held["trimap"], **(held["network"] or {}))

    @property
    def data(self) -> MattingDataModule:
        """The data of the running trainer."""
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def setup(self, stage: str) -> None:
        """Divide the cores among the processes, and make the metrics of every benchmark.

        Raises:
            InputError: ``trainer.precision`` is true half precision.
        """
        device = self.trainer.strategy.root_device  # the module moves there after this
        if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
            # OpenMP's threads wait for each other: with more busy threads than cores a step takes several times as
            # long, so the loader processes get cores of their own.
            torch.set_num_threads(max(1, usable_cores() // self.trainer.world_size - self.data.workers))
        if self.trainer.precision in ("16-true", "bf16-true"):
            raise InputError(f"trainer.precision {self.trainer.precision} is not supported; take bf16-mixed.")
        if self.trainer.precision == "bf16-mixed" and not computes_in_bfloat16(device):
            rank_zero_warn(
                "This CPU has no bfloat16 instructions, so trainer.precision bf16-mixed is several times slower here "
                "than 32-true; set trainer.precision to 32-true."
            )
        for name in self.data.validation:
            self.metrics["val"][name] = BenchmarkMetrics()
        for name in self.data.test:
            self.metrics["test"][name] = BenchmarkMetrics(full=True)

    def forward(self, x: Tensor) -> Tensor:
        """The alpha of ``x``; see :meth:`sdnet_pl.nn.SDNet.forward`."""
        alpha: Tensor = self.model(x)
        return alpha

    def training_forward(self, x: Tensor) -> MattingOutput:
        """The network's outputs in training for ``x`` of :meth:`network_input`, compiled if that was asked for."""
        return (_compiled() if self.compiled else _side_outputs)(self.model, x)

    def configure_callbacks(self) -> list[Callback]:
        """:class:`~sdnet_pl.lit.divergence.Divergence`, where the trainer has none."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        return [] if any(isinstance(callback, Divergence) for callback in callbacks) else [Divergence()]

    def loss_terms(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The terms of the loss of a batch (section 3.3), scalars; ``total`` is what training minimises."""
        if self.first_pass is not None:
            half = len(batch["image"]) // 2
            predicted = self.first_pass.training_trimap(batch["image"][:half], int(batch["seed"][0]))
            batch = {**batch, "trimap": torch.cat([predicted, batch["trimap"][half:]])}
        out = self.training_forward(self.network_input(batch))
        terms: dict[str, Tensor] = self.objective(
            out.alpha.float(),
            {i: side.float() for i, side in out.side_alphas.items()},
            batch["alpha"],
            batch["foreground"],
            batch["background"],
            batch.get("known"),
        )
        return terms

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """The total loss of a batch, a scalar; logs its terms."""
        terms = self.loss_terms(batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()})
        self.log("train/replaced_pictures", float(self.data.replaced.total()))
        self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("loss", terms["total"].detach(), prog_bar=True, logger=False)
        return terms["total"]

    def validation_step(self, batch: EvaluationBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Score one picture; see :meth:`test_step`."""
        return self._evaluation_step("val", batch, dataloader_idx)

    def test_step(self, batch: EvaluationBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Score one picture.

        Returns:
            ``alpha`` ``[1, 1, H, W]`` and ``side_alphas`` by level, in [0, 1]; ``scores`` by key, none of padding.

        Raises:
            InputError: The network gives NaN.
        """
        return self._evaluation_step("test", batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of each benchmark, and the first one's MAD as ``val/mad``."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of each benchmark."""
        self._log_scores("test")

    @property
    def prediction_size(self) -> int:
        """Longer side of the photos that ``predict`` shows the network, in pixels."""
        return self.training_size or self.data.size

    def on_predict_start(self) -> None:
        """Prepare the network for photos of any size.

        Raises:
            InputError: It takes a trimap.
        """
        if self.model.trimap:
            raise InputError("predict works without trimaps, and this checkpoint's network takes one; use another.")
        self.predictor = MattePredictor(self.model, self.prediction_size, str(self.device))

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """``alpha`` float32 ``[H, W]`` at the photo's own size, beside its ``name``; without a photo, the batch."""
        if "photo" not in batch:
            return batch
        return {"name": batch["name"], "alpha": self.predictor.alpha(batch["photo"].cpu().numpy())}

    def configure_optimizers(self) -> Any:
        """The optimiser, and a learning rate that changes with every step.

        Raises:
            InputError: An epoch has no batch, or the schedule needs an end that the trainer does not have.
        """
        optimizer: torch.optim.Optimizer
        if self.optimizer == "muon":
            gates = [p for m in self.modules() if isinstance(m, SqueezeExcitation) for p in m.parameters()]
            optimizer = Muon(self.parameters(), gates, lr=self.lr, muon_lr=10 * self.lr, weight_decay=self.weight_decay)
        else:
            optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        self.trainer.fit_loop.setup_data()  # before it the number of batches may be unknown
        if math.isinf(self.trainer.num_training_batches):
            raise InputError("An epoch has no batch to train on; raise trainer.limit_train_batches.")
        total = self.trainer.estimated_stepping_batches
        if self.schedule != "steps" and math.isinf(total):
            raise InputError(f"model.schedule {self.schedule} needs an end; set trainer.max_epochs or max_steps.")
        rank_zero_info(
            f"{sum(map(len, self.data.foregrounds))} foregrounds, {sum(map(len, self.data.backgrounds))} backgrounds, "
            f"{self.data.samples} samples an epoch, {total} steps in all."
        )
        if self.warmup_steps >= total:
            rank_zero_warn(
                f"The learning rate warms up over {self.warmup_steps} steps and training has {total}; raise "
                "trainer.max_epochs or data.samples_per_epoch, or lower model.warmup_steps."
            )
        steps_per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)

        def factor(step: int) -> float:
            warmup = min(1.0, (step + 1) / (self.warmup_steps + 1))
            if self.schedule == "cosine":
                return warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
            if self.schedule == "cooldown":
                return warmup * min(1.0, 5 * (1 - step / total))
            return warmup * 0.1 ** sum(step >= epoch * steps_per_epoch for epoch in self.milestones)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add training size, skipped steps and licence; set subnormal weights to 0.

        Raises:
            InputError: A weight is not finite, and the checkpoint would replace one that can be resumed from.
        """
        # The photo sizes that the network has learned; `matte` scales to it.
        checkpoint["training_size"] = self.data.size_in_epoch(self.current_epoch)
        checkpoint["skipped_steps"] = self.skipped_steps
        checkpoint["licence"] = self.licence
        # Subnormal weights slow a CPU down. In place: an uninterrupted run has the same weights as a resumed one.
        for state in ("state_dict", "current_model_state"):
            for key, value in checkpoint.get(state, {}).items():
                if not value.isfinite().all():
                    raise InputError(
                        f"Training has diverged: {key} holds a number that is not finite, so no checkpoint is written; "
                        "resume from the one before with a lower model.lr, or clip the gradient."
                    )
                if value.is_floating_point():
                    value.masked_fill_(value.abs() < torch.finfo(value.dtype).smallest_normal, 0)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take training size, skipped steps and licence from a checkpoint."""
        self.training_size = checkpoint["training_size"]
        self.skipped_steps = checkpoint.get("skipped_steps", 0)
        self.licence = checkpoint.get("licence", self.licence)

    def network_input(self, batch: TrainingBatch | EvaluationBatch) -> Tensor:
        """What the network sees of a batch, ``[B, 3 or 4, H, W]`` in channels_last."""
        x = batch["image"]
        if self.model.trimap:
            x = torch.cat([x, trimap_channel(batch["trimap"])], dim=1)
        return x.contiguous(memory_format=torch.channels_last)

    def _evaluation_step(self, stage: str, batch: EvaluationBatch, dataloader_idx: int) -> dict[str, Any]:
        trimap = batch["trimap"] if self.first_pass is None else self.first_pass.trimap(batch["image"])
        seen: EvaluationBatch = {**batch, "trimap": trimap}
        x = self.network_input(seen)
        height, width = x.shape[-2:]
        below, right = max(0, MIN_SIZE - height), max(0, MIN_SIZE - width)
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        out = self.model.forward_side_outputs(x)
        alpha = out.alpha[..., :height, :width].float()
        if self.model.trimap:  # what the trimap tells is known: the usual protocol of trimap-based methods
            alpha = torch.where(trimap == 128, alpha, (trimap == 255).float())
        if alpha.isnan().any():
            raise InputError("The network gives NaN: training has diverged; lower model.lr or clip the gradient.")
        # A process that gets nothing but padding must synchronise on the device of the others too.
        metrics = list(self.metrics[stage].values())[dataloader_idx].to(alpha.device)
        scores = None
        if not batch["padding"].any():
            metrics.update(alpha, batch["alpha"], batch["trimap"])
            scores = dict(zip(metrics.score_names, metrics.latest[:, 0].tolist(), strict=True))
        return {"alpha": alpha, "side_alphas": out.side_alphas, "scores": scores}

    def _log_scores(self, stage: str) -> None:
        for position, (name, metrics) in enumerate(self.metrics[stage].items()):
            values = metrics.compute()
            metrics.reset()
            # Every process has computed the same values; without sync_dist Lightning warns of each.
            scores = {f"{stage}/{name}/{key}": value.float() for key, value in values.items()}
            self.log_dict(scores, sync_dist=True)
            if stage == "val" and position == 0:
                self.log(HEADLINE, values["mad_whole"].float(), prog_bar=True, sync_dist=True)
            self.scores[f"{stage}/{name}"] = {key: float(value) for key, value in values.items()}
