"""Flicker, error and speed of cut-outs of videos, on clips whose true alpha is known.

A clip is a held-out person who walks, stands still and turns before a still background, with a camera's noise and a
tone as its sound. Of each frame the true alpha is known. `--write FOLDER` keeps the clips, to be looked at.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.timing import positive
from sdnet_pl.data.image_io import read_rgba
from sdnet_pl.inference.batch import one_thread_each
from sdnet_pl.inference.engine import open_engine
from sdnet_pl.inference.predictor import MattePredictor
from sdnet_pl.inference.video.flicker import Matted, steadied, windows
from sdnet_pl.inference.video.jobs import Job
from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render
from sdnet_pl.inference.video.reader import VideoReader
from sdnet_pl.reporting.tables import to_markdown

WIDTH, HEIGHT, RATE, SOUND = 854, 480, 25, 48_000
NOISE = 2.0
"""Standard deviation of the camera's noise, in grey levels."""
PERIOD = 48
"""Frames of walking, standing and turning."""


class Clip(NamedTuple):
    """A person and a background, RGB and RGBA."""

    person: NDArray[np.uint8]
    background: NDArray[np.uint8]

    def alpha_and_picture(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The true alpha ``[H, W]`` in [0, 1] of a frame, and its RGB uint8 ``[H, W, 3]``."""
        # The middle third of a period stands still.
        phase = number % PERIOD / PERIOD
        moved = min(phase, 1 / 3) + max(0, phase - 2 / 3)
        swing = np.sin(2 * np.pi * 1.5 * moved)
        height, width = self.person.shape[:2]
        scale = 0.9 * HEIGHT / height * (1 + 0.08 * swing)
        place = cv2.getRotationMatrix2D((width / 2, height), 4 * swing, scale)
        place[:, 2] += WIDTH / 2 - width / 2 + 0.18 * WIDTH * swing, HEIGHT - height
        color, alpha = self.person[..., :3].astype(np.float32), self.person[..., 3:].astype(np.float32) / 255
        moved_premultiplied, opacity = (
            cv2.warpAffine(x, place, (WIDTH, HEIGHT), flags=cv2.INTER_AREA) for x in (color * alpha, alpha)
        )
        noise = np.random.default_rng(number).normal(0, NOISE, (HEIGHT, WIDTH, 3))
        picture = moved_premultiplied + (1 - opacity[..., None]) * self.background + noise
        return np.asarray(opacity, np.float32), picture.round().clip(0, 255).astype(np.uint8)


def clips(folder: Path, count: int) -> Iterator[Clip]:
    """Held-out people before held-out backgrounds."""
    people = sorted((folder / "people/val").iterdir())
    scenes = sorted((folder / "backgrounds/val").iterdir())
    for number in range(count):
        color, alpha = read_rgba(people[number * len(people) // count])
        with Image.open(scenes[number * len(scenes) // count]) as scene:
            background = np.asarray(scene.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
        yield Clip(np.dstack([color, alpha]), background)


def write(clip: Clip, frames: int, path: Path) -> None:
    """The clip as H.264 with a tone, as a phone would record it."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        tone = output.add_stream("aac", rate=SOUND)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(clip.alpha_and_picture(number)[1], "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(frames * SOUND // RATE) / SOUND)
        sound = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
        sound.rate, sound.pts, sound.time_base = SOUND, 0, Fraction(1, SOUND)
        output.mux(tone.encode(sound))
        output.mux(tone.encode(None))


class Scores(NamedTuple):
    """Means over frames and pixels, times 1000.

    Attributes:
        flicker: |α − α of the frame before| where nobody is in either frame.
        still: the same on the person while they stand still.
        error: |α − true α|, the mean absolute difference.
        moving: the same over frames in which the person moves.
    """

    flicker: float
    still: float
    error: float
    moving: float


def score(alphas: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.float32]]) -> Scores:
    """Flicker and error of the alphas of a clip."""
    flicker, still, error, moving = [], [], [], []
    for number, (alpha, truth) in enumerate(zip(alphas, truths, strict=True)):
        error.append(np.abs(alpha - truth).mean())
        if number == 0:
            continue
        nobody = np.maximum(truth, truths[number - 1]) == 0
        change = np.abs(alpha - alphas[number - 1])
        flicker.append(change[nobody].mean())
        if np.array_equal(truth, truths[number - 1]):
            still.append(change[truth > 0].mean())
        else:
            moving.append(error[-1])
    return Scores(*(1000 * float(np.mean(x)) for x in (flicker, still, error, moving)))


def alphas_of(clip: Clip, path: Path, predictor: MattePredictor) -> tuple[list, list, list]:
    """Alphas as the network has them, steadied ones, and the true ones, of a clip as it comes out of its file."""
    with VideoReader(path) as video:
        matted = [Matted.of(frame, predictor.alpha(frame.image)) for frame in video.frames()]
    truths = [clip.alpha_and_picture(number)[0] for number in range(len(matted))]
    return [frame.alpha for frame in matted], [steadied(window) for window in windows(matted)], truths


def seconds_of(path: Path, target: Path, predictor: MattePredictor, options: Options) -> float:
    """How long the cut-out of a clip takes, without loading the network."""
    begin = time.perf_counter()
    cut_out_video(Job(path, target), os.urandom(8).hex(), predictor, options)
    return time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SDNET_DATA"), help="people/val and backgrounds/val"
    )
    parser.add_argument("--clips", type=positive, default=6)
    parser.add_argument("--frames", type=positive, default=PERIOD)
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--formats", nargs="+", default=["webm", "mov", "mp4"], metavar="F")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep the clips and their cut-outs there")
    args = parser.parse_args(arguments)
    if args.data is None:
        parser.error("give --data, or set SDNET_DATA.")
    predictor = open_engine(threads=1).predictor()
    rows: list[dict[str, str | float]] = []
    with tempfile.TemporaryDirectory() as temporary, one_thread_each():
        folder = args.write or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        scores: list[tuple[Scores, Scores]] = []
        for number, clip in enumerate(clips(args.data, args.clips)):
            path = folder / f"clip{number}.mp4"
            write(clip, args.frames, path)
            raw, steady, truths = alphas_of(clip, path, predictor)
            scores.append((score(raw, truths), score(steady, truths)))
        before, after = (np.mean([pair[i] for pair in scores], axis=0) for i in (0, 1))
        for name, values in (("as the network has it", before), ("steadied", after), ("ratio", after / before)):
            rows.append({"alpha": name} | dict(zip(Scores._fields, map(float, values), strict=True)))
        print(f"{args.clips} clips of {args.frames} frames, {WIDTH}x{HEIGHT}; times 1000\n\n{to_markdown(rows)}\n")
        rows = []
        for suffix in args.formats:
            for threads in args.threads:
                background = "white" if suffix == "mp4" else None
                options = Options(render(background), threads)
                taken = seconds_of(path, folder / f"cutout.{suffix}", predictor, options)
                rows.append({"format": suffix, "threads": threads, "frames a second": args.frames / taken})
        print(to_markdown(rows))


if __name__ == "__main__":
    main()
