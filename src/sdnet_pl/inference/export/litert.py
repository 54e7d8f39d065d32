"""LiteRT (TensorFlow Lite): a ``.tflite`` of one height and width, for Android, boards and browsers."""

# PyTorch is imported to write alone: to run a file it is not needed.
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sdnet_pl.inference.export.parity import Export, Loaded, Picture

SIGNATURE = "serving_default"


def write(export: Export, path: Path) -> None:
    """Write ``path``, from ``[1, C, H, W]`` to ``[1, 1, H, W]``; int8 also goes in and comes out."""
    import litert_torch
    import torch

    litert_torch.convert(export.network, (torch.from_numpy(export.pictures[0]),)).export(str(path))
    _describe(path, export.properties)
    if export.precision == "int8":
        _quantize(path, export.pictures)


def load(path: Path, threads: int | None) -> Loaded:
    """The network in LiteRT's interpreter on the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(picture: Picture) -> Picture:
        scale, zero = given["quantization"]
        if scale:  # int8
            picture = np.clip(np.rint(picture / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(given["index"], picture)
        interpreter.invoke()
        alpha = interpreter.get_tensor(found["index"]).astype(np.float32)
        scale, zero = found["quantization"]
        return np.asarray((alpha - zero) * np.float32(scale) if scale else alpha)

    _, channels, height, width = map(int, given["shape"])
    return Loaded(run, "int8" if given["quantization"][0] else "fp32", channels, (height, width))


def _quantize(path: Path, pictures: Sequence[Picture]) -> None:
    """Convolutions on 8 bits, with scales from pictures."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    exact = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    name = next(iter(Interpreter(str(path)).get_signature_runner(SIGNATURE).get_input_details()))
    seen = exact.calibrate({SIGNATURE: [{name: picture} for picture in pictures]})
    path.write_bytes(exact.quantize(seen).quantized_model)


def _describe(path: Path, properties: Mapping[str, str]) -> None:
    """Adds what the file says of itself to its metadata."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for key, value in properties.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(value.encode(), np.uint8)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = key, len(model.buffers) - 1
        model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(builder.Output())
