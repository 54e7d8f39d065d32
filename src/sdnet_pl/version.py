"""The version of this package, for the files that it writes. Imports nothing."""

__version__ = "0.1.0"
