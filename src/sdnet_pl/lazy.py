"""Public names that are imported on first use, and that editors and type checkers know all the same."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from sdnet_pl.errors import InputError


def lazy(
    module: str, names: Mapping[str, Sequence[str]], extra: str | None = None
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """What a package offers, each name loaded when it is asked for.

    Type checkers read the same names in the package's block ``if TYPE_CHECKING:``; a test holds the two together.

    Args:
        module: ``__name__`` of the package.
        names: the public names, by the module that holds them.
        extra: the extra of ``sdnet_pl`` that installs what the names need.

    Returns:
        ``__all__``, ``__getattr__`` and ``__dir__`` of the package. Its ``__getattr__`` raises an InputError for a name
        whose extra is not installed.
    """
    homes = {name: home for home, own in names.items() for name in own}

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
