"""The mean of two weights of one network, the second trained on from the first.

It is often better than both, on what the first had learned and on what the second adds (M. Wortsman et al., Robust
Fine-Tuning of Zero-Shot Models, 2022). With --onto, what the second has learned is added to other weights that were
trained on from the first, such as those with a trimap (G. Ilharco et al., Editing Models with Task Arithmetic, 2023).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments import need_new_weights, run_script
from sdnet_pl.inference.weights import NO_LICENCE, read_weights, write_weights


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.average", description=__doc__)
    parser.add_argument("first", help="a name that ships, a checkpoint or a file of sdnet-pl export")
    parser.add_argument("second", help="likewise, of the same network, trained on from the first")
    parser.add_argument("output", type=Path, help="the .safetensors to write, in fp32; it records the size of --onto")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, in [0, 1] (default: %(default)s)")
    parser.add_argument("--onto", help="add to these, with or without a trimap (default: the first)")
    args = parser.parse_args(arguments)
    if not 0 <= args.share <= 1:
        parser.error(f"share is {args.share}; give a number in [0, 1].")
    need_new_weights(parser, args.output)
    first, second = read_weights(args.first), read_weights(args.second)
    onto = read_weights(args.onto) if args.onto else first
    if first.trimap or (first.preset, first.network) != (second.preset, second.network) or second.trimap:
        parser.error(f"{args.first} and {args.second} are not two weights of one network without a trimap; give such.")
    if (onto.preset, onto.network) != (first.preset, first.network):
        parser.error(f"{args.onto} holds another network than {args.first}; give one that differs by a trimap alone.")
    state = {}
    for key in sorted(onto.state.keys() & first.state.keys() & second.state.keys()):  # BatchNorm's counters are dropped
        change = args.share * (second.state[key].float() - first.state[key].float())
        if change.shape != onto.state[key].shape:  # a trimap is the last channel that the stem reads
            change = torch.cat([change, torch.zeros_like(change[:, :1])], dim=1)
        state[key] = onto.state[key].float() + change
        if key.endswith("running_var"):
            # A sum of differences may be less than 0, and a variance near 0 makes the norm enormous.
            state[key] = torch.maximum(state[key], 0.1 * onto.state[key].float())
    licences = dict.fromkeys(weights.licence or NO_LICENCE for weights in (second, first, onto))
    said = [licence for licence in licences if not any(licence in other for other in licences.keys() - {licence})]
    written = onto._replace(state=state, licence="; ".join(said))
    write_weights(written, args.output, {}, torch.float32)


if __name__ == "__main__":
    run_script(main)
