"""The trainings that the ablations compare: what each changes, and which other it is compared with."""

from typing import NamedTuple

TRAINING = "experiments.ablations.train"
PEER = "experiments.ablations.peer"


class Row(NamedTuple):
    """A training.

    Attributes:
        reference: The row that it is compared with; none for the first.
        settings: Options of ``fit``, after the configs.
        module: What runs them: ``python -m MODULE fit``.
    """

    reference: str | None
    settings: tuple[str, ...]
    module: str = TRAINING


def _teaches(pairs: str, *more: str) -> tuple[str, ...]:
    return f"--model.distillation={pairs}", *more


NONE, BEST = _teaches("none"), _teaches("best_teacher")
# On the command line a network replaces that of the recipe as a whole.
WITHOUT_AMPA = "--model.network={ampa: false}"
LITERAL = "--model.network={attention_norm: true, aggregate: side_outputs}"
PAPER = ("--model.preset=sdnet", "--model.network={stem_stride: 2}")
PAPER_WITHOUT_AMPA = ("--model.preset=sdnet", "--model.network={stem_stride: 2, ampa: false}")
TEACHER_TOLD = "--model.told=[2]"
# 25 pixels at the recipe's 384 are 9 at 128.
TRIMAP = (
    "--model.trimap=true",
    *(f"--data.validation.{name}.init_args.trimap_kernel=9" for name in ("cutouts", "people")),
)

# The most telling first.
FIRST = {
    "none": Row(None, NONE),
    "best teacher": Row("none", BEST),
    "without AMPA": Row("best teacher", (*BEST, WITHOUT_AMPA)),
    "no side losses": Row("none", (*NONE, "--model.aux_weight=0")),
    "side loss of the teacher alone": Row("none", (*NONE, TEACHER_TOLD)),
    "side loss of the teacher alone, best teacher": Row("side loss of the teacher alone", (*BEST, TEACHER_TOLD)),
}
REST = {
    "dense": Row("none", _teaches("dense")),
    "transitive": Row("none", _teaches("transitive")),
    "α_f teaches": Row("none", (*BEST, "--model.teacher=alpha")),
    "trimap": Row(None, (*NONE, *TRIMAP)),
    "trimap, best teacher": Row("trimap", (*BEST, *TRIMAP)),
    "trimap, without AMPA": Row("trimap, best teacher", (*BEST, WITHOUT_AMPA, *TRIMAP)),
    "best teacher, λ 10": Row("none", (*BEST, "--model.distillation_weight=10")),
    "best teacher, λ 3": Row("none", (*BEST, "--model.distillation_weight=3")),
    "best teacher, λ 0.3": Row("none", (*BEST, "--model.distillation_weight=0.3")),
    "no side losses, α_f teaches": Row("no side losses", (*BEST, "--model.teacher=alpha", "--model.aux_weight=0")),
    "AMPA's gates held at 1": Row("best teacher", (*BEST, "--model.open_gates=true")),
    "gradient into the teacher": Row("best teacher", (*BEST, "--model.stop_gradient=false")),
    "best teacher from half time on": Row("none", (*BEST, "--model.start=0.5")),
    "features teach": Row("none", (*BEST, "--model.teacher=features")),
    "Eq. 5 literally": Row("none", (*NONE, LITERAL)),
    "Eq. 5 literally, best teacher": Row("Eq. 5 literally", (*BEST, LITERAL)),
    "U-Net of equal parameters": Row("none", (*NONE, "--model.network={width: 16}"), PEER),
    "U-Net of equal time": Row("none", (*NONE, "--model.network={width: 10}"), PEER),
    "sdnet": Row(None, (*NONE, *PAPER)),
    "sdnet, best teacher": Row("sdnet", (*BEST, *PAPER)),
    "sdnet, without AMPA": Row("sdnet, best teacher", (*BEST, *PAPER_WITHOUT_AMPA)),
}
ROWS = FIRST | REST
# Rows that a first seed showed to be hopeless, with the reason in a sentence: they get no further seed.
DROPPED: dict[str, str] = {}


def in_order(seeds: list[int], rows: list[str]) -> list[tuple[str, int]]:
    """The runs, the most telling first: those of ``FIRST`` with every seed, then the rest, a seed at a time."""
    return [(row, seed) for group in (FIRST, REST) for seed in seeds for row in group if row in rows]
