"""One ONNX file out of a network: traced, brought to its precision, described, and compared with PyTorch."""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from sdnet_pl.data.files import atomic_write, naming, to_disk
from sdnet_pl.errors import InputError
from sdnet_pl.nn import SDNet, fold_batch_norm
from sdnet_pl.nn.ampa import SqueezeExcitation
from sdnet_pl.nn.sdnet import MIN_SIZE

OPSET = 18  # the lowest of torch's exporter

# Mean and largest difference to PyTorch's alpha above which a file is refused. In fp32 another order of summation gives
# 1e-6; beyond the others the alpha shows.
LIMITS = {"fp32": (1e-4, 1e-4), "fp16-weights": (2e-3, 0.25), "fp16": (2e-3, 0.25), "int8": (2e-2, 1.0)}


class Difference(NamedTuple):
    """How far alphas are from PyTorch's, in [0, 1]: the mean over all pixels, and the largest."""

    mean: float
    largest: float


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


def write_onnx(
    model: SDNet, path: Path, precision: str, pictures: Sequence[NDArray[np.float32]], properties: Mapping[str, str]
) -> Difference:
    """Writes a network as one ONNX file, checked before it takes its name.

    Args:
        model: In eval mode; it is left as it is.
        path: The file; one that exists is replaced. Nothing is left there where a check fails.
        precision: A key of ``LIMITS``.
        pictures: Inputs ``[1, C, H, W]`` in [0, 1] on which the file's alphas are compared with the network's.
        properties: What the file says of itself beside what :func:`describe` does.

    Returns:
        The difference to the network's alphas over ``pictures``.

    Raises:
        InputError: The file's alphas are too far from the network's.
        OSError: The file cannot be written.
    """
    proto = to_onnx(model, precision)
    if precision == "int8":
        proto = quantize(proto, pictures)
    if precision == "fp16-weights":
        _store_half(proto.graph)
    onnx.helper.set_model_props(proto, describe(model, precision) | dict(properties))
    with atomic_write(path) as temporary:
        onnx.save(proto, temporary)
        to_disk(temporary)
        onnx.checker.check_model(temporary, full_check=True)
        # Beside the pictures a batch of sides that are not square and no multiple of 32: the sizes must be free.
        corner = pictures[0][..., : MIN_SIZE + 16, : MIN_SIZE + 48]
        resized = compare(model, temporary, [np.concatenate([corner, corner[..., ::-1], 1 - corner])])
        difference = compare(model, temporary, pictures)
        largest = float(np.maximum(difference.largest, resized.largest))  # max() would lose NaN
        mean_limit, limit = LIMITS[precision]
        # With NaN no comparison holds.
        if not (difference.mean <= mean_limit and largest <= limit):
            remedy = (
                "train the network to its end, or install the versions of constraints.txt"
                if precision == "fp32"
                else "export it with --precision fp32"
            )
            raise InputError(
                f"{path} is not written: in {precision} its alphas are off PyTorch's by {difference.mean:.1e} in the "
                f"mean and {largest:.1e} at most, and {mean_limit:.0e} and {limit:.0e} are allowed; {remedy}."
            )
    return difference


def to_onnx(model: SDNet, precision: str) -> onnx.ModelProto:
    """The network as a graph from ``image`` to ``alpha``, with free ``batch``, ``height`` and ``width``.

    BatchNorm is folded, and no weight is subnormal. ``fp16`` takes and returns float16; ``int8`` is still to be
    quantised by :func:`quantize`.

    Args:
        model: In eval mode; it is left as it is.
        precision: A key of ``LIMITS``.
    """
    network = fold_batch_norm(model).requires_grad_(False)
    half = precision == "fp16"
    _replace(network, half)
    if half:
        network.half()
    dim = torch.export.Dim
    sizes = {0: dim("batch"), 2: dim("height", min=MIN_SIZE), 3: dim("width", min=MIN_SIZE)}
    # No side is a multiple, and no two are equal: the tracer takes equal sizes for one.
    example = torch.rand(2, model.in_channels, 4 * MIN_SIZE + 5, 6 * MIN_SIZE + 9)
    with _quiet():
        program = torch.onnx.export(
            Padded(network).eval(),
            (example.half() if half else example,),
            dynamo=True,
            input_names=["image"],
            output_names=["alpha"],
            dynamic_shapes=(sizes,),
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


def describe(model: SDNet, precision: str) -> dict[str, str]:
    """What a file says of itself: what it takes, what it gives, and how it was made."""
    channels = "RGB and a trimap (0 background, 0.5 unknown, 1 foreground)" if model.trimap else "RGB"
    dtype = "float16" if precision == "fp16" else "float32"
    multiple = model.size_multiple
    return {
        "sdnet_pl_version": version("sdnet_pl"),
        "trimap": json.dumps(model.trimap),
        "input": f"image: {channels}, {dtype} in [0, 1], NCHW [batch, {model.in_channels}, height, width]",
        "output": f"alpha: {dtype} in [0, 1], NCHW [batch, 1, height, width]",
        "size": f"height and width of at least {MIN_SIZE}; the graph itself pads to multiples of {multiple} and crops",
        "size_multiple": str(multiple),
        "precision": precision,
        "opset": str(OPSET),
        "batch_norm": "folded",
        "code_licence": "Apache-2.0",
    }


def compare(model: nn.Module, file: Path, pictures: Sequence[NDArray[np.float32]]) -> Difference:
    """The differences between a file's alphas and the network's on ``pictures``, NaN where a file gives NaN.

    Args:
        model: In eval mode.
        file: An ONNX file of it.
        pictures: ``[B, C, H, W]`` in [0, 1] each.
    """
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    dtype = np.float16 if session.get_inputs()[0].type == "tensor(float16)" else np.float32
    differences = []
    for picture in pictures:
        (alpha,) = session.run(["alpha"], {"image": picture.astype(dtype)})
        with torch.inference_mode():
            expected = model(torch.from_numpy(np.ascontiguousarray(picture))).numpy()
        differences.append(np.abs(np.asarray(alpha, np.float32) - expected).ravel())
    together = np.concatenate(differences)
    return Difference(float(together.mean()), float(together.max()))


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
        if name:
            dim.dim_param = name
    for weights in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if np.issubdtype(values.dtype, np.floating):
            smallest = np.finfo(values.dtype).smallest_normal
            flushed = np.where(np.abs(values) < smallest, values.dtype.type(0), values)
            weights.CopyFrom(onnx.numpy_helper.from_array(flushed, weights.name))
    proto.producer_name, proto.producer_version = "sdnet_pl", version("sdnet_pl")
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
