"""Pictures in, training samples and benchmarks out."""

from importlib import import_module
from typing import Any

# Resolved on first use: reading a photo must not pay for importing Lightning and kornia.
_HOME = {
    "AlphaBenchmark": "benchmarks",
    "BackgroundFolder": "sources.folders",
    "BackgroundShards": "sources.shards",
    "CompositeBenchmark": "benchmarks",
    "CutoutFolder": "sources.folders",
    "LabelledFolder": "sources.folders",
    "MaskFolder": "sources.folders",
    "MattingDataModule": "datamodule",
    "PairFolder": "sources.folders",
    "PairShards": "sources.shards",
    "PhotoBenchmark": "benchmarks",
    "ProceduralBackgrounds": "sources.procedural",
    "ProceduralPortraits": "sources.procedural",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
