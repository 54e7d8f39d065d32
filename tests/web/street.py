"""A real photo that comes with the repository."""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def street_photo(scale: float) -> Image.Image:
    """The photo of passers-by in the gallery of the documentation, 120×181 pixels times a scale."""
    with Image.open(ROOT / "docs/images/gallery.png") as gallery:
        photo = gallery.convert("RGB").crop((20, 654, 140, 835))
    return photo.resize((round(scale * photo.width), round(scale * photo.height)), Image.Resampling.BICUBIC)
