"""The whole objective: L_alpha(α_f) + λ_aux · L_aux + λ_sd · L_d."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdnet_pl.errors import InputError
from sdnet_pl.losses._laplacian import laplacian_losses
from sdnet_pl.losses.distillation import EVERY_PAIR, TEACHER_STUDENT, Distillation
from sdnet_pl.losses.functional import cosine_distillation_loss


class MattingObjective(nn.Module):
    """L1, Laplacian and composition loss on the alpha and on every side output, and self-distillation between these.

    Args:
        distillation: Who teaches whom: ``none``, ``best_teacher``, ``dense`` or ``transitive`` (Table 5).
        l1_weight: Weight of L_l1 within L_alpha.
        laplacian_weight: Weight of L_lap within L_alpha.
        composition_weight: Weight of L_c within L_alpha.
        aux_weight: λ_aux, the weight of L_aux (the sum of L_alpha over F̄_dec^2..4).
        distillation_weight: λ_sd, the weight of L_d.

    Raises:
        InputError: For an unknown ``distillation`` or a negative weight.
    """

    def __init__(
        self,
        distillation: Distillation = "best_teacher",
        l1_weight: float = 1.0,
        laplacian_weight: float = 1.0,
        composition_weight: float = 1.0,
        aux_weight: float = 1.0,
        distillation_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if distillation not in TEACHER_STUDENT:
            raise InputError(f"distillation is {distillation!r}; choose one of {', '.join(TEACHER_STUDENT)}.")
        self.alpha_weights = {"l1": l1_weight, "laplacian": laplacian_weight, "composition": composition_weight}
        self.aux_weight = aux_weight
        self.distillation_weight = distillation_weight
        for name, weight in {**self.alpha_weights, "aux": aux_weight, "distillation": distillation_weight}.items():
            if not weight >= 0:
                raise InputError(f"{name}_weight is {weight}; a weight is a number >= 0 (0 leaves the term out).")
        self.pairs = TEACHER_STUDENT[distillation]

    def forward(
        self,
        alpha: Tensor,
        side_alphas: Mapping[int, Tensor],
        target: Tensor,
        foreground: Tensor,
        background: Tensor,
        known: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """All terms by name.

        Args:
            alpha: α_f, ``[B, 1, H, W]`` in [0, 1].
            side_alphas: F̄_dec^i by i, ``[B, 1, h, w]`` in [0, 1]; upsampled bilinearly to H x W here.
            target: The true alpha, ``[B, 1, H, W]`` in [0, 1].
            foreground: F, ``[B, 3, H, W]`` in [0, 1].
            background: B, likewise.
            known: 1 where the true alpha is certain and 0 where it is not, ``[B, 1, H, W]``; there no alpha is wrong,
                and self-distillation alone teaches. None: certain everywhere.

        Returns:
            Scalars, unweighted: ``l1``, ``laplacian``, ``composition`` of the alpha; the same with ``aux{i}_``
            before for every side output; ``distillation`` (if there are pairs); and ``total``, the weighted sum.
            Beside these ``cosine_{teacher}_{student}``, in [0, 1], of every pair that any setting teaches: in no sum,
            so that trainings with and without self-distillation can be compared.

        Raises:
            InputError: The alphas differ in shape, or a side is below 64.
        """
        if alpha.shape != target.shape:
            raise InputError(
                f"The alpha is {list(alpha.shape)} and the true alpha {list(target.shape)}; give both as [B, 1, H, W]."
            )
        predictions = {"": alpha}
        for i, side in side_alphas.items():
            full_size = F.interpolate(side, size=target.shape[-2:], mode="bilinear", align_corners=False)
            predictions[f"aux{i}_"] = full_size
        # All predictions at once: a fourth of the kernels to launch.
        differences = torch.stack(list(predictions.values())) - target
        if known is not None:
            differences = differences * known
        distance = differences.abs()
        # With I = αF + (1 − α)B, L_c is mean|α̂ − α||F − B|, and the colours are read once for all predictions.
        contrast = (foreground - background).abs().mean(dim=1, keepdim=True)
        by_term = {
            # The gradient of a mean is a picture of 1/n in memory, that of a sum is not.
            "l1": distance.sum(dim=(1, 2, 3, 4)) / alpha.numel(),
            "laplacian": laplacian_losses(differences),
            "composition": (distance * contrast).sum(dim=(1, 2, 3, 4)) / alpha.numel(),
        }
        terms: dict[str, Tensor] = {}
        total = target.new_zeros(())
        for position, prefix in enumerate(predictions):
            for name, values in by_term.items():
                terms[prefix + name] = values[position]
                weight = self.alpha_weights[name] * (self.aux_weight if prefix else 1.0)
                total = total + weight * values[position]
        losses: dict[tuple[int, int], Tensor] = {}
        for pair in EVERY_PAIR:
            if not side_alphas.keys() >= set(pair) and pair not in self.pairs:  # another network than SDNet
                continue
            teacher, student = (side_alphas[i] for i in pair)
            taught = pair in self.pairs
            losses[pair] = cosine_distillation_loss(student if taught else student.detach(), teacher)
            terms["cosine_{}_{}".format(*pair)] = 1 - losses[pair].detach()
        if self.pairs:
            terms["distillation"] = sum((losses[pair] for pair in self.pairs), start=target.new_zeros(()))
            total = total + self.distillation_weight * terms["distillation"]
        return terms | {"total": total}
