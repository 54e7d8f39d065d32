"""Sliders where a notebook is open, and a picture where it is not."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure


def sliders(draw: Callable[..., Figure], **ranges: tuple[int, int]) -> Any:
    """Draws anew whenever a slider is let go; without ipywidgets draws once, with the first value of each.

    Args:
        draw: Takes one number a slider, by name.
        ranges: First and last value of each.

    Returns:
        The widget, or the figure.
    """
    try:
        from ipywidgets import IntSlider, interactive
    except ImportError:
        return draw(**{name: first for name, (first, _) in ranges.items()})
    bars = {
        name: IntSlider(min=first, max=last, value=first, continuous_update=False)
        for name, (first, last) in ranges.items()
    }
    return interactive(draw, **bars)
