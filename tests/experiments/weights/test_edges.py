"""The error of an alpha is divided by where it lies, and nothing is lost between the parts."""

from pathlib import Path

import numpy as np
import pytest

from experiments.weights.edges import at_half_resolution, by_place, main


def test_errors_are_found_where_they_were_made():
    true = np.zeros((80, 80), np.float32)
    true[:, :40] = 1
    true[:, 40] = 0.4
    wrong = true.copy()
    wrong[0, 40] += 0.2  # half-transparent
    wrong[1, 41] += 0.1  # the last row of the edge is at 40
    wrong[2, 45] += 0.3
    wrong[3, 60] += 0.4
    wrong[4, 75] += 0.5
    parts = {name: value * true.size for name, value in by_place(wrong, true).items()}
    expected = {"half-transparent": 0.2, "to 2 px": 0.1, "to 6 px": 0.3, "to 25 px": 0.4, "farther": 0.5}
    assert parts == pytest.approx({"all": 1.5, **expected}, abs=1e-4)
    assert by_place(true, true)["all"] == 0


def test_half_of_the_resolution_keeps_what_is_flat():
    flat = np.full((33, 20), 0.25, np.float32)
    assert np.allclose(at_half_resolution(flat), flat)


def test_the_table_has_the_truth_and_every_network(recipe_root: Path, capsys: pytest.CaptureFixture[str]):
    main(["sdnet-fast", "sdnet-fast-trimap", "--data", str(recipe_root), "--size", "64"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[0] for row in rows] == ["athletes"] * 4 + ["other people"] * 4
    for row in rows:
        total, *parts = map(float, row[2:])
        assert sum(parts) == pytest.approx(total, rel=0.01)  # four digits each
    # An alpha that is 0 or 1 errs only where the truth is neither.
    assert float(rows[0][2]) <= float(rows[2][2])
