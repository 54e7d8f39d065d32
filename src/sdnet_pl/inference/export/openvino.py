"""OpenVINO: an ``.xml`` with its ``.bin``, for Intel's CPUs, GPUs and NPUs."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sdnet_pl.inference.export.parity import Export, Loaded


def write(export: Export, path: Path) -> None:
    """Write ``path`` and the file of its weights, by way of ONNX; without a ``shape`` any sides of at least 32 work."""
    import onnx
    import openvino

    from sdnet_pl.inference.export.onnx_file import quantize, to_onnx

    proto = to_onnx(export.network, "fp32")
    if export.precision == "int8":
        proto = quantize(proto, export.pictures)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        onnx.save(proto, file)
        converted = openvino.convert_model(file)
    if export.shape:
        converted.reshape([1, export.network.in_channels, *export.shape])
    for key, value in export.properties.items():
        converted.set_rt_info(value, ["sdnet_pl", key])
    openvino.save_model(converted, path, compress_to_fp16=export.precision == "fp16-weights")


def load(path: Path, threads: int | None) -> Loaded:
    """The network, compiled for the CPU."""
    import openvino

    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads} if threads else {}
    model = openvino.Core().read_model(path)
    compiled = openvino.Core().compile_model(model, "CPU", options)
    channels = model.input(0).get_partial_shape()[1].get_length()
    precision = model.get_rt_info(["sdnet_pl", "precision"]).astype(str)
    sides = model.input(0).get_partial_shape()[2:]
    shape = None if sides.is_dynamic else (sides[0].get_length(), sides[1].get_length())
    return Loaded(lambda picture: np.asarray(compiled(picture)[0]), precision, channels, shape)
