"""From a photo of any size to its alpha and its cut-out."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.foreground_colors import cut_out
from sdnet_pl.inference.closer import find_small
from sdnet_pl.inference.inputs import check_size, scale_down, to_input
from sdnet_pl.inference.two_pass import known_alpha, predicted_trimap, refine

if TYPE_CHECKING:
    import torch

SPECKS = 0.0002
"""Smallest part of a photo that counts as a person: one of a fortieth of its height."""

SHOWN = 20


class Network(Protocol):
    """What mattes: alphas ``[B, 1, H, W]`` in [0, 1] of RGB float32 ``[B, 3, H, W]`` in [0, 1].

    A network that takes a trimap has it as fourth channel: 0, 0.5 and 1.
    """

    def __call__(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The alphas."""


class MattePredictor:
    """Runs a matting network on photos, one at a time.

    Args:
        model: a network of ONNX Runtime (:class:`sdnet_pl.inference.onnx_network.OnnxNetwork`) or of PyTorch; a module
            is taken as :class:`sdnet_pl.inference.torch_network.TorchNetwork` takes it.
        size: photos are scaled down until their longer side is at most this, in pixels, at least 32. Memory and time
            follow from it, not from the photo.
        device: of a module, such as ``"cpu"`` or ``"cuda:1"``; by default the GPU where there is one.
        second: a network with a trimap. It takes the trimaps that come with photos, and refines the alphas of ``model``
            where none comes; it may be ``model`` itself where every photo has one.

    Raises:
        InputError: the size is too small, or there is no such device.
    """

    def __init__(
        self,
        model: "Network | torch.nn.Module",
        size: int = 512,
        device: str | None = None,
        second: "Network | torch.nn.Module | None" = None,
    ) -> None:
        check_size(size)
        self.size = size
        self.network: Network = _as_network(model, device)
        self.second: Network | None = None if second is None else _as_network(second, device)

    def alpha(self, image: NDArray[np.uint8], trimap: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
        """The opacity of the people: float32 ``[H, W]`` in [0, 1] for a photo uint8 ``[H, W, 3]``, RGB.

        A photo that shows little of them is looked at closer: see :mod:`sdnet_pl.inference.closer`. With a second
        network its alpha is refined: see :mod:`sdnet_pl.inference.two_pass`.

        Args:
            image: the photo.
            trimap: uint8 ``[H, W]`` of 0 (background), 128 (unknown) and 255 (person): the second network alone finds
                what is unknown, and what is known stays.
        """
        if trimap is not None:
            assert self.second is not None
            return refine(image, known_alpha(trimap), trimap, self.second)
        height, width = image.shape[:2]
        whole = self.look(image, self.size)
        alpha = find_small(image, whole, self.size, self.look)
        if alpha is None:
            alpha = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return alpha if self.second is None else refine(image, alpha, predicted_trimap(alpha), self.second)

    def look(self, image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        """The network's alpha of a picture whose longer side is scaled down to a size, at that scale: one pass."""
        padded, small = scale_down(image, size)
        return self.network(to_input(padded))[0, 0, : small[1], : small[0]].clip(0, 1)

    def cutout(self, image: NDArray[np.uint8], trimap: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The person with straight alpha, uint8 ``[H, W, 4]``, RGBA, for a photo uint8 ``[H, W, 3]``, RGB.

        Colours are the person's own, estimated where the photo shows old background through hair and edges, and black
        away from the person (:func:`sdnet_pl.data.foreground_colors.cut_out`).
        """
        return cut_out(image, self.alpha(image, trimap))


def shows_nobody(alpha: NDArray[np.uint8]) -> bool:
    """Whether an alpha, uint8 ``[H, W]``, is empty but for specks that are too small for a person."""
    return cv2.countNonZero(cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)[1]) < SPECKS * alpha.size


def nobody_found(photos: Sequence[str]) -> str:
    """What to say of photos without people: their names, up to twenty."""
    more = f" and {len(photos) - SHOWN} more" if photos[SHOWN:] else ""
    return f"nobody found in {', '.join(photos[:SHOWN])}{more}"


def _as_network(network: "Network | torch.nn.Module", device: str | None) -> Network:
    """A module of PyTorch in its form for inference; what is a network already as it is."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(network, torch.nn.Module):
        return network
    from sdnet_pl.inference.torch_network import TorchNetwork

    return TorchNetwork(network, device)
