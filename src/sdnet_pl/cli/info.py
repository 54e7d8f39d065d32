"""The command ``sdnet-pl info``: Table 4 of the paper for the presets, as measured on the networks."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "presets", nargs="*", metavar="PRESET", help="networks such as sdnet-fast (default: all), of untrained weights"
    )


def run(args: argparse.Namespace) -> int:
    """Print a markdown table: each preset without and with the trimap as fourth channel.

    Raises:
        InputError: there is no such preset.
    """
    from sdnet_pl.reporting.networks import read_networks
    from sdnet_pl.reporting.tables import to_markdown

    print(to_markdown(read_networks(args.presets)), end="")
    return 0
