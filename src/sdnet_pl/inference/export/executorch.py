"""ExecuTorch: a ``.pte`` of one height and width, for phones and small devices, with XNNPACK's kernels."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sdnet_pl.inference.export.parity import Loaded, Picture
from sdnet_pl.nn import SDNet, fold_batch_norm


def write(
    model: SDNet,
    path: Path,
    shape: tuple[int, int],
    precision: str,
    pictures: Sequence[Picture],
    properties: Mapping[str, str],
) -> None:
    """Write ``path``; what it says of itself are methods of the program, which return text."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    network = fold_batch_norm(model).requires_grad_(False).eval()
    program = torch.export.export(network, (torch.rand(1, model.in_channels, *shape),))
    lowered = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], constant_methods=dict(properties)
    ).to_executorch()
    path.write_bytes(lowered.buffer)


def load(path: Path, threads: int | None) -> Loaded:
    """The network in ExecuTorch's own runtime, which uses as many threads as it likes."""
    logging.getLogger("executorch").setLevel(logging.ERROR)
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path)
    method = program.load_method("forward")
    assert method is not None
    _, channels, *shape = method.metadata.input_tensor_meta(0).sizes()
    return Loaded(
        lambda picture: np.asarray(method.execute([torch.from_numpy(picture)])[0]),
        program.load_method("precision").execute([])[0],
        channels,
        (shape[0], shape[1]),
    )
