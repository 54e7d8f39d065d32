"""Errors and warnings about input that a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Bad input from the user: the message names the path or value, the rule it broke, and the remedy.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class InputWarning(UserWarning):
    """Something in the input that is left out, or taken otherwise than its file says: the message names both."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for a mistyped name: ``did you mean ...?`` with the nearest known ones, else ``otherwise``."""
    near = get_close_matches(name, list(known), n=3)
    return f"did you mean {', '.join(near)}?" if near else otherwise
