"""The Lightning side: the module that trains and scores, and what a run writes."""

from sdnet_pl.lit.module import SDNetModule

__all__ = ["SDNetModule"]
