"""SDNet on the Hugging Face Hub, or in a folder that looks like one of its repositories."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch

from sdnet_pl import nn
from sdnet_pl.data.files import write_text
from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import DEFAULT
from sdnet_pl.inference.weights import NO_LICENCE, Trained, read_weights, start_from, write_weights
from sdnet_pl.nn import presets

try:
    from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
    from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
except ModuleNotFoundError as error:
    raise InputError(f"sdnet_pl.hub needs {error.name}; install it with: pip install 'sdnet_pl[hub]'.") from error

CONFIG = ("preset", "trimap", "network", "training_size", "licence")
CARD = """---
{{ card_data }}
---

# {{ model.preset }}{% if model.trimap %}, with a trimap{% endif %}

A network for portrait matting: it predicts how much of each pixel belongs to a person. SDNet in sdnet_pl,
{{ parameters }} parameters, trained on pictures with a longer side of {{ model.training_size }} pixels.

    from sdnet_pl.hub import SDNet

    model = SDNet.from_pretrained("THIS REPOSITORY")

It takes RGB{% if model.trimap %} and a trimap{% endif %} in [0, 1], `[B, {{ model.in_channels }}, H, W]`, and
returns alpha in [0, 1], `[B, 1, H, W]`.

## Licence and use

Licence of the weights: {{ model.licence }}.
(A MODEL_CARD.md that is named here is the one of sdnet_pl.)

The code of sdnet_pl is under Apache-2.0. Do not use the network to decide anything about people, to find or identify
people, or where a wrong matte does harm.
"""


class SDNet(
    nn.SDNet,
    PyTorchModelHubMixin,
    library_name="sdnet_pl",
    license="other",
    license_name="see-license-file",
    license_link="LICENSE",
    pipeline_tag="image-segmentation",
    tags=["image-matting", "portrait-matting", "background-removal"],
    model_card_template=CARD,
):
    """:class:`sdnet_pl.nn.SDNet` with ``from_pretrained``, ``save_pretrained`` and ``push_to_hub``.

    These are the methods of ``huggingface_hub.PyTorchModelHubMixin``. A repository holds ``model.safetensors`` in fp32,
    which ``sdnet-pl matte --weights`` reads too, ``config.json`` with the arguments below, ``README.md`` (the model
    card) and ``LICENSE``. No pickle is read.

    Args:
        preset: A key of ``PRESETS``.
        trimap: Takes a trimap as fourth input channel.
        network: Constructor arguments of :class:`sdnet_pl.nn.SDNet` that replace the preset's.
        training_size: Longer side in pixels of the pictures that the network has learned.
        licence: Of the weights; None where nothing is known of it.

    Raises:
        InputError: For an unknown preset or argument, or a value that SDNet refuses.

    Example:
        >>> SDNet.from_weights("sdnet-fast").training_size
        384
    """

    def __init__(
        self,
        preset: str = DEFAULT,
        trimap: bool = False,
        network: Mapping[str, Any] | None = None,
        training_size: int = 512,
        licence: str | None = None,
    ) -> None:
        super().__init__(trimap=trimap, **presets.arguments(preset, network or {}))
        self.preset = preset
        self.network = dict(network or {})
        self.training_size = training_size
        self.licence = licence or NO_LICENCE

    @classmethod
    def from_weights(cls, weights: str | Path = DEFAULT, **changes: Any) -> Self:
        """A trained network that can be saved and pushed, in eval mode on the CPU.

        Args:
            weights: A name that ships, a checkpoint of a run, or a ``.safetensors``, as of
                :func:`sdnet_pl.load_weights`.
            **changes: Arguments of the class that replace what the file records, the ``licence`` for example.

        Raises:
            InputError: As of :func:`sdnet_pl.load_weights`, and if the weights do not fit the changed network.
        """
        trained = read_weights(weights)
        model = cls(**{name: getattr(trained, name) for name in CONFIG} | changes)
        start_from(model, trained)
        return model.eval()

    def generate_model_card(self, **facts: Any) -> ModelCard:
        """The card of this network; ``facts`` go into the template beside ``model`` and ``parameters``."""
        parameters = f"{sum(parameter.numel() for parameter in self.parameters()):,}"
        return super().generate_model_card(**{"model": self, "parameters": parameters} | facts)

    def _save_pretrained(self, save_directory: Path) -> None:
        file = save_directory / SAFETENSORS_SINGLE_FILE
        trained = Trained(self.preset, self.trimap, self.network, self.training_size, self.state_dict(), file)
        # fp32: the network that is loaded gives the alphas of the one that was saved.
        write_weights(trained, file, {"licence": self.licence}, torch.float32)
        config = {name: getattr(self, name) for name in CONFIG}
        write_text(save_directory / "config.json", json.dumps(config, indent=2) + "\n")
        write_text(save_directory / "LICENSE", f"Licence of the weights in this folder: {self.licence}.\n")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", **arguments: Any) -> Self:
        options = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        download = {name: arguments.pop(name) for name in options}
        if Path(model_id).is_dir():
            file = Path(model_id) / SAFETENSORS_SINGLE_FILE
        else:
            file = Path(hf_hub_download(model_id, SAFETENSORS_SINGLE_FILE, **download))
        return cls.from_weights(file, **arguments).to(map_location)
