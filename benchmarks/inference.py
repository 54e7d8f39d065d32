"""Time and memory of one picture's alpha: the presets beside networks of other packages, in PyTorch and ONNX Runtime.

The candidates of a table take turns, and the ratios of medians are what to read. The presets run in their
form for inference, in channels_last. Weights are random: time does not depend on them as long as none are subnormal.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.timing import interleave, positive
from sdnet_pl.inference.export.onnx_file import to_onnx
from sdnet_pl.nn import PRESETS, SDNet, create_model, fold_batch_norm
from sdnet_pl.reporting.complexity import gmac
from sdnet_pl.reporting.tables import to_markdown


class Segmenter(nn.Module):
    """A one-class segmentation network of transformers, whose output is scaled up to the picture's size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(pixel_values=x).logits
        return nn.functional.interpolate(logits, size=x.shape[-2:], mode="bilinear").sigmoid()


def _transformers(name: str) -> Segmenter:
    import transformers  # takes seconds, which the processes that measure the presets' memory need not spend

    config = getattr(transformers, f"{name}Config")(num_labels=1)
    return Segmenter(getattr(transformers, f"{name}ForSemanticSegmentation")(config))


PEERS = {"MobileNetV2 + DeepLabV3+": "MobileNetV2", "SegFormer-B0": "Segformer"}


def build(name: str) -> nn.Module:
    """A preset or a peer with random weights, for evaluation."""
    torch.manual_seed(0)
    model = create_model(name) if name in PRESETS else _transformers(PEERS[name])
    with torch.no_grad():
        # BatchNorm as after a training: without, the activations of deep networks fade to subnormal numbers, which
        # take several times as long.
        model(torch.rand(4, 3, 128, 128))
    return model.eval()


def deploy(name: str) -> nn.Module:
    """The network as it is used: in the form for inference, in channels_last."""
    model = build(name)
    if isinstance(model, SDNet):
        model = fold_batch_norm(model)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def picture(size: tuple[int, int]) -> Tensor:
    """RGB noise, ``[1, 3, *size]``."""
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))


def write(name: str, path: Path, size: tuple[int, int]) -> None:
    """An ONNX file: of a preset what ``sdnet-pl export`` gives, of any size; of a peer one of that size."""
    model = build(name)
    if isinstance(model, SDNet):
        onnx.save(to_onnx(model, "fp32"), path)
    else:
        torch.onnx.export(model, (picture(size),), path, dynamo=False)


def session(path: Path, size: tuple[int, int], threads: int) -> Callable[[Tensor], object]:
    """A call of an ONNX file for one picture of that size with that many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A preset's file leaves its sizes free; told them, ONNX Runtime fuses as in the peers' files of fixed size.
    for name, value in zip(("batch", "height", "width"), (1, *size), strict=True):
        options.add_free_dimension_override_by_name(name, value)
    run = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = run.get_inputs()[0].name
    return lambda x: run.run(None, {name: np.ascontiguousarray(x.numpy())})


def eager(name: str) -> Callable[[Tensor], object]:
    """A call of the PyTorch network."""
    model = deploy(name)

    @torch.inference_mode()
    def call(x: Tensor) -> Tensor:
        alpha: Tensor = model(x.contiguous(memory_format=torch.channels_last))
        return alpha

    return call


def peak_memory(name: str | None, path: Path, size: tuple[int, int]) -> float:
    """MiB by which a process's largest resident memory grows with its first picture, the network being loaded; PyTorch
    for a ``name``, else ONNX Runtime. To be called in a process of its own."""
    torch.set_num_threads(1)
    x = picture(size)
    call = eager(name) if name else session(path, size, 1)
    before = _peak_rss()
    call(x)
    return _peak_rss() - before


def _peak_rss() -> float:
    """MiB. Linux only: the peak that getrusage gives is handed down from the process that started this one."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["VmHWM"].split()[0]) / 2**10


def counts(name: str) -> dict[str, str | float]:
    """Parameters in millions, and GMAC at 512x512."""
    model = build(name)
    return {"M parameters": sum(p.numel() for p in model.parameters()) / 1e6, "GMAC at 512x512": gmac(model)}


def height_width(text: str) -> tuple[int, int]:
    """``HxW`` of the command line; ValueError for anything else."""
    height, width = map(int, text.split("x"))
    return height, width


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=height_width, default=[(512, 512), (720, 1280)], metavar="HxW")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--models", nargs="+", default=[*PRESETS, *PEERS], choices=[*PRESETS, *PEERS], metavar="NAME")
    parser.add_argument(
        "--onnx", nargs="*", type=Path, default=[], metavar="FILE", help="further ONNX files that take those sizes"
    )
    parser.add_argument("--reference", help="whose time is 1 (default: the first of --onnx, else of --models)")
    args = parser.parse_args(arguments)
    names = [*(file.stem for file in args.onnx), *args.models]
    reference = args.reference or names[0]
    if reference not in names:
        parser.error(f"--reference {reference} is not measured; choose one of {', '.join(names)}.")
    for file in args.onnx:
        if not file.is_file():
            parser.error(f"--onnx {file} is not a file.")
    known = {name: counts(name) for name in args.models}

    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            files = {file.stem: file for file in args.onnx}
            for i, name in enumerate(args.models):
                files[name] = Path(folder) / f"{i}_{size[0]}x{size[1]}.onnx"
                write(name, files[name], size)
            memory: dict[str, dict[str, str | float]] = {}
            for name in names:
                memory[name] = {"PyTorch MiB": "", "ORT MiB": ""}
                for column, in_torch in (("PyTorch MiB", name), ("ORT MiB", None)):
                    if in_torch is None or name in args.models:
                        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                            memory[name][column] = pool.submit(peak_memory, in_torch, files[name], size).result()
            for threads in args.threads:
                torch.set_num_threads(threads)
                calls = {f"PyTorch {name}": eager(name) for name in args.models}
                calls |= {f"ORT {name}": session(files[name], size, threads) for name in names}
                times = interleave({key: partial(call, picture(size)) for key, call in calls.items()}, args.rounds)
                rows: list[dict[str, str | float]] = []
                for name in names:
                    row: dict[str, str | float] = {"network": name, "M parameters": "", "GMAC at 512x512": ""}
                    row.update(known.get(name, {}))
                    for backend in ("PyTorch", "ORT"):
                        measured = f"{backend} {name}" in times
                        unit = times[f"ORT {reference}"]
                        row[f"{backend} time"] = times[f"{backend} {name}"] / unit if measured else ""
                    row.update(memory[name])
                    rows.append(row)
                print(f"\n{size[0]}x{size[1]}, threads: {threads}; 1 = {reference} in ONNX Runtime\n")
                print(to_markdown(rows))


if __name__ == "__main__":
    main()
