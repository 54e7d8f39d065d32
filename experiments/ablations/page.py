"""Writes the page "What the paper's parts bring", its figures and the tables from the scores that are kept.

What has not been run yet is said to be so. Needs no pictures, and trains nothing.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure

from experiments import run_script
from experiments.ablations.compare import SAMPLES
from experiments.ablations.effects import Effect, effect
from experiments.ablations.figures import cosine_figure, effects_figure, learning_figure
from experiments.ablations.kept import HERE, MEASURES, Kept, Measure
from experiments.ablations.rows import DROPPED, FIRST, ROWS
from sdnet_pl.data.files import read_text, write_text
from sdnet_pl.reporting.panels import write_figure
from sdnet_pl.reporting.tables import to_csv, to_markdown

MAD = MEASURES[0]
TEMPLATE = """# What the paper's parts bring

{summary}

Each row trains `sdnet-fast`, if it names no other network, on {samples} samples of {size}×{size} pixels in steps of
{batch_size}, precision {precision}, by the recipe of the weights (`experiments/weights/sdnet-fast.yaml`), with the same
samples in the same order for all rows of a seed. The last weights are scored at the same size: on composites of people
who were not trained on (MAD, MSE, SAD) and on photos with masks (IoU). Rows with a trimap know the mask of a photo from
it.

A change is that of the mean over seeds and pictures against the reference row, paired. Its 95 % interval comes from a
bootstrap over seeds and people; with three seeds it is a rough one. *Confirmed* and *refuted* mean that the interval
leaves out 0 and that every seed has the same sign; all else is *not told apart*. Among so many rows one interval in
twenty leaves out 0 by chance. The paper's changes are those of SAD in its Tables 5 and 6, after 120 epochs at 512×512
on other pictures.

{results}

## Run it again

<!-- parsed: days -->
```sh
make ablations          # trains what is missing, with the recipe's pictures in SDNET_DATA; resumes
make ablations-page     # writes this page from the scores in experiments/ablations
```

Seeds 0, 1 and 2. `experiments/ablations/rows.py` says what each row changes. `scores.csv` beside it has a line a run,
`effects.csv` the change of every measure. With W&B: `wandb sweep experiments/ablations/sweep.yaml`.
"""


class Claim(NamedTuple):
    """What a row tests.

    Attributes:
        says: A sentence that the row's change of MAD confirms or refutes.
        sign: Of that change if the sentence is true.
        paper: The change in the paper, in percent; none where it has no such row.
    """

    says: str
    sign: int
    paper: float | None = None


# The paper's changes are those of its Tables 5 and 6 (SAD).
DISTILLATION = {
    "best teacher": Claim("The best teacher lowers the error", -1, 100 * (6.2 / 7.6 - 1)),
    "dense": Claim("Dense distillation lowers it", -1, 100 * (6.5 / 7.6 - 1)),
    "transitive": Claim("Transitive distillation lowers it", -1, 100 * (6.4 / 7.6 - 1)),
    "trimap, best teacher": Claim("With a trimap the best teacher lowers it", -1, 100 * (2.7 / 3.3 - 1)),
    "sdnet, best teacher": Claim("In the paper's own network the best teacher lowers it", -1, 100 * (6.2 / 7.6 - 1)),
    "best teacher, λ 0.3": Claim("A weight λ of 0.3 lowers it", -1),
    "best teacher, λ 3": Claim("A weight λ of 3 lowers it", -1),
    "best teacher, λ 10": Claim("A weight λ of 10 lowers it", -1),
    "best teacher from half time on": Claim("A teacher that has learned for half of the training lowers it", -1),
    "gradient into the teacher": Claim("A gradient into the teacher does harm", 1),
    "α_f teaches": Claim("α_f as the teacher of all side outputs lowers it", -1),
    "features teach": Claim("Teaching features, channel by channel, lowers it", -1),
}
TRUTH = {
    "no side losses": Claim("Without the side outputs' own losses the error is larger", 1),
    "side loss of the teacher alone": Claim("Where the teacher alone is told the truth, the error is larger", 1),
    "side loss of the teacher alone, best teacher": Claim("There the teacher lowers it", -1),
    "no side losses, α_f teaches": Claim("Where α_f alone is told the truth, it is a teacher that lowers it", -1),
}
NETWORK = {
    "without AMPA": Claim("Without AMPA the error is larger", 1, 100 * (9.2 / 6.2 - 1)),
    "trimap, without AMPA": Claim("With a trimap, too", 1, 100 * (3.1 / 2.7 - 1)),
    "sdnet, without AMPA": Claim("In the paper's own network, too", 1, 100 * (9.2 / 6.2 - 1)),
    "AMPA's gates held at 1": Claim("AMPA needs its attention: with every gate at 1 the error is larger", 1),
    "Eq. 5 literally": Claim("Eq. 5 fed with the one-channel side outputs has a larger error than with features", 1),
    "Eq. 5 literally, best teacher": Claim("There the best teacher lowers it", -1),
    "U-Net of equal parameters": Claim("A plain U-Net of as many parameters has a larger error", 1),
    "U-Net of equal time": Claim("A plain U-Net of as long a training step has a larger error", 1),
}
PARTS = {
    "Does self-distillation help?": DISTILLATION,
    "Does the teacher matter where the truth is not told?": TRUTH,
    "Does AMPA help, and the network?": NETWORK,
}
CLAIMS = {row: claim for part in PARTS.values() for row, claim in part.items()}


def verdict(claim: Claim, found: Effect) -> str:
    """In words: ``confirmed``, ``refuted``, ``not told apart`` or ``one seed, no verdict``."""
    if found.seeds < 2:
        return "one seed, no verdict"
    return {0: "not told apart", claim.sign: "confirmed", -claim.sign: "refuted"}[found.direction]


def contradicts(claim: Claim, found: Effect | None) -> bool:
    """Whether the paper's own figure is outside of the interval, on the side of no effect or of the opposite one."""
    if claim.paper is None or found is None or found.seeds < 2:
        return False
    return claim.paper < found.low if claim.sign < 0 else claim.paper > found.high


def summary(effects: dict[str, Effect | None]) -> str:
    """The sentence at the top of the page."""
    tested = {row: claim for row, claim in CLAIMS.items() if claim.paper is not None}
    against = [
        f"{row} ({_percent(found.change)} of MAD, the paper {_percent(claim.paper)})"
        for row, claim in tested.items()
        if (found := effects[row]) and claim.paper is not None and contradicts(claim, found)
    ]
    open_ = [row for row in tested if not (found := effects[row]) or found.seeds < 2]
    if len(open_) == len(tested):
        return "No question of this page is answered yet: its trainings have not been run."
    text = (
        f"What contradicts the paper at this scale: {'; '.join(against)}."
        if against
        else "Nothing here contradicts the paper yet."
        if open_
        else "Nothing here contradicts the paper."
    )
    return text + (f" Not answered yet: {'; '.join(open_)}." if open_ else "")


def part(kept: Kept, claims: dict[str, Claim], effects: dict[str, Effect | None]) -> str:
    """A line a claim that was tested, and one that names the others."""
    lines = [paragraph(kept, row, claim, found) for row, claim in claims.items() if (found := effects[row])]
    missing = [f"*{claim.says}*" for row, claim in claims.items() if not effects[row]]
    return "\n".join([*lines, *([f"- Not run yet: {'; '.join(missing)}."] if missing else [])])


def paragraph(kept: Kept, row: str, claim: Claim, found: Effect) -> str:
    """What a row shows, in numbers."""
    reference = str(ROWS[row].reference)
    seeds = sorted(set(kept.seeds(row)) & set(kept.seeds(reference)))
    own, other = (_spread(kept, MAD, name, seeds) for name in (row, reference))
    text = (
        f"- *{claim.says}*: **{verdict(claim, found)}**. MAD×1000 {own} ({row}) against {other} ({reference}): "
        f"{_change(found)}, {found.seeds} seed{'s' * (found.seeds > 1)}"
    )
    if found.seeds > 1 and not found.agree:
        text += ", which differ in sign"
    if claim.paper is not None:
        inside = found.low <= claim.paper <= found.high
        text += f". The paper's {_percent(claim.paper)} is {'inside' if inside else 'outside'}"
    for measure in MEASURES:
        if measure.key in ("sad_unknown", "iou_whole") and (change := effect(kept, row, measure)):
            text += f". {measure.heading.replace('/1000', '')}: {_change(change)}"
    sides = [(m, effect(kept, row, m)) for m in MEASURES if m.key.startswith("side_")]
    if shown := [f"{m.heading.partition(':')[0]} {_percent(e.change)}" for m, e in sides if e]:
        text += f". The side outputs' own MAD: {', '.join(shown)}"
    return f"{text}. Dropped: {DROPPED[row]}" if row in DROPPED else f"{text}."


def table(kept: Kept) -> list[dict[str, str | float]]:
    """A line a row that was run: mean ± standard deviation over its seeds of every measure."""
    lines: list[dict[str, str | float]] = []
    for row in ROWS:
        if seeds := kept.seeds(row):
            cells = {m.heading: _spread(kept, m, row, seeds) for m in MEASURES}
            lines.append({"trained as": row, "seeds": len(seeds), **cells})
    return lines


def effects_table(kept: Kept) -> list[dict[str, str | float]]:
    """A line a row and measure that has an effect, in percent; for programs."""
    lines: list[dict[str, str | float]] = []
    for row, claim in CLAIMS.items():
        for measure in MEASURES:
            if found := effect(kept, row, measure):
                lines.append(
                    {
                        "row": row,
                        "reference": str(ROWS[row].reference),
                        "measure": measure.key,
                        **{name: f"{getattr(found, name):.3f}" for name in ("change", "low", "high")},
                        "seeds": found.seeds,
                        "verdict": verdict(claim, found) if measure is MAD else "",
                    }
                )
    return lines


def figures(kept: Kept) -> dict[str, Figure]:
    """What can be drawn of the runs so far, by name."""
    drawn: dict[str, Figure] = {}
    step = _scale()["data"]["batch_size"]
    if found := {row: e for row in CLAIMS if (e := effect(kept, row, MAD))}:
        paper = {row: claim.paper for row, claim in CLAIMS.items() if claim.paper is not None}
        drawn["effects"] = effects_figure(found, {row: str(ROWS[row].reference) for row in found}, paper)
    # Those of all rows would hide each other.
    if curves := [line for line in kept.curves if line["row"] in FIRST]:
        drawn["learning"] = learning_figure(curves, step)
        drawn["cosines"] = cosine_figure(curves, step)
    return drawn


def page(kept: Kept, drawn: Iterable[str]) -> str:
    """The page, in markdown; ``drawn`` names the figures that are in ``images/ablations``."""
    effects = {row: effect(kept, row, MAD) for row in CLAIMS}
    scale = _scale()
    texts: list[str] = []
    for heading, claims in PARTS.items():
        texts += [f"## {heading}", part(kept, claims, effects)]
    if scores := table(kept):
        texts += ["## Scores", to_markdown(scores).rstrip()]
    captions = {
        "effects": "Change of MAD of every row against its reference, with intervals",
        "learning": "MAD of composites and IoU of photos over the training",
        "cosines": "Cosines between the side outputs over the training",
    }
    texts += [f"![{captions[name]}](images/ablations/{name}.png)" for name in drawn]
    held = {"samples": f"{SAMPLES:,}", **scale["data"], **scale["trainer"]}
    return TEMPLATE.format(**held, summary=summary(effects), results="\n\n".join(texts))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.ablations.page", description=__doc__)
    parser.add_argument("--kept", type=Path, default=HERE, metavar="DIR", help="the scores (experiments/ablations)")
    parser.add_argument("--page", type=Path, default=Path("docs/ablations.md"), metavar="FILE", help="(%(default)s)")
    args = parser.parse_args(arguments)
    kept = Kept(args.kept)
    drawn = figures(kept)
    for name, figure in drawn.items():
        write_figure(args.page.parent / "images/ablations" / f"{name}.png", figure)
    write_text(args.page, page(kept, drawn))
    if lines := effects_table(kept):
        write_text(args.kept / "effects.csv", to_csv(lines))


def _scale() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(read_text(HERE / "scale.yaml"))
    return content


def _percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "−")


def _change(found: Effect) -> str:
    return f"{_percent(found.change)}, interval {_percent(found.low)} to {_percent(found.high)}"


def _spread(kept: Kept, measure: Measure, row: str, seeds: Sequence[int]) -> str:
    values = [measure.scale * float(x) for x in np.mean(kept.pictures(measure, row, seeds), axis=1)]
    if np.isnan(values).any():
        return ""
    digits = 3 if measure.scale == 1 else 1
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    run_script(main)
