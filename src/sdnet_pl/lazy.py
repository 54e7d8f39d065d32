"""Public names that are imported on first use, and that editors and type checkers know all the same."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sdnet_pl.errors import InputError


def lazy(
    module: str, file: str, extra: str | None = None
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """What a package offers: the names that its block ``if TYPE_CHECKING:`` imports, each loaded when it is asked for.

    The block is the only table. A type checker reads it as imports; here its source is read.

    Args:
        module: ``__name__`` of the package.
        file: its ``__file__``.
        extra: the extra of ``sdnet_pl`` that installs what the names need.

    Returns:
        ``__all__``, ``__getattr__`` and ``__dir__`` of the package. Its ``__getattr__`` raises an InputError for a name
        whose extra is not installed.
    """
    blocks = [node for node in ast.parse(Path(file).read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            home = import_module(homes[name])
        except ModuleNotFoundError as error:
            if extra is None:
                raise
            raise InputError(f"{name} needs {error.name}; install it with: pip install 'sdnet_pl[{extra}]'.") from error
        return getattr(home, name)

    return list(homes), get, lambda: list(homes)
