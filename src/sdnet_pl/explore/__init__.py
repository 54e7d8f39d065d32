"""To look inside a network and a training: features, panels, plots and tables of runs. For notebooks, and small.

Tables and plots need what the extra ``notebooks`` installs.
"""

from typing import TYPE_CHECKING

from sdnet_pl.lazy import lazy

# Resolved on first use: the command line's help must not pay for importing torch.
if TYPE_CHECKING:
    from sdnet_pl.explore.figures import branches_figure as branches_figure
    from sdnet_pl.explore.figures import cosine_figure as cosine_figure
    from sdnet_pl.explore.figures import decoder_figure as decoder_figure
    from sdnet_pl.explore.figures import details_figure as details_figure
    from sdnet_pl.explore.figures import pictures_figure as pictures_figure
    from sdnet_pl.explore.figures import squeeze_figure as squeeze_figure
    from sdnet_pl.explore.inspection import Inspection as Inspection
    from sdnet_pl.explore.inspection import capture as capture
    from sdnet_pl.explore.inspection import composite_sample as composite_sample
    from sdnet_pl.explore.inspection import drawn_portrait as drawn_portrait
    from sdnet_pl.explore.inspection import inspect_picture as inspect_picture
    from sdnet_pl.explore.measures import cosine_summary as cosine_summary
    from sdnet_pl.explore.measures import cosines as cosines
    from sdnet_pl.explore.measures import details as details
    from sdnet_pl.explore.measures import first_details as first_details
    from sdnet_pl.explore.measures import squeeze_summary as squeeze_summary
    from sdnet_pl.explore.measures import squeeze_weights as squeeze_weights
    from sdnet_pl.explore.runs import cosine_curves as cosine_curves
    from sdnet_pl.explore.runs import curves as curves
    from sdnet_pl.explore.runs import last_cosines as last_cosines
    from sdnet_pl.explore.runs import scores as scores
    from sdnet_pl.explore.widgets import sliders as sliders
    from sdnet_pl.explore.widgets import table as table
else:
    __all__, __getattr__, __dir__ = lazy(
        __name__,
        {
            "sdnet_pl.explore.figures": (
                "branches_figure",
                "cosine_figure",
                "decoder_figure",
                "details_figure",
                "pictures_figure",
                "squeeze_figure",
            ),
            "sdnet_pl.explore.inspection": (
                "Inspection",
                "capture",
                "composite_sample",
                "drawn_portrait",
                "inspect_picture",
            ),
            "sdnet_pl.explore.measures": (
                "cosine_summary",
                "cosines",
                "details",
                "first_details",
                "squeeze_summary",
                "squeeze_weights",
            ),
            "sdnet_pl.explore.runs": ("cosine_curves", "curves", "last_cosines", "scores"),
            "sdnet_pl.explore.widgets": ("sliders", "table"),
        },
        extra="notebooks",
    )
