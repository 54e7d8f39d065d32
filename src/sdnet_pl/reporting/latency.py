"""What a network costs on this machine: time, memory and file size, in the runtime of its file."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from sdnet_pl.errors import InputError
from sdnet_pl.inference.export.formats import FORMATS, is_package, require, size_on_disk
from sdnet_pl.inference.export.parity import Loaded
from sdnet_pl.reporting.tables import Row

Shape = tuple[int, int]
FIRST_COLUMNS = ("network", "backend", "precision")  # of the table


class Candidate(NamedTuple):
    """A network in a runtime.

    Attributes:
        name: of the weights, or the file's.
        backend: the runtime's name.
        file: what is loaded.
    """

    name: str
    backend: str
    file: Path


def candidates(models: Sequence[str]) -> list[Candidate]:
    """Names that ship, in each runtime that takes them, and files in that of their format.

    Raises:
        InputError: there is no such name or file, or its runtime is missing or does not run here.
    """
    from sdnet_pl.inference.engine import onnx_file
    from sdnet_pl.inference.pretrained import locate

    found = []
    for model in dict.fromkeys(models):
        file = Path(model) if is_package(Path(model)) else locate(model)
        if file.suffix in FORMATS:
            require(file.suffix)
            found.append(Candidate(model, FORMATS[file.suffix].runtime, file))
            continue
        if (onnx := onnx_file(model)) is not None:
            found.append(Candidate(model, "ONNX Runtime", onnx))
        if file.suffix != ".onnx":
            found.append(Candidate(model, "PyTorch", file))
    return found


def measure(models: Sequence[Candidate], shapes: Sequence[Shape], threads: int, rounds: int) -> list[Row]:
    """The table: each network at each size; where its file has one size alone, at that.

    Each runs in a process of its own, and they take turns, so that a slow moment of the machine hits all alike.

    Args:
        models: what to measure.
        shapes: heights and widths in pixels.
        threads: of each runtime that can be told.
        rounds: timed runs of each.

    Returns:
        Rows with milliseconds of a picture (median and 95th percentile), the largest memory of the whole process in
        MiB, and MB of the file.

    Raises:
        InputError: a file's runtime does not run here, or it takes none of these sizes.
    """
    rows: list[Row] = []
    fixed: dict[Candidate, Shape | None] = {}
    for shape in shapes:
        if len(fixed) == len(models) and None not in fixed.values():
            break  # each has one size alone, and was measured at it
        pools: dict[Candidate, ProcessPoolExecutor] = {}
        about: dict[Candidate, tuple[str, Shape | None, float]] = {}
        try:
            for model in models:
                if fixed.get(model) is not None:
                    continue  # it was measured at its own size
                pools[model] = pool = ProcessPoolExecutor(1, get_context("spawn"))
                try:
                    about[model] = pool.submit(_load, model, shape, threads).result()
                except InputError:
                    raise
                except Exception as error:  # any, and some runtimes end the process
                    raise InputError(
                        f"{model.name} does not run in {model.backend} at {shape[1]}×{shape[0]} pixels "
                        f"({type(error).__name__}); export it again, or give smaller --sizes."
                    ) from error
                fixed[model] = about[model][1]
            times: dict[Candidate, list[float]] = {model: [] for model in pools}
            for _ in tqdm(range(rounds), desc=f"{shape[1]}×{shape[0]}", unit="round"):
                for model, pool in pools.items():
                    times[model].append(pool.submit(_time).result())
        finally:
            for pool in pools.values():
                pool.shutdown()
        for model, values in times.items():
            precision, own, memory = about[model]
            height, width = own or shape
            rows.append(
                {
                    **dict(zip(FIRST_COLUMNS, (model.name, model.backend, precision), strict=True)),
                    "width": width,
                    "height": height,
                    "ms": float(np.median(values)),
                    "ms (95 %)": float(np.percentile(values, 95)),
                    "memory (MiB)": memory,
                    "file (MB)": size_on_disk(model.file) / 1e6,
                }
            )
    return rows


_run: Callable[[], object]
"""Of this process: the network on its picture."""


def _load(model: Candidate, shape: Shape, threads: int) -> tuple[str, Shape | None, float]:
    """Prepares a process for :func:`_time`; the precision, the only size if there is one, and MiB of memory."""
    global _run
    loaded = _open(model, threads)
    if loaded is None:
        raise InputError(f"{model.name}: {model.backend} does not run on this machine; leave it out.")
    picture = np.random.default_rng(0).random((1, loaded.channels, *(loaded.shape or shape)), np.float32)
    _run = partial(loaded.run, picture)
    _run()
    return loaded.precision, loaded.shape, _peak_memory()


def _open(model: Candidate, threads: int) -> Loaded | None:
    if model.backend == "ONNX Runtime":
        from sdnet_pl.inference.onnx_network import OnnxNetwork

        network = OnnxNetwork(model.file, threads=threads)
        return Loaded(network, network.precision, 3 + network.trimap, network.shape)
    if model.backend == "PyTorch":
        import torch

        from sdnet_pl.inference.torch_network import TorchNetwork
        from sdnet_pl.inference.weights import load_weights

        torch.set_num_threads(threads)
        module, _ = load_weights(model.file)
        return Loaded(TorchNetwork(module, "cpu"), "fp32", 3 + bool(getattr(module, "trimap", False)))
    loaded: Loaded | None = import_module(f"sdnet_pl.inference.export.{FORMATS[model.file.suffix].module}").load(
        model.file, threads
    )
    return loaded


def _time() -> float:
    """Milliseconds of a picture; the run before it fills the caches again, which other networks have emptied."""
    _run()
    start = time.perf_counter()
    _run()
    return 1000 * (time.perf_counter() - start)


def _peak_memory() -> float:
    """MiB of this process's largest resident memory; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage gives on Linux is handed down from the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on a Mac
