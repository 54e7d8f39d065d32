"""Weights of a network with ``attention_norm`` as those of one without, which gives the same alphas.

The norm before AMPA's attention serves training. In use it is a scale and a shift of what the squeezing convolutions
give, so it goes into these, and the weights fit the preset as it is.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments import need_new_weights, run_script
from sdnet_pl.inference.weights import Trained, read_weights, write_weights
from sdnet_pl.nn.ampa import AMPA
from sdnet_pl.nn.fold import fuse_norm


def without_norm(trained: Trained) -> Trained:
    """The same network without ``attention_norm``, in fp32.

    Args:
        trained: with it.
    """
    model = trained.build()
    for ampa in model.ampa.values():
        assert isinstance(ampa, AMPA)
        fuse_norm(ampa.attention_norm, ampa.squeeze.values())
    network = {name: value for name, value in trained.network.items() if name != "attention_norm"}
    return trained._replace(network=network, state=model.state_dict())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.fold_norm", description=__doc__)
    parser.add_argument("weights", help="a checkpoint or a file of sdnet-pl export")
    parser.add_argument("output", type=Path, help="the .safetensors to write, in fp32")
    args = parser.parse_args(arguments)
    need_new_weights(parser, args.output)
    trained = read_weights(args.weights)
    if not trained.network.get("attention_norm") or trained.network.get("ampa") is False:
        parser.error(f"{args.weights} has no attention_norm; export it as it is.")
    write_weights(without_norm(trained), args.output, {}, torch.float32)


if __name__ == "__main__":
    run_script(main)
