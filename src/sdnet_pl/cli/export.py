"""The command ``sdnet-pl export``: a trained network as ONNX (checked against PyTorch) or weights alone."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from sdnet_pl.cli.options import add_overwrite, add_weights
from sdnet_pl.errors import InputError
from sdnet_pl.inference import transformers_js
from sdnet_pl.inference.pretrained import locate

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
WEIGHTS_SUFFIX = ".safetensors"
PRECISIONS = ("fp32", "fp16-weights", "fp16", "int8")
# Where int8 is faster than fp32 on a CPU, as measured with ONNX Runtime; sdnet-tiny's few channels do not pay for it.
INT8_PRESETS = ("sdnet", "sdnet-fast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help="what to write: MODEL.onnx; MODEL.safetensors for weights that this package reads (fp16); or a folder, a "
        "name without an ending, with the ONNX file as transformers.js reads it",
    )
    add_weights(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of an ONNX file: fp32 (default); fp16-weights: half the size, the same time (default of a folder); fp16: "
        "takes and returns float16, for GPUs; int8: faster on CPUs",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="photos that show the int8 file its ranges, and on which the error is measured (default: built-in "
        "portraits); 16 spread over the folder are taken",
    )
    parser.add_argument(
        "--licence", metavar="TEXT", help="licence of the weights, to be kept in the file; it follows the training data"
    )
    add_overwrite(parser, "replace a file that exists already")


def run(args: argparse.Namespace) -> int:
    """Write the file or the folder; of ONNX print how far its alphas are from PyTorch's.

    Every path is checked before the network is loaded.

    Raises:
        InputError: a path is wrong, a package is missing, the preset has no int8 form, or the file that was written
            does not give PyTorch's alphas; then nothing is left at ``OUTPUT``.
    """
    folder = not args.output.suffix
    file = args.output / transformers_js.MODEL if folder else args.output
    _check(args, file)

    from sdnet_pl.inference.weights import NO_LICENCE, read_weights, write_weights

    trained = read_weights(args.weights)
    licence = args.licence or trained.licence or NO_LICENCE
    if args.output.suffix == WEIGHTS_SUFFIX:
        write_weights(trained, args.output, {"licence": licence})
        print(f"{args.output}: {trained.preset}, {args.output.stat().st_size / 1e6:.1f} MB")
        return 0

    from sdnet_pl.inference.calibration import built_in, from_folder
    from sdnet_pl.inference.onnx_file import write_onnx

    precision, size = args.precision or ("fp16-weights" if folder else "fp32"), trained.training_size
    if folder and trained.trimap:
        raise InputError(
            f"{args.weights} holds a network that needs a trimap, which transformers.js has no pipeline for; give a "
            f"file, such as {args.output}.onnx."
        )
    if precision == "int8" and trained.preset not in INT8_PRESETS:
        raise InputError(
            f"{args.weights} holds the preset {trained.preset!r}, which is slower in int8 than in fp32; export it "
            f"with --precision fp32 (int8 is for {', '.join(INT8_PRESETS)})."
        )
    if args.calibration and trained.trimap:
        raise InputError(
            f"{args.weights} holds a network that needs a trimap beside each photo, and {args.calibration} holds "
            "photos alone; leave out --calibration."
        )
    model = trained.build()
    _say("reading pictures to compare on")
    pictures = from_folder(args.calibration, size) if args.calibration else built_in(size, model.trimap)
    properties = {
        "preset": trained.preset,
        "network": json.dumps(trained.network),
        "training_size": str(size),
        "weights_licence": licence,
    }
    _say(f"tracing {trained.preset} and writing {precision}; this takes a minute")
    difference = write_onnx(model, file, precision, pictures, properties)
    if folder:
        transformers_js.write_configs(args.output, size)
    print(
        f"{args.output}: {trained.preset}, {precision}, {file.stat().st_size / 1e6:.1f} MB; alpha "
        f"against PyTorch over {len(pictures)} pictures: mean error {difference.mean:.1e}, largest "
        f"{difference.largest:.1e}"
    )
    return 0


def _check(args: argparse.Namespace, file: Path) -> None:
    if file.suffix not in (".onnx", WEIGHTS_SUFFIX):
        raise InputError(
            f"{file} does not end in .onnx or {WEIGHTS_SUFFIX}; give a name that does, or a folder, without an ending."
        )
    if file.is_dir():
        raise InputError(f"{file} is a folder; give the name of a file.")
    weights = locate(args.weights)
    if file.exists():
        if file.resolve() == weights.resolve():
            raise InputError(f"{file} would be overwritten by its own export; give another name.")
        from sdnet_pl.data.provenance import foreign

        if not _is_export(file):
            raise foreign(file)
        if not args.overwrite:
            raise InputError(f"{file} exists already; give --overwrite to replace it, or another name.")
    elif file != args.output:
        _check_folder(args.output)
    if file != args.output and args.precision == "fp16":
        raise InputError("transformers.js gives a network float32, and --precision fp16 takes float16; leave it out.")
    if file.suffix == WEIGHTS_SUFFIX and (args.precision or args.calibration):
        raise InputError("--precision and --calibration are for ONNX files; weights are kept in fp16: leave them out.")
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing and file.suffix == ".onnx":
        raise InputError(f"export needs {', '.join(missing)}; install with: pip install 'sdnet_pl[export]'.")
    if args.calibration:
        from sdnet_pl.data.image_io import list_pictures

        list_pictures(args.calibration)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror or error}); give a name in a folder that can be written."
        ) from error


def _check_folder(folder: Path) -> None:
    """Refuse a folder whose configs belong to another network."""
    for name in (transformers_js.CONFIG, transformers_js.PREPROCESSOR):
        if (folder / name).exists():
            from sdnet_pl.data.provenance import foreign

            raise foreign(folder / name)


def _is_export(file: Path) -> bool:
    """Whether a file says of itself that this command wrote it."""
    data = file.read_bytes()
    if file.suffix != WEIGHTS_SUFFIX:
        return b"sdnet_pl_version" in data  # a key of the metadata, whose text a protobuf holds as it is
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return str(header["__metadata__"]["format"]).startswith("sdnet_pl ")
    except (ValueError, KeyError, TypeError):
        return False


def _say(text: str) -> None:
    print(f"sdnet-pl: {text} ...", file=sys.stderr)
