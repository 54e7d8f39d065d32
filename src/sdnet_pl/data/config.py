"""A benchmark out of the configs that training and scoring read."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sdnet_pl.data.benchmarks import Benchmark
from sdnet_pl.data.config_suggestions import suggest
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.files import read_text
from sdnet_pl.errors import InputError, did_you_mean


def find_benchmark(name: str, configs: Sequence[Path], root: str | None = None) -> Benchmark:
    """A benchmark of configs as ``sdnet-pl test`` and ``fit`` read them; if both have the name, that of ``test``.

    Nothing but the benchmark is opened: training pictures may be missing.

    Args:
        name: its key in ``data.test`` or ``data.validation``.
        configs: yaml files; of anything but ``data`` counts what ``data`` refers to.
        root: replaces their ``data.root``.

    Raises:
        InputError: a config is wrong, or no benchmark has the name.
    """
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)  # as for `test`
    parser = ArgumentParser(exit_on_error=False, parser_mode="omegaconf+")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(MattingDataModule, "data", fail_untyped=False)
    arguments = [] if root is None else [f"--data.root={root}"]
    try:
        texts = [yaml.safe_load(read_text(config)) or {} for config in configs]
        given = [yaml.safe_dump({"data": text.get("data") or {}}) for text in texts]
    except (AttributeError, yaml.YAMLError) as error:
        raise InputError(f"A config is not a YAML file of settings ({' '.join(str(error).split())}).") from error
    try:
        whole = OmegaConf.merge({}, *texts)

        def from_elsewhere(match: re.Match[str]) -> str:
            value = OmegaConf.select(whole, match[1])
            return match[0] if value is None else str(value)

        given = [re.sub(r"\$\{((?!data\b)[a-z]\w*(?:\.\w+)*)\}", from_elsewhere, text) for text in given]
        config = parser.parse_args([x for text in given for x in ("--config", text)] + arguments)
    except (ArgumentError, OmegaConfBaseException) as error:
        text = " ".join(str(error).split())
        meant = suggest(text, parser)
        raise InputError(f"The config is invalid (only `data` is read): {text}{meant}") from error
    data = config.data
    names = list(dict.fromkeys([*data.test, *(data.validation or ["procedural"])]))
    if name not in names:
        raise InputError(
            f"No benchmark is called {name!r}; the config has {', '.join(names)}{did_you_mean(name, names, '.')}"
        )
    for split in ("test", "validation"):
        data[split] = {key: value for key, value in data[split].items() if key == name}
    data.foregrounds, data.backgrounds, data.photos = [], [], []
    module: MattingDataModule = parser.instantiate(config).data
    return module.test.get(name) or module.validation[name]
