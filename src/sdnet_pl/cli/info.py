"""The command ``sdnet-pl info``: Table 4 of the paper for the presets, measured on the networks themselves."""

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
    import gc

    gc.disable()  # the command is short and keeps what it makes: collecting costs a fifth of its time

    from sdnet_pl.nn import PRESETS
    from sdnet_pl.reporting.complexity import measure
    from sdnet_pl.reporting.tables import to_markdown

    presets = args.presets or list(PRESETS)
    print(to_markdown([measure(preset, trimap) for preset in presets for trimap in (False, True)]), end="")
    gc.freeze()  # or Python collects it all when it ends
    return 0
