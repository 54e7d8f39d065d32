"""The command ``sdnet-pl compose``: a benchmark of a config as pictures, for any method to be run on."""

# Nothing heavy is imported here, so that the help answers at once.
import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdnet_pl.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from sdnet_pl.data.benchmarks import Benchmark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the benchmark as data.test or data.validation calls it, such as composition-1k; without --config: "
        "procedural",
    )
    parser.add_argument(
        "destination",
        type=Path,
        metavar="DST",
        help="the folder to write: image/, alpha/, trimap/ and NAME.yaml; if a run was stopped, the same command goes "
        "on with it",
    )
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a config as of `sdnet-pl test`, of which `data` is read; can be repeated: later ones prevail",
    )
    parser.add_argument(
        "--no-check", action="store_true", help="begin at once: neither look for damaged pictures nor for odd alphas"
    )
    parser.add_argument(
        "--data.root", dest="root", metavar="DIR", help="the folder that the config's relative paths start from"
    )


def run(args: argparse.Namespace) -> int:
    """Write a benchmark.

    Args:
        args: as declared by :func:`add_arguments`.

    Returns:
        The exit status, 0.

    Raises:
        InputError: a config is wrong, no benchmark has the name, a picture is missing or damaged, or the folder holds
            something else.
    """
    benchmark = find_benchmark(args.name, args.config, args.root)

    from sdnet_pl.data.benchmark_folder import write_benchmark_folder
    from sdnet_pl.data.check import check_pictures

    if not args.no_check:
        checked = check_pictures(benchmark.picture_files())
        checked.warn()
        checked.require_good("compose without the check: --no-check")
    write_benchmark_folder(args.name, benchmark, args.destination)
    print(
        f"{args.name} ({benchmark.hash}): {len(benchmark)} pictures in {args.destination}. Score alphas of the same "
        f"names: sdnet-pl evaluate --pred DIR --alpha {args.destination / 'alpha'} --trimap "
        f"{args.destination / 'trimap'}"
    )
    return 0


def find_benchmark(name: str, configs: Sequence[Path], root: str | None = None) -> "Benchmark":
    """A benchmark of configs as ``sdnet-pl test`` and ``fit`` read them; where both have one of the name, of ``test``.

    Nothing but the benchmark is opened: training pictures may be missing.

    Args:
        name: its key in ``data.test`` or ``data.validation``.
        configs: yaml files; of anything but ``data`` counts what ``data`` refers to.
        root: in place of their ``data.root``.

    Raises:
        InputError: a config is wrong, or no benchmark has the name.
    """
    import yaml
    from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from sdnet_pl.data.config_suggestions import suggest
    from sdnet_pl.data.datamodule import MattingDataModule
    from sdnet_pl.data.files import read_text

    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)  # as for `test`
    parser = ArgumentParser(exit_on_error=False, parser_mode="omegaconf+")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(MattingDataModule, "data", fail_untyped=False)
    arguments = [] if root is None else [f"--data.root={root}"]
    try:
        texts = [yaml.safe_load(read_text(config)) or {} for config in configs]
        given = [yaml.safe_dump({"data": text.get("data") or {}}) for text in texts]
    except (AttributeError, yaml.YAMLError) as error:
        raise InputError(f"A config is no yaml file of settings ({' '.join(str(error).split())}).") from error
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
        raise InputError(f"The config is refused, of which nothing but `data` is read: {text}{meant}") from error
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
