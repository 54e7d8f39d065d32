"""ncnn: ``MODEL.ncnn.param`` with ``MODEL.ncnn.bin``, for phones and boards with ARM CPUs or Vulkan."""

# PyTorch is imported to write alone: to run a file it is not needed.
import tempfile
from pathlib import Path

import numpy as np

from sdnet_pl.errors import InputError
from sdnet_pl.inference.export.parity import Export, Loaded, Picture

HALF = (0x01306B47).to_bytes(4, "little")
"""What stands before weights of 16 bits."""


def write(export: Export, path: Path) -> None:
    """Write ``path`` and the file of its weights; without a ``shape`` any multiples of 32 work.

    The format has no place for what the file says of itself: the name of its input layer tells the version alone.
    """
    import pnnx
    import torch

    step = export.network.size_multiple
    # Two shapes that share no side: what is equal in both becomes fixed.
    shapes = [export.shape] if export.shape else [(2 * step, 3 * step), (5 * step, 4 * step)]
    first, *second = (torch.rand(1, export.network.in_channels, *sides) for sides in shapes)
    with tempfile.TemporaryDirectory() as folder:  # pnnx leaves eight other files beside its own
        pnnx.export(
            export.network,
            str(Path(folder) / "network.pt"),
            (first,),
            inputs2=tuple(second) or None,
            ncnnparam=str(path),
            ncnnbin=str(path.with_suffix(".bin")),
            fp16=export.precision == "fp16-weights",
        )
    path.write_text(_named(path.read_text(encoding="utf-8"), export.properties["sdnet_pl_version"]), encoding="utf-8")


def load(path: Path, threads: int | None) -> Loaded:
    """The network in ncnn on the CPU."""
    import ncnn

    network = ncnn.Net()
    if threads:
        network.opt.num_threads = threads
    network.opt.use_fp16_arithmetic = network.opt.use_bf16_storage = False
    weights = path.with_suffix(".bin")
    # What could not be loaded would end the process when it runs.
    if not weights.exists() or network.load_param(str(path)) or network.load_model(str(weights)):
        raise InputError(f"{path} or its {weights.name} is damaged or missing; export it again.")

    def run(picture: Picture) -> Picture:
        given = np.ascontiguousarray(picture[0])  # of which Mat makes no copy
        extractor = network.create_extractor()
        extractor.input("image", ncnn.Mat(given))
        return np.array(extractor.extract("alpha")[1])[None]

    precision = "fp16-weights" if HALF in weights.read_bytes()[:64] else "fp32"
    mean = next(line for line in path.read_text(encoding="utf-8").splitlines() if "normalization" in line)
    return Loaded(run, precision, int(mean.split("2=")[1].split()[0]))


def _named(param: str, version: str) -> str:
    """The description of a graph with the input and output called ``image`` and ``alpha``."""
    names = {"in0": "image", "out0": "alpha"}
    lines = [[names.get(word, word) for word in line.split()] for line in param.splitlines()]
    for line in lines:
        if line[:1] == ["Input"]:
            line[1] = f"sdnet_pl_version_{version}"
    return "\n".join(map(" ".join, lines)) + "\n"
