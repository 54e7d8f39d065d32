"""The one exception for input that a user can mend."""


class InputError(Exception):
    """Bad input from the user: the message names the path or value, the rule it broke, and the remedy.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class InputWarning(UserWarning):
    """Something in the input that is left out, or taken otherwise than its file says: the message names both."""
