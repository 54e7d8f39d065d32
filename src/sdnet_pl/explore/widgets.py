"""What notebooks show beside figures: sliders where they are open, and tables that read well as text too."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

from sdnet_pl.reporting.tables import headed, to_markdown


def sliders(draw: Callable[..., Figure], **ranges: tuple[int, int]) -> object:
    """Draws again whenever a slider is released; without ipywidgets draws once, with the first value of each.

    Args:
        draw: Takes one number a slider, by name.
        ranges: First and last value of each.

    Returns:
        The sliders with their picture below, or the figure.
    """
    try:
        from ipywidgets import Image, IntSlider, VBox
    except ImportError:
        return draw(**{name: first for name, (first, _) in ranges.items()})
    bars = [
        IntSlider(min=first, max=last, value=first, description=name, continuous_update=False)
        for name, (first, last) in ranges.items()
    ]
    # No Output widget: a notebook that runs without a browser may wait for its messages for ever.
    picture = Image(format="png")

    def draw_again(change: Any = None) -> None:
        stream = BytesIO()
        draw(**{bar.description: bar.value for bar in bars}).savefig(stream, format="png")
        picture.value = stream.getvalue()

    for bar in bars:
        bar.observe(draw_again, names="value")
    draw_again()
    return VBox([*bars, picture])


def table(frame: pd.DataFrame) -> Markdown:
    """A data frame as a markdown table, its index first, numbers to three significant digits, scores under headings."""

    def cell(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    head = frame.index.name or ""
    rows = [headed({head: str(key), **{str(c): v for c, v in row.items()}}) for key, row in frame.iterrows()]
    return Markdown(to_markdown([{column: cell(value) for column, value in row.items()} for row in rows]))
