"""Weights whose gates of AMPA no longer follow the picture, written anew with gates that can learn.

Muon had driven the gates of the first weights to 0 or 1, the same for every photo. Such a gate is a number: what it
scales by goes into the convolution after it, and the gates start again at their middle, after a norm that is folded
into that convolution too. The network gives the same alphas, and what was shut can open in training. Where most gates
of a level follow the picture, they stay as they are, and get the norm alone: weights that ship can be trained on.

Needs a folder of photos like those of the training, such as natural/train/image below SDNET_DATA. Train on with
--model.weights OUTPUT --model.network '{attention_norm: true}'.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from experiments import need_new_weights, run_script
from experiments.weights.gates import SAME, need_two
from sdnet_pl.inference.export.calibration import from_folder
from sdnet_pl.inference.weights import read_weights, write_weights
from sdnet_pl.nn import SDNet, create_model
from sdnet_pl.nn.ampa import AMPA

LARGEST_CHANGE = 1e-3
"""Of an alpha in [0, 1]; gates that are numbers leave 1e-5."""


class Seen:
    """What the attention of an AMPA reads and gives: means over pictures, of every channel."""

    def __init__(self, ampa: AMPA) -> None:
        self._means: list[Tensor] = []
        self._squares: list[Tensor] = []
        self._gates: list[Tensor] = []
        ampa.attention.register_forward_hook(self._read)
        ampa.attention.gate.register_forward_hook(self._gate)

    def _read(self, _: object, inputs: tuple[Tensor], __: Tensor) -> None:
        features = inputs[0].double()
        self._means.append(features.mean(dim=(0, 2, 3)))
        self._squares.append(features.square().mean(dim=(0, 2, 3)))

    def _gate(self, _: object, __: tuple[Tensor], gates: Tensor) -> None:
        self._gates.append(gates.double().mean(dim=(0, 2, 3)))

    def averages(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance of the features, and the gates, ``[C]`` each."""
        mean, square, gates = (torch.stack(x).mean(dim=0) for x in (self._means, self._squares, self._gates))
        return mean, square - mean.square(), gates

    def follow(self) -> bool:
        """Whether most gates follow the picture."""
        gates = torch.stack(self._gates)
        return bool((gates.amax(dim=0) - gates.amin(dim=0) > SAME).double().mean() > 0.5)


@torch.no_grad()
def open_gates(model: SDNet, opened: SDNet, pictures: Sequence[Tensor]) -> None:
    """Gives a network with ``attention_norm`` the weights of one without, and gates at one half where they are stuck.

    Args:
        model: the one without, in eval mode.
        opened: the one with, otherwise alike, freshly initialised.
        pictures: ``[1, 3, H, W]`` in [0, 1], on which gates and features are averaged.
    """
    seen = {level: Seen(ampa) for level, ampa in model.ampa.items() if isinstance(ampa, AMPA)}
    for picture in pictures:
        model(picture)
    fresh = opened.state_dict()
    state = {**fresh, **model.state_dict()}
    for level, ampa_seen in seen.items():
        mean, variance, gates = ampa_seen.averages()
        ampa = f"ampa.{level}"
        norm = opened.get_submodule(f"{ampa}.attention_norm.0")
        assert isinstance(norm, nn.BatchNorm2d)
        state[f"{ampa}.attention_norm.0.running_mean"] = mean
        state[f"{ampa}.attention_norm.0.running_var"] = variance
        deviation = (variance + norm.eps).sqrt()
        if ampa_seen.follow():
            state[f"{ampa}.attention_norm.0.weight"] = deviation
            state[f"{ampa}.attention_norm.0.bias"] = mean
            continue
        state.update({key: value for key, value in fresh.items() if key.startswith(f"{ampa}.attention.gate.")})
        for name in ("weight", "bias"):
            state[f"{ampa}.attention.gate.2.{name}"].zero_()  # sigmoid(0) is one half
        weight = state[f"{ampa}.project.weight"].double()
        state[f"{ampa}.project.bias"] = state[f"{ampa}.project.bias"].double() + weight[..., 0, 0] @ (gates * mean)
        state[f"{ampa}.project.weight"] = weight * (2 * gates * deviation).view(1, -1, 1, 1)
    opened.load_state_dict(state)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.open_gates", description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("weights", help="a name that ships, a checkpoint or a file of sdnet-pl export")
    parser.add_argument("output", type=Path, help="the .safetensors to write, in fp32")
    parser.add_argument("--number", type=int, default=64, help="photos, spread over all (default: %(default)s)")
    args = parser.parse_args(arguments)
    need_new_weights(parser, args.output)
    trained = read_weights(args.weights)
    if trained.trimap or trained.network.get("attention_norm") or trained.network.get("ampa") is False:
        parser.error(f"{args.weights} takes a trimap, has attention_norm or no AMPA; give AMPA's network without both.")
    photos = [torch.from_numpy(photo) for photo in from_folder(args.photos, trained.training_size, args.number)]
    need_two(parser, args.photos, photos)
    network = {**trained.network, "attention_norm": True}
    torch.manual_seed(0)
    model, opened = trained.build(), create_model(trained.preset, **network)
    open_gates(model, opened, tqdm(photos, leave=False))
    opened.eval()
    with torch.inference_mode():
        change = max(float((opened(photo) - model(photo)).abs().max()) for photo in tqdm(photos, leave=False))
    if change > LARGEST_CHANGE:
        parser.error(
            f"gates of {args.weights} that would be opened follow the picture: alphas would differ by {change:.2g}; "
            "train on from it as it is."
        )
    written = trained._replace(network=network, state=opened.state_dict())
    write_weights(written, args.output, {}, torch.float32)
    print(f"{args.output}: alphas of {len(photos)} photos differ by {change:.2g} at most")


if __name__ == "__main__":
    run_script(main)
