"""Cut people out of whatever a picture is held in: :func:`remove` returns the kind that it was given."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from sdnet_pl.data.decoding import PackedPicture
from sdnet_pl.data.foreground_colors import cut_out
from sdnet_pl.data.image_io import encode_png, read_photo, write_png
from sdnet_pl.data.metadata import Metadata
from sdnet_pl.data.provenance import mark, require_ours
from sdnet_pl.errors import InputError
from sdnet_pl.inference.engine import open_engine
from sdnet_pl.inference.predictor import check_size
from sdnet_pl.inference.pretrained import DEFAULT

if TYPE_CHECKING:
    import torch

    Background = str | Path | tuple[int, int, int] | Image.Image | NDArray[np.uint8]

BLUR = "blur"
_BLUR_SIDE = 512
_TIFF_MODES = ("1", "L", "P", "I;16", "RGB", "CMYK", "YCbCr", "LAB")
_BLUR_PART = 0.02
"""Of the longer side: the standard deviation of a blurred background."""


class Session:
    """A network that stays loaded. Threads may share it, and processes too: it loads the network again there.

    Args:
        weights: a name that ships, a checkpoint of a run, or a .safetensors or .onnx file of ``sdnet-pl export``.
        device: such as ``cpu``, ``cuda:1`` or ``mps``; by default the GPU where there is one. Logged at INFO.
        backend: ``onnx`` or ``torch``; by default ONNX Runtime on a CPU where the weights exist as ONNX.
        size: longer side in pixels at which the network sees a photo; by default what its weights record.

    Raises:
        InputError: the weights, the device, the backend or the size is wrong, or the network needs a trimap.
    """

    def __init__(
        self,
        weights: str | Path = DEFAULT,
        device: str | None = None,
        backend: str | None = None,
        size: int | None = None,
    ) -> None:
        if size is not None:
            check_size(size)
        self.predictor = open_engine(weights, device, backend).predictor(size)

    def alpha(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The opacity of the people: ``[H, W]`` in [0, 1] for RGB uint8 ``[H, W, 3]``."""
        return self.predictor.alpha(image)


def new_session(
    weights: str | Path = DEFAULT, device: str | None = None, backend: str | None = None, size: int | None = None
) -> Session:
    """A network that stays loaded, for :func:`remove`; see :class:`Session`."""
    return Session(weights, device, backend, size)


_default: Session | None = None


@overload
def remove(
    picture: str | Path,
    *,
    output: str | Path | None = None,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> Path: ...
@overload
def remove(
    picture: bytes,
    *,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> bytes: ...
@overload
def remove(
    picture: Image.Image,
    *,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> Image.Image: ...
@overload
def remove(
    picture: NDArray[np.uint8],
    *,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> NDArray[np.uint8]: ...
@overload
def remove(
    picture: "torch.Tensor",
    *,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> "torch.Tensor": ...
def remove(
    picture: Any,
    *,
    output: str | Path | None = None,
    only_mask: bool = False,
    background: "Background | None" = None,
    session: Session | None = None,
) -> Any:
    """Remove the background of a picture of people.

    Args:
        picture: a path; the bytes of a picture file; a Pillow image; an array, RGB uint8 ``[H, W, 3]``; or a tensor,
            RGB ``[3, H, W]`` in [0, 1], or in [0, 255] where it is uint8.
        output: of a path, the PNG to write; by default NAME_cutout.png beside it. Only files of this package are
            replaced.
        only_mask: return the alpha alone, of one channel (an array ``[H, W]``, a tensor ``[1, H, W]``).
        background: what to show behind the people instead of nothing: a colour (a name, ``#rrggbb``, or three numbers
            in [0, 255]), another picture, which is cropped to fit (a path, a Pillow image or RGB uint8
            ``[H, W, 3]``), or ``"blur"`` for the photo's own, blurred.
        session: the network, of :func:`new_session`; by default the one that ships, loaded at the first call.

    Returns:
        The kind of ``picture``: RGBA with straight alpha and the people's own colours, or RGB with ``background``. Of a
        path, the path of the PNG that was written; of bytes, those of a PNG.

    Raises:
        InputError: the picture cannot be read or is none, the options do not go together, or a file that this package
            did not write would be replaced.
    """
    global _default
    if only_mask and background is not None:
        raise InputError("only_mask and background do not go together; give one of them.")
    if output is not None and not isinstance(picture, (str, Path)):
        raise InputError(f"output is for paths, and the picture is {type(picture).__name__}; save what is returned.")
    target = None
    if isinstance(picture, (str, Path)):
        target = Path(output) if output is not None else Path(picture).with_name(f"{Path(picture).stem}_cutout.png")
        if target.suffix.lower() != ".png":
            raise InputError(f"output {target} must end in .png.")
        require_ours(target)
    image, metadata = _to_array(picture)
    behind = None if background is None else _background(background, image.shape[:2])
    if session is None:
        session = _default = _default or Session()
    alpha = session.alpha(image)
    result = np.rint(alpha * 255).astype(np.uint8) if only_mask else cut_out(image, alpha)
    if background is not None:
        result = _over(result, _blurred(image, alpha) if behind is None else behind)
    return _to_kind(picture, result, metadata, target)


def _to_array(picture: Any) -> tuple[NDArray[np.uint8], Metadata | None]:
    if isinstance(picture, (str, Path)):
        return read_photo(picture)
    if isinstance(picture, (bytes, bytearray)):
        return read_photo(PackedPicture(bytes(picture), "The picture"))
    if isinstance(picture, Image.Image):
        if 0 in picture.size:
            raise InputError(f"a picture has at least one pixel, and this Pillow image is {picture.size}.")
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            upright = upright.convert("LA" if upright.mode == "La" else "RGBA")
        elif upright.mode not in _TIFF_MODES:
            upright = upright.convert("RGB")
        packed = io.BytesIO()  # read as a file is, so that both give the same
        upright.save(packed, "TIFF", icc_profile=picture.info.get("icc_profile"))
        return read_photo(PackedPicture(packed.getvalue(), "The picture"))[0], None
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


def _to_kind(picture: Any, result: NDArray[np.uint8], metadata: Metadata | None, target: Path | None) -> Any:
    if target is not None:
        write_png(target, result, metadata, mark())
        return target
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


def _background(background: "Background", shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """RGB uint8 ``[H, W, 3]`` of a shape; none for the photo's own, blurred."""
    if isinstance(background, str) and background == BLUR:
        return None
    if isinstance(background, str) and not Path(background).exists():
        try:
            background = ImageColor.getcolor(background, "RGB")  # type: ignore[assignment]
        except ValueError as error:
            raise InputError(
                f"background {background!r} is neither a colour (a name or #rrggbb), nor a picture that exists, nor "
                f"{BLUR}."
            ) from error
    if isinstance(background, (tuple, list)):
        if len(background) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in background):
            raise InputError(f"background {background} must be three numbers in [0, 255].")
        return np.full((*shape, 3), background, np.uint8)
    image, _ = _to_array(background)
    scale = max(shape[0] / image.shape[0], shape[1] / image.shape[1])
    size = max(shape[1], round(image.shape[1] * scale)), max(shape[0], round(image.shape[0] * scale))
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    top, left = (image.shape[0] - shape[0]) // 2, (image.shape[1] - shape[1]) // 2
    return image[top : top + shape[0], left : left + shape[1]]


def _blurred(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The photo's background, blurred without the people, who would shine around themselves."""
    scale = min(1, _BLUR_SIDE / max(alpha.shape))  # a blur needs no more
    size = max(1, round(scale * alpha.shape[1])), max(1, round(scale * alpha.shape[0]))
    small, opacity = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (image, alpha))
    weight = cv2.merge([np.square(1 - opacity) + np.float32(1e-4)] * 3)
    sigma = _BLUR_PART * max(size)
    numerator, denominator = (cv2.GaussianBlur(x, (0, 0), sigma) for x in (small * weight, weight))
    blurred = np.asarray(numerator / denominator, np.float32)
    return np.asarray(cv2.resize(cv2.convertScaleAbs(blurred), alpha.shape[::-1]), np.uint8)


def _over(cutout: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = cv2.merge([cutout[..., 3].astype(np.float32) / 255] * 3)
    mixed = cutout[..., :3] * alpha + background * (1 - alpha)
    return np.asarray(np.rint(mixed), np.uint8)
