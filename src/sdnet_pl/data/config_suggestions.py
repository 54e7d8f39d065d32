"""Suggestions for a word that jsonargparse does not know: an option, a key of a config, a class or a choice."""

import inspect
import re
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import sdnet_pl.data
from sdnet_pl.errors import did_you_mean, mistyped, options_of


def suggest(message: str, parser: ArgumentParser, arguments: Sequence[str] = ()) -> str:
    """The end of the sentence that ``message`` begins, as returned by :func:`sdnet_pl.errors.did_you_mean`.

    Args:
        message: of jsonargparse, on one line.
        parser: with the options.
        arguments: the command line.
    """
    keys = {option.lstrip("-") for option in options_of(parser)}
    if found := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", message):
        module = sys.modules.get(found[1])
        return did_you_mean(found[2], getattr(module, "__all__", dir(module)))
    if found := re.search(r"does not accept option '([^']+)'|resolved to '\w+\.([^']+)'", message):
        return did_you_mean(found[1] or found[2], keys)
    if found := re.search(r"Option '([^']+)' is not accepted", message):
        return did_you_mean(found[1], _arguments_of_classes())
    if found := re.search(r"Literal\[(.*?)\]\. Got value: (\S+)", message):
        return did_you_mean(found[2], re.findall(r"'([^']+)'", found[1]))
    if found := re.search(r"File does not exist: '([^']+)'", message):
        file = Path(found[1])
        return did_you_mean(file.name, [path.name for path in file.parent.iterdir()] if file.parent.is_dir() else [])
    if found := re.search(r"Expected a path but (\S+) either", message):
        return did_you_mean(found[1].rpartition(".")[2], dir(sdnet_pl.data))
    return mistyped(message, parser, arguments)


def _arguments_of_classes() -> set[str]:
    classes = (getattr(sdnet_pl.data, name) for name in dir(sdnet_pl.data))
    return {name for kind in classes if inspect.isclass(kind) for name in inspect.signature(kind).parameters}
