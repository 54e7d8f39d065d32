"""ExecuTorch: a ``.pte`` of one height and width, for phones and small devices, with XNNPACK's kernels."""

import logging
from pathlib import Path

import numpy as np
import torch

from sdnet_pl.inference.export.parity import Export, Loaded


def write(export: Export, path: Path) -> None:
    """Write ``path``; what it says of itself are methods of the program, which return text."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(export.network, (torch.from_numpy(export.pictures[0]),))
    lowered = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], constant_methods=dict(export.properties)
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
        lambda picture: np.asarray(method.execute([torch.from_numpy(np.ascontiguousarray(picture))])[0]),
        program.load_method("precision").execute([])[0],
        channels,
        (shape[0], shape[1]),
    )
