"""What notebooks show beside figures: sliders where they are open, and tables that read well as text too."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from sdnet_pl.reporting.tables import to_markdown


def sliders(draw: Callable[..., Figure], **ranges: tuple[int, int]) -> Any:
    """Draws anew whenever a slider is let go; without ipywidgets draws once, with the first value of each.

    Args:
        draw: Takes one number a slider, by name.
        ranges: First and last value of each.

    Returns:
        The widget, or the figure.
    """

    def shown(**values: int) -> None:
        display(draw(**values))

    try:
        from ipywidgets import IntSlider, interactive
    except ImportError:
        return draw(**{name: first for name, (first, _) in ranges.items()})
    bars = {
        name: IntSlider(min=first, max=last, value=first, continuous_update=False)
        for name, (first, last) in ranges.items()
    }
    return interactive(shown, **bars)


def table(frame: pd.DataFrame) -> Markdown:
    """A data frame as a markdown table, its index first, numbers to three significant digits."""

    def cell(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    head = frame.index.name or ""
    rows = [{head: str(key), **{str(c): cell(v) for c, v in row.items()}} for key, row in frame.iterrows()]
    return Markdown(to_markdown(rows))
