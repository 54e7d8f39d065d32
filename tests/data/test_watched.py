"""What is said of the sample at which a loader process fails or dies."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.cli import LightningCLI

from sdnet_pl.cli import main
from sdnet_pl.cli.lightning import SDNetCLI
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.dataset import MattingDataset
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits

make = MattingDataset.__getitem__


def data(workers: int) -> MattingDataModule:
    sources = {"foregrounds": [ProceduralPortraits(4, 64)], "backgrounds": [ProceduralBackgrounds(4, 64)]}
    module = MattingDataModule(**sources, size=64, batch_size=2, samples_per_epoch=8, seed=7, workers=workers)  # type: ignore[arg-type]
    module.setup("fit")
    return module


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_sample_names_it(monkeypatch: pytest.MonkeyPatch, workers: int):
    def fails(self: MattingDataset, number: int) -> object:
        return make(self, number) if number != 5 else 1 / 0

    monkeypatch.setattr(MattingDataset, "__getitem__", fails)
    with pytest.raises(ZeroDivisionError) as caught:
        list(data(workers).train_dataloader())
    said = "".join([str(caught.value), *getattr(caught.value, "__notes__", ())])  # in a process: a text of all this
    assert "It was training sample 5 of seed 7." in said


def test_a_loader_process_that_dies_names_its_sample(
    tiny_fit: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """As the system kills it when the memory is used up."""

    def dies(self: MattingDataset, number: int) -> object:
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(self, number)

    def fetch_all(cli: SDNetCLI, command: str) -> None:
        cli.datamodule.setup("fit")
        list(cli.datamodule.train_dataloader())

    monkeypatch.setattr(MattingDataset, "__getitem__", dies)
    monkeypatch.setattr(LightningCLI, "_run_subcommand", fetch_all)
    assert main(tiny_fit(tmp_path / "run", "--data.workers=2", "--data.seed=7")) == 2
    error = capsys.readouterr().err
    assert "sdnet-pl: error: A loader process died while it made training sample 5 of seed 7 (" in error
    assert "lower data.workers or set data.cache to false" in error
