"""ONNX: one file, traced, brought to its precision and described."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from sdnet_pl.data.files import naming, to_disk
from sdnet_pl.inference.export.parity import Export, Loaded
from sdnet_pl.inference.onnx_network import OnnxNetwork
from sdnet_pl.nn import SDNet, fold_batch_norm
from sdnet_pl.nn.ampa import SqueezeExcitation
from sdnet_pl.nn.sdnet import MIN_SIZE
from sdnet_pl.version import __version__

OPSET = 18  # the lowest of torch's exporter


class FusedPReLU(nn.Module):
    """PReLU as ``a x + ReLU((1 - a) x)``, two depthwise 1x1 convolutions, for slopes a <= 1.

    The same function. ONNX Runtime's own PRelu leaves the memory layout of its convolutions, and takes a third of the
    whole network's time on a CPU.

    Args:
        slopes: a, ``[C]``.
    """

    def __init__(self, slopes: Tensor) -> None:
        super().__init__()
        channels = len(slopes)
        self.linear = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.bent = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.linear.weight.data = slopes.detach().view(-1, 1, 1, 1).clone()
        self.bent.weight.data = 1 - self.linear.weight.data

    def forward(self, x: Tensor) -> Tensor:
        """PReLU of ``x``, ``[B, C, H, W]``."""
        return self.linear(x) + F.relu(self.bent(x))


class WideMean(nn.Module):
    """Channel attention whose mean over the whole picture is taken in float32: its sum overflows float16."""

    def __init__(self, attention: SqueezeExcitation) -> None:
        super().__init__()
        self.gate = attention.gate

    def forward(self, x: Tensor) -> Tensor:
        """``x``, ``[B, C, H, W]``, with each channel scaled by its weight in [0, 1]."""
        return x * self.gate(x.float().mean(dim=(2, 3), keepdim=True).to(x.dtype))


class Padded(nn.Module):
    """A network after reflection to the next multiple of its size, cropped again: takes any sides of at least 32."""

    def __init__(self, network: SDNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Alpha ``[B, 1, H, W]`` in [0, 1] of ``image``, ``[B, 3 or 4, H, W]``."""
        height, width = image.shape[-2:]
        multiple = self.network.size_multiple
        # Written so that the tracer sees multiples; the network's own padding is then nothing.
        below = (height + multiple - 1) // multiple * multiple - height
        right = (width + multiple - 1) // multiple * multiple - width
        alpha: Tensor = self.network(F.pad(image, (0, right, 0, below), mode="reflect"))
        return alpha[..., :height, :width]


def write(export: Export, path: Path) -> None:
    """Write ``path``; without a ``shape`` any batch and any sides of at least 32 work: the graph pads and crops."""
    proto = to_onnx(export.network, export.precision, export.shape)
    if export.precision == "int8":
        proto = quantize(proto, export.pictures)
    if export.precision == "fp16-weights":
        _store_half(proto.graph)
    sizes = f"height and width of at least {MIN_SIZE}; the graph itself pads to multiples and crops"
    about = {"opset": str(OPSET), "size": "height and width as given" if export.shape else sizes}
    onnx.helper.set_model_props(proto, about | dict(export.properties))
    onnx.save(proto, path)
    to_disk(path)
    onnx.checker.check_model(path, full_check=True)


def load(path: Path, threads: int | None) -> Loaded:
    """The network in ONNX Runtime on the CPU."""
    network = OnnxNetwork(path, threads=threads)
    return Loaded(network, network.precision, 3 + network.trimap, network.shape)


def to_onnx(model: SDNet, precision: str, shape: tuple[int, int] | None = None) -> onnx.ModelProto:
    """The network as a graph from ``image`` to ``alpha``, with free ``batch``, ``height`` and ``width``.

    With a ``shape``, for one picture of that height and width alone, as compilers for NPUs need it.

    BatchNorm is folded, and no weight is subnormal. ``fp16`` takes and returns float16; ``int8`` is still to be
    quantised by :func:`quantize`.

    Args:
        model: In eval mode; it is left as it is.
        precision: One that the format has.
        shape: Multiples of the network's ``size_multiple``.
    """
    network = fold_batch_norm(model).requires_grad_(False)
    half = precision == "fp16"
    _replace(network, half)
    if half:
        network.half()
    dim = torch.export.Dim
    sizes = None if shape else {0: dim("batch"), 2: dim("height", min=MIN_SIZE), 3: dim("width", min=MIN_SIZE)}
    # No side is a multiple, and no two are equal: the tracer takes equal sizes for one.
    batch, sides = (1, shape) if shape else (2, (4 * MIN_SIZE + 5, 6 * MIN_SIZE + 9))
    example = torch.rand(batch, model.in_channels, *sides)
    with _quiet():
        program = torch.onnx.export(
            (network if shape else Padded(network)).eval(),
            (example.half() if half else example,),
            dynamo=True,
            input_names=["image"],
            output_names=["alpha"],
            dynamic_shapes=(sizes,) if sizes else None,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return _tidy(program.model_proto)


def quantize(proto: onnx.ModelProto, pictures: Sequence[NDArray[np.float32]]) -> onnx.ModelProto:
    """A graph whose convolutions work on 8 bits: one scale for each output channel, static scales between layers.

    What leads to a sigmoid stays in float32 from its last convolution on: alpha is steep there.

    Args:
        proto: A graph of :func:`to_onnx` in fp32.
        pictures: Inputs that show the range of every layer.
    """
    proto = onnx.shape_inference.infer_shapes(proto)
    _pool_by_convolution(proto.graph)
    with tempfile.TemporaryDirectory() as folder, naming(folder), _quiet():
        exact, quantized = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(proto, exact)
        quantize_static(
            exact,
            quantized,
            _Inputs(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Relu", "Add", "Mul", "Concat", "Resize"],
            nodes_to_exclude=_heads(proto.graph),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return _tidy(onnx.load(quantized))


def _store_half(graph: onnx.GraphProto) -> None:
    """Keeps weights in float16 and casts them to float32, which runtimes do once, when they load the file."""
    casts = []
    for weights in graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > 1:
            name, stored = weights.name, f"{weights.name}_half"
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
            casts.append(onnx.helper.make_node("Cast", [stored], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _replace(module: nn.Module, half: bool) -> None:
    """Replaces modules by the form that runtimes run best, throughout a network."""
    for name, child in module.named_children():
        if half and isinstance(child, SqueezeExcitation):
            setattr(module, name, WideMean(child))
        # Half precision is for GPUs, whose PRelu is one pass.
        elif not half and isinstance(child, nn.PReLU) and child.weight.max() <= 1:
            setattr(module, name, FusedPReLU(child.weight))
        else:
            _replace(child, half)


class _Inputs(CalibrationDataReader):
    def __init__(self, pictures: Sequence[NDArray[np.float32]]) -> None:
        self.rest = iter(pictures)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        picture = next(self.rest, None)
        return None if picture is None else {"image": picture}


def _pool_by_convolution(graph: onnx.GraphProto) -> None:
    """Writes average pooling as a depthwise convolution: ONNX Runtime's pooling is slower in int8 than in fp32."""
    channels = {
        info.name: info.type.tensor_type.shape.dim[1].dim_value for info in graph.value_info if _rank(info) == 4
    }
    for node in graph.node:
        if node.op_type == "AveragePool":
            side, _ = kernel = next(list(a.ints) for a in node.attribute if a.name == "kernel_shape")
            count, name = channels[node.output[0]], f"{node.output[0]}_mean"
            weights = np.full((count, 1, side, side), 1 / side**2, np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
            # Without padding and with the kernel's size as stride, as F.avg_pool2d has it.
            pool = onnx.helper.make_node(
                "Conv", [*node.input, name], node.output, node.name, kernel_shape=kernel, strides=kernel, group=count
            )
            node.CopyFrom(pool)


def _rank(info: onnx.ValueInfoProto) -> int:
    return len(info.type.tensor_type.shape.dim)


def _heads(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes from the last convolution before a sigmoid to that sigmoid."""
    producer = {output: node for node in graph.node for output in node.output}
    todo = [node for node in graph.node if node.op_type == "Sigmoid"]
    names = []
    while todo:
        node = todo.pop()
        names.append(node.name)
        if node.op_type != "Conv":
            todo += [producer[name] for name in node.input if name in producer]
    return names


def _tidy(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Removes what a reader of the file does not need: paths of the machine, derived names, subnormal weights."""
    del proto.metadata_props[:], proto.graph.metadata_props[:], proto.graph.value_info[:]
    for part in (*proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for dim, name in zip(
        proto.graph.output[0].type.tensor_type.shape.dim, ("batch", "", "height", "width"), strict=True
    ):
        if name and not dim.dim_value:
            dim.dim_param = name
    for weights in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if np.issubdtype(values.dtype, np.floating):
            smallest = np.finfo(values.dtype).smallest_normal
            flushed = np.where(np.abs(values) < smallest, values.dtype.type(0), values)
            weights.CopyFrom(onnx.numpy_helper.from_array(flushed, weights.name))
    proto.producer_name, proto.producer_version = "sdnet_pl", __version__
    proto.graph.name = "sdnet"
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tracer's and the quantiser's remarks on packages and steps that the network has no use for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
