"""The command line, one file a command; heavy packages are imported when a command runs."""

from sdnet_pl.cli.main import main

__all__ = ["main"]
