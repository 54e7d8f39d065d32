"""The kinds that a picture may be held in: paths, bytes, Pillow images, arrays and tensors, in and out."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.decoding import PackedPicture, decode_held, over_white
from sdnet_pl.data.image_io import encode_png, read_photo
from sdnet_pl.data.metadata import Metadata
from sdnet_pl.data.provenance import mark
from sdnet_pl.errors import InputError


def to_array(picture: Any) -> tuple[NDArray[np.uint8], Metadata | None]:
    """A picture of any kind as RGB uint8 ``[H, W, 3]``; of a file, its metadata too.

    Raises:
        InputError: it is none, or cannot be read.
    """
    if isinstance(picture, (str, Path)):
        return read_photo(picture)
    if isinstance(picture, (bytes, bytearray)):
        return read_photo(PackedPicture(bytes(picture), "The picture"))
    if isinstance(picture, Image.Image):
        return over_white(decode_held(picture, "The picture")), None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(picture, torch.Tensor):
        if picture.ndim != 3 or picture.shape[0] != 3:
            raise InputError(f"a tensor of a picture is RGB [3, H, W], not {list(picture.shape)}.")
        if picture.dtype != torch.uint8 and not (
            picture.is_floating_point() and picture.numel() and 0 <= picture.min() <= picture.max() <= 1
        ):
            raise InputError(
                f"a tensor of a picture is uint8, or of floats in [0, 1], not {picture.dtype} in "
                f"[{picture.min():g}, {picture.max():g}]."
                if picture.numel()
                else "a picture has at least one pixel."
            )
        levels = picture if picture.dtype == torch.uint8 else (picture * 255).round().to(torch.uint8)
        return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()), None
    if not isinstance(picture, np.ndarray):
        raise InputError(
            f"a picture is a path, bytes, a Pillow image, an array or a tensor, not {type(picture).__name__}."
        )
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise InputError(f"an array of a picture is RGB uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}.")
    return np.ascontiguousarray(picture), None


def to_kind(picture: Any, result: NDArray[np.uint8], metadata: Metadata | None = None) -> Any:
    """What was made of a picture, uint8 ``[H, W]`` or ``[H, W, C]``, as the picture's kind: of bytes those of a PNG."""
    if isinstance(picture, (bytes, bytearray)):
        stream = io.BytesIO()
        encode_png(stream, result, metadata, mark())
        return stream.getvalue()
    if isinstance(picture, Image.Image):
        return Image.fromarray(result)
    if isinstance(picture, np.ndarray):
        return result
    tensor = sys.modules["torch"].from_numpy(result if result.ndim == 3 else result[..., None])
    tensor = tensor.permute(2, 0, 1).to(picture.device)
    return tensor if picture.dtype == tensor.dtype else (tensor / 255).to(picture.dtype)
