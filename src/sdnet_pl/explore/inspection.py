"""What a network makes of one picture: its alpha, its side outputs, and the features inside."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.batches import TrainingSample
from sdnet_pl.data.composition import composite, composite_uint8
from sdnet_pl.data.dataset import to_tensor
from sdnet_pl.data.sources.base import Image
from sdnet_pl.data.trimap import EVALUATION_KERNEL, check_kernel, evaluation_trimap, trimap_channel
from sdnet_pl.errors import InputError, did_you_mean
from sdnet_pl.inference.inputs import check_size, scale_down
from sdnet_pl.nn import MattingOutput, SDNet
from sdnet_pl.nn.sdnet import FEATURE_NAMES, MIN_SIZE
from sdnet_pl.reporting.panels import PanelRow


class Inspection(NamedTuple):
    """One picture as the network sees it, and what it makes of it.

    Attributes:
        image: The input, ``[3, H, W]`` in [0, 1].
        alpha: α_f, ``[1, H, W]`` in [0, 1]; of a trimap network, what the trimap knows is taken from it, as in scores.
        target: The true alpha, likewise; None if it is not known.
        side_alphas: F̄_dec^i by i = 2, 3, 4, ``[1, h, w]`` in [0, 1], of the padded input.
        features: What was asked for by name, ``[C, h, w]`` of the padded input.
    """

    image: Tensor
    alpha: Tensor
    target: Tensor | None
    side_alphas: Mapping[int, Tensor]
    features: Mapping[str, Tensor]

    @property
    def panel_row(self) -> PanelRow:
        """Its row of a panel."""
        return PanelRow(self.image, self.alpha, self.target, self.side_alphas)


def capture(model: SDNet, x: Tensor, names: Collection[str] = ()) -> MattingOutput:
    """:meth:`SDNet.forward_side_outputs`, and the output of any module of the network beside its named features.

    Hooks see what passes; they are removed at the end, and the network stays as it is.

    Args:
        model: The network, with the weights that ship or those of a run's checkpoint.
        x: ``[B, 3, H, W]`` in [0, 1], with a trimap network's fourth channel.
        names: Names of ``FEATURE_NAMES`` (``dec2``), or modules by their name in ``model.named_modules()``:
            ``ampa.3.views.atrous`` for a branch of AMPA, ``ampa.3.attention.gate`` for its SE weights in [0, 1].

    Returns:
        As ``forward_side_outputs``; ``features`` holds every name that was asked for, ``[B, C, h, w]``.

    Raises:
        InputError: For a name that is neither, or of a module that gives no tensor; and as ``forward``.
    """
    modules = dict(model.named_modules())
    for name in names:
        if name not in FEATURE_NAMES and name not in modules:
            remedy = did_you_mean(name, [*FEATURE_NAMES, *modules], "; list(dict(model.named_modules())) lists them.")
            raise InputError(f"The network has no feature and no module {name!r}{remedy}")
    kept: dict[str, Tensor] = {}

    def keep(name: str, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            raise InputError(f"{name} gives {type(output).__name__}, not a tensor; ask for a module inside it.")
        kept[name] = output.detach().clone()  # the next layer may work in place

    with ExitStack() as hooks:
        for name in set(names) - set(FEATURE_NAMES):
            hooks.enter_context(modules[name].register_forward_hook(partial(keep, name)))
        out = model.forward_side_outputs(x, [name for name in names if name in FEATURE_NAMES])
    found = out.features | kept
    if idle := sorted(set(names) - found.keys()):
        raise InputError(f"{', '.join(map(repr, idle))} only holds modules and gives nothing; ask for one inside it.")
    return out._replace(features=found)


@torch.no_grad()
def inspect_picture(
    model: SDNet,
    picture: Image,
    size: int = 512,
    target: Image | None = None,
    names: Collection[str] = (),
    trimap_kernel: int = EVALUATION_KERNEL,
) -> Inspection:
    """What the network makes of a picture.

    Args:
        model: The network; it runs in evaluation and where its weights are.
        picture: uint8 ``[H, W, 3]``, RGB.
        size: The picture is scaled down until its longer side is at most this, as in training, in pixels.
        target: Its true alpha, uint8 ``[H, W]``. A trimap network gets the fixed evaluation trimap of it.
        names: As in :func:`capture`.
        trimap_kernel: Diameter in pixels of the ellipse that makes this trimap.

    Raises:
        InputError: The alpha is of another size, the network needs a trimap and there is no alpha, the kernel is
            below 1, a side is below 32 at that size, or as :func:`capture`.
    """
    check_size(size)
    check_kernel(trimap_kernel)
    if target is not None and target.shape != picture.shape[:2]:
        (height, width), (high, wide) = picture.shape[:2], target.shape[:2]
        raise InputError(
            f"The true alpha is {wide}x{high} pixels and its picture {width}x{height}; give the alpha of this picture."
        )
    small, (width, height) = scale_down(picture, size)
    if min(width, height) < MIN_SIZE:
        raise InputError(
            f"The picture, scaled to at most {size} pixels, is {width}x{height}, and the network takes sides of at "
            f"least {MIN_SIZE}; give a larger size, or a part of the picture that is less narrow."
        )
    planes = to_tensor(small).float() / 255
    known = None
    if target is not None:
        reduced = np.asarray(cv2.resize(target, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        known = to_tensor(reduced).float() / 255
    x = planes
    if model.trimap:
        if target is None:
            raise InputError("The network needs a trimap, which is made of the true alpha here; give it too.")
        trimap = trimap_channel(to_tensor(evaluation_trimap(reduced, trimap_kernel)))
        x = torch.cat([planes, trimap])
    weight = next(model.parameters())
    training = model.training
    try:
        out = capture(model.eval(), x[None].to(weight.device), names)
    finally:
        model.train(training)
    alpha = out.alpha[0].cpu()
    if model.trimap:
        alpha = torch.where(trimap == 0.5, alpha, trimap)
    sides = {i: side[0].cpu() for i, side in out.side_alphas.items()}
    features = {name: value[0].cpu() for name, value in out.features.items()}
    return Inspection(planes, alpha, known, sides, features)


def drawn_portrait(number: int, size: int = 256) -> tuple[Image, Image]:
    """A built-in portrait over a built-in background, of those that validation is drawn from.

    Args:
        number: Any >= 0; the same number shows the same person.
        size: Height and width in pixels.

    Returns:
        The picture, uint8 ``[size, size, 3]``, and its alpha, uint8 ``[size, size]``.
    """
    person = ProceduralPortraits(size=size, seed=1).load(number)
    return composite_uint8(person, ProceduralBackgrounds(size=size, seed=1).load(number)), person.alpha


def composite_sample(sample: TrainingSample) -> Tensor:
    """The picture that a training sample becomes on its device, before noise: ``[3, S, S]`` in [0, 1].

    Args:
        sample: Of :class:`sdnet_pl.data.dataset.MattingDataset`, uint8.
    """
    images = (sample["foreground"], sample["background"], sample["alpha"])
    return composite(*(image[None] / 255 for image in images))[0]
