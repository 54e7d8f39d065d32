"""What self-distillation and AMPA bring: Tables 5 and 6 of the paper at a small scale, and another network.

Every row trains with every seed under one budget (experiments/ablations/small.yaml) and is scored on people and
backgrounds that were not trained on. A call that was stopped resumes: finished runs are not run again.

Needs these folders below SDNET_DATA: cutouts, backgrounds and natural, each with train/ and val/.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from experiments import need_folders
from sdnet_pl.data.benchmarks import CompositeBenchmark
from sdnet_pl.data.config import find_benchmark
from sdnet_pl.data.files import read_text, write_text
from sdnet_pl.explore import inspect_picture
from sdnet_pl.explore.measures import full_size_maps, map_name
from sdnet_pl.inference import load_weights
from sdnet_pl.launch.fits import finish
from sdnet_pl.metrics import METRIC_LABELS
from sdnet_pl.reporting.tables import CONSTANT, Row, scores_of, to_csv, to_markdown

CONFIG = "experiments/ablations/small.yaml"
TEACHERS = ("none", "transitive", "dense", "best_teacher")
ROOT = "${oc.env:SDNET_DATA,data}"  # on the command line ${data.root} is not resolved


def source(kind: str, **init_args: Any) -> str:
    return json.dumps({"class_path": f"sdnet_pl.data.{kind}", "init_args": init_args})


PEOPLE = source("CutoutFolder", path=f"{ROOT}/cutouts/train")
DRAWN = source("ProceduralPortraits", length=295, size=96)
MASKS = source("MaskFolder", path=f"{ROOT}/natural/train", band=0)
# In pictures of 96 pixels the usual 25 leave hardly anything known, and training's are a tenth of the picture at most.
TRIMAP = ["--model.trimap=true", "--data.validation.cutouts.init_args.trimap_kernel=7"]
WITHOUT_AMPA = "--model.network={stem_stride: 2, ampa: false}"
ROWS: dict[str, list[str]] = {
    **{f"distillation {name}": [f"--model.distillation={name}"] for name in TEACHERS},
    "best_teacher without AMPA": [WITHOUT_AMPA],
    "peer: MobileNetV2 U-Net, 6.3 M": ["--model.distillation=none"],
    **{f"trimap, distillation {name}": [f"--model.distillation={name}", *TRIMAP] for name in TEACHERS},
    "trimap, best_teacher without AMPA": [WITHOUT_AMPA, *TRIMAP],
    "best_teacher, a quarter photos": ["--data.photo=0.25"],
    "best_teacher, a quarter photos, their edges too": ["--data.photo=0.25", f"--data.photos=[{MASKS}]"],
    "best_teacher, a quarter drawn portraits": [f"--data.foregrounds=[{PEOPLE}, {DRAWN}]"],
}
# (benchmark, score): of photos a mask is known, which says nothing about the edge.
SCORES = (
    *(("cutouts", key) for key in ("mad_whole", "mse_whole", "sad_unknown", "mse_unknown")),
    *(("natural", key) for key in ("iou_whole", "mad_whole")),
)
SIDES = (2, 3, 4)


def run_dir(root: Path, row: str, seed: int) -> Path:
    return root / "".join(c if c.isalnum() else "_" for c in row) / f"seed{seed}"


def train(root: Path, row: str, seed: int, extra: Sequence[str]) -> None:
    """Runs one row with one seed, or what is left of it."""
    module = "experiments.ablations.peer" if row.startswith("peer") else "sdnet_pl"
    settings = [f"--config={CONFIG}", f"--seed_everything={seed}", *ROWS[row], *extra]
    folder = run_dir(root, row, seed)
    finish(folder, settings, module)
    if not row.startswith("peer") and not (folder / "side_outputs.json").exists():
        write_text(folder / "side_outputs.json", json.dumps(side_outputs(folder)))


def side_outputs(folder: Path) -> dict[str, float]:
    """MAD×1000 of F̄_dec^i by i, upsampled, on the composites that the run was scored on: what L_d teaches directly."""
    benchmark = find_benchmark("cutouts", [folder / "config.yaml"])
    assert isinstance(benchmark, CompositeBenchmark)
    model, _ = load_weights(folder / "best.ckpt")
    errors = dict.fromkeys(map(str, SIDES), 0.0)
    for item in (benchmark[i] for i in range(len(benchmark))):
        image, target = item["image"].permute(1, 2, 0).numpy(), item["alpha"][0].numpy()
        seen = inspect_picture(model, image, max(target.shape), target, trimap_kernel=benchmark.trimap_kernel)
        assert seen.target is not None
        maps = full_size_maps(seen)
        for i in SIDES:
            errors[str(i)] += 1000 * float((maps[map_name(i)] - seen.target).abs().mean()) / len(benchmark)
    return errors


def scores(root: Path, seeds: Sequence[int]) -> list[dict[str, str | float]]:
    """A line for each finished run."""
    lines = []
    for name in ROWS:
        for seed in seeds:
            folder = run_dir(root, name, seed)
            found = read(folder)
            if not found:
                continue
            line: dict[str, str | float] = {"trained as": name, "seed": seed}
            for benchmark, key in SCORES:
                heading, scale = METRIC_LABELS[key]
                line[f"{benchmark}: {heading}"] = scale * scores_of(found[benchmark])[key] if benchmark in found else ""
            sides = folder / "side_outputs.json"
            errors = json.loads(read_text(sides)) if sides.exists() else {}
            line |= {f"side output {i}: MAD×1000 (whole image)": errors.get(str(i), "") for i in SIDES}
            line["benchmark hashes"] = ", ".join(f"{benchmark} {row['hash']}" for benchmark, row in found.items())
            lines.append(line)
    return lines


def table(lines: Sequence[Row]) -> list[dict[str, str | float]]:
    """Mean ± standard deviation over the seeds of each row.

    Raises:
        ValueError: Runs of one row were scored on different benchmarks.
    """
    rows = []
    for name in dict.fromkeys(line["trained as"] for line in lines):
        runs = [line for line in lines if line["trained as"] == name]
        row: dict[str, str | float] = {"trained as": name, "seeds": len(runs)}
        for column in list(runs[0])[2:-1]:
            values = [float(run[column]) for run in runs if run[column] != ""]
            digits = 3 if "IoU" in column else 2
            spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
            row[column] = f"{mean(values):.{digits}f}{spread}" if values else ""
        hashes = {str(run["benchmark hashes"]) for run in runs}
        if len(hashes) > 1:
            raise ValueError(f"The runs of {name!r} were scored on different benchmarks: {'; '.join(sorted(hashes))}.")
        rows.append(row | {"benchmark hashes": hashes.pop()})
    return rows


def read(folder: Path) -> dict[str, dict[str, str]]:
    """The network's row of each benchmark of a finished run; nothing of one that is not."""
    file = folder / "metrics.csv"
    return {row["benchmark"]: row for row in _lines(file) if row["method"] != CONSTANT}


def _lines(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.ablations.compare", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/ablations"), help="where the runs are kept")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="NAME")
    parser.add_argument("--samples", type=int, help="training samples instead of the config's")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="keep scores.csv there, a line a run, and table.md; runs that it holds already and this call has not stay",
    )
    args = parser.parse_args(arguments)
    folders = [f"{kind}/{split}" for kind in ("cutouts", "backgrounds", "natural") for split in ("train", "val")]
    need_folders(parser, Path(os.environ.get("SDNET_DATA", "data")), *folders)
    extra = [f"--data.samples_per_epoch={args.samples}"] if args.samples else []
    runs = [(row, seed) for seed in args.seeds for row in args.rows]
    for number, (row, seed) in enumerate(runs, 1):
        print(f"Run {number} of {len(runs)}: {row}, seed {seed}", file=sys.stderr)
        train(args.root, row, seed, extra)
    lines = scores(args.root, args.seeds)
    if args.output:
        here = {(line["trained as"], str(line["seed"])) for line in lines}
        for line in _lines(args.output / "scores.csv"):
            if (line["trained as"], line["seed"]) not in here:
                lines.append({**line})
        order = list(ROWS)
        lines.sort(key=lambda line: (order.index(str(line["trained as"])), int(line["seed"])))
    text = to_markdown(table(lines))
    print(text)
    if args.output:
        for name, content in (("scores.csv", to_csv(lines)), ("table.md", text)):
            write_text(args.output / name, content)


if __name__ == "__main__":
    main()
