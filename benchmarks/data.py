"""The data path by stage, and against augmenting and compositing at full size: ``python -m benchmarks.data``.

Everything runs in one process with one thread, as in one loader worker; the files lie in the system's cache.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import albumentations as A
import cv2
import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import default_collate

from benchmarks.timing import interleave, positive
from sdnet_pl.data.augmentation import Augmentation
from sdnet_pl.data.composition import Degradation, cover
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.dataset import MattingDataset, to_tensor
from sdnet_pl.data.image_io import read_rgb, read_rgba, write_png
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder, PairFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.trimap import random_trimap
from sdnet_pl.reporting.tables import Row, to_markdown

Sample = dict[str, Tensor]


def write_originals(
    people: ForegroundSource, scenes: BackgroundSource, count: int, folder: Path, height: int, width: int
) -> tuple[CutoutFolder, BackgroundFolder]:
    """Stores pictures of full size as data sets ship them: cut-outs as RGBA in PNG, backgrounds in JPEG."""
    for i in range(count):
        person = people.load(i * len(people) // count)
        rows, columns = person.alpha.shape
        scale = min(height / rows, width / columns)
        matrix = np.array([[scale, 0, (width - scale * columns) / 2], [0, scale, height - scale * rows]])
        color = cv2.warpAffine(person.color, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(person.alpha, matrix, (width, height))
        write_png(folder / f"cutouts/{i:03d}.png", np.asarray(np.dstack([color, alpha]), np.uint8))
        write_jpeg(
            folder / f"backgrounds/{i:03d}.jpg", cover(scenes.load(i * len(scenes) // count), height, width), height
        )
    return CutoutFolder(str(folder / "cutouts")), BackgroundFolder(str(folder / "backgrounds"))


def prepare(
    cutouts: CutoutFolder, scenes: BackgroundFolder, folder: Path, shortest: int
) -> tuple[PairFolder, BackgroundFolder]:
    """Stores F (extended, cut to the person, JPEG) and α (PNG) apart, all at a shorter side of at most ``shortest``."""
    for i in range(len(cutouts)):
        color, alpha = cutouts.load(i)
        left, top, width, height = cv2.boundingRect(alpha)
        part = slice(top, top + height), slice(left, left + width)
        write_jpeg(folder / f"pairs/fg/{i:03d}.jpg", color[part], shortest)
        write_png(folder / f"pairs/alpha/{i:03d}.png", reduce(alpha[part], shortest))
        write_jpeg(folder / f"scenes/{i:03d}.jpg", scenes.load(i), shortest)
    return PairFolder(str(folder / "pairs"), extended=True), BackgroundFolder(str(folder / "scenes"))


def reduce(image: Image, shortest: int) -> Image:
    """Reduced by area to a shorter side of at most ``shortest`` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, shortest / min(height, width))
    size = round(scale * width), round(scale * height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_jpeg(file: Path, image: Image, shortest: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(reduce(image, shortest)).save(file, quality=95)


class NaiveOrder:
    """Warps, augments and composites at full size, then cuts and scales F, α, B and I to the training size.

    Otherwise it is as quick as it can be: colours count as extended, floats have 32 bits, the trimap is made at the
    training size, and nothing is degraded.
    """

    def __init__(self, cutouts: CutoutFolder, scenes: BackgroundFolder, size: int) -> None:
        self.cutouts, self.scenes = ([file for (file,) in source.files] for source in (cutouts, scenes))
        self.size = size
        colors = A.ColorJitter(0.3, 0.3, 0.3, 0.04, p=0.8)
        affine = A.Affine(scale=(0.6, 1.4), rotate=(-15, 15), shear=(-6, 6), border_mode=cv2.BORDER_REPLICATE)
        self.foreground = A.Compose([affine, A.HorizontalFlip(p=0.5), colors])
        blur = A.GaussianBlur(sigma_limit=(0.5, 4.0), blur_limit=0, p=0.25)
        self.background = A.Compose([A.HorizontalFlip(p=0.5), colors, blur])

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng(number)
        color, alpha = read_rgba(self.cutouts[number % len(self.cutouts)])
        scene = cover(read_rgb(self.scenes[number % len(self.scenes)]), *alpha.shape)
        for pipeline in (self.foreground, self.background):
            pipeline.set_random_seed(number)
        placed = self.foreground(image=color, mask=alpha)
        color, alpha, scene = placed["image"], placed["mask"], self.background(image=scene)["image"]
        weight = alpha[..., None].astype(np.float32) / 255
        mixed = (weight * color + (1 - weight) * scene).round().astype(np.uint8)
        side = min(alpha.shape)
        top, left = (int(rng.integers(length - side + 1)) for length in alpha.shape)
        parts = (x[top : top + side, left : left + side] for x in (mixed, color, alpha, scene))
        image, color, alpha, scene = (
            np.asarray(cv2.resize(x, (self.size, self.size), interpolation=cv2.INTER_AREA), np.uint8) for x in parts
        )
        pictures = {"image": image, "foreground": color, "alpha": alpha, "background": scene}
        sample = {name: to_tensor(picture) / 255 for name, picture in pictures.items()}
        return sample | {"trimap": to_tensor(random_trimap(alpha, rng))}


def stages(
    people: ForegroundSource, scenes: BackgroundSource, size: int, numbers: Sequence[int], device: torch.device
) -> dict[str, Callable[[], object]]:
    """Each stage alone, on what the stage before it gave for the samples ``numbers``."""
    augmentation = Augmentation(size)
    of_person, of_scene = augmentation.foreground.transforms, augmentation.background.transforms

    def decode() -> list[tuple[Foreground, Image]]:
        return [(people.load(number), scenes.load(number)) for number in numbers]

    def apply(which: slice, inputs: list[tuple[Foreground, Image]]) -> list[tuple[Foreground, Image]]:
        person_steps, scene_steps, out = A.Compose(of_person[which]), A.Compose(of_scene[which]), []
        for number, (person, scene) in zip(numbers, inputs, strict=True):
            person_steps.set_random_seed(number)
            scene_steps.set_random_seed(number)
            placed = person_steps(image=person.color, mask=person.alpha)
            out.append((Foreground(placed["image"], placed["mask"]), scene_steps(image=scene)["image"]))
        return out

    def trimaps() -> list[Image]:
        return [random_trimap(warped[i][0].alpha, np.random.default_rng(number)) for i, number in enumerate(numbers)]

    def finish(batch: Sample) -> Sample:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return batch

    def transfer() -> Sample:
        return finish({name: value.to(device, copy=True) for name, value in batch.items()})

    decoded = decode()
    warped = apply(slice(1), decoded)
    samples = [MattingDataset([people], [scenes], size, seed=0)[number] for number in numbers]
    batch = default_collate(samples)
    module, degradation, on_device = MattingDataModule(size=size, degradation=0.0), Degradation(0.2), transfer()
    composed = module.on_after_batch_transfer(on_device, 0)["composite"]
    return {
        "decode": decode,
        "warp": lambda: apply(slice(1), decoded),
        "flip, colours, blur": lambda: apply(slice(1, None), warped),
        "trimap": trimaps,
        "collate": lambda: default_collate(samples),
        "transfer" if device.type == "cuda" else "transfer (on a CPU: a copy)": transfer,
        "composite": lambda: finish(module.on_after_batch_transfer(on_device, 0)),
        "degradation": lambda: finish({"image": degradation(composed, 0)}),
    }


def compare(
    people: ForegroundSource, scenes: BackgroundSource, naive: NaiveOrder, size: int, samples: int, rounds: int
) -> list[Row]:
    """The table of one set of pictures: stages, then whole samples of both orders."""
    numbers, device = range(samples), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = MattingDataset([people], [scenes], size, seed=0)
    parts = stages(people, scenes, size, numbers, device)
    worker, full = "worker: a batch from files", "naive order: a batch from files"
    wholes: dict[str, Callable[[], object]] = {
        worker: lambda: default_collate([dataset[number] for number in numbers]),
        full: lambda: default_collate([naive[number] for number in numbers]),
    }
    times = interleave({**parts, **wholes}, rounds)
    *_, move, mix, degrade = parts
    ready = "worker, transfer and composite"
    times = {**{name: times[name] for name in parts}, worker: times[worker], ready: 0.0, full: times[full]}
    times[ready] = times[worker] + times[move] + times[mix]
    whole = times[ready] + times[degrade]
    return [
        {
            "part": name,
            "share": "" if name == full else f"{seconds / whole:.0%}",
            "samples/s": samples / seconds,
            "× naive order": times[full] / seconds if name in (worker, ready, full) else "",
        }
        for name, seconds in times.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    given = os.environ.get("SDNET_DATA", "data")
    parser.add_argument("--root", type=Path, default=given, help="cutouts/train, backgrounds/train; absent: drawn ones")
    parser.add_argument("--size", type=int, default=512, help="side of a sample in pixels")
    parser.add_argument("--full-size", type=int, nargs=2, default=(1080, 1920), help="rows and columns of originals")
    parser.add_argument("--shortest", type=int, nargs="*", default=(1080, 720), help="shorter sides of prepared sets")
    parser.add_argument("--samples", type=int, default=12, help="in a batch")
    parser.add_argument("--rounds", type=positive, default=5)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    people: ForegroundSource = ProceduralPortraits(options.samples)
    scenes: BackgroundSource = ProceduralBackgrounds(options.samples)

    def show(title: str, people: ForegroundSource, scenes: BackgroundSource, naive: NaiveOrder) -> None:
        print(f"\n{title}, {options.samples} samples of {options.size}×{options.size}, {options.rounds} rounds\n")
        print(to_markdown(compare(people, scenes, naive, options.size, options.samples, options.rounds)))

    if options.root.is_dir():
        cutouts, backgrounds = (options.root / name / "train" for name in ("cutouts", "backgrounds"))
        people, scenes = stored = CutoutFolder(str(cutouts)), BackgroundFolder(str(backgrounds))
        show("The folder as it is", *stored, NaiveOrder(*stored, options.size))
    with TemporaryDirectory() as temporary:
        originals = write_originals(people, scenes, options.samples, Path(temporary), *options.full_size)
        naive = NaiveOrder(*originals, options.size)
        height, width = options.full_size
        for shortest in options.shortest:
            prepared = prepare(*originals, Path(temporary) / str(shortest), shortest)
            show(f"{width}×{height}, prepared with a shorter side of at most {shortest}", *prepared, naive)


if __name__ == "__main__":
    main()
