"""Small data that tests share."""

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image as PillowImage

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
# Every kind of layer once: a step takes time by the layer.
SMALL: dict[str, Any] = {"depths": [1, 1, 1, 1], "widths": [8, 8, 16, 16]}


# The files whose tests take longest begin, so that the processes that share the suite by files end together.
LONG = (
    "test_lightning.py",
    "test_notebooks.py",
    "test_export.py",
    "test_docs.py",
    "test_experiments.py",
    "test_predictions.py",
    "test_datamodule.py",
    "test_loggers.py",
)


# What is imported stays for good: looking through it for garbage again and again takes a tenth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is noted of pictures stays out of the user's own folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def draw_pictures(root: Path) -> None:
    """A seeded folder tree as people have it: cutouts/{train,val} (RGBA), backgrounds/{train,val} (JPEG), and
    natural/{train,val}/{image,mask}."""
    rng = np.random.default_rng(0)
    for split, people in (("train", 6), ("val", 3)):
        for folder, count in (("cutouts", people), ("backgrounds", 4)):
            (root / folder / split).mkdir(parents=True)
            for i in range(count):
                name = root / folder / split / f"{i:02d}"
                noise = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
                picture = cv2.resize(noise, (100, 120), interpolation=cv2.INTER_CUBIC)
                if folder == "backgrounds":
                    PillowImage.fromarray(picture).save(name.with_suffix(".jpg"))
                else:
                    alpha = np.zeros((120, 100), np.uint8)
                    cv2.ellipse(alpha, (50, 70), (20 + 3 * i, 45), 0, 0, 360, 255, -1, cv2.LINE_AA)
                    soft = cv2.GaussianBlur(alpha, (5, 5), 0)
                    PillowImage.fromarray(np.dstack([picture, soft])).save(name.with_suffix(".png"))
                    for kind, pixels in (("image", picture), ("mask", 255 * np.asarray(alpha >= 128, np.uint8))):
                        (root / "natural" / split / kind).mkdir(parents=True, exist_ok=True)
                        PillowImage.fromarray(pixels).save(root / "natural" / split / kind / f"{i:02d}.png")


@pytest.fixture
def cutout_root(tmp_path: Path) -> Path:
    """What :func:`draw_pictures` draws."""
    root = tmp_path / "pictures"
    draw_pictures(root)
    return root


@pytest.fixture
def recipe_root(cutout_root: Path) -> Path:
    """The folders that the recipes of the weights read, with a picture for each pattern of names."""
    data = yaml.safe_load((EXPERIMENTS / "weights/sdnet-fast.yaml").read_text())["data"]
    for source in data["foregrounds"] + data["backgrounds"]:
        folder = Path(source["init_args"]["path"].replace("${data.root}", str(cutout_root)))
        patterns = source["init_args"].get("names", [])
        example = next((cutout_root / folder.parent.name / "train").glob("*0*"), cutout_root / "cutouts/train/00.png")
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in [] if isinstance(patterns, str) else patterns:
            shutil.copy(example, folder / (pattern.replace("*", "0") + example.suffix))
    shutil.copytree(cutout_root / "cutouts/val", cutout_root / "people/val")
    shutil.copytree(cutout_root / "backgrounds/val", cutout_root / "backgrounds/val2")
    shutil.copytree(cutout_root / "natural", cutout_root / "photos")
    for labels in ("alpha", "known"):
        shutil.copytree(cutout_root / "natural/train/mask", cutout_root / "natural/train" / labels)
    shutil.copytree(cutout_root / "natural", cutout_root / "labelled")
    return cutout_root


def procedural_benchmark() -> dict[str, object]:
    init_args = {"length": 3, "size": 64, "seed": 1}
    sources = {
        kind: {"class_path": f"sdnet_pl.data.Procedural{name}", "init_args": init_args}
        for kind, name in (("foregrounds", "Portraits"), ("backgrounds", "Backgrounds"))
    }
    return {"class_path": "sdnet_pl.data.CompositeBenchmark", "init_args": sources}


@pytest.fixture(params=["spawn"])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    """Processes start as on macOS and Windows, with nothing of this one."""
    before = torch.multiprocessing.get_start_method()
    torch.multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    torch.multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def compose(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Any]:
    """Makes the network and the data of a command line as for its run, which does not begin: an ``SDNetCLI``."""
    from sdnet_pl.cli import main
    from sdnet_pl.cli.lightning import SDNetCLI

    def composed(arguments: list[str]) -> SDNetCLI:
        made: list[SDNetCLI] = []
        with monkeypatch.context() as patch:
            patch.setattr(SDNetCLI, "_run_subcommand", lambda self, command: made.append(self))
            assert main(arguments) == 0
        return made[0]

    return composed


@pytest.fixture(scope="session")
def tiny_fit() -> Callable[..., list[str]]:
    """Arguments of a fit that takes seconds: four steps an epoch, at 64 pixels."""

    def arguments(run_dir: Path, *more: str) -> list[str]:
        settings = {
            "model.preset": "sdnet-tiny",
            "model.network": json.dumps(SMALL),
            "data.size": 64,
            "data.batch_size": 2,
            "data.samples_per_epoch": 8,
            "data.workers": 0,
            "data.validation": json.dumps({"held_out": procedural_benchmark()}),
            "trainer.max_epochs": 1,
            "trainer.accelerator": "cpu",
            "trainer.log_every_n_steps": 1,
            "trainer.enable_progress_bar": "false",
            "run_dir": run_dir,
        }
        return ["fit", *(f"--{key}={value}" for key, value in settings.items()), *more]

    return arguments


@pytest.fixture(scope="session")
def trained(tiny_fit: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with averaged weights and without self-distillation, to look at but not to touch."""
    from sdnet_pl.cli import main

    run = tmp_path_factory.mktemp("trained") / "run"
    more = ["--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging", "--model.distillation=none"]
    assert main(tiny_fit(run, *more)) == 0
    return run


def leave_figures_empty(patch: pytest.MonkeyPatch) -> None:
    """Those of the runs of this process: drawing them is half of a small fit."""
    from matplotlib.figure import Figure

    from sdnet_pl.lit import callbacks

    for name in ("panel_figure", "curves_figure", "histogram_figure", "worst_figure"):
        patch.setattr(callbacks, name, lambda *_, **__: Figure(figsize=(1, 1)))


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at no figure of their runs."""
    leave_figures_empty(monkeypatch)
