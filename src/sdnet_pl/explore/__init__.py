"""To look inside a network and a training: features, panels, plots and tables of runs. For notebooks, and small.

Tables and plots need what the extra ``notebooks`` installs.
"""

from importlib import import_module
from typing import Any

from sdnet_pl.errors import InputError

# Resolved on first use: the command line's help must not pay for importing torch.
_HOME = {
    **dict.fromkeys(("Inspection", "capture", "composite_sample", "drawn_portrait", "inspect_picture"), "inspection"),
    **dict.fromkeys(
        ("cosine_summary", "cosines", "details", "first_details", "squeeze_summary", "squeeze_weights"), "measures"
    ),
    **dict.fromkeys(("cosine_curves", "curves", "last_cosines", "scores"), "runs"),
    **dict.fromkeys(
        ("branches_figure", "cosine_figure", "decoder_figure", "details_figure", "pictures_figure", "squeeze_figure"),
        "figures",
    ),
    **dict.fromkeys(("sliders", "table"), "widgets"),
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        raise InputError(f"{name} needs {error.name}; install it with: pip install 'sdnet_pl[notebooks]'.") from error
    return getattr(home, name)
