"""Two processes that write to one folder: nothing is lost, and the later one says why it stops.

Pipes tell each what the other has done.
"""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data import ProceduralPortraits
from sdnet_pl.data.files import LOCK
from sdnet_pl.data.image_io import read_rgba
from sdnet_pl.data.prepare.manifest import JOURNAL, MANIFEST
from sdnet_pl.errors import InputError
from sdnet_pl.launch import sweep
from tests.conftest import draw_pictures

# In the middle of what it does, the other process says so and waits for a line.
PAUSED = """
import sys
from sdnet_pl.cli import main
import {module} as module

work, paused = module.{name}, []

def pausing(*arguments, **options):
    result = work(*arguments, **options)
    if not paused:
        paused.append(True)
        print("paused", flush=True)
        sys.stdin.readline()
    return result

module.{name} = pausing
sys.exit(main(sys.argv[1:]))
"""
HOLDING = """
import sys
from pathlib import Path
from sdnet_pl.data.files import only_one

with only_one(Path(sys.argv[1]), "busy"):
    print("paused", flush=True)
    for line in sys.stdin:
        Path(sys.argv[1], "scores.csv").write_text(line.replace("|", chr(10)))
"""


@contextmanager
def paused(script: str, *arguments: object) -> "Iterator[subprocess.Popen[str]]":
    """Another process in the middle of its work; ``communicate`` lets it go on."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "paused\n", process.communicate()
        yield process
        if process.returncode is None:
            process.communicate()


def is_held(folder: Path) -> bool:
    command = [sys.executable, "-c", HOLDING, str(folder)]
    tried = subprocess.run(command, input="", capture_output=True, text=True)
    assert tried.returncode == 0 or tried.stderr.endswith("sdnet_pl.errors.InputError: busy\n")
    return tried.returncode != 0


def test_two_prepare_into_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    draw_pictures(tmp_path)
    source, target = tmp_path / "cutouts/train", tmp_path / "prepared"
    command = ["prepare", "cutouts", str(source), str(target), "--workers", "1"]
    script = PAUSED.format(module="sdnet_pl.data.prepare.workers", name="write_sample")
    with paused(script, *command) as first:
        before = {file: file.stat().st_mtime_ns for file in target.rglob("*")}
        half = target / f".{32 * 'a'}.png"  # as the first one writes it just now
        half.touch()
        assert main(command) == 2
        said = f"{target} is being prepared by another process; wait until it is done, or give another folder."
        assert capsys.readouterr().err == f"sdnet-pl: error: {said}\n"
        assert half.exists()
        half.unlink()
        assert {file: file.stat().st_mtime_ns for file in target.rglob("*")}.items() >= before.items()
        out, err = first.communicate("\n")
        assert first.returncode == 0, out + err
    assert len(json.loads((target / MANIFEST).read_text())["files"]) == 12
    assert not {LOCK, JOURNAL} & {file.name for file in target.iterdir()}
    assert main(command) == 0
    assert main(["prepare", "--verify", str(target)]) == 0


def test_two_matte_into_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Of the same photos both may, and of others of the same names the later one stops."""
    for number, folder in enumerate(("mine", "yours")):
        (tmp_path / folder).mkdir()
        Image.fromarray(ProceduralPortraits(size=64).load(number)[0]).save(tmp_path / folder / "a.png")
    out = tmp_path / "out"
    script = PAUSED.format(module="sdnet_pl.inference.batch", name="number_of")
    for folder, status in (("yours", 2), ("mine", 0)):
        with paused(script, "matte", tmp_path / "mine", "-o", out) as first:
            assert main(["matte", str(tmp_path / folder), "-o", str(out)]) == 0
            pixels = np.dstack(read_rgba(out / "a.png"))
            err = first.communicate("\n")[1]
            assert first.returncode == status, err
        if status:
            assert err.splitlines()[-1] == (
                f"sdnet-pl: error: {out / 'a.png'} was written by another call meanwhile, of another photo or with "
                "other options; give another folder with -o, or --overwrite to replace it."
            )
        np.testing.assert_array_equal(np.dstack(read_rgba(out / "a.png")), pixels)
        assert [file.name for file in out.iterdir()] == ["a.png"]
        (out / "a.png").unlink()


def test_two_sweeps_of_one_file(tmp_path: Path):
    file = Path(__file__).parents[1] / "experiments/sweeps/training.yaml"
    with paused(HOLDING, tmp_path / file.stem):
        with pytest.raises(InputError, match="belongs to a sweep that is running; wait for it, or name another --root"):
            sweep.run_sweep(file, tmp_path, 1)
        assert [path.name for path in (tmp_path / file.stem).iterdir()] == [LOCK]


def test_a_sweep_holds_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = Path(__file__).parents[1] / "experiments/sweeps/training.yaml"
    monkeypatch.setattr(sweep, "run_trial", lambda *_: float(is_held(tmp_path / file.stem)))
    assert next(iter(sweep.run_sweep(file, tmp_path, 1)[0].values())) == 1
    assert not is_held(tmp_path / file.stem)


def test_two_evaluations_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    from sdnet_pl.reporting.folder_scores import FolderScores

    alpha = ProceduralPortraits(size=64).load(0)[1]
    for folder in ("pred", "alpha"):
        (tmp_path / folder).mkdir()
        Image.fromarray(alpha).save(tmp_path / folder / "a.png")
    out = tmp_path / "out"
    command = ["evaluate", "--pred", f"{tmp_path}/pred", "--alpha", f"{tmp_path}/alpha", "--workers=0", "-o", str(out)]
    with paused(HOLDING, out):
        assert main(command) == 2
        said = f"{out} belongs to an evaluation that is running; name another folder with -o."
        assert capsys.readouterr().err == f"sdnet-pl: error: {said}\n"
        assert [file.name for file in out.iterdir()] == [LOCK]
    assert not out.exists()  # nothing was written
    held, score_all = [], FolderScores.score_all

    def scored(*arguments):
        held.append(is_held(out))
        return score_all(*arguments)

    monkeypatch.setattr(FolderScores, "score_all", scored)
    assert main(command) == 0
    assert held == [True]
    assert sorted(file.name for file in out.iterdir()) == ["benchmarks", "images.csv", "metrics.csv", "metrics.md"]


def test_two_ablations_into_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second waits for the lines of the first."""
    from experiments.ablations.kept import Kept

    (tmp_path / "images.csv").write_text("benchmark,image,mad_whole\ncutouts,anna over hill,0.1\n")
    (tmp_path / "metrics.csv").write_text("benchmark,hash,method\ncutouts,abc,network\n")
    monkeypatch.setattr(Kept, "_curve", lambda *_: [{"step": 1}])
    Kept(tmp_path / "other").add("first", 0, tmp_path, ["first", "second"])
    lines = (tmp_path / "other/scores.csv").read_text()
    flock = fcntl.flock
    with paused(HOLDING, tmp_path / "out") as other:

        def waiting(file, operation):
            if not operation & fcntl.LOCK_NB and other.returncode is None:
                other.communicate(lines.replace("\n", "|") + "\n")  # the first writes its lines and ends
            flock(file, operation)

        monkeypatch.setattr(fcntl, "flock", waiting)
        Kept(tmp_path / "out").add("second", 0, tmp_path, ["first", "second"])
    assert list(Kept(tmp_path / "out").runs) == [("first", 0), ("second", 0)]
