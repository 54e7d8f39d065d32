"""The first of two passes: a network without a trimap finds the person, and its alpha becomes the second's trimap."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sdnet_pl.data.trimap import predicted_trimap
from sdnet_pl.errors import InputError
from sdnet_pl.inference import two_pass
from sdnet_pl.inference.weights import read_weights
from sdnet_pl.nn import fold_batch_norm
from sdnet_pl.nn.sdnet import MIN_SIZE


class FirstPass:
    """A trained network, frozen, that gives the network with a trimap what it starts from.

    Args:
        weights: Of a network without a trimap: a name that ships, a checkpoint or a file of ``sdnet-pl export``.
        size: The longer side in pixels at which it sees a picture when the two passes are scored.

    Raises:
        InputError: The weights are of a network with a trimap, or cannot be read.
    """

    def __init__(self, weights: str, size: int = 256) -> None:
        trained = read_weights(weights)
        if trained.trimap:
            raise InputError(f"{weights} takes a trimap itself; model.first_pass is a network without one.")
        self.network, self.size = fold_batch_norm(trained.build()), size

    def training_trimap(self, image: Tensor, seed: int) -> Tensor:
        """Trimaps as two passes give them, with this network's mistakes; thresholds, width and scale are drawn.

        Args:
            image: ``[B, 3, S, S]`` in [0, 1].
            seed: Of what is drawn.

        Returns:
            uint8 ``[B, 1, S, S]`` of 0, 128 and 255.
        """
        rng = np.random.default_rng(seed)
        side = image.shape[-1]
        alphas = self._alpha(image, side * rng.uniform(0.35, 1.0))
        trimaps = [
            predicted_trimap(
                alpha[None], rng.uniform(0.02, 0.25), rng.uniform(0.75, 0.98), int(rng.integers(1, max(3, side // 20)))
            )
            for alpha in alphas
        ]
        return torch.cat(trimaps)

    def trimap(self, image: Tensor) -> Tensor:
        """The trimap of a picture ``[1, 3, H, W]``, as cut-outs of two passes have it: uint8 ``[1, 1, H, W]``."""
        alpha = self._alpha(image, min(self.size, max(image.shape[-2:])))
        trimap = two_pass.predicted_trimap(alpha[0, 0].cpu().numpy())
        return torch.from_numpy(trimap)[None, None].to(image.device)

    @torch.no_grad()
    def _alpha(self, image: Tensor, longer_side: float) -> Tensor:
        """The alpha at the picture's size, found where its longer side is ``longer_side``."""
        self.network.to(image.device)
        height, width = image.shape[-2:]
        scale = longer_side / max(height, width)
        small = [max(MIN_SIZE, round(side * scale)) for side in (height, width)]
        reduced = F.interpolate(image, small, mode="bilinear", antialias=True)
        alpha = self.network(reduced.contiguous(memory_format=torch.channels_last)).float()
        return F.interpolate(alpha, (height, width), mode="bilinear")
