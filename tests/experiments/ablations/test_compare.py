"""The ablations' runs: they resume, their scores are kept and not run again; what each row changes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from experiments.ablations import compare
from experiments.ablations.kept import MEASURES, Kept, slug
from experiments.ablations.peer import PeerModule, UNet
from experiments.ablations.rows import FIRST, ROWS, in_order
from experiments.ablations.train import AblationModule, AblationObjective
from sdnet_pl.cli import lightning
from sdnet_pl.launch import fits
from sdnet_pl.losses import MattingObjective
from sdnet_pl.nn import SDNet
from sdnet_pl.nn.ampa import AMPA
from tests.conftest import EXPERIMENTS, SMALL

MODULES = {"experiments.ablations.train": AblationModule, "experiments.ablations.peer": PeerModule}
UNET = "U-Net of equal time"


def batch() -> tuple[Tensor, dict[int, Tensor], Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    alpha = torch.rand(2, 1, 64, 64, requires_grad=True)
    sides = {i: torch.rand(2, 1, 128 // 2**i, 128 // 2**i, requires_grad=True) for i in (2, 3, 4)}
    target, foreground, background = torch.rand(2, 1, 64, 64), torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    return alpha, sides, target, foreground, background


def objective(
    teacher: Any = "side_outputs", stop: bool = True, told: tuple[int, ...] = (2, 3, 4), **options: Any
) -> AblationObjective:
    return AblationObjective(teacher, stop, told, **options)


@pytest.mark.parametrize("distillation", ["none", "best_teacher", "dense", "transitive"])
def test_without_a_change_the_objective_is_the_packages(distillation: Any):
    alpha, sides, *rest = batch()
    maps = [alpha, *sides.values()]
    found = objective(distillation=distillation, distillation_weight=3.0)(alpha, sides, *rest)
    expected = MattingObjective(distillation, distillation_weight=3.0)(alpha, sides, *rest)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    gradients = (torch.autograd.grad(terms["total"], maps) for terms in (found, expected))
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other)


def test_a_gradient_into_the_teacher_is_that_of_the_plain_cosine():
    alpha, sides, *rest = batch()
    terms = objective(stop=False, distillation="best_teacher")(alpha, sides, *rest)
    teacher = sides[2].flatten(1)
    up = [F.interpolate(sides[i], size=(32, 32), mode="bilinear").flatten(1) for i in (3, 4)]
    expected = torch.stack([1 - F.cosine_similarity(map_, teacher).mean() for map_ in up]).sum()
    torch.testing.assert_close(terms["distillation"], expected)
    gradients = (torch.autograd.grad(loss, list(sides.values())) for loss in (terms["distillation"], expected))
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other)


def test_who_is_not_told_the_truth_gets_no_gradient_of_it():
    alpha, sides, *rest = batch()
    terms = objective(told=(2,), distillation="none")(alpha, sides, *rest)
    gradients = torch.autograd.grad(terms["total"], list(sides.values()), allow_unused=True)
    assert [gradient is not None for gradient in gradients] == [True, False, False]


def test_alpha_teaches_every_side_output_and_is_not_taught():
    alpha, sides, *rest = batch()
    terms = objective("alpha", distillation="best_teacher", aux_weight=0.0)(alpha, sides, *rest)
    gradients = torch.autograd.grad(terms["distillation"], [alpha, *sides.values()], allow_unused=True)
    assert [gradient is not None for gradient in gradients] == [False, True, True, True]


def test_features_teach_channel_by_channel():
    alpha, sides, *rest = batch()
    taught = objective("features", distillation="best_teacher")
    taught.features = {f"dec{i}": torch.rand(2, 3, 128 // 2**i, 128 // 2**i) for i in (2, 3, 4)}
    cosines = [
        F.cosine_similarity(
            F.interpolate(taught.features[f"dec{i}"], size=(32, 32), mode="bilinear").flatten(2),
            taught.features["dec2"].flatten(2),
            dim=2,
        ).mean()
        for i in (3, 4)
    ]
    torch.testing.assert_close(taught(alpha, sides, *rest)["distillation"], 2 - sum(cosines))


def test_gates_are_held_open():
    torch.manual_seed(0)
    module = AblationModule(preset="sdnet-tiny", network=SMALL, open_gates=True)
    assert isinstance(module.model, SDNet)
    ampa, x = module.model.ampa["2"].eval(), torch.rand(1, 16, 8, 8)
    assert isinstance(ampa, AMPA)
    views = [ampa.squeeze[name](view(x)) for name, view in ampa.views.items()]
    torch.testing.assert_close(ampa(x), x + ampa.project(torch.stack(views).sum(0)))


def test_the_u_net_gives_alphas():
    sizes = {width: sum(p.numel() for p in UNet(width).parameters()) for width in (10, 16)}
    assert sizes[16] == pytest.approx(1.97e6, rel=0.01)  # of sdnet-fast
    alpha = UNet(10).eval()(torch.rand(1, 3, 97, 64))
    assert alpha.shape == (1, 1, 97, 64)
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_the_most_telling_runs_come_first():
    order = in_order([0, 1], list(ROWS))
    assert order[: 2 * len(FIRST)] == [(row, seed) for seed in (0, 1) for row in FIRST]
    assert sorted(order) == sorted((row, seed) for row in ROWS for seed in (0, 1))
    assert len({slug(row) for row in ROWS}) == len(ROWS)
    assert all(row.reference in (None, *ROWS) for row in ROWS.values())


def test_the_sweep_runs_the_same_rows(recipe_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the W&B agent fills its command in."""
    monkeypatch.chdir(EXPERIMENTS.parent)
    monkeypatch.setenv("SDNET_DATA", str(recipe_root))
    fitted: list[tuple[Path, list[str]]] = []

    def finish(folder: Path, arguments: list[str], module: str) -> None:
        fitted.append((folder, arguments))
        raise subprocess.CalledProcessError(1, module)

    monkeypatch.setattr(compare, "finish", finish)
    sweep = yaml.safe_load((EXPERIMENTS / "ablations/sweep.yaml").read_text())
    parameters = sweep["parameters"]
    assert parameters["rows"]["values"] == list(ROWS)
    python, m, module, *command = sweep["command"]
    assert (python, m, module) == ("python", "-m", compare.__name__)
    place = command.index("${args}")
    for row in parameters["rows"]["values"]:
        filled = [f"--rows={row}", "--seeds=1", f"--output={tmp_path}"]
        assert compare.main([*command[:place], *filled, *command[place + 1 :]]) == 1
        folder, arguments = fitted.pop()
        assert folder.parts[-2:] == (slug(row), "seed1")
        assert arguments[-1] == "--trainer.logger=WandbLogger"
        assert set(ROWS[row].settings) < set(arguments)
        assert "--data.samples_per_epoch=4000" in arguments


def test_missing_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("SDNET_DATA", str(tmp_path))
    (tmp_path / "cutouts/train").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        compare.main(["--root", str(tmp_path / "runs"), "-o", str(tmp_path)])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"{tmp_path} has no people/train, no backgrounds/train" in error
    assert "set SDNET_DATA" in error
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def clone(recipe_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configs at a scale of seconds, in the working directory."""
    root = tmp_path / "clone"
    for folder in ("weights", "ablations"):
        shutil.copytree(
            EXPERIMENTS / folder,
            root / "experiments" / folder,
            ignore=lambda _, names: {n for n in names if n[-5:] != ".yaml"},
        )
    (root / "experiments/weights/arms.txt").write_text("00\n03\n")
    scale = root / "experiments/ablations/scale.yaml"
    config = yaml.safe_load(scale.read_text())
    config["trainer"] |= {"max_epochs": 2, "log_every_n_steps": 1, "limit_val_batches": 2, "limit_test_batches": 2}
    config["model"] |= {"network": {"attention_norm": True, **SMALL}}
    config["data"] |= {"size": 64, "batch_size": 2}
    scale.write_text(yaml.safe_dump(config))
    monkeypatch.chdir(root)
    monkeypatch.setenv("SDNET_DATA", str(recipe_root))
    return root


def fit_here(command: list[str], **options: Any) -> None:
    """In this process: another one would import for seconds."""
    try:
        assert lightning.run(command[3:], MODULES[command[2]]) == 0
    except RuntimeError as error:
        raise subprocess.CalledProcessError(1, command) from error


@pytest.mark.usefixtures("blank_figures")
def test_a_run_that_was_stopped_resumes_and_is_kept(clone: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> None:
        commands.append(command)
        fit_here(command)

    monkeypatch.setattr(fits, "subprocess", SimpleNamespace(run=run))
    step = AblationModule.training_step
    arguments = ["--rows", "best teacher from half time on", "--seeds", "3", "--samples", "8", "-o", "kept"]
    weights: list[float] = []

    def stops(self: AblationModule, *args: Any) -> Tensor:
        weights.append(self.objective.distillation_weight)
        if self.global_step == 3 and len(commands) == 1:
            raise RuntimeError("the power fails")
        return step(self, *args)

    monkeypatch.setattr(AblationModule, "training_step", stops)
    assert compare.main(arguments) == 1
    assert "ended with exit status 1." in capsys.readouterr().err
    assert not Path("kept").exists()
    assert compare.main(arguments) == 0
    assert "--ckpt_path" in commands[1][-1]
    assert weights == [0, 0, 1, 1, 1, 1]  # the third and fourth step are taken again
    kept = Kept(Path("kept"))
    ((key, line),) = kept.runs.items()
    assert key == ("best teacher from half time on", 3)
    assert line["samples"] == "8"
    assert [point["step"] for point in kept.curves] == ["1", "3"]
    assert all(0 < float(point["cosine_2_3"]) <= 1 for point in kept.curves)
    for measure in MEASURES:
        pictures = kept.pictures(measure, *key[:1], [3])
        assert pictures.shape == (1, 4)  # two of each benchmark
        assert pictures.mean() == pytest.approx(float(line[measure.key]), rel=1e-3)
    monkeypatch.setattr(fits, "subprocess", None)  # nothing is left to run, whether or not the run is there
    shutil.rmtree("runs")
    assert compare.main(arguments) == 0
    with pytest.raises(SystemExit):
        compare.main([*arguments, "--samples", "16"])
    assert "with samples 8, and this call has samples 16" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("row", ROWS)
def test_every_row_trains(row: str, clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fits, "subprocess", SimpleNamespace(run=fit_here))
    assert compare.main(["--rows", row, "--seeds", "0", "--samples", "8", "-o", "kept"]) == 0
    line = Kept(Path("kept")).runs[row, 0]
    assert 0 < float(line["mad_whole"]) < 1
    config = (Path("runs/ablations") / slug(row) / "seed0/config.yaml").read_text()
    assert ("peer" in (Path("runs/ablations") / slug(row) / "seed0/metrics.csv").read_text()) == row.startswith("U-Net")
    assert ("open_gates: true" in config) == (row == "AMPA's gates held at 1")


KILLED = """
import os, signal, sys
from experiments.ablations import train
from sdnet_pl.cli import lightning

step = train.AblationModule.training_step

def killed(self, *arguments):
    if self.global_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)

train.AblationModule.training_step = killed
lightning.run(sys.argv[1:], train.AblationModule)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_a_run_that_was_killed_ends_as_one_that_was_not(clone: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = ["--rows", "best teacher", "--seeds", "0", "--samples", "8"]
    monkeypatch.setattr(fits, "subprocess", SimpleNamespace(run=fit_here))
    assert compare.main([*arguments, "--root", "whole", "-o", "whole/kept"]) == 0
    environment = {**os.environ, "PYTHONPATH": f"{EXPERIMENTS.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    statuses: list[int] = []

    def run(command: list[str], **options: Any) -> None:
        started = [sys.executable, "-c", KILLED, *command[3:]] if not statuses else command
        statuses.append(subprocess.run(started, env=environment).returncode)
        if statuses[-1]:
            raise subprocess.CalledProcessError(statuses[-1], command)

    monkeypatch.setattr(fits, "subprocess", SimpleNamespace(run=run))
    assert compare.main([*arguments, "-o", "kept"]) == 1
    assert compare.main([*arguments, "-o", "kept"]) == 0
    assert statuses == [-signal.SIGKILL, 0]
    assert Kept(Path("kept")).runs == Kept(Path("whole/kept")).runs
