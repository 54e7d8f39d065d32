"""Which side output teaches which (section 3.4, Figure 5 of the paper)."""

from typing import Literal, get_args

Distillation = Literal["none", "best_teacher", "dense", "transitive"]

# (teacher, student) as levels i of F̄_dec^i: downstream is 2, upstream is 4.
TEACHER_STUDENT: dict[Distillation, tuple[tuple[int, int], ...]] = {
    "none": (),
    "best_teacher": ((2, 3), (2, 4)),
    "dense": ((2, 3), (2, 4), (3, 4)),
    "transitive": ((2, 3), (3, 4)),
}
EVERY_PAIR = TEACHER_STUDENT["dense"]
assert set(TEACHER_STUDENT) == set(get_args(Distillation))
