"""Detects implausible alphas, and decides when to refuse a folder of them.

One odd alpha may be right: somebody may fill a picture, or be in none of it. So a single one is named, and only a
folder most of whose alphas are odd is refused. What is never odd: a maximum of 254, a few levels, 0 and 255 alone.

The thresholds were tried on 6,254 alphas and masks of cut-outs, street photos and groups, and on the same inverted:
none of the first is taken for odd, and of the second all but 65 are found.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.sources.base import Image, Role
from sdnet_pl.errors import InputError

BINARY = "binary"
SHOWN = 50  # names in a sentence


class Oddity(NamedTuple):
    """A way in which alphas are odd.

    Attributes:
        says: What an alpha does, after its name.
        remedy: What to do about it.
        least: How many of a folder have to be so before it can be refused.
    """

    says: str
    remedy: str
    least: int = 3


# An alpha is said to be the first that fits. A prediction may be blank, however many are: it is a bad one.
ODDITIES = {
    "blank": Oddity("0 everywhere, where somebody was looked for", "check that they are the ones meant", least=10**9),
    "empty": Oddity("0 everywhere, so that nobody is in the picture", "replace or remove them"),
    "ones": Oddity(
        "0 and 1 instead of 0 and 255, or 8 bits in a file of 16",
        "save them with 255 where the person is opaque",
        least=1,
    ),
    "faint": Oddity("nowhere opaque", "save them with 255 where the person is opaque"),
    "full": Oddity("opaque everywhere, so that nothing is cut out", "cut the people out, or remove them"),
    "trimap": Oddity("0, 128 and 255 alone, as a trimap is", "give the alphas in their place"),
    "video": Oddity("between 16 and 235, the range of video", "stretch them to 0 and 255"),
    "inverted": Oddity(
        "opaque around the picture and transparent within, as if inverted", "invert them: 255 is the person", least=1
    ),
    "grey": Oddity("grey nearly everywhere, as a photo is", "give the alphas in their place"),
}


def oddity(alpha: Image) -> str | None:
    """What is odd about an alpha, a key of ``ODDITIES``; ``"binary"``, which is legal, if it has only 0 and 255.

    Args:
        alpha: uint8 ``[H, W]``.
    """
    shares = _histogram(alpha) / alpha.size
    (levels,) = shares.nonzero()
    lowest, highest = levels[0], levels[-1]
    if highest == 0:
        return "empty"
    if highest < 128:
        return "ones" if highest == 1 else "faint"
    if lowest >= 128:
        return "full"
    if 12 <= lowest <= 20 and 231 <= highest <= 239:  # a lossy format moves them a little
        return "video"
    if highest < 250:
        return "faint"
    if len(levels) == 3 and lowest == 0 and highest == 255 and levels[1] in (127, 128):
        return "trimap"
    if _inverted(alpha, float(shares[:16].sum())):
        return "inverted"
    if shares[16:240].sum() > 0.75:  # of hair, veils and blur: 0.42 at most, and a photo 0.9
        return "grey"
    return BINARY if len(levels) == 2 and lowest == 0 and highest == 255 else None


def odd_alpha(name: str | Path, alpha: Image) -> str | None:
    """A sentence on an odd alpha; None for any other."""
    odd = ODDITIES.get(oddity(alpha) or "")
    return f"{name} is {odd.says}; {odd.remedy}." if odd else None


def oddity_in_role(image: Image, role: Role) -> str | None:
    """As :func:`oddity`, for what may have other values than an alpha: a prediction, a mask or a map of certainty."""
    kind = oddity(image)
    if role == "prediction":  # may be anything else: it is scored
        return {"empty": "blank", "ones": "ones"}.get(str(kind))
    if role == "mask":
        return None if kind == BINARY else kind
    if role == "known":
        return kind if kind in ("empty", "ones", "faint") else None
    return kind


def inverted_to(alpha: Image, true: Image) -> bool:
    """Whether an alpha is lower by half, on average, where the true one is opaque than elsewhere: uint8 ``[H, W]``."""
    inside, outside = (cv2.inRange(true, low, low + 127) for low in (128, 0))
    if not (inside.any() and outside.any()):
        return False
    return cv2.mean(alpha, inside)[0] + 127 < cv2.mean(alpha, outside)[0]


def require_mask(path: Path, mask: Image) -> None:
    """Refuse a mask that is not black and white.

    Raises:
        InputError: It holds another value than 0 and 255.
    """
    levels = _levels(mask)
    if set(levels) <= {0, 255}:
        return
    if levels[-1] == 1:
        raise InputError(f"{path} holds 1 where a mask is white; save it with 0 and 255.")
    raise InputError(
        f"{path} holds greys, and a mask is black and white; a soft alpha belongs in alpha/ of a PairFolder."
    )


def require_trimap(path: str | Path, trimap: Image) -> None:
    """Refuse a trimap with other codes than 0, 128 and 255.

    Raises:
        InputError: It holds another value.
    """
    foreign = sorted(set(_levels(trimap)) - {0, 128, 255})
    if foreign:
        raise InputError(
            f"{path} holds {', '.join(map(str, foreign[:5]))}{' ...' if foreign[5:] else ''}; a trimap's codes are 0 "
            "(background), 128 (unknown) and 255 (foreground): map it, and resize it by nearest neighbour only."
        )


def judge(found: Mapping[str, Mapping[Path, str | None]]) -> tuple[list[str], list[str]]:
    """What to say of folders of alphas.

    Args:
        found: By folder and file what :func:`oddity` says.

    Returns:
        A sentence for each folder and kind that is named, and one for each folder that is refused.
    """
    named, refused = [], []
    for folder, alphas in found.items():
        kinds: dict[str, list[str]] = defaultdict(list)
        for path, kind in alphas.items():
            if kind:
                kinds[kind].append(_below(path, folder))
        binary = kinds.pop(BINARY, [])
        counted = sum(len(names) for kind, names in kinds.items() if len(names) >= ODDITIES[kind].least)
        if 2 * counted > len(alphas):
            refused += [_sentence(folder, kind, names, len(alphas), shown=3) for kind, names in kinds.items()]
        else:
            named += [_sentence(folder, kind, names, len(alphas)) for kind, names in kinds.items()]
        if len(binary) >= 3 and 2 * len(binary) > len(alphas):
            named.append(
                f"{len(binary)} of {len(alphas)} alphas in {folder} are 0 and 255 alone, as masks are, without a soft "
                "edge. To train with masks take sdnet_pl.data.MaskFolder, which does not teach their edge."
            )
    return named, refused


def _levels(image: Image) -> list[int]:
    return [int(level) for level in _histogram(image).nonzero()[0]]


def _histogram(image: Image) -> NDArray[np.float32]:
    """How many pixels each of the 256 levels has. numpy's bincount takes many times as long."""
    return np.asarray(cv2.calcHist([image], [0], None, [256], [0, 256]), np.float32).ravel()


def _sentence(folder: str, kind: str, names: list[str], total: int, shown: int = SHOWN) -> str:
    listed = ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if names[shown:] else "")
    odd = ODDITIES[kind]
    return f"{len(names)} of {total} alphas in {folder} are {odd.says} ({listed}); {odd.remedy}."


def _below(path: Path, folder: str) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _inverted(alpha: Image, transparent: float) -> bool:
    """Whether the upper corners and both sides are opaque and the middle is less so. The lower edge cuts people."""
    small = cv2.resize(alpha, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    frame = np.concatenate([small[:3].ravel(), small[3:, :3].ravel(), small[3:, -3:].ravel()]).mean()
    # Somebody small and far from the middle leaves the middle as it is; nobody reaches around all of a picture.
    return bool(frame > 0.7 and (small[16:48, 16:48].mean() < frame - 0.2 or (frame > 0.9 and transparent > 0.005)))
