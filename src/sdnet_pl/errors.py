"""Errors and warnings about input that a user can correct, and what may be meant by a word that is mistyped."""

import argparse
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class InputError(Exception):
    """Bad input from the user: the message names the path or value, the rule it broke, and the remedy.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class InputWarning(UserWarning):
    """Something in the input that is left out, or taken otherwise than its file says: the message names both."""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a sentence about an unknown word: the known one that is most like it.

    Args:
        word: what was given.
        known: what there is.
        otherwise: the end where nothing is like it.

    Example:
        >>> did_you_mean("sdnet-fats", ["sdnet", "sdnet-fast"])
        '; did you mean sdnet-fast?'
        >>> did_you_mean("--lr", ["--model.lr", "--data.size"])
        '; did you mean --model.lr?'
        >>> did_you_mean("portrait", ["sdnet"])
        ''
    """
    names = sorted(set(known))
    found = [name for name in names if name.endswith(f".{word.lstrip('-')}")] or get_close_matches(word, names, 1)
    return f"; did you mean {found[0]}?" if found else otherwise


def mistyped(message: str, parser: argparse.ArgumentParser, arguments: Sequence[str]) -> str:
    """What :func:`did_you_mean` says of a command's error about a choice or an option.

    Args:
        message: of the parser.
        parser: with the option or the command.
        arguments: the command line.
    """
    if choice := re.search(r"invalid choice: '?([^']*?)'? \(choose from (.*)\)", message):
        return "" if choice[1].isdecimal() else did_you_mean(choice[1], re.findall(r"[^\s',]+", choice[2]))
    options = options_of(parser)
    for argument in arguments:
        name = argument.partition("=")[0]
        # The beginning of one option is taken for it.
        if name.startswith("--") and not any(option.startswith(name) for option in options):
            return ("" if name in message else f"; {name} is not an option") + did_you_mean(name, options)
    return ""


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a command line, those of its commands among them."""
    options = set()
    for action in parser._actions:
        options |= {option for option in action.option_strings if option.startswith("--")}
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                options |= options_of(command)
    return options
