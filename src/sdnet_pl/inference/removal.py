"""Cut people out of whatever a picture is held in: :func:`remove` returns the kind that it was given."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdnet_pl.data.provenance import mark, require_ours
from sdnet_pl.data.written import check_side, write_picture
from sdnet_pl.errors import InputError
from sdnet_pl.inference.engine import open_engine
from sdnet_pl.inference.inputs import check_size
from sdnet_pl.inference.jobs import beside, choose_format
from sdnet_pl.inference.kinds import to_array, to_kind
from sdnet_pl.inference.pretrained import DEFAULT, SECOND, default_quality
from sdnet_pl.inference.rendering import Background, Rendering, to_levels
from sdnet_pl.inference.trimaps import Trimap, read_trimap

if TYPE_CHECKING:
    import torch


class Session:
    """A network that stays loaded. Threads may share it, and processes too: it loads the network again there.

    Args:
        weights: a name that ships, a checkpoint of a run, or a .safetensors or .onnx file of ``sdnet-pl export``.
        device: such as ``cpu``, ``cuda:1`` or ``mps``; by default the GPU where there is one. Logged at INFO.
        backend: ``onnx`` or ``torch``; by default ONNX Runtime on a CPU where the weights exist as ONNX.
        size: longer side in pixels at which the network sees a photo; by default what its weights record.
        quality: ``fast``, or ``best`` for a second pass where the first is not certain; by default ``best`` with the
            default weights, ``fast`` with others.
        threads: of ONNX Runtime for one picture; by default as many as there are cores.

    Raises:
        InputError: the weights, the device, the backend, the size or the quality is wrong.
    """

    def __init__(
        self,
        weights: str | Path = DEFAULT,
        device: str | None = None,
        backend: str | None = None,
        size: int | None = None,
        quality: str | None = None,
        threads: int | None = None,
    ) -> None:
        if size is not None:
            check_size(size)
        self._engine = open_engine(weights, device, backend, threads, quality or default_quality(weights))
        self.predictor = self._engine.predictor(size, self._engine.trimap)

    def alpha(self, image: NDArray[np.uint8], trimap: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
        """The opacity of the people: ``[H, W]`` in [0, 1] for RGB uint8 ``[H, W, 3]``.

        Args:
            image: the picture.
            trimap: uint8 ``[H, W]`` of 0, 128 and 255.

        Raises:
            InputError: the network needs a trimap, or takes none.
        """
        self._engine.check_trimap(trimap is not None)
        return self.predictor.alpha(image, trimap)


def new_session(
    weights: str | Path = DEFAULT,
    device: str | None = None,
    backend: str | None = None,
    size: int | None = None,
    quality: str | None = None,
    threads: int | None = None,
) -> Session:
    """A network that stays loaded, for :func:`remove`; see :class:`Session`."""
    return Session(weights, device, backend, size, quality, threads)


_default: dict[str, Session] = {}


@overload
def remove(
    picture: str | Path,
    *,
    output: str | Path | None = None,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> Path: ...
@overload
def remove(
    picture: bytes,
    *,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> bytes: ...
@overload
def remove(
    picture: Image.Image,
    *,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> Image.Image: ...
@overload
def remove(
    picture: NDArray[np.uint8],
    *,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> NDArray[np.uint8]: ...
@overload
def remove(
    picture: "torch.Tensor",
    *,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> "torch.Tensor": ...
def remove(
    picture: Any,
    *,
    output: str | Path | None = None,
    only_mask: bool = False,
    background: Background | None = None,
    trimap: Trimap | None = None,
    session: Session | None = None,
) -> Any:
    """Remove the background of a picture of people.

    Args:
        picture: a path; the bytes of a picture file; a Pillow image, of which the frame that it shows is taken; an
            array, RGB uint8 ``[H, W, 3]``; or a tensor, RGB ``[3, H, W]`` in [0, 1], or in [0, 255] where it is uint8.
        output: of a path, the file to write: PNG or lossless WebP, or JPEG of what has no alpha; by default
            NAME_cutout.png beside it. Only files of this package are replaced.
        only_mask: return the alpha alone, of one channel (an array ``[H, W]``, a tensor ``[1, H, W]``).
        background: what to show behind the people instead of nothing: a colour (a name, ``#rrggbb``, or three numbers
            in [0, 255]), another picture, which is cropped to fit (a path, a Pillow image or RGB uint8
            ``[H, W, 3]``), or ``"blur"`` for the photo's own, blurred.
        trimap: what is known: 0 background, 128 unknown, 255 person, of the picture's size; a path, a Pillow image, or
            uint8 ``[H, W]``. Only what is unknown is found.
        session: the network, of :func:`new_session`; by default one that ships, loaded at the first call.

    Returns:
        The kind of ``picture``: RGBA with straight alpha and the people's own colours, or RGB with ``background``. Of a
        path, the path of the file that was written; of bytes, those of a PNG.

    Raises:
        InputError: the picture cannot be read or is none, the options do not go together, or a file that this package
            did not write would be replaced.
        OSError: the output cannot be written.
    """
    rendering = Rendering(only_mask, background)
    if output is not None and not isinstance(picture, (str, Path)):
        raise InputError(f"output is for paths, and the picture is {type(picture).__name__}; save what is returned.")
    target, kind = None, "png"
    if isinstance(picture, (str, Path)):
        target = Path(output) if output is not None else beside([Path(picture)], kind)[0]
        kind = choose_format(target, None, rendering.opaque)
        require_ours(target)
    image, metadata = to_array(picture)
    check_side(picture, image.shape, kind)
    known = None if trimap is None else read_trimap(trimap, image.shape)
    if session is None:
        weights = DEFAULT if known is None else SECOND
        session = _default[weights] = _default.get(weights) or Session(weights)
    result = rendering(image, to_levels(session.alpha(image, known)))
    if target is None:
        return to_kind(picture, result, metadata)
    write_picture(target, result, metadata, mark(), kind)
    return target
