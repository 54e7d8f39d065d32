"""What W&B (offline), TensorBoard and a run's directory hold, read back from what they wrote."""

import csv
import errno
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from jsonargparse import Namespace
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import ArtifactRecord, Record  # type: ignore[attr-defined]

from sdnet_pl.cli import main
from sdnet_pl.cli.lightning import _name_wandb_run
from sdnet_pl.data import CutoutFolder
from sdnet_pl.inference.weights import load_weights
from sdnet_pl.lit.loggers import RunLog, same_size
from sdnet_pl.lit.model_card import _length, _source
from tests.conftest import leave_figures_empty

Fit = Callable[..., list[str]]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
MAD = "mad_whole"
PARAMETERS = 100_144  # of the network that `tiny_fit` trains
STRIP = 64, 4 * 64 + 3 * 2, 3


def records(folder: Path) -> Iterator[Record]:
    """The records of a run of W&B: blocks of 32 KiB as LevelDB's log has them, behind seven bytes of header."""
    (file,) = folder.glob("run-*.wandb")
    data, position, parts = file.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = 2**15 - position % 2**15
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(parts)
            parts = b""


class Offline:
    """A run of W&B as read from its file.

    Attributes:
        folder: Where it lies.
        id, name: Of the run.
        config, summary: As W&B would show them.
        history: What was logged, with the global step: ``{key: [(step, value), ...]}``.
        artifacts: By type.
        stats: Names of the system figures.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, object] = {}
        self.summary: dict[str, object] = {}
        self.history: dict[str, list[tuple[int, object]]] = {}
        self.artifacts: dict[str, list[ArtifactRecord]] = {}
        self.stats: set[str] = set()
        for record in records(folder):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.id, self.name = record.run.run_id, record.run.display_name
            elif kind == "config":
                self.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
            elif kind == "summary":
                for item in record.summary.update:
                    self.summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            elif kind == "history":
                self._add(record)
            elif kind == "artifact":
                self.artifacts.setdefault(record.artifact.type, []).append(record.artifact)
            elif kind == "stats":
                self.stats |= {item.key for item in record.stats.item}

    def _add(self, record: Record) -> None:
        found: dict[str, object] = {}
        for item in record.history.item:
            key, *rest = [item.key] if item.key else item.nested_key
            value = json.loads(item.value_json)
            if rest:
                found.setdefault(key, {})[rest[0]] = value  # type: ignore[index]
            else:
                found[key] = value
        step = found.get("trainer/global_step")
        assert isinstance(step, int)  # everything has its place on the axis
        for key, value in found.items():
            self.history.setdefault(key, []).append((step, value))

    def file(self, path: str) -> Path:
        return self.folder / "files" / path

    def table(self, key: str) -> list[dict[str, object]]:
        ((_, value),) = self.history[key]
        held = json.loads(self.file(value["path"]).read_text())  # type: ignore[index]
        return [dict(zip(held["columns"], row, strict=True)) for row in held["data"]]


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="module")
def run(tiny_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of two epochs with all loggers; beside it ``resumed/run``, the same and one more epoch."""
    folder = tmp_path_factory.mktemp("loggers")
    wandb = EXPERIMENTS / "base" / "wandb.yaml"
    both = [
        yaml.safe_load(wandb.read_text())["trainer"]["logger"],
        {"class_path": "TensorBoardLogger", "init_args": {"save_dir": "."}},
    ]
    (folder / "both.yaml").write_text(yaml.safe_dump({"trainer": {"logger": both}}))
    run, resumed = folder / "run", folder / "resumed" / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SILENT", "true")
        assert main(tiny_fit(run, f"--config={folder / 'both.yaml'}", "--trainer.max_epochs=2")) == 0
        shutil.copytree(run, resumed)
        leave_figures_empty(patch)
        more = ["--trainer.max_epochs=3", f"--ckpt_path={resumed / 'last.ckpt'}"]
        assert main(tiny_fit(resumed, f"--config={wandb}", *more)) == 0
    return run


@pytest.fixture(scope="module")
def offline(run: Path) -> list[Offline]:
    """The runs of W&B: the fit and its resumption."""
    return [Offline(sorted(place.glob("wandb/offline-run-*"))[-1]) for place in (run, run.parent / "resumed/run")]


@pytest.fixture(scope="module")
def tested(run: Path) -> Offline:
    """The run of W&B of a test of the fit's checkpoint, in ``test`` beside it."""
    wandb, folder = EXPERIMENTS / "base" / "wandb.yaml", run.parent / "test"
    scored = ["test", f"--config={run / 'config.yaml'}", f"--config={wandb}", f"--ckpt_path={run / 'best.ckpt'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SILENT", "true")
        leave_figures_empty(patch)
        assert main([*scored, f"--run_dir={folder}"]) == 0
    return Offline(*folder.glob("wandb/offline-run-*"))


def test_a_run_without_another_logger_says_where_it_errs(run: Path):
    each = table(run / "images.csv")
    assert [(row["benchmark"], row["image"]) for row in each] == [
        ("held_out", f"{i} over {j}") for i, j in ((0, 2), (1, 1), (2, 2))
    ]
    mean = table(run / "metrics.csv")[0]
    for column in set(each[0]) - {"benchmark", "image"}:
        assert np.mean([float(row[column]) for row in each]) == pytest.approx(float(mean[column])), column
    for picture in ("errors.png", "worst.png"):
        assert pixels(run / picture).std() > 10  # something is drawn
    logged = table(run / "logs" / "version_0" / "metrics.csv")
    spread = [row for row in logged if row["val/held_out/mad_whole_max"]]
    assert len(spread) == 2
    for row in spread:
        median, p90, largest = (float(row[f"val/held_out/mad_whole_{key}"]) for key in ("median", "p90", "max"))
        assert 0 < median < p90 < largest < 1
        assert largest > float(row["val/held_out/mad_whole"])
    training = [row for row in logged if row["train/total"]]
    assert all(float(row["train/samples_per_second"]) > 0 for row in training)
    assert all(0.1 < float(row["train/memory_gb"]) < 50 for row in training)  # torch alone takes that


def test_the_card_tells_what_was_trained(run: Path):
    card = (run / "README.md").read_text()
    row = table(run / "metrics.csv")[0]
    for text in (
        "# sdnet-tiny",
        f"{PARAMETERS:,} parameters",
        "epochs 2, steps 8",
        "ProceduralPortraits",
        row["hash"],
        f"{1000 * float(row[MAD]):.4g}",
        "--config config.yaml",
        "follows the licences of the training data",
    ):
        assert text in card
    assert str(run.parent) not in card  # no path of a machine
    resumed = (run.parent / "resumed" / "run" / "README.md").read_text()
    assert "epochs 3, steps 12" in resumed
    assert "--config config-2.yaml" in resumed


def test_the_card_calls_data_by_their_folders_names(cutout_root: Path):
    cutouts = CutoutFolder(str(cutout_root / "cutouts" / "train"), weight=2.0)
    assert _source(cutouts, str(cutout_root)) == _source(cutouts, None) == "CutoutFolder: cutouts/train"
    assert _source(cutouts, str(cutout_root / "cutouts")) == "CutoutFolder: train"
    assert _length(cutouts) == "6"  # however often an epoch visits them


def test_wandb_gets_config_and_scores(run: Path, offline: list[Offline]):
    fit = offline[0]
    assert fit.name == "/".join(run.parts[-2:])
    assert fit.config["data"]["samples_per_epoch"] == 8  # type: ignore[index]
    assert fit.config["model"]["distillation_weight"] == 1.0  # type: ignore[index]
    assert fit.summary["test/held_out/mad_whole"] == pytest.approx(float(table(run / "metrics.csv")[0][MAD]))
    assert [step for step, _ in fit.history["val/mad"]] == [3, 7]
    assert len(fit.history["train/samples_per_second"]) == 8


def test_wandb_gets_the_panel_of_every_validation_under_one_key(run: Path, offline: list[Offline]):
    for key, steps, files in (
        ("val/panel", [4, 8], ["panels/step-0000004.png", "panels/step-0000008.png"]),
        ("test/panel", [8], ["panel.png"]),
    ):
        shown = offline[0].history[key]
        assert [step for step, _ in shown] == steps
        for (_, value), file in zip(shown, files, strict=True):
            assert value["captions"] == ["0 over 2; 1 over 1; 2 over 2"]  # type: ignore[index]
            (media,) = value["filenames"]  # type: ignore[index]
            np.testing.assert_array_equal(pixels(offline[0].file(media)), pixels(run / file))


@pytest.mark.parametrize("after", ["fit", pytest.param("test", marks=pytest.mark.slow)])
def test_wandb_gets_the_tables_and_the_worst_pictures(run: Path, after: str, request: pytest.FixtureRequest):
    """After a fit and after ``sdnet-pl test`` of its checkpoint alike."""
    found = request.getfixturevalue("offline")[0] if after == "fit" else request.getfixturevalue("tested")
    for row, expected in zip(found.table("test/benchmarks"), table(run / "metrics.csv"), strict=True):
        assert row["hash"] == expected["hash"]
        for column in set(expected) - {"benchmark", "hash", "method"}:
            assert row[column] == (pytest.approx(float(expected[column])) if expected[column] else None)
    ranked = sorted(table(run / "images.csv"), key=lambda row: -float(row[MAD]))
    each = found.table("test/held_out/per_image")
    assert [row["image"] for row in each] == [row["image"] for row in ranked]
    assert [row[MAD] for row in each] == pytest.approx([float(row[MAD]) for row in ranked])
    ((_, worst),) = cast(Any, found.history["test/held_out/worst"])
    assert worst["captions"] == [
        f"{row['image']}: MAD×1000 (whole image) {1000 * float(row[MAD]):.4g}" for row in ranked
    ]
    for row, media in zip(each, worst["filenames"], strict=True):
        assert pixels(found.file(media)).shape == STRIP
        assert row["picture"] is not None
    for _, value in found.history["test/held_out/mad_whole_of_images"]:
        assert sum(value["values"]) == 3
    steps = [step for step, _ in found.history.get("val/held_out/mad_whole_of_images", [])]
    assert steps == ([4, 8] if after == "fit" else [])


def test_wandb_gets_the_model_with_its_card(run: Path, offline: list[Offline]):
    (model,) = offline[0].artifacts["model"]
    assert model.description == (run / "README.md").read_text()
    scores = json.loads(model.metadata)["scores"]
    assert scores[0][MAD] == pytest.approx(float(table(run / "metrics.csv")[0][MAD]))
    held = {entry.path: Path(entry.local_path) for entry in model.manifest.contents}
    assert held.keys() == {"best.ckpt", "model.safetensors", "README.md", "config.yaml"}
    for file in held.values():
        assert run / "wandb" in file.parents  # a copy of its own: a resumed fit writes best.ckpt anew
    assert held["best.ckpt"].read_bytes() == (run / "best.ckpt").read_bytes()
    weights = run.parent / "model.safetensors"
    weights.write_bytes(held["model.safetensors"].read_bytes())
    network, size = load_weights(weights)
    assert size == 64
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS


def test_pictures_of_one_list_have_one_size():
    pictures = [np.full((height, width, 3), 7, np.uint8) for height, width in ((4, 9), (6, 5))]
    for padded, picture in zip(same_size(pictures), pictures, strict=True):
        assert padded.shape == (6, 9, 3)
        height, width = picture.shape[:2]
        assert (padded[:height, :width] == 7).all()
        assert (padded == 7).sum() == picture.size
        assert (padded[height:] == 255).all()


def test_wandb_records_the_system(offline: list[Offline]):
    assert any(name.startswith(("cpu", "memory", "proc.")) for name in offline[0].stats), offline[0].stats


def test_a_resumed_fit_is_a_run_of_its_own_offline(run: Path, offline: list[Offline]):
    """Synchronising a second offline run of one id would replace the first."""
    fit, resumed = offline
    assert fit.id != resumed.id
    assert len(list((run.parent / "resumed" / "run" / "wandb").glob("offline-run-*"))) == 2
    assert resumed.name == "resumed/run"
    assert [step for step, _ in resumed.history["val/panel"]] == [12]
    assert len(resumed.artifacts["model"]) == 1


@pytest.mark.slow
def test_a_test_is_a_run_of_its_own(run: Path, offline: list[Offline], tested: Offline):
    assert tested.id not in {part.id for part in offline}
    assert tested.name == "/".join((run.parent / "test").parts[-2:])
    assert "model" not in tested.artifacts
    assert not (run.parent / "test" / "README.md").exists()


def test_a_resumed_fit_that_streams_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("run-20260101_000000-aaaa", "run-20260102_000000-bb-b", "offline-run-20260103_000000-cccc"):
        (tmp_path / "wandb" / name).mkdir(parents=True)

    def named(resumed: bool = True, **settings: object) -> tuple[object, object]:
        arguments = Namespace(**{"name": None, "offline": False, "id": None, "version": None} | settings)
        _name_wandb_run(arguments, tmp_path, resumed)
        return arguments.name, arguments.id

    name = "/".join(tmp_path.parts[-2:])
    assert named() == (name, "bb-b")
    assert named(resumed=False) == (name, None)
    assert named(offline=True) == (name, None)
    assert named(name="mine", id="dddd") == ("mine", "dddd")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert named() == (name, None)


def test_tensorboard_gets_pictures_histograms_and_the_table(run: Path):
    (folder,) = {path.parent for path in run.rglob("events.out.tfevents.*")}
    log = EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0, "tensors": 0}).Reload()
    assert "val/held_out/mad_whole" in log.Tags()["scalars"]
    assert [image.step for image in log.Images("val/panel")] == [4, 8]
    assert [image.step for image in log.Images("test/panel")] == [8]
    assert [(log.Images(f"test/held_out/worst/{i:02d}")[0].width) for i in (1, 2, 3)] == [STRIP[1]] * 3
    for key, count in (("val/held_out/mad_whole_of_images", 2), ("test/held_out/mad_whole_of_images", 1)):
        found = log.Histograms(key)
        assert [histogram.histogram_value.num for histogram in found] == [3] * count
    errors = [float(row[MAD]) for row in table(run / "images.csv")]
    assert found[0].histogram_value.max == pytest.approx(max(errors))
    (text,) = log.Tensors("test/benchmarks/text_summary")
    assert table(run / "metrics.csv")[0]["hash"] in text.tensor_proto.string_val[0].decode()


def test_the_log_is_text_in_utf8_and_gains_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = RunLog(tmp_path, "logs", version=0)
    for step, (name, value) in enumerate([("a", 1.0), ("a", 2.0), ("val/Łódź/mad_whole", 0.5), ("a", 3.0)]):
        log.log_metrics({name: value}, step)
        log.save()
    log.save()
    file = tmp_path / "logs" / "version_0" / "metrics.csv"
    expected = "a,step,val/Łódź/mad_whole\n1.0,0,\n2.0,1,\n,2,0.5\n3.0,3,\n"
    assert file.read_bytes() == expected.encode()

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log.log_metrics({"a": 4.0}, 4)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.csv'"):
        log.save()
