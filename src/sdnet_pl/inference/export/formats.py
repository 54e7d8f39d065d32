"""The formats of other runtimes: which exist, what they need, and what their files look like."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from sdnet_pl.errors import InputError

# Mean and largest difference to PyTorch's alpha above which a file is refused. In fp32 another order of summation gives
# 1e-6; beyond the others the alpha shows.
EXACT = (1e-4, 1e-4)
HALF = (2e-3, 0.25)
INT8 = (2e-2, 1.0)
_MARKER = b"sdnet_pl_version"


class Format(NamedTuple):
    """A format.

    Attributes:
        runtime: what runs it, for messages.
        module: in this folder.
        extra: of this package, with which it installs.
        packages: which that extra brings.
        limits: mean and largest difference to PyTorch's alpha above which a file is refused, by precision; the first
            precision is the default.
        sides: of the pictures that a file takes: ``fixed`` is one height and width alone; the others can have one too.
    """

    runtime: str
    module: str
    extra: str
    packages: tuple[str, ...]
    limits: dict[str, tuple[float, float]]
    sides: Literal["fixed", "multiples", "any"] = "fixed"


FORMATS = {
    ".onnx": Format(
        "ONNX Runtime",
        "onnx_file",
        "export",
        ("onnx", "onnxscript", "onnxruntime"),
        {"fp32": EXACT, "fp16-weights": HALF, "fp16": HALF, "int8": INT8},
        sides="any",
    ),
    ".tflite": Format(
        "LiteRT",
        "litert",
        "litert",
        ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
        {"fp32": EXACT, "int8": INT8},
    ),
    ".pte": Format("ExecuTorch", "executorch", "executorch", ("executorch",), {"fp32": EXACT}),
    ".xml": Format(
        "OpenVINO",
        "openvino",
        "openvino",
        ("openvino", "onnx", "onnxscript"),
        {"fp16-weights": HALF, "fp32": EXACT, "int8": INT8},
        sides="any",
    ),
    ".param": Format(
        "ncnn",
        "ncnn",
        "ncnn",
        ("pnnx", "ncnn"),
        {"fp16-weights": HALF, "fp32": EXACT},
        sides="multiples",
    ),
    ".mlpackage": Format("Core ML", "coreml", "coreml", ("coremltools",), {"fp16": HALF, "fp32": EXACT}),
}


def require(suffix: str) -> None:
    """Refuse a format whose packages are missing.

    Raises:
        InputError: as said.
    """
    form = FORMATS[suffix]
    if missing := [name for name in form.packages if find_spec(name) is None]:
        raise InputError(
            f"{form.runtime} files need {', '.join(missing)}; install with: pip install 'sdnet_pl[{form.extra}]'."
        )


def is_package(path: Path) -> bool:
    """Whether a folder is a network in Core ML's format, of which each is a folder."""
    return path.suffix == ".mlpackage" and path.is_dir()


def is_ours(path: Path) -> bool:
    """Whether a file says of itself that this package wrote it."""
    files = path.rglob("*") if path.is_dir() else [path]
    return any(_MARKER in file.read_bytes() for file in files if file.is_file())


def companion(path: Path) -> Path | None:
    """The file of the weights beside a file that holds only the graph."""
    return path.with_suffix(".bin") if path.suffix in (".xml", ".param") else None


def size_on_disk(path: Path) -> int:
    """Bytes of a file with those that belong to it."""
    files = path.rglob("*") if path.is_dir() else [path]
    if beside := companion(path):
        files = [path, beside]
    return sum(file.stat().st_size for file in files if file.is_file())
