"""Putting people over backgrounds: I = αF + (1 − α)B (Eq. 1), in float32, once, as late as possible."""

import cv2
import kornia.augmentation as K
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdnet_pl.data.sources.base import Foreground, Image


def composite(foreground: Tensor, background: Tensor, alpha: Tensor) -> Tensor:
    """I = αF + (1 − α)B (Eq. 1).

    Args:
        foreground: F, float ``[B, 3, H, W]`` in [0, 1].
        background: B, likewise.
        alpha: α, float ``[B, 1, H, W]`` in [0, 1].

    Returns:
        I, ``[B, 3, H, W]`` in [0, 1].
    """
    return torch.addcmul(background, alpha, foreground - background)


def merge_foregrounds(front: Foreground, back: Foreground) -> Foreground:
    """One foreground that composites exactly as ``front`` over ``back`` over any background does.

    α = 1 − (1 − α₁)(1 − α₂) and F = (α₁F₁ + (1 − α₁)α₂F₂) / α, rounded to 8 bits. Where α = 0, F is the mean of both
    colours, so that it stays extended.

    Args:
        front: The nearer person.
        back: The farther one, of the same size.
    """
    a1, a2 = (f.alpha[..., None].astype(np.float32) / 255 for f in (front, back))
    alpha, color = merge_float(front.color.astype(np.float32), a1, back.color.astype(np.float32), a2)
    return Foreground(_to_uint8(color), _to_uint8(255 * alpha[..., 0]))


def hide_behind(front: Foreground, foreground: Foreground, background: Image) -> tuple[Foreground, Image]:
    """Puts an object before a person: the foreground and the background that composite to the picture of all three.

    The object belongs to the surroundings and not to the foreground: α' = (1 − α_front)α, and B' is the object
    over the old background.

    Args:
        front: The object, of the person's size.
        foreground: The person.
        background: B, uint8 ``[H, W, 3]``.
    """
    around = merge_foregrounds(front, Foreground(background, 255 - foreground.alpha))
    visible = around.alpha[..., None] > 0
    return Foreground(foreground.color, 255 - around.alpha), np.where(visible, around.color, background)


def merge_float(
    color1: NDArray[np.floating],
    alpha1: NDArray[np.floating],
    color2: NDArray[np.floating],
    alpha2: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The mathematics of :func:`merge_foregrounds`, on floats of any range of colours; returns (alpha, color)."""
    behind = (1 - alpha1) * alpha2
    alpha = alpha1 + behind
    color = np.where(
        alpha > 0, (alpha1 * color1 + behind * color2) / np.where(alpha > 0, alpha, 1), (color1 + color2) / 2
    )
    return alpha, color


def composite_uint8(foreground: Foreground, background: Image) -> Image:
    """Eq. 1 for one picture, rounded to 8 bits once: uint8 ``[H, W, 3]`` each. For benchmarks and previews."""
    alpha = foreground.alpha[..., None].astype(np.float32) / 255
    back = background.astype(np.float32)
    return _to_uint8(back + alpha * (foreground.color.astype(np.float32) - back))


def cover(background: Image, height: int, width: int) -> Image:
    """Scales a background so that it covers ``height`` x ``width`` and cuts the middle out of it."""
    scale = max(height / background.shape[0], width / background.shape[1])
    h, w = max(height, round(background.shape[0] * scale)), max(width, round(background.shape[1] * scale))
    if (h, w) != background.shape[:2]:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        background = np.asarray(cv2.resize(background, (w, h), interpolation=interpolation), np.uint8)
    top, left = (h - height) // 2, (w - width) // 2
    return background[top : top + height, left : left + width]


def _to_uint8(x: NDArray[np.floating]) -> Image:
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


class Degradation(nn.Module):
    """Noise, blur and JPEG on the composite, on its own device: what a camera does after the light is mixed.

    kornia would compute every picture of the batch and then keep most of them as they were; here it gets only those
    that are drawn.

    Args:
        probability: Of each of the three, for each picture.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        steps = [
            K.RandomGaussianBlur((5, 5), (0.3, 1.5), p=1.0),
            K.RandomGaussianNoise(std=0.03, p=1.0),
            K.RandomJPEG(jpeg_quality=(50.0, 95.0), p=1.0),
        ]
        self.probability, self.steps = probability, nn.ModuleList(steps)

    @torch.no_grad()
    def forward(self, image: Tensor, seed: int) -> Tensor:
        """``image``: ``[B, 3, H, W]`` in [0, 1]; the same seed degrades it in the same way."""
        devices = [image.device] if image.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            image = image.clone()
            drawn = torch.rand(len(self.steps), len(image)) < self.probability
            for step, row in zip(self.steps, drawn, strict=True):
                chosen = row.nonzero()[:, 0].to(image.device)
                if len(chosen) > 0:
                    image[chosen] = step(image[chosen]).clamp(0, 1)
        return image
