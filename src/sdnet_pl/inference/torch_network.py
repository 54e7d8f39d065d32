"""A network in PyTorch, as a function from pictures to alphas."""

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from sdnet_pl.errors import InputError
from sdnet_pl.nn import SDNet, fold_batch_norm

logger = logging.getLogger(__name__)


class TorchNetwork:
    """A network of PyTorch in its form for inference.

    Args:
        model: takes RGB float ``[B, 3, H, W]`` in [0, 1] with both sides at least 32, gives alpha ``[B, 1, H, W]`` in
            [0, 1]. An SDNet is copied in its form for inference; another network is itself moved to the device, to
            channels_last and to evaluation.
        device: such as ``"cpu"``, ``"cuda:1"`` or ``"mps"``; by default the GPU if there is one. Logged at INFO.

    Raises:
        InputError: this machine has no such device.
    """

    def __init__(self, model: torch.nn.Module, device: str | None = None) -> None:
        self.device = choose_device(device)
        if isinstance(model, SDNet):
            model = fold_batch_norm(model)
        # The faster layout, on a CPU too.
        laid_out = model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: torch.nn.Module = laid_out.eval()
        logger.info("Matting with PyTorch on %s.", self.device)

    @torch.inference_mode()
    def __call__(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Alphas ``[B, 1, H, W]`` of RGB ``[B, 3, H, W]`` in [0, 1], with the trimap as fourth channel."""
        alpha: NDArray[np.float32] = self.model(torch.from_numpy(pictures).to(self.device)).float().cpu().numpy()
        return alpha


def choose_device(name: str | None = None) -> torch.device:
    """The device of that name, by default the GPU if there is one and the CPU otherwise.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # An unknown name, a build without CUDA (AssertionError) and a missing GPU raise different types.
    except Exception as error:
        raise InputError(
            f"device {name!r} is not available here; give cpu, or cuda where a GPU is installed."
        ) from error
    return device
