"""What the tests of `matte` share: photos, a network that takes no time, and calls of the command."""

import argparse
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from torch import nn

from sdnet_pl.cli import matte


class Red(nn.Module):
    def forward(self, x):
        return x[:, :1]


@pytest.fixture
def network():
    """The class of the network that `loads` gives."""
    return Red


@pytest.fixture
def loads(monkeypatch):
    """Stands in for the checkpoint of a trained network, and counts how often it is loaded."""
    calls: list[object] = []

    def load_weights(path):
        calls.append(path)
        return Red(), 64

    monkeypatch.setitem(sys.modules, "sdnet_pl.inference.weights", SimpleNamespace(load_weights=load_weights))
    return calls


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "best.ckpt").touch()
    return tmp_path / "best.ckpt"


@pytest.fixture
def photos(tmp_path):
    for number, name in enumerate(("a.jpg", "b.png", "sub/a.webp")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((40 + number, 70, 3), 40 * number, np.uint8)
        pixels[10:30, 10:50] = 255
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def call(*arguments):
    parser = argparse.ArgumentParser()
    matte.add_arguments(parser)
    return matte.run(parser.parse_args([str(argument) for argument in arguments]))


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
