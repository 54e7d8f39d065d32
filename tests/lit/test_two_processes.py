"""A step of two processes is the step that one takes with twice the batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.nn
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor, nn

from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.sources.folders import MaskFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.lit.module import SDNetModule
from tests import forked
from tests.conftest import SMALL


class Synchronised(nn.BatchNorm2d):
    """What SyncBatchNorm computes, which PyTorch has for GPUs alone; by the definition of mean and variance."""

    def forward(self, x: Tensor) -> Tensor:
        def over_all(values: Tensor) -> Tensor:
            mean = values.mean(dim=(0, 2, 3), keepdim=True)
            return torch.distributed.nn.all_reduce(mean) / torch.distributed.get_world_size()

        mean = over_all(x)
        variance = over_all((x - mean).square())
        normal = (x - mean) / (variance + self.eps).sqrt()
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class OneStep(SDNetModule):
    """Leaves the gradients of its first step in a file."""

    def __init__(self, file: Path, synchronised: bool) -> None:
        torch.manual_seed(0)
        super().__init__("sdnet-tiny", network=SMALL)
        self.file = file
        for norm in [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)] if synchronised else []:
            norm.__class__ = Synchronised

    def on_after_backward(self) -> None:
        if self.trainer.is_global_zero:
            torch.save({name: p.grad for name, p in self.named_parameters()}, self.file)


def one_step(file: Path, photos: Path, devices: int, accelerator: str = "cpu") -> None:
    """In double precision, so that the order of a sum hardly matters; the objective is in single precision."""
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        sync_batchnorm=accelerator == "gpu",
        precision="64-true",
        max_steps=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    sources: dict[str, Any] = {
        "foregrounds": [ProceduralPortraits(4, 64)],
        "backgrounds": [ProceduralBackgrounds(4, 64)],
        "photos": [MaskFolder(str(photos), band=0.1)],
    }
    data = MattingDataModule(
        **sources, size=64, batch_size=4 // devices, samples_per_epoch=4, photo=0.5, degradation=0, workers=0, seed=1
    )
    trainer.fit(OneStep(file, devices > 1 and accelerator == "cpu"), datamodule=data)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Masks of squares, large and small: the loss leaves out a band, which takes another share of each photo."""
    for number in range(4):
        mask = np.zeros((90, 70), np.uint8)
        mask[30 : 40 + 10 * number, 5 : 15 + 10 * number] = 255
        noise = np.random.default_rng(number).integers(0, 256, (90, 70, 3), dtype=np.uint8)
        for folder, pixels in (("image", noise), ("mask", mask)):
            (tmp_path / "photos" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "photos" / folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "accelerator",
    ["cpu", pytest.param("gpu", marks=pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs"))],
)
def test_two_processes_have_the_gradients_of_twice_the_batch(tmp_path: Path, photos: Path, accelerator: str):
    """Every term of the objective is a mean over all pixels, of photos with an unknown band too, and not over those
    that are known: processes whose photos have other shares of these still weigh alike."""
    files = {count: tmp_path / f"{count}.pt" for count in (1, 2)}
    for count, file in files.items():
        assert forked.run(lambda n=count, f=file: one_step(f, photos, n, accelerator), count) == [0] * count  # type: ignore[misc]
    one, two = (torch.load(file, weights_only=True) for file in files.values())
    assert one.keys() == two.keys()
    whole = torch.cat([gradient.flatten() for gradient in one.values()]).norm()
    differences = torch.cat([(one[name] - two[name]).flatten() for name in one])
    # Alphas are rounded to single precision before the loss: 6e-8 of each, summed over some layers.
    assert differences.norm() < 1e-5 * whole
