"""Which runtime and device a network runs on. ONNX Runtime needs no import of PyTorch, which takes seconds."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sdnet_pl.errors import InputError
from sdnet_pl.inference.predictor import MattePredictor, Network
from sdnet_pl.inference.pretrained import (
    BACKENDS,
    DEFAULT,
    FOLDER,
    QUALITIES,
    SECOND,
    check_damage,
    locate,
    pretrained_weights,
)

GPU_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")
"""One of these exists on Linux where PyTorch can find a GPU: NVIDIA's driver, Jetson, WSL2, and ROCm."""


class Engine(NamedTuple):
    """A network ready to run.

    Attributes:
        network: alphas of pictures.
        size: longer side in pixels of the pictures that it has learned.
        trimap: whether it takes a trimap as fourth channel.
        weights: what it was loaded from.
        second: the network with a trimap that refines the alphas of one without, where the quality is ``best``.
    """

    network: Network
    size: int
    trimap: bool
    weights: str | Path
    second: Network | None = None

    def predictor(self, size: int | None = None, trimaps: bool = False) -> MattePredictor:
        """What mattes photos.

        Args:
            size: at which the network sees them; by default the one that it has learned.
            trimaps: whether a trimap comes with each.

        Raises:
            InputError: the network does not take photos so, or the size is too small.
        """
        self.check_trimap(trimaps)
        return MattePredictor(self.network, size or self.size, second=self.network if self.trimap else self.second)

    def check_trimap(self, given: bool) -> None:
        """Refuse photos that come with a trimap, or without one, where the network does not take them so.

        Raises:
            InputError: as said.
        """
        if self.trimap and not given:
            raise InputError(
                f"{self.weights} holds a network that needs a trimap beside each photo; give trimaps, or weights "
                f"trained without them, such as {DEFAULT}."
            )
        if given and not self.trimap and self.second is None:
            raise InputError(
                f"{self.weights} holds a network that takes no trimap; leave trimaps out, give the weights {SECOND}, "
                "or the quality best."
            )


def open_engine(
    weights: str | Path = DEFAULT,
    device: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    quality: str = "fast",
) -> Engine:
    """Load a network for inference, and say at INFO where it runs.

    Args:
        weights: a name that ships, a checkpoint of a run, or a .safetensors or .onnx file of ``sdnet-pl export``.
        device: such as ``cpu``, ``cuda:1`` or ``mps``; by default the GPU where there is one.
        backend: ``onnx`` (ONNX Runtime) or ``torch``; by default ONNX Runtime on a CPU where the weights exist as ONNX.
        threads: of ONNX Runtime for one picture; by default as many as there are cores.
        quality: ``fast``, or ``best`` for a second pass: see :mod:`sdnet_pl.inference.two_pass`.

    Raises:
        InputError: the file, the device, the backend or the quality is wrong, or they do not go together.
    """
    return choose_engine(weights, device, backend, threads, quality)()


def choose_engine(
    weights: str | Path, device: str | None, backend: str | None, threads: int | None, quality: str = "fast"
) -> Callable[[], Engine]:
    """Check the arguments of :func:`open_engine`, and return what then loads the network."""
    if quality not in QUALITIES:
        raise InputError(f"quality {quality!r} does not exist; give {' or '.join(QUALITIES)}.")
    if quality == "best":
        first, second = (choose_engine(name, device, backend, threads) for name in (weights, SECOND))
        return lambda: first()._replace(second=second().network)
    if backend not in (None, *BACKENDS):
        raise InputError(f"backend {backend!r} does not exist; give {' or '.join(BACKENDS)}.")
    file = onnx_file(weights)
    if backend == "onnx" and file is None:
        raise InputError(
            f"{weights} is not an ONNX file; write one with sdnet-pl export MODEL.onnx --weights {weights}, or give "
            "the backend torch."
        )
    if backend == "torch" and Path(weights).suffix == ".onnx":
        raise InputError(f"{weights} is an ONNX file, which PyTorch does not run; leave out the backend torch.")
    if file is not None and backend != "torch" and (backend or Path(weights).suffix == ".onnx" or _on_cpu(device)):
        from sdnet_pl.inference.onnx_network import check_device

        check_device(device or "cpu")
        return partial(_open_onnx, weights, file, device or "cpu", threads)

    from sdnet_pl.inference.torch_network import choose_device

    return partial(_open_torch, weights, str(choose_device(device)))


def _open_onnx(weights: str | Path, file: Path, device: str, threads: int | None) -> Engine:
    from sdnet_pl.inference.onnx_network import OnnxNetwork

    check_damage(file)
    network = OnnxNetwork(file, device, threads)
    return Engine(network, network.size, network.trimap, weights)


def _open_torch(weights: str | Path, device: str) -> Engine:
    from sdnet_pl.inference.torch_network import TorchNetwork
    from sdnet_pl.inference.weights import load_weights

    model, size = load_weights(weights)
    return Engine(TorchNetwork(model, device), size, getattr(model, "trimap", False), weights)


def onnx_file(weights: str | Path) -> Path | None:
    """The ONNX form of weights, where there is one: of those that ship, or a file that ends in .onnx.

    Raises:
        InputError: neither such a name nor such a file exists.
    """
    file = locate(weights)
    if str(weights) in pretrained_weights():
        file = FOLDER / f"{weights}.onnx"
    return file if file.suffix == ".onnx" and file.exists() else None


def _on_cpu(device: str | None) -> bool:
    """Whether PyTorch would choose the CPU, without importing it where the answer is plain."""
    if device is not None:
        return device == "cpu"
    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return True
    from sdnet_pl.inference.torch_network import choose_device

    return choose_device().type == "cpu"
