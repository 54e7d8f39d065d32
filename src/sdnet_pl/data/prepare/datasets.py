"""The table of public data sets that ``sdnet-pl prepare`` knows."""

from sdnet_pl.data.prepare import backgrounds, foregrounds, photos
from sdnet_pl.data.prepare.base import Dataset

DATASETS: dict[str, Dataset] = {
    "adobe": foregrounds.ADOBE,
    "distinction646": foregrounds.DISTINCTION646,
    "p3m10k": photos.P3M10K,
    "ppm100": photos.PPM100,
    "aim500": photos.AIM500,
    "coco": backgrounds.COCO,
    "voc": backgrounds.VOC,
    "pairs": foregrounds.PAIRS,
    "cutouts": foregrounds.CUTOUTS,
}
