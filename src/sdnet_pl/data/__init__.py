"""Pictures in, training samples and benchmarks out."""

from typing import TYPE_CHECKING

from sdnet_pl.lazy import lazy

# Resolved on first use: reading a photo must not pay for importing Lightning and kornia.
if TYPE_CHECKING:
    from sdnet_pl.data.benchmarks import AlphaBenchmark as AlphaBenchmark
    from sdnet_pl.data.benchmarks import CompositeBenchmark as CompositeBenchmark
    from sdnet_pl.data.benchmarks import PhotoBenchmark as PhotoBenchmark
    from sdnet_pl.data.datamodule import MattingDataModule as MattingDataModule
    from sdnet_pl.data.sources.folders import BackgroundFolder as BackgroundFolder
    from sdnet_pl.data.sources.folders import CutoutFolder as CutoutFolder
    from sdnet_pl.data.sources.folders import LabelledFolder as LabelledFolder
    from sdnet_pl.data.sources.folders import MaskFolder as MaskFolder
    from sdnet_pl.data.sources.folders import PairFolder as PairFolder
    from sdnet_pl.data.sources.procedural import ProceduralBackgrounds as ProceduralBackgrounds
    from sdnet_pl.data.sources.procedural import ProceduralPortraits as ProceduralPortraits
    from sdnet_pl.data.sources.shards import BackgroundShards as BackgroundShards
    from sdnet_pl.data.sources.shards import PairShards as PairShards
else:
    __all__, __getattr__, __dir__ = lazy(
        __name__,
        {
            "sdnet_pl.data.benchmarks": ("AlphaBenchmark", "CompositeBenchmark", "PhotoBenchmark"),
            "sdnet_pl.data.datamodule": ("MattingDataModule",),
            "sdnet_pl.data.sources.folders": (
                "BackgroundFolder",
                "CutoutFolder",
                "LabelledFolder",
                "MaskFolder",
                "PairFolder",
            ),
            "sdnet_pl.data.sources.procedural": ("ProceduralBackgrounds", "ProceduralPortraits"),
            "sdnet_pl.data.sources.shards": ("BackgroundShards", "PairShards"),
        },
    )
