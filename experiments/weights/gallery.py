"""What a network makes of pictures that it was not trained on, chosen for what is hard: to be looked at.

Composites of held-out people are for one's own eyes, since nobody allowed to publish them; ``--photos`` leaves them
out.

Needs these folders below SDNET_DATA: natural/val, and without ``--photos`` cutouts/val and backgrounds/val. The scenes
name pictures by their numbers in ours.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments import add_data, need_folders, run_script
from sdnet_pl.data import BackgroundFolder, CutoutFolder, MaskFolder
from sdnet_pl.data.composition import composite_uint8, cover, merge_foregrounds
from sdnet_pl.data.sources.base import Foreground, Image
from sdnet_pl.inference import MattePredictor, load_weights
from sdnet_pl.inference.pretrained import DEFAULT
from sdnet_pl.reporting.panels import GREY, write_figure

SIDE = 512


class Scene(NamedTuple):
    """A composite of people (front to back, from left to right) over a background, or a photo; numbers in the folders.

    A background may be a colour, and a photo without people a background alone.
    """

    title: str
    people: tuple[int, ...] = ()
    background: int | tuple[int, int, int] = 0
    photo: int | None = None


SCENES = (
    Scene("long hair", (1,), 12),
    Scene("curls before leaves", (14,), 6),
    Scene("hat and fair hair", (32,), 14),
    Scene("gaps under the arms", (2,), 4),
    Scene("dark skin on dark ground", (10,), 5),
    Scene("dark skin on black", (24,), (12, 12, 14)),
    Scene("white on white", (9,), (244, 244, 244)),
    Scene("colours of the ground", (7,), (178, 34, 34)),
    Scene("several people", (12, 3, 20), 10),
    Scene("no person", (), 14),
    Scene("no person, a building", (), 0),
    Scene("glasses", photo=34),
    Scene("raised arm, hat, bag", photo=74),
    Scene("pale dress, pale road", photo=28),
    Scene("white on pale ground", photo=78),
    Scene("dark suit", photo=45),
    Scene("hair and coat", photo=21),
    Scene("passers-by", photo=14),
    Scene("a painted wall", photo=73),
)


def picture(scene: Scene, root: Path) -> Image:
    """The scene, uint8 ``[H, W, 3]``."""
    if scene.photo is not None:
        return MaskFolder(str(root / "natural/val")).load(scene.photo).photo
    if isinstance(scene.background, tuple):
        background = np.full((SIDE, SIDE, 3), scene.background, np.uint8)
    else:
        background = BackgroundFolder(str(root / "backgrounds/val")).load(scene.background)
    people = CutoutFolder(str(root / "cutouts/val"))
    together: Foreground | None = None
    for position, number in enumerate(scene.people):
        color, alpha = people.load(number)
        pad = ((SIDE + alpha.shape[0], 0), (SIDE, SIDE))  # room above and beside, none below
        color, alpha = np.pad(color, (*pad, (0, 0)), mode="edge"), np.pad(alpha, pad)
        ys, xs = alpha.nonzero()
        middle = (int(xs.min()) + int(xs.max())) // 2
        side = max(SIDE, int(ys.max() - ys.min()) * 9 // 8, int(xs.max() - xs.min()) * 9 // 8) // 2 * 2
        shift = int(side * 0.3 * (position - (len(scene.people) - 1) / 2))
        window = slice(alpha.shape[0] - side, None), slice(middle - shift - side // 2, middle - shift + side // 2)
        person = Foreground(*(cover(x[window], SIDE, SIDE) for x in (color, alpha)))
        together = person if together is None else merge_foregrounds(together, person)
    background = cover(background, SIDE, SIDE)
    return background if together is None else composite_uint8(together, background)


def draw(scenes: Sequence[Scene], root: Path, predictor: MattePredictor, columns: int) -> Figure:
    """Three maps a scene: the picture, the alpha, and the cut-out over grey."""
    rows = -(-len(scenes) // columns)
    figure = Figure(figsize=(4.8 * columns, 2.1 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, 3 * columns, squeeze=False).reshape(-1, 3)
    for axis in axes.flat:
        axis.set_axis_off()
    for group, scene in zip(axes, scenes, strict=False):
        image = picture(scene, root)
        cutout = predictor.cutout(image)
        over_grey = composite_uint8(Foreground(cutout[..., :3], cutout[..., 3]), np.full_like(image, GREY))
        group[0].imshow(image)
        group[0].set_title(scene.title, fontsize=8, loc="left")
        group[1].imshow(cutout[..., 3], cmap="gray", vmin=0, vmax=255)
        group[2].imshow(over_grey)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.weights.gallery", description=__doc__)
    parser.add_argument("output", type=Path, metavar="FILE.png")
    parser.add_argument("--weights", default=DEFAULT, help="a name that ships, or a file (default: %(default)s)")
    add_data(parser)
    parser.add_argument("--photos", action="store_true", help="photos alone, which may be published")
    parser.add_argument("--columns", type=int, default=2, metavar="N")
    args = parser.parse_args(arguments)
    need_folders(parser, args.data, "natural/val", *([] if args.photos else ["cutouts/val", "backgrounds/val"]))
    model, size = load_weights(args.weights)
    scenes = [scene for scene in SCENES if scene.photo is not None or not args.photos]
    write_figure(args.output, draw(scenes, args.data, MattePredictor(model, size), args.columns))


if __name__ == "__main__":
    run_script(main)
