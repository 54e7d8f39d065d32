"""The command ``sdnet-pl explore``: a picture of what the network makes of a picture."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import warnings
from pathlib import Path

from sdnet_pl.cli.options import add_output, add_overwrite, add_size, add_weights
from sdnet_pl.errors import InputError, InputWarning
from sdnet_pl.inference.pretrained import DEFAULT, locate

SIDE = 3.4  # inches of each map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a photo")
    add_output(
        parser,
        "FILE.png",
        "where to write the panel: input, alpha, side outputs, and the cut-out over grey and over a checkerboard",
        required=True,
    )
    parser.add_argument(
        "--alpha", type=Path, metavar="FILE", help="its true alpha, a single-channel picture: adds it and the error"
    )
    parser.add_argument(
        "--trimap-kernel",
        type=int,
        metavar="N",
        help="for a network with a trimap: width in pixels, at --size, of the brush that makes the trimap of the "
        "alpha (default: 25, as benchmarks do)",
    )
    add_weights(parser)
    add_size(parser)
    add_overwrite(parser, "replace a panel that exists already")


def run(args: argparse.Namespace) -> int:
    """Write the panel of one picture.

    Raises:
        InputError: a file is missing or of the wrong kind, the alpha is of another picture, the network needs a trimap
            and there is no alpha, its kernel is below 1, or the panel exists already.
    """
    locate(args.weights)
    if args.output.suffix.lower() != ".png":
        raise InputError(f"{args.output} does not end in .png; give a name that does with -o.")
    if args.output.resolve() in {path.resolve() for path in (args.picture, args.alpha) if path}:
        raise InputError(f"{args.output} would be overwritten by its own panel; give another file with -o.")
    from sdnet_pl.data.provenance import mark, require_ours

    require_ours(args.output)
    if args.output.exists() and not args.overwrite:
        raise InputError(f"{args.output} exists already; give --overwrite to replace it, or another file with -o.")

    from sdnet_pl.data.image_io import read_alpha, read_rgb

    picture = read_rgb(args.picture)
    target = read_alpha(args.alpha) if args.alpha else None

    # Below the reading, so that a wrong file is reported at once.
    from sdnet_pl.data.alpha_values import odd_alpha
    from sdnet_pl.data.trimap import EVALUATION_KERNEL
    from sdnet_pl.explore.inspection import inspect_picture
    from sdnet_pl.inference.weights import load_weights
    from sdnet_pl.reporting.panels import panel_figure, write_figure

    model, trained_size = load_weights(args.weights)
    if model.trimap and target is None:
        raise InputError(
            f"{args.weights} holds a network that needs a trimap, which is made of the true alpha here; give that with "
            f"--alpha, or weights trained without trimaps, such as {DEFAULT}."
        )
    size = trained_size if args.size is None else args.size
    kernel = EVALUATION_KERNEL if args.trimap_kernel is None else args.trimap_kernel
    if target is not None and (said := odd_alpha(args.alpha, target)):
        warnings.warn(said, InputWarning, stacklevel=2)
    seen = inspect_picture(model, picture, size, target, trimap_kernel=kernel)
    write_figure(args.output, panel_figure([seen.panel_row], side=SIDE), mark())
    return 0
