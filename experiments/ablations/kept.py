"""The scores that the ablations keep in the repository: of every run, of every picture, and over the training."""

import csv
import json
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdnet_pl.data.files import only_one, write_bytes, write_text
from sdnet_pl.losses.distillation import EVERY_PAIR
from sdnet_pl.reporting.curves import log_files, read_series
from sdnet_pl.reporting.tables import CONSTANT, Row, to_csv

HERE = Path(__file__).parent
COMPOSITES, PHOTOS = ("cutouts", "people"), ("natural", "photos")


class Measure(NamedTuple):
    """A score of pictures: its key, the benchmarks that have it, and how tables head and scale it."""

    key: str
    benchmarks: tuple[str, ...]
    heading: str
    scale: float


# Of photos a mask is known, which says nothing about the edge.
MEASURES = (
    Measure("mad_whole", COMPOSITES, "MAD×1000", 1000),
    Measure("mse_whole", COMPOSITES, "MSE×1000", 1000),
    Measure("sad_unknown", COMPOSITES, "SAD/1000, unknown region", 1),
    Measure("iou_whole", PHOTOS, "IoU of photos", 1),
    *(Measure(f"side_{i}", COMPOSITES, f"F̄_dec^{i}: MAD×1000", 1000) for i in (2, 3, 4)),
)
COSINES = [f"cosine_{teacher}_{student}" for teacher, student in EVERY_PAIR]


def slug(row: str) -> str:
    """A row's name as a file is called."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", row).strip("-")


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a csv; none where there is no file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


class Kept:
    """A folder of kept scores.

    ``scores.csv`` has a line a run, in the units of the functionals, and ``curves.csv`` a line a validation of it.
    ``pictures.csv`` names the pictures, whose scores are in ``pictures/ROW-SEED.npz``: ``scores``, float16
    ``[measures, pictures]``, NaN where a benchmark has no such score.

    Args:
        folder: The folder; without one yet nothing is kept.
    """

    def __init__(self, folder: Path = HERE) -> None:
        self.folder = folder

    @property
    def runs(self) -> dict[tuple[str, int], dict[str, str]]:
        """The lines of ``scores.csv`` by row and seed."""
        return {(line["row"], int(line["seed"])): line for line in read_csv(self.folder / "scores.csv")}

    def seeds(self, row: str) -> list[int]:
        """The seeds that a row was trained with."""
        return sorted(seed for name, seed in self.runs if name == row)

    @property
    def curves(self) -> list[dict[str, str]]:
        """The lines of ``curves.csv``."""
        return read_csv(self.folder / "curves.csv")

    def people(self, measure: Measure) -> list[str]:
        """For each picture that has the measure who or what is shown: composites of one person are not independent."""
        pictures = read_csv(self.folder / "pictures.csv")
        shown = [(line["benchmark"], line["image"].partition(" over ")[0]) for line in pictures]
        return ["/".join(names) for names in shown if names[0] in measure.benchmarks]

    def pictures(self, measure: Measure, row: str, seeds: Sequence[int]) -> np.ndarray:
        """``[seeds, pictures]``: the measure of every picture that has it."""
        names = [line["benchmark"] for line in read_csv(self.folder / "pictures.csv")]
        chosen = np.isin(names, measure.benchmarks)
        files = [np.load(self._file(row, seed))["scores"] for seed in seeds]
        return np.array([scores[MEASURES.index(measure), chosen] for scores in files], float)

    def add(self, row: str, seed: int, run: Path, order: Sequence[str], **about: str | float) -> None:
        """Keeps the scores of a finished run.

        Args:
            row: Its name.
            seed: Its seed.
            run: Its directory.
            order: The names of all rows, as they stand in the files.
            **about: What else its line says.

        Raises:
            ValueError: It was scored on other pictures than the runs that are kept.
        """
        sides = {(line["benchmark"], line["image"]): line for line in read_csv(run / "side_errors.csv")}
        images = read_csv(run / "images.csv")
        names: list[Row] = [{"benchmark": line["benchmark"], "image": line["image"]} for line in images]
        found = read_csv(run / "metrics.csv")
        hashes = {line["benchmark"]: line["hash"] for line in found if line["method"] != CONSTANT}
        held = read_csv(self.folder / "pictures.csv")
        if held and held != names:
            raise ValueError(f"The pictures that {run} was scored on are not those of {self.folder}/pictures.csv.")
        lines = [{**line, **sides.get((line["benchmark"], line["image"]), {})} for line in images]
        scores = np.array(
            [
                [line.get(m.key) or "nan" if line["benchmark"] in m.benchmarks else "nan" for line in lines]
                for m in MEASURES
            ],
            np.float16,
        )
        buffer = BytesIO()
        np.savez_compressed(buffer, scores=scores)
        write_text(self.folder / "pictures.csv", to_csv(names))
        write_bytes(self._file(row, seed), buffer.getbuffer())
        score: Row = {"row": row, "seed": seed, **about}
        for measure, values in zip(MEASURES, scores, strict=True):
            known = values[~np.isnan(values)].astype(float)
            score = {**score, measure.key: f"{known.mean():.6g}" if len(known) else ""}
        score = {**score, "benchmarks": json.dumps(hashes)}
        curve = [{"row": row, "seed": seed, **point} for point in self._curve(run, names)]
        with only_one(self.folder, "", wait=True):
            for file, new in (("scores.csv", [score]), ("curves.csv", curve)):
                # Read again: another process may have kept a run meanwhile.
                rest = [x for x in read_csv(self.folder / file) if (x["row"], x["seed"]) != (row, str(seed))]
                both: list[Row] = [*rest, *new]
                both.sort(key=lambda line: (list(order).index(str(line["row"])), int(line["seed"])))
                write_text(self.folder / file, to_csv(both))

    def _curve(self, run: Path, names: Sequence[Row]) -> list[Row]:
        """What the run logged at its validations: MAD and IoU over pictures, cosines over the steps since the last."""
        series = {name: dict(points) for name, points in read_series(log_files(run / "logs")).items()}
        counts = {name: sum(line["benchmark"] == name for line in names) for name in (*COMPOSITES, *PHOTOS)}
        lines: list[Row] = []
        before = -1
        for step in series[f"val/{COMPOSITES[0]}/mad_whole"]:
            line: dict[str, str | float] = {"step": step}
            for key, benchmarks in (("mad_whole", COMPOSITES), ("iou_whole", PHOTOS)):
                values = [series[f"val/{name}/{key}"][step] for name in benchmarks]
                line[key] = f"{np.average(values, weights=[counts[name] for name in benchmarks]):.5g}"
            for name in COSINES:
                logged = [v for at, v in series.get(f"train/{name}", {}).items() if before < at <= step]
                line[name] = f"{np.mean(logged):.5g}" if logged else ""
            lines.append(line)
            before = step
        return lines

    def _file(self, row: str, seed: int) -> Path:
        return self.folder / "pictures" / f"{slug(row)}-{seed}.npz"
