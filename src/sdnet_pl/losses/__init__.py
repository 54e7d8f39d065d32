"""The objective: L1, Laplacian, composition and cosine self-distillation."""

from sdnet_pl.losses.distillation import TEACHER_STUDENT, Distillation
from sdnet_pl.losses.objective import MattingObjective

__all__ = ["TEACHER_STUDENT", "Distillation", "MattingObjective"]
