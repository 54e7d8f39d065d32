"""Numbers about what a network makes of pictures, as data frames."""

from collections.abc import Sequence

import pandas as pd
import torch.nn.functional as F
from torch import Tensor

from sdnet_pl.errors import InputError
from sdnet_pl.explore.inspection import Inspection
from sdnet_pl.losses.distillation import EVERY_PAIR
from sdnet_pl.losses.functional import LAPLACIAN_MIN_SIDE, cosine_distillation_loss, laplacian_pyramid
from sdnet_pl.reporting.panels import upsampling

FINAL = "α_f"
BANDS = ("1 px", "2 px", "4 px", "8 px", "16 px")


def map_name(level: int) -> str:
    """What a side output is called in plots."""
    return f"F̄_dec^{level}"


def full_size_maps(inspection: Inspection) -> dict[str, Tensor]:
    """F̄_dec^4, F̄_dec^3, F̄_dec^2 and α_f by name, ``[1, H, W]`` in [0, 1].

    All are upsampled bilinearly to the picture's size, as the objective does it.
    """
    height, width = inspection.alpha.shape[-2:]
    maps = {}
    for i in (4, 3, 2):
        side = inspection.side_alphas[i]
        scale = upsampling(side.shape[-2], height)
        full = F.interpolate(side[None], scale_factor=scale, mode="bilinear", align_corners=False)[0]
        maps[map_name(i)] = full[..., :height, :width]
    return {**maps, FINAL: inspection.alpha}


def cosines(inspection: Inspection) -> dict[str, float]:
    """The cosine of each teacher with each student, by ``"2 → 3"``, in [0, 1]: 1 − that pair's term of L_d."""
    return {
        f"{teacher} → {student}": 1
        - float(cosine_distillation_loss(inspection.side_alphas[student][None], inspection.side_alphas[teacher][None]))
        for teacher, student in EVERY_PAIR
    }


def cosine_summary(inspections: Sequence[Inspection]) -> pd.DataFrame:
    """The mean, the least and the largest of :func:`cosines` over pictures: one row each, one column a pair."""
    return (
        pd.DataFrame([cosines(seen) for seen in inspections])
        .agg(["mean", "min", "max"])
        .rename_axis("teacher → student")
    )


def details(inspections: Sequence[Inspection]) -> pd.DataFrame:
    """How much of each map's detail is the true alpha's, band by band of the Laplacian pyramid of L_lap.

    The cosine ``⟨L_n(map), L_n(α)⟩ / (‖L_n(map)‖ ‖L_n(α)‖)`` over all pixels of all pictures, as L_d takes it of whole
    maps: 1 where the detail of that size is right up to its strength, 0 where it has nothing to do with the true one.

    Args:
        inspections: With true alphas, both sides at least 64.

    Returns:
        One row a map, coarse first, one column a band, fine first, in [-1, 1].

    Raises:
        InputError: A true alpha is missing, or a side is shorter.
    """
    names = [*map(map_name, (4, 3, 2)), FINAL]
    both, own, true = (pd.DataFrame(0.0, index=names, columns=list(BANDS)) for _ in range(3))
    for seen in inspections:
        target = seen.target
        if target is None or min(target.shape[-2:]) < LAPLACIAN_MIN_SIDE:
            raise InputError(
                f"Details are measured against a true alpha, its sides at least {LAPLACIAN_MIN_SIDE} pixels."
            )
        expected = laplacian_pyramid(target[None])
        for name, values in full_size_maps(seen).items():
            for band, found, wanted in zip(BANDS, laplacian_pyramid(values[None]), expected, strict=True):
                both.loc[name, band] += float((found * wanted).sum())
                own.loc[name, band] += float(found.square().sum())
                true.loc[name, band] += float(wanted.square().sum())
    return (both / (own * true).pow(0.5).clip(lower=1e-12)).rename_axis("map")


def first_details(frame: pd.DataFrame, cosine: float = 0.5) -> pd.DataFrame:
    """In which map the details of each size appear first: the coarsest that comes as near to the true ones.

    Args:
        frame: Of :func:`details`.
        cosine: What counts as near, in [0, 1].

    Returns:
        One row a band; ``none`` where no map comes as near.
    """
    enough = frame.round(3) >= cosine  # as tables show it
    first = enough.idxmax().where(enough.any(), "none")
    return pd.DataFrame({"first in": first, "cosine of α_f": frame.loc[FINAL]}).rename_axis("detail")


def squeeze_weights(inspections: Sequence[Inspection], level: int) -> pd.DataFrame:
    """The SE weights of AMPA at a level: one row a picture, one column a channel, in [0, 1].

    Args:
        inspections: With ``ampa.{level}.attention.gate`` among their features.
        level: 2, 3 or 4.
    """
    return pd.DataFrame([seen.features[f"ampa.{level}.attention.gate"].flatten().tolist() for seen in inspections])


def squeeze_summary(inspections: Sequence[Inspection], levels: Sequence[int] = (2, 3, 4)) -> pd.DataFrame:
    """What SE makes of the channels at each level of AMPA, in shares of its channels.

    Args:
        inspections: As in :func:`squeeze_weights`, several of them.
        levels: Out of 2, 3 and 4.

    Returns:
        One row a level: the channels that are ``open`` (weight above 0.99) or ``shut`` (below 0.01) in every picture,
        and those that ``follow the picture`` (their weight moves by more than 0.01).
    """
    rows = {}
    for level in levels:
        weights = squeeze_weights(inspections, level)
        moves = weights.max() - weights.min()
        rows[f"AMPA {level}"] = {
            "channels": weights.shape[1],
            "open": (weights.min() > 0.99).mean(),
            "shut": (weights.max() < 0.01).mean(),
            "follow the picture": (moves > 0.01).mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
