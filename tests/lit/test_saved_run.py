"""A run's config: it repeats the run from anywhere, and overrides reach what refers to them."""

import csv
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import Namespace

from sdnet_pl.cli import main
from sdnet_pl.cli.lightning import _warn_of_an_idle_root
from sdnet_pl.data import MattingDataModule
from sdnet_pl.data.config import find_benchmark
from sdnet_pl.data.image_io import write_png
from sdnet_pl.reporting.saved_config import read_config

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def scores(run: Path) -> dict[str, str]:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        return next(csv.DictReader(stream))


@pytest.mark.usefixtures("blank_figures")
def test_a_run_is_scored_again_from_anywhere_and_with_data_elsewhere(
    cutout_root: Path, tiny_fit: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A relative root, a second config, sizes that refer to one another; data that move, other data, a variable."""
    monkeypatch.delenv("SDNET_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/more.yaml").write_text("data: {validation: {cutouts: {init_args: {size: '${data.size}'}}}}", "utf-8")
    small = [a for a in tiny_fit(Path("run"), "--trainer.limit_train_batches=1") if "validation" not in a]
    files = [f"--config={EXPERIMENTS / 'quickstart/cutouts.yaml'}", "--config=mine/more.yaml", "--data.root=pictures"]
    run = tmp_path / "run"
    assert main(["fit", *files, *small[1:]]) == 0
    first = scores(run)
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    assert config["data"]["foregrounds"][0]["init_args"]["path"] == "${data.root}/cutouts/train"
    assert config["data"]["validation"]["cutouts"]["init_args"]["size"] == "${data.size}"
    assert read_config(run / "config.yaml")["data"]["root"] == str(cutout_root)
    assert len(yaml.safe_load((run / "benchmarks/cutouts.yaml").read_text("utf-8"))["pairs"]) == 9

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ["test", f"--config={run / 'config.yaml'}", f"--ckpt_path={run / 'best.ckpt'}"]
    assert main([*again, f"--run_dir={tmp_path / 'again'}"]) == 0
    assert scores(tmp_path / "again") == first

    other = tmp_path / "other"
    shutil.copytree(cutout_root, other)
    write_png(other / "cutouts/val/00.png", torch.full((120, 100, 4), 200, dtype=torch.uint8).numpy())
    cutout_root.rename(tmp_path / "moved")
    assert main([*again, f"--run_dir={tmp_path / 'there'}", f"--data.root={other}"]) == 0
    assert scores(tmp_path / "there")["hash"] != first["hash"]
    recorded = read_config(tmp_path / "there" / "config.yaml")["data"]
    assert recorded["validation"]["cutouts"]["init_args"]["foregrounds"]["init_args"]["path"] == f"{other}/cutouts/val"

    def hash_of(config: Path, root: Path | None = None) -> str:
        return find_benchmark("cutouts", [config], None if root is None else str(root)).hash

    assert hash_of(run / "config.yaml", tmp_path / "moved") == first["hash"]
    monkeypatch.setenv("SDNET_DATA", str(tmp_path / "moved"))
    assert hash_of(run / "config.yaml") == first["hash"]
    assert hash_of(tmp_path / "there" / "config.yaml") == first["hash"]
    monkeypatch.delenv("SDNET_DATA")
    assert hash_of(tmp_path / "there" / "config.yaml") == scores(tmp_path / "there")["hash"]


def test_a_printed_config_keeps_its_references(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    files = [f"--config={EXPERIMENTS / name}" for name in ("base/paper.yaml", "base/p3m500.yaml")]
    more = tmp_path / "more.yaml"  # as PowerShell redirects text into a file
    more.write_bytes("data: {predict: Łódź}".encode("utf-16"))
    with pytest.raises(SystemExit):
        main(["fit", *files, f"--config={more}", "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["predict"] == "Łódź"
    assert printed["data"]["root"] == "${oc.env:SDNET_DATA,data}"
    assert printed["data"]["foregrounds"][0]["init_args"]["path"] == "${data.root}/adobe/train"
    assert printed["data"]["test"]["p3m-500-p"]["init_args"]["path"] == "${data.root}/p3m10k/test/P3M-500-P"


def test_a_root_that_reaches_nothing_is_no_silent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As with the configs that older versions saved, in which every folder is named in full."""
    sources = {"foregrounds": [Namespace(class_path="x", init_args=Namespace(path="/old/cutouts"))], "root": "/other"}
    monkeypatch.setattr("sys.argv", ["sdnet-pl", "fit", "--data.root=/other"])
    with pytest.warns(
        UserWarning, match=r"--data.root /other reaches nothing: .* such as /old/cutouts; write \$\{data"
    ):
        _warn_of_an_idle_root(Namespace(sources))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_an_idle_root(Namespace(sources | {"root": "/old"}))
        _warn_of_an_idle_root(Namespace(root="/other", foregrounds=[]))
        monkeypatch.setattr("sys.argv", ["sdnet-pl", "fit"])
        _warn_of_an_idle_root(Namespace(sources))


def test_one_seed_changes_the_samples_too(
    tiny_fit: Callable[..., list[str]], compose: Callable[[list[str]], Any], tmp_path: Path
):
    """Unless they have one of their own."""

    def composed(*seeds: str) -> MattingDataModule:
        data: MattingDataModule = compose(tiny_fit(tmp_path / "run", *seeds)).datamodule
        data.trainer = None
        data.setup("fit")
        return data

    def sample(*seeds: str) -> torch.Tensor:
        return composed(*seeds).training[0]["foreground"]

    first, second = sample(), sample("--seed_everything=1")
    assert not torch.equal(first, second)
    assert torch.equal(sample("--seed_everything=1", "--data.seed=0"), first)
    assert torch.equal(sample("--seed_everything=0", "--data.seed=1"), second)
    assert torch.equal(sample("--seed_everything=false"), first)
    assert composed("--seed_everything=true").seed == int(os.environ["PL_GLOBAL_SEED"])  # drawn, and one for everything
