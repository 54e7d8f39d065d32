"""Whole tables of the paper: which trainings they take, and the page that shows them."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path

from sdnet_pl.data.files import atomic_write, write_text
from sdnet_pl.errors import InputError
from sdnet_pl.launch.fits import finish

TEACHERS = ("without_sd", "transitive", "dense", "sdnet")
COMPARED = ("without_sd", "sdnet", "without_sd_trimap", "sdnet_trimap")
# Names of configs in experiments/paper
ROWS: dict[int, tuple[str, ...]] = {
    1: COMPARED,
    2: COMPARED,
    3: COMPARED,
    4: (),  # sizes: nothing to train; Figure 1, which goes with it, shows the runs that are there
    5: (*TEACHERS, *(f"{name}_trimap" for name in TEACHERS)),
    6: ("without_ampa", "sdnet", "without_ampa_trimap", "sdnet_trimap"),
}
WRITTEN = "<!-- make reproduce-mini writes what follows -->\n"
_INSTALLED = "share/sdnet_pl/experiments/base/paper.yaml"


def experiments() -> Path:
    """The folder with the paper's configs: ``experiments`` of a clone, or what setup.cfg installs of it.

    Raises:
        InputError: Neither is there.
    """
    clone = Path(__file__).parents[3] / "experiments"
    if (clone / "base/paper.yaml").is_file():
        return clone
    for file in files("sdnet_pl") or ():
        if file.as_posix().endswith(_INSTALLED):
            return Path(str(file.locate())).resolve().parents[1]
    raise InputError(f"The paper's configs ({_INSTALLED}) are not installed; install sdnet_pl again.")


def rows_of(tables: Sequence[int]) -> list[str]:
    """The rows to train for tables, each once, as names of configs."""
    return list(dict.fromkeys(row for table in tables for row in ROWS[table]))


def train(rows: Sequence[str], seeds: Sequence[int], runs: Path, data: Path, configs: Sequence[str | Path]) -> None:
    """Trains and scores what is not finished yet, each in ``runs/ROW/seedN``.

    Args:
        rows: Of :func:`rows_of`.
        seeds: Every row is trained with each.
        runs: The folder of the runs.
        data: Prepared data sets, as experiments/base/paper.yaml names them.
        configs: What comes between that config and the row's.

    Raises:
        InputError: A fit failed; its error is on stderr.
    """
    folder = experiments()
    todo = [(row, seed) for row in rows for seed in seeds]
    for number, (row, seed) in enumerate(todo, 1):
        print(f"Training {number} of {len(todo)}: {row}, seed {seed}", file=sys.stderr)
        layers = [folder / "base/paper.yaml", *configs, folder / f"paper/{row}.yaml"]
        settings = [*(f"--config={file}" for file in layers), f"--data.root={data}", f"--seed_everything={seed}"]
        run = runs / row / f"seed{seed}"
        try:
            finish(run, settings)
        except subprocess.CalledProcessError as error:
            raise InputError(
                f"The fit in {run} ended with exit status {error.returncode}; its error is printed above. "
                "Fix it and run the same command to resume."
            ) from None


def figure_beside(page: Path) -> Path:
    """Where :func:`write_page` puts Figure 1."""
    return page.parent / "images" / "figure1.png"


def write_page(page: Path, reports: Path, tables: Sequence[int]) -> None:
    """Replaces what follows the line ``WRITTEN`` of a page with reports, each footnote once, at the end.

    Args:
        page: The page. Figure 1, with its mark, goes into ``images/`` beside it.
        reports: The directory that `sdnet-pl report -o` wrote to.
        tables: The tables' numbers.
    """
    texts: list[str] = []
    notes: dict[str, None] = {}
    for number in tables:
        lines = (reports / f"table{number}.md").read_text("utf-8").splitlines()
        notes |= dict.fromkeys(line for line in lines if line.startswith("[^"))
        texts.append("\n".join([f"## Table {number}\n", *(line for line in lines if line not in notes)]).rstrip())
        if number == 4:
            with atomic_write(figure_beside(page)) as figure:
                shutil.copyfile(reports / "figure1.png", figure)
            texts[-1] += "\n\n![Figure 1: parameters against error](images/figure1.png)"
    head = page.read_text("utf-8").partition(WRITTEN)[0]
    write_text(page, head + WRITTEN + "\n" + "\n\n".join([*texts, "\n".join(notes)]) + "\n")
