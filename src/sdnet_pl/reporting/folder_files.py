"""Which pictures of two folders, or three, are of one name: predicted alphas, true alphas and trimaps."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sdnet_pl.data.image_io import pictures_by_name, read_header, require_single_channel
from sdnet_pl.errors import InputError

SHOWN = 5


class Files(NamedTuple):
    """The files of one picture.

    Attributes:
        pred: The predicted alpha.
        alpha: The true alpha.
        trimap: The benchmark's trimap; none: the unknown region is that of the fixed evaluation trimap.
    """

    pred: Path
    alpha: Path
    trimap: Path | None


def find_files(pred: Path, alpha: Path, trimap: Path | None) -> dict[str, Files]:
    """The files of each picture by its name, which is the path below the folder without suffix.

    Args:
        pred: the folder of predicted alphas.
        alpha: the folder of true alphas.
        trimap: the folder of trimaps, if there is one.

    Raises:
        InputError: a folder is missing or empty, or names, sizes or channels are wrong; all such pictures are counted.
    """
    preds, alphas = pictures_by_name(pred), pictures_by_name(alpha)
    trimaps = None if trimap is None else pictures_by_name(trimap)
    _require_same_names(pred, preds, alpha, alphas)
    if trimap and trimaps:
        _require_same_names(trimap, trimaps, alpha, alphas)

    colored, unequal, first = [], [], None
    for name, true in alphas.items():
        own = (preds[name], true) if trimaps is None else (preds[name], true, trimaps[name])
        headers = {}
        for file in own:
            with suppress(InputError):  # without a header it does not decode either, and is named with all that do not
                headers[file] = read_header(file)
        for file, header in headers.items():
            try:
                require_single_channel(file, header.mode, header.has_alpha)
            except InputError as error:
                first = first or error
                colored.append(str(file))
        unequal += [
            f"{file} is {header.width}×{header.height} and its alpha {headers[true].width}×{headers[true].height}"
            for file, header in headers.items()
            if header[:2] != headers.get(true, header)[:2]
        ]
    if first:
        raise InputError(f"{len(colored)} file(s) are not alphas or trimaps: {some(colored)}. {first}")
    if unequal:
        raise InputError(
            f"{len(unequal)} file(s) of {len(alphas)} pictures differ in size from their alpha: {some(unequal)}; "
            "scale them to it, trimaps by nearest neighbour."
        )

    return {name: Files(preds[name], true, trimaps[name] if trimaps else None) for name, true in alphas.items()}


def _require_same_names(folder: Path, named: Mapping[str, Path], alpha: Path, alphas: Mapping[str, Path]) -> None:
    missing = [name for name in alphas if name not in named]
    surplus = [name for name in named if name not in alphas]
    if missing or surplus:
        parts = []
        if missing:
            parts.append(f"{len(missing)} of {len(alphas)} alphas have no partner in {folder} ({some(missing)})")
        if surplus:
            parts.append(f"{len(surplus)} of {len(named)} pictures in {folder} have no alpha ({some(surplus)})")
        raise InputError(
            f"{folder} and {alpha} do not hold the same names: {' and '.join(parts)}; names are the paths below the "
            "folders, without suffix: rename the files, or leave out what is not scored."
        )


def some(texts: Collection[str]) -> str:
    """The first five, and how many more there are."""
    more = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(list(texts)[:SHOWN]) + more
