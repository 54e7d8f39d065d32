"""The model card of a run: the network, its data, its scores, and what it may be used for."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger

from sdnet_pl.data.files import naming, write_text
from sdnet_pl.inference.weights import NO_LICENCE, Trained, read_weights, write_weights
from sdnet_pl.lit.loggers import log_model
from sdnet_pl.lit.module import SDNetModule
from sdnet_pl.reporting.saved_config import newest_config
from sdnet_pl.reporting.tables import NETWORK, Row, to_markdown
from sdnet_pl.version import __version__


def save_model_card(trainer: Trainer, module: SDNetModule, checkpoint: Path, rows: Sequence[Row]) -> None:
    """Writes the card as ``README.md`` into the run's directory, and gives W&B the model with it as an artifact.

    The artifact holds the checkpoint, the weights alone as ``model.safetensors``, the card and the config.

    Args:
        trainer: That of the fit.
        module: What was trained.
        checkpoint: Of the scores.
        rows: The scores, of ``score_rows``.
    """
    folder = Path(trainer.default_root_dir)
    config = newest_config(folder)
    assert config is not None
    trained = read_weights(checkpoint)
    card = model_card(module, trained, checkpoint.name, config.name, rows)
    write_text(folder / "README.md", card)
    if not any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
        return
    files = [checkpoint, folder / "README.md", config]
    metadata = {
        "preset": trained.preset,
        "trimap": trained.trimap,
        "network": trained.network,
        "training_size": trained.training_size,
        "licence": trained.licence or NO_LICENCE,
        "scores": [dict(row) for row in rows],
    }
    with TemporaryDirectory() as temporary_folder, naming(temporary_folder):  # W&B keeps a copy of its own
        if module.method == NETWORK:
            files.append(Path(temporary_folder) / "model.safetensors")
            write_weights(trained, files[-1], {"licence": trained.licence or NO_LICENCE})
        log_model(trainer, card, metadata, files)


def model_card(module: SDNetModule, trained: Trained, checkpoint: str, config: str, rows: Sequence[Row]) -> str:
    """The card in Markdown. Data are called by their folders' names, so that no path of a machine appears."""
    data, own = module.data, module.method == NETWORK
    name = trained.preset + (", with a trimap" if trained.trimap else "") if own else module.method
    facts = [
        f"{sum(parameter.numel() for parameter in module.model.parameters()):,} parameters",
        f"takes a photo{' and its trimap' if trained.trimap else ''}",
        f"trained with sdnet_pl {__version__}: epochs {module.trainer.current_epoch}, "
        f"steps {module.trainer.global_step:,}, crops of {trained.training_size} pixels",
    ]
    if own:
        facts.append(f"self-distillation: {module.hparams['distillation']}")
    if own and trained.network:
        facts.append(f"differs from the preset by `{json.dumps(trained.network)}`")
    if module.hparams["weights"]:
        facts.append(f"started from the weights `{Path(module.hparams['weights']).name}`")
    kinds = {"people": data.foregrounds, "backgrounds": data.backgrounds, "photos with masks": data.photos}
    sources = [
        {"training data": kind, "source": _source(source, data.root), "pictures": _length(source)}
        for kind, found in kinds.items()
        for source in found
    ]
    commands = [f"sdnet-pl matte photo.jpg -o cutouts --weights {checkpoint}"] if not trained.trimap else []
    commands.append(f"sdnet-pl fit --config {config}    # trains it again")
    # Another network has commands of its own.
    use = "## Use\n\n" + "".join(f"    {command}\n" for command in commands) + "\n" if own else ""
    lines = "\n".join(f"- {fact}" for fact in facts)
    return f"""# {name}

A network for portrait matting.

{lines}

{to_markdown(sources)}
## Scores

Of `{checkpoint}`, means over images. Each score names its region and its scale; it compares only with one of a
benchmark that has the same hash.

{to_markdown(rows)}
{use}## Licence

The licence of these weights: {trained.licence or NO_LICENCE}.
The code of sdnet_pl is under Apache-2.0.
"""


def _source(source: Any, root: str | None) -> str:
    kind, path = type(source).__name__, getattr(source, "path", None)
    if path is None:
        return kind
    place = Path(path)
    known = root is not None and place.is_relative_to(root) and place != Path(root)
    return f"{kind}: {place.relative_to(root) if known and root else '/'.join(place.parts[-2:])}"


def _length(source: Any) -> str:
    return "endless" if source.endless else str(source.pictures)
