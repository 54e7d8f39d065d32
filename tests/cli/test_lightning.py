"""The command line as a user sees it: what a run leaves, resuming, evaluation, errors."""

import csv
import itertools
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial, wraps
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from PIL import Image

from sdnet_pl.cli import lightning, main
from sdnet_pl.data import CompositeBenchmark, MattingDataModule, ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.errors import InputError
from sdnet_pl.inference.weights import load_weights, read_weights
from sdnet_pl.lit import SDNetModule
from sdnet_pl.lit.checkpoints import BestCheckpoint
from sdnet_pl.lit.module import _compiled
from tests.conftest import SMALL

Fit = Callable[..., list[str]]
pytestmark = pytest.mark.usefixtures("blank_figures")


def error_of(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sdnet-pl: error: ")]
    assert len(lines) == 1
    return lines[0]


def test_a_command_line_without_a_command_is_a_sentence():
    with pytest.raises(InputError, match="subcommand"):
        lightning.run([])


def test_a_run_leaves_everything_in_one_directory(trained: Path):
    names = {"best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "metrics.md", "images.csv", "README.md"}
    names |= {"curves.png", "panel.png", "errors.png", "worst.png"}
    assert names <= {path.name for path in trained.iterdir()}
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["model"]["preset"] == "sdnet-tiny"
    assert config["data"]["size"] == 64
    assert config["seed_everything"] == 0
    network, constant = csv.DictReader((trained / "metrics.csv").open())
    assert network["method"] == "network"
    assert 0 < float(network["mad_whole"]) < 1
    assert float(network["connectivity_unknown"]) > 0
    assert constant["method"] == "constant mean matte"
    benchmark = yaml.safe_load((trained / "benchmarks" / "held_out.yaml").read_text())
    assert network["hash"] == benchmark["hash"]
    assert len(benchmark["pairs"]) == 3
    assert network["hash"] in (trained / "metrics.md").read_text()
    for picture in ("curves.png", "panel.png"):
        assert np.asarray(Image.open(trained / picture)).std() > 10  # something is drawn
    assert len(list((trained / "panels").iterdir())) == 1


def test_loader_processes_that_share_nothing(trained: Path, tmp_path: Path, start_method: str):
    """With processes that are spawned scores are those without; those of a training are in tests/data."""
    config = [f"--config={trained / 'config.yaml'}", f"--ckpt_path={trained / 'best.ckpt'}", "--data.workers=1"]
    assert main(["test", *config, f"--run_dir={tmp_path / 'test'}"]) == 0
    assert (tmp_path / "test/metrics.csv").read_text() == (trained / "metrics.csv").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("start_method")
def test_photos_of_loader_processes_that_share_nothing(trained: Path, tmp_path: Path):
    Image.new("RGB", (70, 90), "red").save(tmp_path / "a.png")
    photos = [f"--data.predict={tmp_path / 'a.png'}", f"--ckpt_path={trained / 'best.ckpt'}"]
    for workers in (0, 1):
        assert main(["predict", *photos, f"--data.workers={workers}", f"--run_dir={tmp_path / str(workers)}"]) == 0
    alone, other = (np.asarray(Image.open(tmp_path / run / "predictions/a.png")) for run in "01")
    np.testing.assert_array_equal(alone, other)


def test_strategies_whose_scores_end_with_their_processes_are_refused(
    tiny_fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    more = ["--trainer.strategy=ddp_spawn", "--trainer.devices=2"]
    assert "take --trainer.strategy ddp" in error_of(capsys, tiny_fit(tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_the_checkpoint_holds_plain_values_and_loads(trained: Path):
    torch.load(trained / "best.ckpt", weights_only=True)
    model, size = load_weights(trained / "best.ckpt")
    assert size == 64
    assert not model.training
    held = torch.load(trained / "best.ckpt", weights_only=True)
    averaged = held["state_dict"]["model.encoder.stem.0.weight"]
    assert not torch.equal(averaged, held["current_model_state"]["model.encoder.stem.0.weight"])
    torch.testing.assert_close(model.encoder.stem[0].weight, averaged)  # inference uses the average


def losses(run: Path) -> list[dict[str, str]]:
    """All terms at every step."""
    with (run / "logs/version_0/metrics.csv").open() as log:
        rows = [row for row in csv.DictReader(log) if row["train/total"]]
    assert len(rows) == 4
    measured = ("train/samples_per_second", "train/memory_gb")
    return [{name: value for name, value in row.items() if name not in measured} for row in rows]


def test_the_saved_config_runs_again_to_the_same_losses_and_scores(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From another directory: what a run saves is enough to repeat it."""

    def contents(run: Path) -> dict[str, bytes]:
        return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = contents(trained)
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", str(trained / "config.yaml")]) == 0
    (again,) = (tmp_path / "runs" / "config").iterdir()
    assert (again / "metrics.csv").read_text() == (trained / "metrics.csv").read_text()
    assert losses(again) == losses(trained)
    versions = (trained / "config.yaml").read_text().partition("\n")[0]
    for name in ("torch", "numpy", "albumentations", "opencv-python-headless"):
        assert f", {name} {version(name)}" in versions
    assert contents(again).keys() == before.keys()
    assert contents(trained) == before  # nothing of the second run lands in the first one's directory


def test_the_best_checkpoint_is_that_of_the_highest_iou(compose, tiny_fit: Fit, tmp_path: Path, capsys):
    iou = "--checkpoint.monitor=val/held_out/iou_whole"
    for arguments, mode in (([iou], "max"), ([iou, "--checkpoint.mode=max"], "max"), ([], "min")):
        (best,) = compose(tiny_fit(tmp_path / "run", *arguments)).trainer.checkpoint_callbacks[:1]
        assert (type(best), best.mode) == (BestCheckpoint, mode)
    message = error_of(capsys, tiny_fit(tmp_path / "run", iou, "--checkpoint.mode=min"))
    assert "checkpoint.mode is min, and of val/held_out/iou_whole the maximum is the best; set it to max." in message
    assert "val/mad the minimum is" in error_of(capsys, tiny_fit(tmp_path / "run", "--checkpoint.mode=max"))
    stop = ["--trainer.callbacks=EarlyStopping", iou.replace("checkpoint", "trainer.callbacks")]
    assert "The mode of a callback is min" in error_of(capsys, tiny_fit(tmp_path / "run", *stop))
    compose(tiny_fit(tmp_path / "run", *stop, "--trainer.callbacks.mode=max"))


def test_the_last_checkpoint_is_that_of_the_last_epoch_whatever_it_scored(tiny_fit: Fit, tmp_path: Path):
    worse_and_worse = ["--checkpoint.monitor=step", "--trainer.max_epochs=3", "--checkpoint.save_top_k=2"]
    assert main(tiny_fit(tmp_path, *worse_and_worse)) == 0
    held = {path.stem: torch.load(path, weights_only=True) for path in tmp_path.glob("*.ckpt")}
    assert {name: checkpoint["global_step"] for name, checkpoint in held.items()} == {
        "best": 4,
        "step-0000008": 8,
        "last": 12,
    }
    # The scores and the card are those of the best one.
    pictures = CompositeBenchmark(ProceduralPortraits(3, 64, seed=1), ProceduralBackgrounds(3, 64, seed=1))
    errors = {}
    for name in ("best", "last"):
        network = load_weights(tmp_path / f"{name}.ckpt")[0]
        with torch.inference_mode():
            differences = [
                network(p["image"][None] / 255) - p["alpha"] / 255 for p in map(pictures.__getitem__, range(3))
            ]
        errors[name] = 1000 * float(torch.stack(differences).abs().mean())
    row = next(csv.DictReader((tmp_path / "metrics.csv").open()))
    # Metrics take alphas in 8 bits.
    assert 1000 * float(row["mad_whole"]) == pytest.approx(errors["best"], abs=1)
    assert abs(errors["best"] - errors["last"]) > 2
    assert "Of `best.ckpt`" in (tmp_path / "README.md").read_text()


def test_a_step_without_a_finite_gradient_is_skipped_and_counted(
    tiny_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    step, seen = SDNetModule.training_step, []

    def second_is_infinite(self: SDNetModule, batch: TrainingBatch, batch_idx: int) -> torch.Tensor:
        seen.append([p.detach().clone() for p in self.parameters()])
        loss = step(self, batch, batch_idx)
        return loss * torch.inf if batch_idx == 1 else loss

    monkeypatch.setattr(SDNetModule, "training_step", second_is_infinite)
    with pytest.warns(UserWarning, match="step 1 is skipped"):
        assert main(tiny_fit(tmp_path, "--trainer.gradient_clip_val=1.0")) == 0
    unchanged = [all(map(torch.equal, a, b)) for a, b in itertools.pairwise(seen)]
    assert unchanged == [False, True, False]
    rows = list(csv.DictReader((tmp_path / "logs" / "version_0" / "metrics.csv").open()))
    assert [row["train/skipped_steps"] for row in rows if row["train/total"]] == ["0.0", "1.0", "1.0", "1.0"]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["skipped_steps"] == 1


def test_training_starts_from_weights_and_they_are_scored(trained: Path, tiny_fit: Fit, tmp_path: Path, capsys):
    weights = tmp_path / "mine.safetensors"
    assert main(["export", str(weights), "--weights", str(trained / "best.ckpt"), "--licence", "CC0"]) == 0
    config = f"--config={trained / 'config.yaml'}"
    assert main(["test", config, f"--model.weights={weights}", f"--run_dir={tmp_path / 't'}"]) == 0
    ours, theirs = (next(csv.DictReader((run / "metrics.csv").open())) for run in (tmp_path / "t", trained))
    assert float(ours["mad_whole"]) == pytest.approx(float(theirs["mad_whole"]), abs=0.005)  # fp16

    Image.fromarray(np.zeros((90, 70, 3), np.uint8)).save(tmp_path / "a.png")
    arguments = [f"--data.predict={tmp_path / 'a.png'}", f"--run_dir={tmp_path / 'p'}"]
    assert main(["predict", *arguments, "--model.weights=sdnet-fast"]) == 0  # the network is the weights' own
    assert Image.open(tmp_path / "p" / "predictions" / "a.png").size == (70, 90)

    assert main(tiny_fit(tmp_path / "fit", f"--model.weights={weights}", "--model.lr=1e-30")) == 0
    started, before = load_weights(tmp_path / "fit" / "last.ckpt")[0], load_weights(weights)[0]
    for a, b in zip(started.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    licence = "CC0 (of the weights that training started from; the licences of its own training data apply too)"
    assert read_weights(tmp_path / "fit" / "best.ckpt").licence == licence
    tuned = tmp_path / "tuned.safetensors"
    assert main(["export", str(tuned), "--weights", str(tmp_path / "fit" / "best.ckpt")]) == 0
    assert read_weights(tuned).licence == licence
    assert f"licence of these weights: {licence}." in (tmp_path / "fit" / "README.md").read_text()
    again = SDNetModule("sdnet-tiny", network=SMALL, weights=str(tmp_path / "fit" / "best.ckpt"))
    assert again.licence == licence  # said once
    message = error_of(capsys, tiny_fit(tmp_path / "other", "--model.weights=sdnet-fast"))
    assert "holds weights of the preset 'sdnet-fast'" in message


def test_validate_test_and_predict_take_the_network_from_the_checkpoint(trained: Path, tmp_path: Path, capsys):
    checkpoint = str(trained / "best.ckpt")
    config = ["--config", str(trained / "config.yaml"), "--ckpt_path", checkpoint]
    assert main(["test", *config, "--run_dir", str(tmp_path / "t")]) == 0
    assert (tmp_path / "t" / "metrics.csv").read_text() == (trained / "metrics.csv").read_text()
    small = ["--data.size=64", "--trainer.limit_val_batches=2"]
    assert main(["validate", *small, "--ckpt_path", checkpoint, "--run_dir", str(tmp_path / "v")]) == 0

    photos = tmp_path / "photos" / "sub"
    photos.mkdir(parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)).save(photos / "a.jpg")
    arguments = ["--data.predict", str(photos.parent), "--ckpt_path", checkpoint, "--run_dir", str(tmp_path / "p")]
    arguments.append("--predictions.only_mask=true")
    assert main(["predict", *arguments]) == 0
    alpha = Image.open(tmp_path / "p" / "predictions" / "sub" / "a.png")
    assert (alpha.mode, alpha.size) == ("L", (70, 90))

    Image.fromarray(np.zeros((90, 70, 3), np.uint8)).save(photos / "a.png")
    before = (tmp_path / "p" / "predictions" / "sub" / "a.png").stat().st_mtime_ns
    (photos / "a.png").rename(photos / "b.png")
    capsys.readouterr()
    assert main(["predict", *arguments]) == 0  # continues with what is left
    assert (tmp_path / "p" / "predictions" / "sub" / "a.png").stat().st_mtime_ns == before
    assert (tmp_path / "p" / "predictions" / "sub" / "b.png").is_file()
    assert "1 prediction(s) of the same photos existed already" in capsys.readouterr().err
    Image.fromarray(np.zeros((80, 70, 3), np.uint8)).save(photos / "b.png")
    assert "of a photo that has changed or with other weights or options" in error_of(capsys, ["predict", *arguments])
    Image.fromarray(np.zeros((80, 70), np.uint8)).save(tmp_path / "p" / "predictions" / "sub" / "b.png")
    assert "was not written by sdnet-pl" in error_of(capsys, ["predict", *arguments])


def test_a_part_of_a_benchmark_does_not_carry_its_hash(trained: Path, tmp_path: Path):
    arguments = [f"--config={trained / 'config.yaml'}", f"--ckpt_path={trained / 'best.ckpt'}"]
    scored = [f"--run_dir={tmp_path / 't'}", "--trainer.limit_test_batches=2"]
    assert main(["test", *arguments, *scored]) == 0
    row = next(csv.DictReader((tmp_path / "t" / "metrics.csv").open()))
    assert (row["hash"], row["images"]) == ("partial", "2")


def test_a_directory_that_holds_something_is_not_written_into(
    trained: Path, tiny_fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "metrics.csv").write_text("mine")
    arguments = [f"--config={trained / 'config.yaml'}", f"--ckpt_path={trained / 'best.ckpt'}"]
    for command in (["test", *arguments], tiny_fit(tmp_path)):
        error = error_of(capsys, [*command, f"--run_dir={tmp_path}"])
        assert f"{tmp_path} holds other files already; name an empty --run_dir." in error
    before = (trained / "metrics.csv").read_bytes()
    error = error_of(capsys, ["validate", *arguments, f"--run_dir={trained}"])
    assert f"{trained} holds another run already; name an empty --run_dir" in error
    assert (trained / "metrics.csv").read_bytes() == before


def test_steps_without_a_number_of_epochs(tiny_fit: Fit, tmp_path: Path):
    assert main(tiny_fit(tmp_path, "--trainer.max_epochs=-1", "--trainer.max_steps=4")) == 0
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


def test_ctrl_c_during_a_fit(tiny_fit: Fit, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(SDNetModule, "training_step", interrupted)
    try:
        assert main(tiny_fit(tmp_path / "run")) == 130
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning has switched it off
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.md").exists()


def test_the_first_config_names_the_run(tiny_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("mine", "model: {lr: 1.0e-3}"), ("extra", "seed_everything: 3")):
        (tmp_path / f"{name}.yaml").write_text(text)
    small = [a for a in tiny_fit(tmp_path) if not a.startswith("--run_dir")]
    assert main([*small, "--config=mine.yaml", "--config", "extra.yaml", "--trainer.fast_dev_run=true"]) == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_predictions_are_not_kept_in_memory(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    returned = []
    predict = Trainer.predict

    @wraps(predict)
    def recorded(*args, **kwargs) -> None:
        returned.append(predict(*args, **kwargs))

    monkeypatch.setattr(Trainer, "predict", recorded)
    photos = trained / "panels"
    arguments = [f"--data.predict={photos}", f"--ckpt_path={trained / 'best.ckpt'}", f"--run_dir={tmp_path}"]
    assert main(["predict", *arguments]) == 0
    assert returned == [None]
    assert len(list((tmp_path / "predictions").iterdir())) == len(list(photos.iterdir()))


def test_a_trimap_network_trains_and_scores(tiny_fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(tiny_fit(tmp_path / "run", "--model.trimap=true")) == 0
    scores = next(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    # What the trimap tells counts as known, so all error lies in the unknown region.
    assert scores["sad_whole"] == scores["sad_unknown"]
    checkpoint = tmp_path / "run" / "best.ckpt"
    arguments = [f"--ckpt_path={checkpoint}", f"--data.predict={tmp_path}/run/panels", f"--run_dir={tmp_path / 'p'}"]
    assert "without trimaps" in error_of(capsys, ["predict", *arguments])


def test_half_precision(tiny_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = ["--model.schedule=cosine", "--trainer.gradient_clip_val=1.0", "--data.samples_per_epoch=4"]
    monkeypatch.setattr("sdnet_pl.lit.module.computes_in_bfloat16", lambda device: False)
    with pytest.warns(UserWarning, match="no bfloat16 instructions.* set trainer.precision to 32-true"):
        assert main(tiny_fit(tmp_path / "run", "--trainer.precision=bf16-mixed", *settings)) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "logs" / "version_0" / "metrics.csv").open()))
    losses = [float(row["train/total"]) for row in rows if row["train/total"]]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_loader_processes_get_cores_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    module, trainer = SDNetModule("sdnet-tiny"), Trainer(accelerator="cpu", logger=False)
    module.trainer = trainer
    data = MattingDataModule(workers=len(os.sched_getaffinity(0)))
    monkeypatch.setattr(SDNetModule, "data", data)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module.setup("fit")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


class TestBadInput:
    def test_unknown_key(self, capsys):
        message = error_of(capsys, ["fit", "--data.sizee=3"])
        assert "unrecognized arguments: --data.sizee=3; did you mean --data.size? `sdnet-pl COMMAND" in message

    def test_unknown_key_in_a_config(self, capsys, tmp_path: Path):
        (tmp_path / "c.yaml").write_text("data: {sizee: 3}")
        assert "'data.sizee'; did you mean data.size?" in error_of(
            capsys, ["fit", "--config", str(tmp_path / "c.yaml")]
        )

    def test_missing_config(self, capsys):
        assert "nowhere.yaml" in error_of(capsys, ["fit", "--config", "nowhere.yaml"])

    def test_missing_data(self, capsys):
        config = Path(__file__).parents[2] / "experiments" / "quickstart" / "cutouts.yaml"
        message = error_of(capsys, ["fit", "--config", str(config), "--data.root=/nowhere"])
        assert "/nowhere/cutouts/train does not exist; give a folder" in message

    def test_broken_picture_found_in_a_loader_process(self, capsys, cutout_root: Path, tiny_fit: Fit, tmp_path: Path):
        broken = cutout_root / "cutouts" / "train" / "00.png"
        broken.write_bytes(broken.read_bytes()[:300])
        config = Path(__file__).parents[2] / "experiments" / "quickstart" / "cutouts.yaml"
        small = [
            a
            for a in tiny_fit(tmp_path / "run", f"--data.root={cutout_root}")
            if not a.startswith(("fit", "--data.validation"))
        ]
        message = error_of(capsys, ["fit", "--config", str(config), *small, "--data.workers=1"])
        assert str(broken) in message
        assert "Traceback" not in message

    def test_checkpoint_of_another_preset(self, capsys, trained: Path):
        checkpoint = f"--ckpt_path={trained / 'best.ckpt'}"
        expected = "holds a network with preset 'sdnet-tiny', and preset 'sdnet' was asked for"
        assert expected in error_of(capsys, ["test", checkpoint, "--model.preset=sdnet"])
        assert expected in error_of(capsys, ["fit", checkpoint])
        message = error_of(capsys, ["test", checkpoint, "--model.trimap=true"])
        assert "trimap False, and trimap True was asked for" in message

    def test_no_checkpoint(self, capsys, tmp_path: Path):
        assert "There is no checkpoint nowhere.ckpt" in error_of(capsys, ["test", "--ckpt_path=nowhere.ckpt"])
        (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
        assert "not a checkpoint" in error_of(capsys, ["test", f"--ckpt_path={tmp_path / 'x.ckpt'}"])
        torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
        assert "holds no SDNet checkpoint" in error_of(capsys, ["test", f"--ckpt_path={tmp_path / 'foreign.ckpt'}"])

    @pytest.mark.parametrize("command", ["validate", "test", "predict"])
    @pytest.mark.parametrize("checkpoint", [[], ["--ckpt_path=last"]])
    def test_no_trained_network(self, capsys, command: str, checkpoint: list[str], tmp_path: Path):
        message = error_of(capsys, [command, *checkpoint, f"--run_dir={tmp_path / 'run'}", "--data.predict=."])
        assert "best.ckpt" in message
        assert not (tmp_path / "run").exists()

    def test_resuming_from_weights_alone(self, capsys, trained: Path, tiny_fit: Fit, tmp_path: Path):
        checkpoint = torch.load(trained / "last.ckpt", weights_only=True)
        del checkpoint["optimizer_states"]  # as save_weights_only leaves it
        torch.save(checkpoint, tmp_path / "weights.ckpt")
        message = error_of(capsys, tiny_fit(tmp_path / "run", f"--ckpt_path={tmp_path / 'weights.ckpt'}"))
        assert "weights.ckpt holds weights alone" in message

    def test_a_run_directory_that_cannot_be_written(self, capsys, tiny_fit: Fit, tmp_path: Path):
        (tmp_path / "file").touch()
        for run in (tmp_path / "file", tmp_path / "file" / "run"):
            assert f"{tmp_path / 'file'}" in error_of(capsys, tiny_fit(run))

    def test_a_used_run_directory(self, capsys, trained: Path, tiny_fit: Fit, tmp_path: Path):
        before = (trained / "best.ckpt").read_bytes()
        assert "holds another run already" in error_of(capsys, tiny_fit(trained))
        elsewhere = tiny_fit(tmp_path / "run", f"--checkpoint.dirpath={trained}")
        assert "holds another run already" in error_of(capsys, elsewhere)
        assert (trained / "best.ckpt").read_bytes() == before

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("--data.size=100", "multiple of 32"),
            ("--model.lr=-1", "learning rate"),
            ("--model.warmup_steps=-1", "warmup_steps"),
            ("--model.distillation=best", "distillation"),
            ("--model.preset=huge", "the presets are"),
            ("--model.network.foo=3", "foo"),
            ("--trainer.accelerator=gpu", "gpu"),
            ("--trainer.strategy=foo", "foo"),
            ("--trainer.precision=bf16-true", "bf16-mixed"),
            ("--model.lr=1e20", "diverged"),
            ("--trainer.limit_train_batches=0", "no batch to train on"),
        ],
    )
    def test_settings(self, capsys, tiny_fit: Fit, tmp_path: Path, setting: str, expected: str):
        if setting.endswith("gpu") and torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        assert expected in error_of(capsys, tiny_fit(tmp_path / "run", setting))


def test_module_entry_point():
    result = subprocess.run([sys.executable, "-m", "sdnet_pl", "--version"], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.startswith("sdnet-pl 0.")
    assert shutil.which("sdnet-pl", path=str(Path(sys.executable).parent))


TORCHRUN = [str(Path(sys.executable).with_name("torchrun")), "--nproc-per-node=2", "--standalone"]


@pytest.mark.parametrize(
    "launcher", [[sys.executable], pytest.param(TORCHRUN, marks=pytest.mark.slow)], ids=["ddp", "torchrun"]
)
def test_two_processes_train_into_one_directory_and_score_as_one(
    tiny_fit: Fit, tmp_path: Path, launcher: list[str], monkeypatch: pytest.MonkeyPatch
):
    """Three pictures on two processes: one process gets a padding picture, which must not count."""
    monkeypatch.undo()  # worst.png is to be the same
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two processes with threads for two cores each wait for one another
    one, two = tmp_path / "one", tmp_path / "two"
    fit = [a for a in tiny_fit(two, "--trainer.strategy=ddp", "--trainer.devices=2") if "enable_progress" not in a]
    result = subprocess.run([*launcher, "-m", "sdnet_pl", *fit], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "sync_dist" not in result.stderr  # a warning for each score
    assert {"best.ckpt", "config.yaml", "metrics.md", "panel.png"} <= {path.name for path in two.iterdir()}
    assert not (two / "config-2.yaml").exists()
    assert torch.load(two / "last.ckpt", weights_only=True)["global_step"] == 2  # 8 samples / 2 / 2
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as there: with more of them sums differ in their last digits
    try:
        assert main(["test", *tiny_fit(one)[1:], f"--ckpt_path={two / 'best.ckpt'}"]) == 0
    finally:
        torch.set_num_threads(threads)
    alone, both = (next(csv.DictReader((run / "metrics.csv").open())) for run in (one, two))
    assert both["images"] == alone["images"] == "3"
    for name, value in alone.items():
        if name not in ("benchmark", "hash", "method"):
            assert float(both[name]) == pytest.approx(float(value), rel=1e-6), name  # another order of summation
    # Every picture once, in the benchmark's order, with the scores and the worst pictures of both processes.
    assert (two / "images.csv").read_text() == (one / "images.csv").read_text()
    assert len((two / "images.csv").read_text().splitlines()) == 4
    for picture in ("worst.png", "errors.png"):
        assert (two / picture).read_bytes() == (one / picture).read_bytes()


@pytest.mark.parametrize("variable", ["TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"])
def test_launched_processes_must_share_a_run_directory(
    tiny_fit: Fit, variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv(variable, "1")
    monkeypatch.chdir(tmp_path)
    arguments = [a for a in tiny_fit(tmp_path) if not a.startswith("--run_dir")]
    assert "name one: --run_dir RUN" in error_of(capsys, arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_compiled_training_leaves_the_same_checkpoint(tiny_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With EMA and validation, at two sizes of crops; so an eager run may be resumed compiled."""
    graphs = []
    _compiled.cache_clear()

    # A backend that generates no code spares minutes.
    def traced(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=traced))
    common = ["--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging", "--data.samples_per_epoch=4"]
    common += ["--data.size=96", "--data.growing_sizes={1: 64}", "--trainer.max_epochs=2"]
    eager, whole = tmp_path / "eager", tmp_path / "compiled"
    assert main(tiny_fit(eager, *common)) == 0
    assert not graphs
    assert main(tiny_fit(whole, *common, "--model.compile=true")) == 0
    assert len(graphs) == 2  # one graph a size, without a break, for all steps
    for kind in ("state_dict", "current_model_state"):
        one, other = (torch.load(run / "last.ckpt", weights_only=True)[kind] for run in (eager, whole))
        assert one.keys() == other.keys()
        for name, value in one.items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6, msg=name)  # the same operations
    _compiled.cache_clear()  # holds this test's backend


@pytest.mark.slow
@pytest.mark.timeout(1200)  # code for the whole network, on a busy core
def test_a_compiled_step_has_the_gradients_of_an_eager_one():
    """By the backend that trains, unlike the test above."""
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    results = []
    for compile_ in (False, True):
        torch.manual_seed(1)
        module = SDNetModule("sdnet-tiny", network={"depths": [1, 1, 1, 1]}, compile=compile_)
        out = module.training_forward(images)
        torch.stack([o.square().mean() for o in (out.alpha, *out.side_alphas.values())]).sum().backward()
        results.append([out.alpha, *out.side_alphas.values(), *(p.grad for p in module.model.parameters())])
    for one, other in zip(*results, strict=True):
        assert one is not None
        assert other is not None
        # Fused loops sum in another order. The scale of a BatchNorm before another one has a gradient of zero but for
        # such rounding.
        assert (one - other).norm() <= 1e-3 * one.norm() + 1e-5


def test_no_checkpoint_holds_subnormal_weights(trained: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither the average nor the current weights; the run that resumes has what was saved."""
    for name in ("best.ckpt", "last.ckpt"):
        held = torch.load(trained / name, weights_only=True)
        for value in [*held["state_dict"].values(), *held["current_model_state"].values()]:
            magnitude = value.abs()
            assert not ((magnitude > 0) & (magnitude < torch.finfo(torch.float32).smallest_normal)).any()

    modules = [SDNetModule("sdnet-tiny"), SDNetModule("sdnet-tiny")]
    monkeypatch.setattr(SDNetModule, "data", SimpleNamespace(size_in_epoch=lambda epoch: 64))
    planted = torch.tensor([1e-40, -1e-40, 1e-37])
    average, current = (module.state_dict() for module in modules)
    for state in (average, current):
        state["model.decoder.head.weight"].view(-1)[:3] = planted
    modules[0].on_save_checkpoint({"state_dict": average, "current_model_state": current})
    for module in modules:
        weight = module.state_dict()["model.decoder.head.weight"].view(-1)
        assert torch.equal(weight[:3], planted * torch.tensor([0, 0, 1]))
        assert weight[3:].all()


def test_a_module_that_compiles_can_be_pickled():
    module = pickle.loads(pickle.dumps(SDNetModule("sdnet-tiny", compile=True)))
    assert module.compiled
