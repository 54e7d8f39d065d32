"""What is stored of a sample, and its writing: the one place that knows the form of prepared data."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.data.foreground_colors import estimate_foreground, extend_foreground
from sdnet_pl.data.image_io import (
    atomic_write,
    read_alpha,
    read_header,
    read_rgb,
    read_rgba,
    sha256,
    write_jpeg,
    write_png,
)
from sdnet_pl.data.prepare.base import Sample
from sdnet_pl.errors import InputError

Record = dict[str, dict[str, dict[str, Any]]]
"""The files of a sample, ``"sources"`` and ``"files"``: ``"sha256"`` and size in ``"bytes"`` by their paths."""

Contents = dict[str, NDArray[np.uint8] | Path]

_JPEG = (".jpg", ".jpeg")


def write_sample(sample: Sample, root: Path, destination: Path, max_side: int) -> Record | str:
    """Decode, check and convert a sample, then write its files, each whole or not at all.

    Args:
        sample: what to write.
        root: the folder that its sources are below.
        destination: the folder that its files go below.
        max_side: the longer side of training pictures and backgrounds in pixels, never enlarged.

    Returns:
        What was read and written; or, where a source cannot be used, why, and then nothing is written.

    Raises:
        OSError: a file cannot be written.
    """
    try:
        for name in (sample.key, *sample.sources.values()):
            _require_text(name)
        parts = contents(sample, root, max_side)
        sources = {path: describe(root / path) for path in sample.sources.values()}
    except InputError as error:
        # Without the folder, which is a temporary one where an archive was unpacked.
        return str(error).replace(f"{root}{os.sep}", "")
    files = {}
    for name, content in parts.items():
        target = destination / sample.folder / name
        if isinstance(content, Path):
            with atomic_write(target) as temporary:
                shutil.copyfile(content, temporary)
        elif target.suffix == ".jpg":
            write_jpeg(target, content)
        else:
            write_png(target, content)
        files[target.relative_to(destination).as_posix()] = describe(target)
    return {"sources": sources, "files": files}


def contents(sample: Sample, root: Path, max_side: int) -> Contents:
    """What is stored of a sample, by the path below its folder: pixels, or a file to be copied.

    Raises:
        InputError: a source does not decode, an alpha has colours, or two pictures that belong together differ in size.
    """
    files = {role: root / path for role, path in sample.sources.items()}
    if sample.kind == "background":
        return _background(sample.name, files["image"], max_side)
    role = "fg" if "fg" in files else "image"
    if "alpha" in files:
        # Straight colours stay so under an alpha channel of their own; a photo is seen over white, as elsewhere.
        straight = role == "fg" and read_header(files[role]).has_alpha
        color = read_rgba(files[role])[0] if straight else read_rgb(files[role])
        alpha = _beside(files[role], color, files["alpha"])
    else:
        color, alpha = read_rgba(files[role])
    if sample.kind == "test":
        parts: Contents = {f"{role}/{sample.name}{files[role].suffix}": files[role], f"alpha/{sample.name}.png": alpha}
        if "trimap" in files:
            parts[f"trimap/{sample.name}.png"] = _beside(files[role], color, files["trimap"])
        return parts
    if role == "fg":
        color, alpha = reduce_cutout(color, alpha, max_side)
    else:
        color, alpha = reduce_picture(color, max_side), reduce_picture(alpha, max_side)
        color = estimate_foreground(color, alpha)
    return {f"fg/{sample.name}.jpg": extend_foreground(color, alpha), f"alpha/{sample.name}.png": alpha}


def reduce_picture(picture: NDArray[Any], max_side: int) -> NDArray[Any]:
    """Scale a picture down by area until its longer side is ``max_side``; a smaller one stays as it is.

    Args:
        picture: ``[H, W]`` or ``[H, W, C]`` of a type that OpenCV resizes.
        max_side: in pixels.
    """
    height, width = picture.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return picture
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_AREA), picture.dtype)


def reduce_cutout(
    color: NDArray[np.uint8], alpha: NDArray[np.uint8], max_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """As :func:`reduce_picture`, colours weighted with alpha, so that what is transparent colours nothing.

    Args:
        color: uint8 ``[H, W, 3]``, straight.
        alpha: uint8 ``[H, W]``.
        max_side: in pixels.

    Returns:
        Colours and alpha; colours under alpha 0 mean nothing.
    """
    if max_side >= max(alpha.shape):
        return color, alpha
    # In 16 bits both fit exactly, in half the memory of floating point.
    premultiplied = reduce_picture(np.multiply(color, alpha[..., None], dtype=np.uint16), max_side)
    weight = reduce_picture(np.multiply(alpha, 255, dtype=np.uint16), max_side) / np.float32(255)
    straight = np.rint(premultiplied / np.maximum(weight, np.float32(1 / 255))[..., None])
    return np.minimum(straight, 255).astype(np.uint8), np.rint(weight).astype(np.uint8)


def describe(file: Path) -> dict[str, Any]:
    """The sha256 of a file and its size in bytes."""
    return {"sha256": sha256(file), "bytes": file.stat().st_size}


def _background(name: str, file: Path, max_side: int) -> Contents:
    image = read_rgb(file)
    # A JPEG that fits is copied, since encoding it again would lose quality.
    if max(image.shape) <= max_side and file.suffix.lower() in _JPEG:
        return {f"{name}{file.suffix}": file}
    return {f"{name}.jpg": reduce_picture(image, max_side)}


def _require_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:  # as old archives leave them: the manifest could not hold it
        remedy = "rename the file or its folder"
        if sys.getfilesystemencoding() != "utf-8":  # then every name with an accent looks like that
            remedy = "set PYTHONUTF8=1, or rename the file if its name is not UTF-8"
        raise InputError(f"{name!a} is not a UTF-8 name; {remedy}.") from None


def _beside(picture: Path, color: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    """The alpha or trimap of a picture."""
    alpha = read_alpha(file, equal_channels=True)
    if alpha.shape != color.shape[:2]:
        raise InputError(
            f"{picture} is {color.shape[1]}×{color.shape[0]} pixels and {file} is {alpha.shape[1]}×{alpha.shape[0]}; "
            "both must have one size."
        )
    return alpha
