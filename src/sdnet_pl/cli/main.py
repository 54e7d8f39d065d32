"""``sdnet-pl COMMAND``: the table of commands, and what all of them share when something goes wrong."""

import argparse
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import sdnet_pl
from sdnet_pl.data.files import as_text, name_full_disk, require_utf8
from sdnet_pl.errors import InputError, InputWarning, mistyped

# Those of lightning.py
LIGHTNING_COMMANDS = {
    "fit": "train a network, then score its best checkpoint",
    "validate": "score a checkpoint on the validation benchmarks",
    "test": "score a checkpoint on the test benchmarks, with every metric, and write the table",
    "predict": "as matte and video, for a folder of photos and videos, out of several processes or GPUs",
}
# Each is the module of its name, which has add_arguments, and run from these arguments to the exit status; only that of
# the command given is imported.
OTHER_COMMANDS = {
    "matte": "cut the people out of photos, as straight-alpha PNG",
    "video": "cut the people out of videos, with their sound, or show those of a camera live",
    "serve": "cut people out by HTTP and on a page, on this machine",
    "export": "write a trained network for another runtime (ONNX, LiteRT, ...), checked against PyTorch",
    "benchmark": "time networks on this machine, and tell their memory and file size",
    "explore": "show what a network makes of a photo, side outputs and all, in one picture",
    "prepare": "turn a public data set as downloaded into one that trains and scores fast",
    "compose": "write a benchmark's composites, alphas and trimaps, to run another method on",
    "evaluate": "score the alphas of any method, saved as pictures",
    "info": "list the networks with their parameters, sizes and work (Table 4)",
    "report": "print a table of the paper with the scores of runs beside it",
    "reproduce": "train and score whole tables of the paper, and print them",
    "replay": "compute a training step again whose loss or gradient was not finite, and tell what is not",
    "sweep": "run a W&B sweep file without W&B, one fit after the other",
}


class Parser(argparse.ArgumentParser):
    """Suggests what a mistyped word may mean."""

    arguments: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Exit with the usage, what is wrong, and what may be meant."""
        commands = next((action.choices for action in self._actions if isinstance(action.choices, dict)), {})
        given = next((commands[word] for word in Parser.arguments if word in commands), self)
        file = next((word for word in Parser.arguments if word.startswith("-") and Path(word).is_file()), None)
        hint = f"; for the file {file} write ./{file}" if file else mistyped(message, given, Parser.arguments)
        super().error(f"{message}{hint}")


def _parser(arguments: Sequence[str]) -> Parser:
    parser = Parser(
        prog="sdnet-pl",
        description="SDNet: portrait matting with 2 M parameters, trained by self-distillation.",
        epilog="`sdnet-pl COMMAND --help` lists a command's options.",
    )
    parser.add_argument("--version", action="version", version=f"sdnet-pl {sdnet_pl.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in LIGHTNING_COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    for name, text in OTHER_COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:])
        if name in arguments:
            _module(name).add_arguments(command)
    return parser


def _module(command: str) -> Any:
    return import_module(f"sdnet_pl.cli.{command}")


def _show_any_text() -> None:
    """Printing never fails: what a terminal lacks a character for is escaped, files and pipes get UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print input warnings like errors, without the source line."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, InputWarning):
            print(f"sdnet-pl: warning: {as_text(str(message))}", file=sys.stderr)
        else:
            usual(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


@_plain_warnings()
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 partly failed, 2 bad input, 130 interrupted, 143 stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _show_any_text()
    try:
        if arguments and arguments[0] in LIGHTNING_COMMANDS:
            for argument in arguments:
                require_utf8(argument)
            return int(_module("lightning").run(arguments))
        Parser.arguments = arguments
        args = _parser(arguments).parse_args(arguments)
        return int(_module(args.command).run(args))
    except InputError as error:
        # From a loader process the message arrives with that process's traceback before it.
        message = str(error).rpartition(f"{InputError.__module__}.{InputError.__name__}: ")[2].strip()
        print(f"sdnet-pl: error: {as_text(message)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno is None:  # not of the operating system
            raise
        name_full_disk(error, [Path(), tempfile.gettempdir(), Path.home()])
        print(
            f"sdnet-pl: error: {as_text(str(error))}; check the path, its permissions and the free space.",
            file=sys.stderr,
        )
        return 2
    except UnicodeEncodeError as error:
        if sys.getfilesystemencoding() == "utf-8":
            raise
        print(
            f"sdnet-pl: error: {error.object!a} cannot be the name of a file in this system's encoding, "
            f"{sys.getfilesystemencoding()}; set PYTHONUTF8=1.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("sdnet-pl: interrupted", file=sys.stderr)
        return 130
