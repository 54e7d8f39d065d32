"""Where a training step's time goes, and how far it is from what the machine could do.

FLOPs are those of the network's convolutions, forward and backward. Bytes are an estimate: every operator reads its
arguments and writes its results once, whether or not a cache holds them or a compiler fuses it with others. The
roofline is the time of these FLOPs at the rate of a large product, or of these bytes at the rate of a large copy.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import default_collate
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import interleave, positive
from sdnet_pl.data import MattingDataModule
from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.lit import SDNetModule
from sdnet_pl.reporting.tables import to_markdown

PARTS = ("data", "forward", "loss", "backward of the objective", "backward of the network", "optimiser")
# Side of the product and numbers of the copy that show what the machine could do.
PEAKS = {"cuda": (8192, 2**28), "cpu": (1024, 2**25)}
Row = dict[str, str | float]


class Clock:
    """Takes the time on the host for a CPU, and in the stream for a GPU, which runs behind the host."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.marks: list[Any] = []
        self.mark()

    def mark(self) -> None:
        self.marks.append(torch.cuda.Event(enable_timing=True) if self.cuda else time.perf_counter())
        if self.cuda:
            self.marks[-1].record()

    def intervals(self) -> list[float]:  # in seconds
        pairs = zip(self.marks, self.marks[1:], strict=False)
        if self.cuda:
            torch.cuda.synchronize()
        return [a.elapsed_time(b) / 1000 if self.cuda else b - a for a, b in pairs]


class ByteCounter(TorchDispatchMode):
    """Adds up the arguments and results of every operator that is not a view."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(leaf.nbytes for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor))
        return out


class Step:
    """One training step in its parts, on one batch of the built-in portraits; ``half`` is Lightning's bf16-mixed."""

    def __init__(self, options: argparse.Namespace, half: bool) -> None:
        torch.manual_seed(0)
        self.device, self.half = torch.device(options.device), half
        self.module = SDNetModule(options.preset, compile=options.compile).to(self.device)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-4)
        self.data = MattingDataModule(size=options.size, batch_size=options.batch_size)
        self.data.setup("fit")
        batch = default_collate([self.data.training[i] for i in range(options.batch_size)])
        pinned = self.device.type == "cuda"
        self.batch = {key: value.pin_memory() if pinned else value for key, value in batch.items()}

    def __call__(self) -> list[float]:
        """Seconds of each of ``PARTS``. The graph is cut at the network's outputs, so that both halves are timed."""
        clock = Clock(self.device)
        batch = self._on_device()
        clock.mark()
        with self._autocast():
            out = self.module.training_forward(self.module.network_input(batch))
        clock.mark()
        outputs = [out.alpha, *out.side_alphas.values()]
        cut = [output.detach().requires_grad_() for output in outputs]
        with self._autocast():
            total = self.module.objective(
                cut[0].float(),
                {i: side.float() for i, side in zip(out.side_alphas, cut[1:], strict=True)},
                *(batch[key] for key in ("alpha", "foreground", "background")),
            )["total"]
        clock.mark()
        total.backward()
        clock.mark()
        torch.autograd.backward(outputs, [leaf.grad for leaf in cut])
        clock.mark()
        self.optimizer.step()
        self.optimizer.zero_grad()
        clock.mark()
        return clock.intervals()

    def work(self) -> tuple[float, float]:
        """FLOPs and estimated bytes of the network, forward and backward."""
        pictures = self.module.network_input(self._on_device())
        with FlopCounterMode(display=False) as flops, ByteCounter() as moved:
            with self._autocast():
                out = self.module.model.forward_side_outputs(pictures)  # as it is written, not compiled
            outputs = [out.alpha, *out.side_alphas.values()]
            torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
        self.module.zero_grad()
        return flops.get_total_flops(), moved.total

    def busy(self, seconds: float) -> float:
        """Share of a step of ``seconds`` in which a GPU runs kernels; on a CPU, of a profiled step spent in ATen."""
        with profile() as profiler:
            start = time.perf_counter()
            self()
            wall = time.perf_counter() - start
        if self.device.type == "cuda":  # the profiler slows the host down and not the kernels
            kernels = (e for e in profiler.events() if e.device_type == DeviceType.CUDA and not e.is_user_annotation)
            return sum(e.time_range.elapsed_us() for e in kernels) / 1e6 / seconds
        return sum(e.self_cpu_time_total for e in profiler.key_averages() if e.key.startswith("aten::")) / 1e6 / wall

    def _on_device(self) -> TrainingBatch:
        batch = self.data.transfer_batch_to_device(self.batch, self.device, 0)
        return self.data.on_after_batch_transfer(batch, 0)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)


def peaks(device: torch.device, half: bool) -> tuple[float, float]:
    """FLOP/s of a large product and bytes/s of a large copy, the best of five."""
    n, elements = PEAKS[device.type]
    factor = torch.rand(n, n, device=device, dtype=torch.bfloat16 if half else torch.float32)
    source = torch.rand(elements, device=device)
    target = torch.empty_like(source)

    def seconds(call: Callable[[], object]) -> float:
        call()
        clock = Clock(device)
        for _ in range(5):
            call()
            clock.mark()
        return min(clock.intervals())

    return 2 * n**3 / seconds(lambda: factor @ factor), 2 * source.nbytes / seconds(lambda: target.copy_(source))


def measure(options: argparse.Namespace) -> list[Row]:
    """One row a part of the step and a figure, one column a precision."""
    steps = {"fp32": Step(options, half=False), "bf16-mixed": Step(options, half=True)}
    found: dict[str, list[list[float]]] = {name: [] for name in steps}
    turns = {name: partial(lambda name: found[name].append(steps[name]()), name) for name in steps}
    interleave(turns, options.rounds)
    rows: dict[str, Row] = {}
    totals: dict[str, float] = {}
    for name, step in steps.items():
        parts = [median(times) for times in zip(*found[name][1:], strict=True)]  # the first round warms up
        total = totals[name] = sum(parts)
        (flops, moved), (flop_rate, byte_rate) = step.work(), peaks(step.device, step.half)
        figures = {f"{part}, %": 100 * seconds / total for part, seconds in zip(PARTS, parts, strict=True)}
        figures["objective (loss and its backward), %"] = 100 * (parts[2] + parts[3]) / total
        figures["step, relative to fp32"] = total / totals["fp32"]
        figures["samples/s"] = options.batch_size / total
        figures["kernels run, % of the time"] = 100 * step.busy(total)
        figures["network, GFLOP a sample"] = flops / 1e9 / options.batch_size
        figures["network, GB a sample"] = moved / 1e9 / options.batch_size
        figures["roofline by FLOPs, % of the network's time"] = 100 * flops / flop_rate / (parts[1] + parts[4])
        figures["roofline by bytes, % of the network's time"] = 100 * moved / byte_rate / (parts[1] + parts[4])
        for figure, value in figures.items():
            rows.setdefault(figure, {"": figure})[name] = value
    return list(rows.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description="Times a training step by part.")
    parser.add_argument("--preset", default="sdnet-fast")
    parser.add_argument("--size", type=int, default=256, help="side of the crops in pixels")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compile the network; minutes before the first round")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(f"{options.preset}, {options.batch_size} crops of {options.size}x{options.size}, {options.device}\n")
    print(to_markdown(measure(options)), end="")


if __name__ == "__main__":
    main()
