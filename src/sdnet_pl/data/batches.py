"""What datasets give and what arrives in a training or evaluation step.

A sample holds uint8; the default collation stacks samples to ``[B, ...]``; after the transfer to the device images are
floats in [0, 1] (:meth:`sdnet_pl.data.datamodule.MattingDataModule.on_after_batch_transfer`).
"""

from typing import NotRequired, TypedDict

from torch import Tensor


class TrainingSample(TypedDict):
    """F, α and B of one sample, augmented, at the training size S; a photo with a mask is its own F and B.

    Attributes:
        foreground: F, uint8 ``[3, S, S]``.
        background: B, uint8 ``[3, S, S]``.
        alpha: α, uint8 ``[1, S, S]``.
        trimap: uint8 ``[1, S, S]`` of 0 (background), 128 (unknown) and 255 (foreground).
        seed: int64, a scalar: of what the device still draws.
        number: int64, a scalar: the sample's own, which with the data's seed tells all of it.
        known: uint8 ``[1, S, S]``: 255 where α is certain, 0 where it is not. Absent if all of a training's are.
        replaced: Why pictures could not be read and the next were taken instead; absent if all could.
    """

    foreground: Tensor
    background: Tensor
    alpha: Tensor
    trimap: Tensor
    seed: Tensor
    number: Tensor
    known: NotRequired[Tensor]
    replaced: NotRequired[list[str]]


class TrainingBatch(TrainingSample):
    """B samples on the device: as :class:`TrainingSample`, ``[B, ...]``, images float32 in [0, 1].

    The trimap stays uint8, ``seed`` and ``number`` are int64 ``[B]``, and ``replaced`` is taken out.

    Attributes:
        composite: I = αF + (1 − α)B, float32 ``[B, 3, S, S]`` in [0, 1].
        image: What the network sees: the composite with blur, noise and JPEG, float32 ``[B, 3, S, S]`` in [0, 1].
    """

    composite: Tensor
    image: Tensor


class EvaluationSample(TypedDict):
    """One picture of a benchmark.

    Attributes:
        image: uint8 ``[3, H, W]``, RGB.
        alpha: The true alpha, uint8 ``[1, H, W]``.
        trimap: uint8 ``[1, H, W]`` of 0 (background), 128 (unknown) and 255 (foreground).
        padding: bool ``[1, 1, 1]``: it only keeps the processes in step and is not scored.
        replaced: Why the picture could not be read that this one replaces; absent if it could.
    """

    image: Tensor
    alpha: Tensor
    trimap: Tensor
    padding: Tensor
    replaced: NotRequired[list[str]]


class EvaluationBatch(EvaluationSample):
    """One picture on the device: as :class:`EvaluationSample`, ``[1, ...]``, image and alpha float32 in [0, 1].

    The trimap stays uint8 and ``replaced`` is taken out.
    """
