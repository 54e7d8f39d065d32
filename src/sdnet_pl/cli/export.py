"""The command ``sdnet-pl export``: a trained network for other runtimes (checked against PyTorch) or weights alone."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sdnet_pl.cli.options import add_overwrite, add_weights, to_shape
from sdnet_pl.data.files import as_text, check_writable, refuse_bare_suffix, require_utf8
from sdnet_pl.errors import InputError
from sdnet_pl.inference.export import transformers_js
from sdnet_pl.inference.export.formats import FORMATS, companion, is_ours, is_package, require, size_on_disk
from sdnet_pl.inference.pretrained import locate, pretrained_weights

WEIGHTS_SUFFIX = ".safetensors"
PRECISIONS = tuple(dict.fromkeys(precision for form in FORMATS.values() for precision in form.limits))
# Where int8 is faster than fp32 on a CPU, as measured with ONNX Runtime; sdnet-tiny's few channels do not pay for it.
INT8_PRESETS = ("sdnet", "sdnet-fast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    formats = ", ".join(f"{suffix} ({form.runtime})" for suffix, form in FORMATS.items())
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help=f"what to write, by its ending: {formats}; {WEIGHTS_SUFFIX} for weights that this package reads (fp16); a "
        "name without an ending becomes a folder for transformers.js",
    )
    add_weights(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="fp32; fp16-weights: half the size, the same time; fp16: computes in half precision, for GPUs and NPUs; "
        "int8: smaller, and faster on CPUs (default: the first that the format has of fp16-weights for a folder, "
        "OpenVINO and ncnn, fp16 for Core ML, fp32)",
    )
    parser.add_argument(
        "--shape",
        metavar="SIZE",
        help="the only size of the pictures that the file takes: N or WIDTHxHEIGHT, multiples of 32; for NPUs "
        "(default: any, or a square of the training size where a format needs one size)",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="photos that show the int8 file its ranges, and on which the error is measured (default: built-in "
        "portraits); 16 spread over the folder are taken",
    )
    parser.add_argument(
        "--licence",
        type=as_text,
        metavar="TEXT",
        help="licence of the weights, to be kept in the file; it follows the training data",
    )
    add_overwrite(parser, "replace a file that exists already")


def run(args: argparse.Namespace) -> int:
    """Write the file or the folder, and print how far its alphas are from PyTorch's.

    Every path is checked before the network is loaded.

    Raises:
        InputError: a path is wrong, a package is missing, the preset has no int8 form, or the file that was written
            does not give PyTorch's alphas; then nothing is left at ``OUTPUT``.
    """
    file = args.output if args.output.suffix else args.output / transformers_js.MODEL
    with _leaving_no_folders(file):
        return _export(args, file)


def _export(args: argparse.Namespace, file: Path) -> int:
    folder = file != args.output
    shape = to_shape("--shape", args.shape) if args.shape else None
    _check(args, file)

    from sdnet_pl.inference.weights import NO_LICENCE, read_weights, write_weights

    trained = read_weights(args.weights)
    licence = args.licence or trained.licence or NO_LICENCE
    if args.output.suffix == WEIGHTS_SUFFIX:
        write_weights(trained, args.output, {"licence": licence})
        print(f"{args.output}: {trained.preset}, {args.output.stat().st_size / 1e6:.1f} MB")
        return 0

    from sdnet_pl.inference.export.calibration import built_in, from_folder
    from sdnet_pl.inference.export.parity import write_checked

    form, size = FORMATS[file.suffix], trained.training_size
    precision = args.precision or ("fp16-weights" if folder else next(iter(form.limits)))
    if folder and trained.trimap:
        raise InputError(
            f"{args.weights} holds a network that needs a trimap, which transformers.js has no pipeline for; give a "
            f"file, such as {args.output}.onnx."
        )
    if precision == "int8" and file.suffix == ".onnx" and trained.preset not in INT8_PRESETS:
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
    if form.sides == "fixed":
        shape = shape or (size, size)
    difference = write_checked(model, file, shape, precision, pictures, properties)
    if folder:
        transformers_js.write_configs(args.output, size)
    compared = (
        f"alpha against PyTorch over {len(pictures)} pictures: mean error {difference.mean:.1e}, largest "
        f"{difference.largest:.1e}"
        if difference
        else f"not compared with PyTorch, because {form.runtime} does not run on this machine"
    )
    sides = f", {shape[1]}×{shape[0]} pixels" if shape else ""
    print(f"{args.output}: {trained.preset}, {precision}{sides}, {size_on_disk(file) / 1e6:.1f} MB; {compared}")
    return 0


@contextmanager
def _leaving_no_folders(file: Path) -> Iterator[None]:
    """Where a file comes to nothing, take away the folders that were made for it."""
    missing = [folder for folder in file.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def _check(args: argparse.Namespace, file: Path) -> None:
    require_utf8(file)
    refuse_bare_suffix(args.output, (*FORMATS, WEIGHTS_SUFFIX))
    if file.suffix not in (*FORMATS, WEIGHTS_SUFFIX):
        raise InputError(
            f"{file} ends in none of {', '.join([*FORMATS, WEIGHTS_SUFFIX])}; give a name that does, or a folder, "
            "without an ending."
        )
    if str(args.output) in pretrained_weights():
        raise InputError(
            f"{args.output} names weights that ship, and the first word names what to write; give "
            f"{args.output}.onnx --weights {args.output}, or another folder."
        )
    if file.is_dir() and not is_package(file):
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
    elif (beside := companion(file)) and beside.exists():
        raise InputError(f"{beside}, where the weights of {file} go, exists already; give another name.")
    if file != args.output and args.precision == "fp16":
        raise InputError("transformers.js gives a network float32, and --precision fp16 takes float16; leave it out.")
    if file.suffix == WEIGHTS_SUFFIX:
        if args.precision or args.calibration or args.shape:
            raise InputError(
                "--precision, --calibration and --shape are for other runtimes, and weights are kept in fp16: leave "
                "them out."
            )
    else:
        form = FORMATS[file.suffix]
        if args.precision and args.precision not in form.limits:
            raise InputError(
                f"{form.runtime} files have no precision {args.precision} here; give {' or '.join(form.limits)}."
            )
        require(file.suffix)
    if args.calibration:
        from sdnet_pl.data.image_io import list_pictures

        list_pictures(args.calibration)
    if not is_package(file):
        check_writable(file)


def _check_folder(folder: Path) -> None:
    """Refuse a folder whose configs belong to another network."""
    for name in (transformers_js.CONFIG, transformers_js.PREPROCESSOR):
        if (folder / name).exists():
            from sdnet_pl.data.provenance import foreign

            raise foreign(folder / name)


def _is_export(file: Path) -> bool:
    """Whether a file says of itself that this command wrote it."""
    if file.suffix != WEIGHTS_SUFFIX:
        return is_ours(file)
    data = file.read_bytes()
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return str(header["__metadata__"]["format"]).startswith("sdnet_pl ")
    except (ValueError, KeyError, TypeError):
        return False


def _say(text: str) -> None:
    print(f"sdnet-pl: {text} ...", file=sys.stderr)
