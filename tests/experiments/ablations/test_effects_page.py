"""What the ablations say of kept scores: effects with intervals, verdicts, and a page that invents nothing."""

import csv
from pathlib import Path

import numpy as np
import pytest

from experiments.ablations import page
from experiments.ablations.effects import Effect, effect, interval, relative
from experiments.ablations.kept import MEASURES, Kept
from experiments.ablations.rows import ROWS
from sdnet_pl.reporting.tables import Row, to_csv

MAD = MEASURES[0]


def leave_run(folder: Path, mad: float, image: str = "one") -> Path:
    """What a fit leaves: two composites each of two people, and two photos; errors vary with the picture."""
    names = [f"{person} over {place}" for person in (image, "two") for place in "ab"]
    images: list[Row] = [
        {"benchmark": b, "image": n, "mad_whole": mad * f, "mse_whole": mad / 2, "sad_unknown": 0.5, "iou_whole": 0.9}
        for b in ("cutouts", "people")
        for n, f in zip(names, (0.5, 1.5, 0.8, 1.2), strict=True)
    ]
    images += [
        {"benchmark": b, "image": "x", "mad_whole": 0.1, "mse_whole": 0.1, "sad_unknown": "", "iou_whole": 0.8}
        for b in ("natural", "photos")
    ]
    sides: list[Row] = [
        {"benchmark": line["benchmark"], "image": line["image"], "side_2": 0.02, "side_3": 0.04, "side_4": 0.08}
        for line in images
    ]
    logged = {f"val/{b}/{key}": mad for b in ("cutouts", "people") for key in ("mad_whole",)}
    logged |= {f"val/{b}/iou_whole": 0.8 for b in ("natural", "photos")}
    cosine = dict.fromkeys(("train/cosine_2_3", "train/cosine_2_4", "train/cosine_3_4"), 0.9)
    (folder / "logs/version_0").mkdir(parents=True)
    (folder / "logs/version_0/metrics.csv").write_text(to_csv([{"step": 9, **logged, **cosine}]))
    (folder / "images.csv").write_text(to_csv(images))
    (folder / "side_errors.csv").write_text(to_csv(sides))
    scored: list[Row] = [
        {"benchmark": b, "hash": f"hash of {b}", "method": "network"}
        for b in ("cutouts", "people", "natural", "photos")
    ]
    (folder / "metrics.csv").write_text(to_csv(scored))
    return folder


def keep(root: Path, row: str, seed: int, mad: float) -> Kept:
    kept = Kept(root / "kept")
    kept.add(row, seed, leave_run(root / f"{len(kept.runs)}", mad), list(ROWS), samples=24000, recipe="abc")
    return kept


def test_what_is_kept_is_what_was_scored(tmp_path: Path):
    keep(tmp_path, "best teacher", 1, 0.04)
    kept = keep(tmp_path, "none", 0, 0.03)
    assert list(kept.runs) == [("none", 0), ("best teacher", 1)]  # in the order of the rows
    assert kept.runs["none", 0]["recipe"] == "abc"
    assert float(kept.runs["none", 0]["mad_whole"]) == pytest.approx(0.03, rel=1e-3)
    assert float(kept.runs["none", 0]["iou_whole"]) == pytest.approx(0.8, rel=1e-3)  # of the photos alone
    np.testing.assert_allclose(kept.pictures(MAD, "none", [0])[0, :4], [0.015, 0.045, 0.024, 0.036], rtol=1e-3)
    assert kept.people(MAD)[:4] == ["cutouts/one", "cutouts/one", "cutouts/two", "cutouts/two"]
    assert [point["mad_whole"] for point in kept.curves] == ["0.03", "0.04"]
    with pytest.raises(ValueError, match="are not those of"):
        kept.add("dense", 0, leave_run(tmp_path / "other", 0.04, "three"), list(ROWS))


def test_an_effect_is_paired():
    rng = np.random.default_rng(1)
    reference = rng.uniform(0.01, 0.2, (3, 60))
    groups = [str(i // 3) for i in range(60)]
    both = np.stack([0.9 * reference, reference])
    assert relative(both) == pytest.approx(-10)
    # A tenth less of every picture with every seed leaves no doubt, however much the pictures differ.
    assert interval(both, groups) == pytest.approx((-10, -10))


def test_an_interval_covers_what_chance_makes():
    """The true change lies within about 95 of 100 intervals where seeds and people both vary."""
    rng = np.random.default_rng(2)
    groups = [str(i // 3) for i in range(90)]
    hits = 0
    for _ in range(100):
        people, seeds = np.repeat(rng.normal(0, 0.06, 30), 3), rng.normal(0, 0.02, (8, 1))
        row = 1 + people + seeds + rng.normal(0, 0.05, (8, 90))
        low, high = interval(np.stack([row, np.ones((8, 90))]), groups, resamples=500)
        hits += low <= 0 <= high
    assert 85 <= hits <= 99


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Effect(1, -5, -6, -4, True), "one seed, no verdict"),
        (Effect(3, -5, -6, -4, True), "confirmed"),
        (Effect(3, 5, 4, 6, True), "refuted"),
        (Effect(3, -5, -6, -4, False), "not told apart"),
        (Effect(3, -1, -6, 4, True), "not told apart"),
    ],
)
def test_verdicts(found: Effect, word: str):
    assert page.verdict(page.DISTILLATION["best teacher"], found) == word


def test_a_page_without_runs_says_so(tmp_path: Path):
    page.main(["--kept", str(tmp_path / "none"), "--page", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert "No question of this page is answered yet" in text
    assert text.count("- Not run yet: *") == len(page.PARTS)
    assert all(claim.says in text for claim in page.CLAIMS.values())
    assert "## Scores" not in text
    assert {path.name for path in tmp_path.iterdir()} == {"page.md"}


def test_a_page_says_what_contradicts_the_paper(tmp_path: Path):
    for seed in (0, 1, 2):
        keep(tmp_path, "none", seed, 0.030)
        keep(tmp_path, "best teacher", seed, 0.029)
    kept = keep(tmp_path, "without AMPA", 0, 0.031)
    found = effect(kept, "best teacher", MAD)
    assert found is not None
    assert found.direction == -1
    page.main(["--kept", str(kept.folder), "--page", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    top = text.split("\n\n")[1]
    assert top.startswith("What contradicts the paper at this scale: best teacher (−3.4 % of MAD, the paper −18.4 %).")
    assert "without AMPA" in top.partition("Not answered yet")[2]
    assert "*The best teacher lowers the error*: **confirmed**. MAD×1000 29.0 ± 0.0 (best teacher) against 30.0" in text
    assert "interval −3.4 % to −3.4 %, 3 seeds. The paper's −18.4 % is outside" in text
    assert "IoU of photos: +0.0 %, interval +0.0 % to +0.0 %. The side outputs' own MAD: F̄_dec^2" in text
    assert "**one seed, no verdict**" in text
    assert "- Not run yet: *Dense distillation lowers it*; " in text
    assert "| none | 3 | 30.0 ± 0.0 | 15.0 ± 0.0 |" in text
    for name in ("effects", "learning", "cosines"):
        assert f"(images/ablations/{name}.png)" in text
        assert (tmp_path / f"images/ablations/{name}.png").exists()
    with (kept.folder / "effects.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert {line["verdict"] for line in lines if line["measure"] == "mad_whole"} == {
        "confirmed",
        "one seed, no verdict",
    }
