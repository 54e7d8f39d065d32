"""What every format goes through: written aside, run in its own runtime, compared with PyTorch, then named.

A module of a format has two functions. ``write(export, path)`` writes the file, or several files beside each other
whose names begin with the stem of ``path``. ``load(path, threads)`` is the network in its own runtime, or none where
that does not run here.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.files import naming
from sdnet_pl.errors import InputError
from sdnet_pl.inference.export.formats import FORMATS
from sdnet_pl.inference.inputs import MIN_SIZE
from sdnet_pl.version import __version__

if TYPE_CHECKING:
    from sdnet_pl.nn import SDNet

Picture = NDArray[np.float32]
Run = Callable[[Picture], Picture]


class Export(NamedTuple):
    """What a file is made of.

    Attributes:
        network: in eval mode, with its BatchNorm folded and without gradients.
        shape: the only height and width that the file takes; none for any.
        precision: one of the format's.
        pictures: ``[1, C, H, W]`` in [0, 1], of ``shape`` or of multiples of the network's ``size_multiple``.
        properties: what the file says of itself.
    """

    network: "SDNet"
    shape: tuple[int, int] | None
    precision: str
    pictures: Sequence[Picture]
    properties: Mapping[str, str]


class Loaded(NamedTuple):
    """A file in its own runtime.

    Attributes:
        run: from pictures ``[1, C, H, W]`` in [0, 1] to alphas ``[1, 1, H, W]``.
        precision: in which it was written.
        channels: C: 3, or 4 with a trimap.
        shape: height and width of the pictures; none if they are free.
    """

    run: Run
    precision: str
    channels: int
    shape: tuple[int, int] | None = None


class Difference(NamedTuple):
    """How far alphas are from PyTorch's, in [0, 1]: the mean over all pixels, and the largest."""

    mean: float
    largest: float


def write_checked(
    model: "SDNet",
    path: Path,
    shape: tuple[int, int] | None,
    precision: str,
    pictures: Sequence[Picture],
    properties: Mapping[str, str],
) -> Difference | None:
    """Write a network in the format of the suffix of ``path``. Nothing is left there where a check fails.

    Args:
        model: in eval mode; it is left as it is.
        path: what has that name, and those that belong to it, are replaced.
        shape: the only height and width that the file takes, multiples of the network's ``size_multiple``; none for
            any, where the format's ``sides`` are not ``fixed``.
        precision: one of the format's ``limits``.
        pictures: inputs ``[1, C, H, W]`` in [0, 1] on which the file's alphas are compared with the network's.
        properties: what the file says of itself beside what :func:`describe` does.

    Returns:
        The difference over ``pictures``; none where the format's runtime does not run here.

    Raises:
        InputError: the alphas are too far from the network's.
        OSError: a file cannot be written.
    """
    from sdnet_pl.nn import fold_batch_norm

    form = FORMATS[path.suffix]
    module = import_module(f"sdnet_pl.inference.export.{form.module}")
    pictures = [_resized(picture, shape or _multiples(picture, model.size_multiple)) for picture in pictures]
    properties = describe(model, precision, shape) | dict(properties)
    folded = fold_batch_norm(model).requires_grad_(False)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder, naming(path):
        written = Path(folder) / path.name
        module.write(Export(folded, shape, precision, pictures, properties), written)
        loaded: Loaded | None = module.load(written, None)
        difference = None if loaded is None else compare(loaded.run, model, pictures)
        judged = difference
        if loaded is not None and difference and form.sides == "any" and not shape:
            # A batch of sides that are not square and no multiple of 32; so small a picture tells nothing of the mean.
            corner = pictures[0][..., : MIN_SIZE + 16, : MIN_SIZE + 48]
            free = compare(loaded.run, model, [np.concatenate([corner, corner[..., ::-1], 1 - corner])])
            judged = difference._replace(largest=float(np.maximum(difference.largest, free.largest)))  # keeps NaN
        refuse(path, precision, judged, form.limits[precision])
        # The file of that name comes last: with it, all that it needs is there.
        for item in sorted(Path(folder).iterdir(), key=lambda item: item == written):
            target = path.parent / item.name
            if target.is_dir():
                shutil.rmtree(target)
            item.replace(target)
    return difference


def describe(model: "SDNet", precision: str, shape: tuple[int, int] | None) -> dict[str, str]:
    """What a file says of itself: what it takes, what it gives, and how it was made."""
    channels = "RGB and a trimap (0 background, 0.5 unknown, 1 foreground)" if model.trimap else "RGB"
    dtype = "float16" if precision == "fp16" else "float32"
    batch, height, width = (1, *shape) if shape else ("batch", "height", "width")
    return {
        "sdnet_pl_version": __version__,
        "trimap": json.dumps(model.trimap),
        "input": f"image: {channels}, {dtype} in [0, 1], NCHW [{batch}, {model.in_channels}, {height}, {width}]",
        "output": f"alpha: {dtype} in [0, 1], NCHW [{batch}, 1, {height}, {width}]",
        "size_multiple": str(model.size_multiple),
        "precision": precision,
        "batch_norm": "folded",
        "code_licence": "Apache-2.0",
    }


def compare(run: Run, model: "SDNet", pictures: Sequence[Picture]) -> Difference:
    """The differences between a file's alphas and the network's, NaN where a file gives NaN."""
    import torch

    differences = []
    for picture in pictures:
        with torch.inference_mode():
            expected = model(torch.from_numpy(np.ascontiguousarray(picture))).numpy()
        differences.append(np.abs(np.asarray(run(picture), np.float32).reshape(expected.shape) - expected).ravel())
    together = np.concatenate(differences)
    return Difference(float(together.mean()), float(together.max()))


def refuse(path: Path, precision: str, difference: Difference | None, limits: tuple[float, float]) -> None:
    """Refuse a file whose alphas are too far from the network's.

    Raises:
        InputError: as said.
    """
    # With NaN no comparison holds.
    if difference and not (difference.mean <= limits[0] and difference.largest <= limits[1]):
        remedy = (
            "train the network to its end, or install the versions of constraints.txt"
            if precision == "fp32"
            else "export it with --precision fp32"
        )
        raise InputError(
            f"{path} is not written: in {precision} its alphas are off PyTorch's by {difference.mean:.1e} in the mean "
            f"and {difference.largest:.1e} at most, and {limits[0]:.0e} and {limits[1]:.0e} are allowed; {remedy}."
        )


def _multiples(picture: Picture, step: int) -> tuple[int, int]:
    height, width = (max(step, side // step * step) for side in picture.shape[2:])
    return height, width


def _resized(picture: Picture, shape: tuple[int, int]) -> Picture:
    """A picture ``[1, C, H, W]`` at another height and width, of its nearest pixels: trimaps stay trimaps."""
    rows, columns = (np.arange(side) * old // side for side, old in zip(shape, picture.shape[2:], strict=True))
    return np.ascontiguousarray(picture[:, :, rows[:, None], columns])
