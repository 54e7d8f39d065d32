"""The command ``sdnet-pl replay``: a training step that was skipped, computed again."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
from pathlib import Path

from sdnet_pl.cli.options import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.epilog = "The exit status is 1 where something is not finite, and 0 where everything is."
    parser.add_argument("file", type=Path, metavar="FILE", help="bad-batch-STEP.json in the directory of a run")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="CKPT",
        help="a checkpoint of the run (default: the weights that the step began with, which lie beside FILE)",
    )
    parser.add_argument("--data.root", dest="root", metavar="DIR", help="where the data are now, if they have moved")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Make the samples of a step again from the run's config, and print what is not finite of its loss and gradient.

    Raises:
        InputError: a file is missing or damaged, the samples or the network are others, or the weights are not finite.
    """
    from sdnet_pl.cli.lightning import SDNetCLI, make
    from sdnet_pl.inference.torch_network import choose_device
    from sdnet_pl.lit.replay import read_record, replay

    class Made(SDNetCLI):
        def _run_subcommand(self, subcommand: str) -> None:
            """Nothing: what was made is all that is needed."""

    record = read_record(args.file, args.weights)
    settings = {
        "config": record.config,
        "run_dir": args.file.with_suffix(""),  # nothing is written there
        "ckpt_path": "null",
        "model.weights": "null",
        "model.compile": "false",
        "data.seed": record.seed,
        "data.workers": 0,
        "trainer.logger": "false",
        "trainer.callbacks": "null",
        "trainer.plugins": "null",
        "trainer.accelerator": "cpu",
        "trainer.devices": 1,
        "trainer.num_nodes": 1,
        "trainer.strategy": "auto",
        "trainer.precision": "32-true",
    }
    if args.root is not None:
        settings["data.root"] = args.root
    made = make(["fit", *(f"--{name}={value}" for name, value in settings.items())], kind=Made)
    found = replay(record, made.model, made.datamodule, choose_device(args.device))
    print("\n".join(found.lines))
    return int(not found.finite)
