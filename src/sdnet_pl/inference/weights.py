"""Trained networks out of what ships, of files that were exported, and of the checkpoints that training leaves."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdnet_pl.data.files import require_utf8, write_bytes
from sdnet_pl.errors import InputError, did_you_mean
from sdnet_pl.inference.export.formats import FORMATS
from sdnet_pl.inference.pretrained import DEFAULT, check_damage, locate, pretrained_weights
from sdnet_pl.nn import MattingNetwork, SDNet, presets

ARCHITECTURE = ("preset", "trimap", "network")
FORMAT = "sdnet_pl 1"
NO_LICENCE = "not recorded; it follows the licences of the training data"
_INHERITED = " (of the weights that training started from; the licences of its own training data apply too)"
_COUNTER = "num_batches_tracked"  # of BatchNorm; inference does not read it
_FILLS = (Tensor.fill_, Tensor.normal_, Tensor.uniform_, Tensor.zero_)


class Trained(NamedTuple):
    """What a file of weights holds.

    Attributes:
        preset: Name of the preset.
        trimap: Whether the network takes a trimap as fourth channel.
        network: Constructor arguments that replace the preset's.
        training_size: Longer side in pixels of the pictures that the network has learned.
        state: Its ``state_dict``.
        source: The file.
        licence: Of the weights, where the file says it.
    """

    preset: str
    trimap: bool
    network: dict[str, Any]
    training_size: int
    state: Mapping[str, Tensor]
    source: Path
    licence: str | None = None

    def build(self) -> SDNet:
        """The network, in eval mode on the CPU.

        Raises:
            InputError: The weights do not fit the recorded preset, or there is no such network.
        """
        try:
            if self.network:  # a preset by itself is small
                self._require_shapes()
            model = presets.create_model(self.preset, trimap=self.trimap, **self.network)
            _load(model, self.state)
        except InputError as error:
            raise InputError(f"{self.source} describes no network of this version of sdnet_pl: {error}") from error
        except RuntimeError as error:
            raise InputError(
                f"The weights in {self.source} do not fit the preset {self.preset!r} that the file names; it was "
                "written by another version of sdnet_pl: use that version, or train again."
            ) from error
        return model.eval()

    def _require_shapes(self) -> None:
        """Refuse a description whose network is not that of the weights, before memory is taken for it."""
        depths = self.network.get("depths", ())
        # Every block has weights of its own: without this a number alone would make them for hours.
        if isinstance(depths, list) and any(isinstance(n, int) and n > len(self.state) for n in depths):
            raise RuntimeError(f"{depths} blocks, and {len(self.state)} tensors")
        with torch.device("meta"), _Unfilled():
            shapes = presets.create_model(self.preset, trimap=self.trimap, **self.network).state_dict()
        differ = [key for key, value in self.state.items() if key not in shapes or value.shape != shapes[key].shape]
        if differ:
            raise RuntimeError(f"{differ[0]} does not fit")


class _Unfilled(TorchFunctionMode):
    """Leaves new weights without values: to fill them on the meta device, PyTorch loads its compiler for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"]
        return args[0] if func in _FILLS else func(*args, **(kwargs or {}))


def _load(model: MattingNetwork, state: Mapping[str, Tensor]) -> None:
    """As ``load_state_dict``, with or without BatchNorm's counters."""
    counters = {key: value for key, value in model.state_dict().items() if key.endswith(_COUNTER)}
    model.load_state_dict({**counters, **state})


def load_weights(weights: str | Path = DEFAULT) -> tuple[SDNet, int]:
    """A trained network, in eval mode on the CPU, and the picture size that its weights record as theirs.

    Args:
        weights: A name that ships (``sdnet-fast``), a ``.safetensors`` of ``sdnet-pl export``, or a checkpoint of a
            run; of a checkpoint with averaged weights (EMA) these are taken.

    Raises:
        InputError: There is no such file, it is damaged or of something else, or it does not fit this version.
    """
    trained = read_weights(weights)
    return trained.build(), trained.training_size


def load_pretrained(name: str = DEFAULT, trimap: bool = False) -> SDNet:
    """The network of a preset with the weights that ship, in eval mode on the CPU.

    They are for research: see MODEL_CARD.md for what they were trained on. :func:`load_weights` tells the size of
    pictures that suits them too.

    Args:
        name: A preset, such as ``sdnet-fast``.
        trimap: The network that takes a trimap as fourth channel (0, 0.5 or 1) beside RGB in [0, 1].

    Raises:
        InputError: No such weights ship, or their file is damaged.
    """
    full = f"{name}-trimap" if trimap else name
    names = pretrained_weights()
    if full not in names:
        raise InputError(f"No weights {full} ship; there are {', '.join(names)}{did_you_mean(full, names, '.')}")
    return read_weights(full).build()


def list_models(pretrained: bool = False) -> list[str]:
    """The names that :func:`create_model` takes.

    Args:
        pretrained: Only those with weights that ship.

    Example:
        >>> list_models()
        ['sdnet', 'sdnet-fast', 'sdnet-tiny']
        >>> list_models(pretrained=True)
        ['sdnet', 'sdnet-fast']
    """
    shipped = pretrained_weights()
    return [name for name in presets.PRESETS if name in shipped or not pretrained]


def create_model(name: str = "sdnet", pretrained: bool = False, *, trimap: bool = False, **changes: Any) -> SDNet:
    """A network by name.

    Args:
        name: A preset, such as ``sdnet-fast``.
        pretrained: With the weights that ship, in eval mode, as of :func:`load_pretrained`; otherwise freshly
            initialised, in training mode.
        trimap: The network that takes a trimap as fourth channel (0, 0.5 or 1) beside RGB in [0, 1].
        **changes: Constructor arguments of :class:`SDNet` that replace the preset's, ``ampa=False`` for example; of an
            untrained network alone.

    Raises:
        InputError: No such preset, argument or weights, a value that SDNet refuses, or changes of a network with
            weights that ship.

    Example:
        >>> create_model("sdnet-fast", pretrained=True).training
        False
    """
    if not pretrained:
        return presets.create_model(name, trimap=trimap, **changes)
    if changes:
        raise InputError(
            f"The weights that ship fit {name} as it is, and {', '.join(changes)} would change it; leave out "
            "pretrained, or the changes."
        )
    return load_pretrained(name, trimap)


def read_weights(weights: str | Path) -> Trained:
    """What a file of weights holds; see :func:`load_weights` for the files and errors."""
    path = locate(weights)
    if path.suffix == ".onnx":
        raise InputError(
            f"{path} is an ONNX file, which ONNX Runtime runs (sdnet-pl matte does); give a checkpoint, or a "
            ".safetensors of sdnet-pl export."
        )
    if path.suffix in FORMATS:
        raise InputError(
            f"{path} is a file for {FORMATS[path.suffix].runtime} alone; give a checkpoint, or a .safetensors or .onnx "
            "of sdnet-pl export."
        )
    if path.suffix != ".safetensors":
        checkpoint = read_checkpoint(path)
        prefix = "model."
        state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
        return Trained(
            **architecture(checkpoint),
            training_size=checkpoint["training_size"],
            state=state,
            source=path,
            licence=checkpoint.get("licence"),
        )
    require_utf8(path)
    check_damage(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is not a mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file, or it is damaged ({error}); get it again.") from error
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path} holds no SDNet, or that of another version (its format is {metadata.get('format')!r}, not "
            f"{FORMAT!r}); give a .safetensors that sdnet-pl export wrote."
        )
    if others := [key for key, value in state.items() if not value.is_floating_point()]:
        raise InputError(f"{path} is damaged: {others[0]} holds {state[others[0]].dtype}, not floats; get it again.")
    state = {key: value.float() for key, value in state.items()}
    require_finite(path, state)
    try:
        if (size := int(metadata["training_size"])) < 1:
            raise ValueError(f"training_size is {size}")
        return Trained(
            preset=metadata["preset"],
            trimap=metadata["trimap"] == "true",
            network=dict(json.loads(metadata["network"])),
            training_size=size,
            state=state,
            source=path,
            licence=metadata.get("licence"),
        )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: its description cannot be read ({error!r}); get it again.") from error


def start_from(model: MattingNetwork, trained: Trained) -> None:
    """Gives a network the weights of another: of its own kind, or one that lacks the trimap.

    What the trimap adds starts at zero, so that the network first gives what the other gave.

    Raises:
        InputError: The weights are of another architecture.
    """
    state = dict(trained.state)
    if model.trimap and not trained.trimap:
        own = model.state_dict()
        for key in state.keys() & own.keys():
            missing = own[key].shape[1] - state[key].shape[1] if own[key].ndim == 4 else 0
            if missing:
                state[key] = torch.cat([state[key], state[key].new_zeros(own[key][:, :missing].shape)], dim=1)
    try:
        _load(model, state)
    except RuntimeError as error:
        raise InputError(
            f"{trained.source} holds weights of the preset {trained.preset!r} (network {trained.network}, trimap "
            f"{trained.trimap}), which do not fit the network that is to start from them; name the same preset."
        ) from error


def inherited_licence(trained: Trained) -> str | None:
    """What is known of the licence of weights that were trained on from these."""
    if trained.licence in (None, NO_LICENCE) or trained.licence.endswith(_INHERITED):
        return trained.licence
    return trained.licence + _INHERITED


def write_weights(
    trained: Trained, path: Path, properties: Mapping[str, str], precision: torch.dtype = torch.float16
) -> None:
    """Writes ``path``, whole or not at all: see ``weights_file``.

    Raises:
        InputError: A number is not finite, or too large for the precision.
    """
    write_bytes(path, weights_file(trained, properties, precision))


def weights_file(trained: Trained, properties: Mapping[str, str], precision: torch.dtype = torch.float16) -> bytes:
    """The weights as a safetensors file: in fp16, but for BatchNorm's variances in fp32; or all of them in fp32.

    A variance can be smaller than what fp16 holds. Subnormal numbers, which slow a CPU down, become zero. The
    licence of ``trained`` is kept, unless ``properties`` name another.

    Raises:
        InputError: A number is not finite, or too large for the precision.
    """
    tensors = {}
    for key, value in trained.state.items():
        if key.endswith(_COUNTER):
            continue
        value = value.to(torch.float32 if key.endswith("running_var") else precision)
        if not value.isfinite().all():
            raise InputError(
                f"{trained.source} cannot be written as {torch.finfo(precision).dtype}: {key} holds a number that is "
                f"not finite or above {torch.finfo(precision).max:.5g}; use the checkpoint itself, or one saved before "
                "training diverged."
            )
        tensors[key] = value.masked_fill(value.abs() < torch.finfo(value.dtype).smallest_normal, 0).contiguous()
    metadata = {
        "format": FORMAT,
        "preset": trained.preset,
        "trimap": str(trained.trimap).lower(),
        "network": json.dumps(trained.network),
        "training_size": str(trained.training_size),
        **({"licence": trained.licence} if trained.licence else {}),
        **properties,
    }
    return save(tensors, metadata)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint of SDNetModule, on the CPU.

    Raises:
        InputError: For a missing file, one that torch cannot read, one that SDNetModule did not write, or weights that
            are not finite.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no checkpoint {path}; give the best.ckpt or last.ckpt of a run.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError, KeyError) as error:
        raise InputError(
            f"{path} is not a checkpoint that can be read safely, or it is damaged; give the best.ckpt or last.ckpt "
            "of a run."
        ) from error
    held = checkpoint if isinstance(checkpoint, dict) else {}
    recorded = held.get("hyper_parameters")
    if not isinstance(recorded, dict) or not set(ARCHITECTURE) <= recorded.keys():
        raise InputError(
            f"{path} holds no SDNet checkpoint (its preset is not recorded); give the best.ckpt or last.ckpt of a run."
        )
    if not isinstance(held.get("state_dict"), dict) or not isinstance(held.get("training_size"), int):
        raise InputError(
            f"{path} is no whole SDNet checkpoint (it lacks its weights or their training size); give the best.ckpt "
            "or last.ckpt of a run."
        )
    for state in ("state_dict", "current_model_state"):
        require_finite(path, held.get(state, {}))
    return held


def require_finite(path: str | Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights of which one is infinite or not a number: every alpha would be too.

    Raises:
        InputError: as said; it names the parameter.
    """
    for key, value in state.items():
        if not value.isfinite().all():
            raise InputError(
                f"{path} holds a number that is not finite, in {key}: it is damaged, or its training had diverged; get "
                "it again, or give a checkpoint that was saved before, such as the best.ckpt of the run."
            )


def newest_checkpoint(run: Path) -> Path | None:
    """The checkpoint that a stopped run resumes from: the newest that loads.

    Those that are written for resuming come before the best ones.

    Args:
        run: its directory.

    Raises:
        OSError: A file cannot be read now, as on a disk that is gone; it may load later.
        MemoryError, RuntimeError: The memory does not suffice for one.
    """
    for names in (("hpc_ckpt_*.ckpt", "last*.ckpt"), ("*.ckpt",)):
        files = {file for name in names for file in run.glob(name) if file.is_file()}
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
            if _loads(file):
                return file
    return None


def architecture(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Which network a checkpoint holds: ``preset``, ``trimap`` and the changed constructor arguments ``network``."""
    found = {key: checkpoint["hyper_parameters"][key] for key in ARCHITECTURE}
    return found | {"network": found["network"] or {}}


def _loads(file: Path) -> bool:
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return False
    except (OSError, MemoryError):
        raise
    except Exception as error:  # damaged files make it raise nearly everything
        if "allocate memory" in str(error):  # torch's own MemoryError
            raise
        return False
    # A fit cannot resume from weights alone.
    return isinstance(held, dict) and ("state_dict" not in held or bool(held.get("optimizer_states")))
