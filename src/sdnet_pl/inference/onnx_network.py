"""An exported network in ONNX Runtime: PyTorch is not imported."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sdnet_pl.errors import InputError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

logger = logging.getLogger(__name__)


class OnnxNetwork:
    """A file of ``sdnet-pl export``, as a function from pictures to alphas. Threads may share it.

    Args:
        path: the file.
        device: ``cpu``, or ``cuda`` and ``cuda:N`` where onnxruntime-gpu is installed. Logged at INFO.
        threads: of one picture; by default as many as there are cores.

    Attributes:
        size: longer side in pixels of the pictures that the network has learned.
        trimap: whether it takes a trimap as fourth channel.
        precision: in which the file was written.
        shape: height and width of the pictures; none if they are free.

    Raises:
        InputError: the file is damaged or not an export of this package, or ONNX Runtime has no such device.
    """

    def __init__(self, path: str | Path, device: str = "cpu", threads: int | None = None) -> None:
        self._arguments = path, device, threads
        provider, number = check_device(device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Idle threads wait instead of burning a core that someone else could use.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                Path(path).read_bytes(), options, providers=[(provider, {"device_id": number} if number else {})]
            )
            properties = self._session.get_modelmeta().custom_metadata_map
            self.size, self.trimap = int(properties["training_size"]), bool(json.loads(properties["trimap"]))
            self.precision = properties["precision"]
        except Exception as error:  # of a damaged file ONNX Runtime raises half a dozen types
            raise InputError(
                f"{path} is damaged, or sdnet-pl export did not write it ({type(error).__name__}); export it again."
            ) from error
        given = self._session.get_inputs()[0]
        height, width = given.shape[2:]
        self.shape = (height, width) if isinstance(height, int) else None
        self._dtype = np.float16 if given.type == "tensor(float16)" else np.float32
        logger.info("Matting with ONNX Runtime on %s.", device)

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxNetwork, self._arguments

    def __call__(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Alphas ``[B, 1, H, W]`` in [0, 1] of RGB ``[B, 3, H, W]`` in [0, 1], with the trimap as fourth channel."""
        (alpha,) = self._session.run(["alpha"], {"image": pictures.astype(self._dtype, copy=False)})
        return np.asarray(alpha, np.float32)


def check_device(device: str) -> tuple[str, str]:
    """What ONNX Runtime calls a device, and its number, which may be empty.

    Raises:
        InputError: ONNX Runtime has no such device here.
    """
    kind, _, number = device.partition(":")
    provider = PROVIDERS.get(kind)
    if provider is None or provider not in onnxruntime.get_available_providers() or not (number or "0").isdigit():
        raise InputError(
            f"device {device!r} is not available to ONNX Runtime here; give cpu, install onnxruntime-gpu for cuda, or, "
            "with weights other than an ONNX file, take the backend torch."
        )
    return provider, number
