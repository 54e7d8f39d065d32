"""The command ``sdnet-pl matte``: photos in, cut-outs with straight alpha out."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import sys
from pathlib import Path

from sdnet_pl.errors import InputError
from sdnet_pl.inference.shipped import DEFAULT, HELP, locate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO_OR_FOLDER",
        help="photos, or folders whose photos are all taken; sub-folders are kept below DIR",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where to write one RGBA PNG for each photo"
    )
    parser.add_argument("--weights", default=DEFAULT, metavar="WEIGHTS", help=HELP)
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="longer side in pixels at which the network sees a photo (default: the size that its weights record)",
    )
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, ... (default: the GPU where there is one)")
    parser.add_argument("--overwrite", action="store_true", help="replace cut-outs that exist already")


def run(args: argparse.Namespace) -> int:
    """Write ``DIR/NAME.png``, a straight-alpha RGBA PNG of the photo's own size, for each photo.

    Everything that can be checked is checked before the network is loaded. A photo that does not decode is reported on
    stderr after the others are done.

    Args:
        args: as declared by :func:`add_arguments`.

    Returns:
        The exit status: 0 if every photo is done, 1 if some could not be read.

    Raises:
        InputError: a path, the size or the device is wrong, or the output cannot be written.
    """
    locate(args.weights)
    jobs = plan(args.photos, args.output, args.overwrite)

    from tqdm import tqdm

    from sdnet_pl.data.pictures import read_rgb, write_png
    from sdnet_pl.inference.predictor import MattePredictor, check_size, choose_device
    from sdnet_pl.inference.weights import load_weights

    device = choose_device(args.device)
    if args.size is not None:
        check_size(args.size)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(args.output, error) from error
    model, trained_size = load_weights(args.weights)
    if getattr(model, "trimap", False):
        raise InputError(
            f"{args.weights} holds a network that needs a trimap beside each photo; give one trained without trimaps, "
            f"such as {DEFAULT}."
        )
    predictor = MattePredictor(model, args.size or trained_size, str(device))

    failures: list[InputError] = []
    try:
        for target, photo in tqdm(jobs.items(), desc="Matting", unit="photo", disable=len(jobs) == 1):
            try:
                image = read_rgb(photo)
            except InputError as error:
                failures.append(error)
                continue
            cutout = predictor.cutout(image)
            try:
                write_png(target, cutout)
            except OSError as error:
                raise _unwritable(target, error) from error
    finally:
        for failure in failures:
            print(failure, file=sys.stderr)
    return 1 if failures else 0


def plan(photos: list[Path], output: Path, overwrite: bool) -> dict[Path, Path]:
    """Which file is written from which photo, in the order given.

    Folders are searched with their sub-folders, except for ``output`` where it lies within: it holds the cut-outs of an
    earlier call.

    Args:
        photos: files and folders.
        output: the folder to write to; it need not exist.
        overwrite: whether a cut-out of an earlier call may be replaced.

    Raises:
        InputError: a photo is missing, two would be written to one file, one would be overwritten, or a cut-out exists
            already and ``overwrite`` is false.
    """
    jobs: dict[Path, Path] = {}
    for photo, target in _pairs(photos, output):
        other = jobs.setdefault(target, photo)
        if other.resolve() != photo.resolve():
            raise InputError(
                f"{other} and {photo} would both be written to {target}; rename one, or give them in two calls with "
                "two output folders."
            )
    originals = {photo.resolve(): photo for photo in jobs.values()}
    for target in jobs:
        if target.resolve() in originals:
            raise InputError(
                f"{originals[target.resolve()]} would be overwritten by a cut-out; give another folder with -o."
            )
    existing = [target for target in jobs if target.exists()]
    if existing and not overwrite:
        shown = ", ".join(map(str, existing[:3])) + (", ..." if existing[3:] else "")
        raise InputError(
            f"{len(existing)} cut-out(s) exist already ({shown}); give --overwrite to replace them, or another folder "
            "with -o."
        )
    return jobs


def _pairs(photos: list[Path], output: Path) -> list[tuple[Path, Path]]:
    from sdnet_pl.data.pictures import list_pictures

    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder with -o.")
    pairs = []
    for photo in photos:
        if not photo.exists():
            raise InputError(f"{photo} does not exist; give photos, or folders that hold photos.")
        if not photo.is_dir():
            pairs.append((photo, output / f"{photo.stem}.png"))
            continue
        found = list_pictures(photo)
        if photo.resolve() in output.resolve().parents:
            found = [file for file in found if output.resolve() not in file.resolve().parents]
        if not found:
            raise InputError(f"{photo} holds no photo but those below {output}; give the folder that holds the photos.")
        pairs += [(file, output / file.relative_to(photo).with_suffix(".png")) for file in found]
    return pairs


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be written ({error.strerror or error}); free space there, or give another folder."
    )
