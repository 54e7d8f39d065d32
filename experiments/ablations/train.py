"""``sdnet-pl fit`` with what only the ablations vary, under the same conditions: data, schedule, scores.

Run as ``python -m experiments.ablations.train fit``; ``compare`` in this folder does it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sdnet_pl.cli.lightning import run
from sdnet_pl.data.batches import EvaluationBatch, TrainingBatch
from sdnet_pl.data.files import write_text
from sdnet_pl.lit import SDNetModule
from sdnet_pl.losses import MattingObjective
from sdnet_pl.losses.functional import cosine_distillation_loss
from sdnet_pl.nn import MattingNetwork, MattingOutput, SDNet
from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.decoder import LEVELS
from sdnet_pl.reporting.panels import upsampling
from sdnet_pl.reporting.tables import Row, to_csv

Teacher = Literal["side_outputs", "alpha", "features"]
WEIGHTS = ("l1_weight", "laplacian_weight", "composition_weight", "aux_weight", "distillation_weight")
SIDE_ERRORS = "side_errors.csv"


class AblationObjective(MattingObjective):
    """:class:`MattingObjective` with another teacher, another flow of gradients, or a truth that some are not told.

    Args:
        teacher: ``side_outputs`` as in the paper; ``alpha``: α_f teaches F̄_dec^2..4 and the pairs do not count;
            ``features``: the pairs, between the F_dec^i, channel by channel.
        stop_gradient: False lets L_d change its teachers too.
        told: The levels i whose F̄_dec^i L_aux teaches.
        **options: Of :class:`MattingObjective`.
    """

    def __init__(self, teacher: Teacher, stop_gradient: bool, told: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.teacher, self.stop_gradient, self.told = teacher, stop_gradient, told
        self.taught, self.pairs = self.pairs, ()
        self.features: Mapping[str, Tensor] = {}  # F_dec^i of the batch, where they teach

    def forward(
        self,
        alpha: Tensor,
        side_alphas: Mapping[int, Tensor],
        target: Tensor,
        foreground: Tensor,
        background: Tensor,
        known: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """As :meth:`MattingObjective.forward`; a side output that is not told the truth is in ``total``, without
        a gradient."""
        told = {i: side if i in self.told else side.detach() for i, side in side_alphas.items()}
        terms = super().forward(alpha, told, target, foreground, background, known)
        if not self.taught:
            return terms
        losses = [self._loss(*maps) for maps in self._teacher_student(alpha, side_alphas)]
        distillation = sum(losses, start=target.new_zeros(()))
        total = terms["total"] + self.distillation_weight * distillation
        return terms | {"distillation": distillation, "total": total}

    def _teacher_student(self, alpha: Tensor, side_alphas: Mapping[int, Tensor]) -> list[tuple[Tensor, Tensor]]:
        if self.teacher == "alpha":
            return [(alpha, side) for side in side_alphas.values()]
        if self.teacher == "side_outputs":
            return [(side_alphas[teacher], side_alphas[student]) for teacher, student in self.taught]
        # A channel is a map of its own.
        maps = {i: self.features[f"dec{i}"].flatten(0, 1).unsqueeze(1) for i in LEVELS}
        return [(maps[teacher], maps[student]) for teacher, student in self.taught]

    def _loss(self, teacher: Tensor, student: Tensor) -> Tensor:
        loss = cosine_distillation_loss(student, teacher)
        if self.stop_gradient:
            return loss
        upsampled = F.interpolate(student, size=teacher.shape[-2:], mode="bilinear", align_corners=False)
        exchanged = cosine_distillation_loss(teacher, upsampled)  # the same value; its gradient is the teacher's
        return loss + exchanged - exchanged.detach()


class AblationModule(SDNetModule):
    """:class:`SDNetModule` with what only the ablations vary; leaves the side outputs' errors of every picture.

    Args:
        teacher: See :class:`AblationObjective`.
        stop_gradient: See :class:`AblationObjective`.
        told: See :class:`AblationObjective`.
        start: The share of the training after which self-distillation begins.
        open_gates: Holds every gate of AMPA's attention at 1.
        **options: Of :class:`SDNetModule`.
    """

    def __init__(
        self,
        teacher: Teacher = "side_outputs",
        stop_gradient: bool = True,
        told: Sequence[int] = LEVELS,
        start: float = 0.0,
        open_gates: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        held = {name: self.hparams[name] for name in ("distillation", *WEIGHTS)}
        self.objective: AblationObjective = AblationObjective(teacher, stop_gradient, told, **held)
        self.start = start
        self.side_errors: list[Row] = []

    def build_network(self) -> MattingNetwork:
        """SDNet, with or without gates."""
        network = super().build_network()
        for module in network.modules():
            if self.hparams["open_gates"] and isinstance(module, AMPA):
                module.attention = nn.Identity()  # type: ignore[assignment]
        return network

    def on_train_batch_start(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Switch self-distillation on when its time has come."""
        begun = self.global_step >= self.start * self.trainer.estimated_stepping_batches
        self.objective.distillation_weight = self.hparams["distillation_weight"] * begun

    def training_forward(self, x: Tensor) -> MattingOutput:
        """As :meth:`SDNetModule.training_forward`; the objective gets the features where they teach."""
        if self.objective.teacher != "features":
            return super().training_forward(x)
        assert isinstance(self.model, SDNet)
        out = self.model.forward_side_outputs(x, [f"dec{i}" for i in LEVELS])
        self.objective.features = out.features
        return out

    def test_step(self, batch: EvaluationBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Score one picture and its side outputs."""
        out = super().test_step(batch, batch_idx, dataloader_idx)
        if out["scores"] is not None:  # not of padding
            name, benchmark = list(self.data.test.items())[dataloader_idx]
            row: dict[str, str | float] = {"benchmark": name, "image": benchmark.name(batch_idx)}
            height, width = batch["alpha"].shape[-2:]
            for i, side in out["side_alphas"].items():
                scale = upsampling(side.shape[-2], height)
                full = F.interpolate(side, scale_factor=scale, mode="bilinear", align_corners=False)
                error = full[..., :height, :width] - batch["alpha"]
                row[f"side_{i}"] = float(error.abs().mean())
            self.side_errors.append(row)
        return out

    def on_test_end(self) -> None:
        """Write the side outputs' errors."""
        write_text(Path(self.trainer.default_root_dir) / SIDE_ERRORS, to_csv(self.side_errors))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], AblationModule))
