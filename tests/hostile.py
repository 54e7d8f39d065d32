"""Files of strangers: valid ones of every kind that is read, and what is done here with what became of them."""

import io
import json
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageCms

from sdnet_pl.data import decoding
from sdnet_pl.data.image_io import read_alpha, read_header, read_rgba
from sdnet_pl.data.prepare.manifest import JOURNAL, MANIFEST, Journal, verify
from sdnet_pl.errors import InputError
from sdnet_pl.inference.batch import Cutter
from sdnet_pl.inference.jobs import Job
from sdnet_pl.inference.rendering import Rendering
from sdnet_pl.inference.trimaps import read_trimap
from tests.videos import Red, cut, frames_of, make_video

SHAPE = 16, 24


class RedOfPhoto:
    """Stands in for a predictor: alpha is the red channel."""

    def alpha(self, image: np.ndarray, trimap: np.ndarray | None = None) -> np.ndarray:
        return image[..., 0] / np.float32(255)


def pixels(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, channels), np.uint8)


def packed(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photos() -> dict[str, bytes]:
    rgb, rgba = Image.fromarray(pixels(3)), Image.fromarray(pixels(4))
    exif = Image.Exif()
    exif.update({274: 6, 305: "camera", 306: "2024:01:02 03:04:05"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    about: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": profile, "dpi": (72, 72)}
    return {
        "png": packed(rgba, "PNG", **about),
        "palette.png": packed(rgb.quantize(8), "PNG", transparency=3),
        "16.png": packed(Image.fromarray(pixels(1)[..., 0].astype(np.uint16) * 257), "PNG"),
        "jpg": packed(rgb, "JPEG", **about),
        "progressive.jpg": packed(rgb, "JPEG", progressive=True),
        "cmyk.jpg": packed(rgb.convert("CMYK"), "JPEG"),
        "webp": packed(rgba, "WEBP", lossless=True, **about),
        "gif": packed(rgb.quantize(8), "GIF"),
        "tif": packed(rgb, "TIFF", compression="tiff_lzw", **about),
        "deflate.tif": packed(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": packed(rgb, "BMP"),
        "avif": packed(rgb, "AVIF"),
        "jp2": packed(rgb, "JPEG2000"),
    }


def alphas() -> dict[str, bytes]:
    grey = Image.fromarray(pixels(1)[..., 0])
    trimap = Image.fromarray(np.array([0, 128, 255], np.uint8)[pixels(1)[..., 0] % 3])
    return {
        "png": packed(grey, "PNG"),
        "trimap.png": packed(trimap, "PNG"),
        "palette.png": packed(trimap.convert("P"), "PNG"),
        "1.png": packed(grey.convert("1"), "PNG"),
        "16.tif": packed(Image.fromarray(pixels(1)[..., 0].astype(np.uint16) * 257), "TIFF"),
        "webp": packed(Image.fromarray(pixels(4)), "WEBP", lossless=True),
    }


def manifests() -> dict[str, bytes]:
    entry = {"size": 12, "sha256": 32 * "ab"}
    header = {"dataset": "cutouts", "version": "0.1.0", "source": "people", "split_sha256": [], "max_side": 64}
    lists = {"sources": {"a.png": entry}, "files": {"train/fg/a.jpg": entry, "train/alpha/a.png": entry}}
    lines = [header, {"sample": "train/a", **lists}]
    return {
        "manifest": json.dumps({**header, **lists}).encode(),
        "journal": "".join(json.dumps(line) + "\n" for line in lines).encode(),
    }


def sweeps() -> dict[str, bytes]:
    sweep = {
        "command": ["sdnet-pl", "fit", "${args}"],
        "method": "bayes",
        "metric": {"name": "val/mad", "goal": "minimize"},
        "parameters": {"model.lr": {"min": 0.1, "max": 1.0}, "data.size": {"values": [64, 96]}},
    }
    return {"yaml": yaml.safe_dump(sweep).encode()}


def configs() -> dict[str, bytes]:
    from tests.conftest import procedural_benchmark

    data = {"root": "${oc.env:SDNET_DATA,data}", "size": 64, "validation": {"a": procedural_benchmark()}}
    return {"yaml": yaml.safe_dump({"data": data}).encode()}


@cache
def small_weights() -> tuple[bytes, bytes]:
    """What precedes the numbers in a file of weights, and the numbers."""
    from sdnet_pl.inference.weights import Trained, weights_file
    from sdnet_pl.nn import create_model
    from tests.conftest import SMALL

    state = create_model("sdnet-tiny", **SMALL).state_dict()
    trained = Trained("sdnet-tiny", False, SMALL, 64, state, Path("best.ckpt"))
    whole = weights_file(trained, {"licence": "CC0"})
    start = 8 + int.from_bytes(whole[:8], "little")
    return whole[:start], whole[start:]


def weights() -> dict[str, bytes]:
    return {"header": small_weights()[0]}


def videos() -> dict[str, bytes]:
    made = {}
    forms: dict[str, dict[str, Any]] = {
        "mp4": {},
        "mkv": {"codec": "mjpeg", "pixels": "yuvj420p"},
        "webm": {"codec": "libvpx-vp9", "sound": None},
        "ts": {"sound": None},
        "avi": {"codec": "ffv1", "sound": None},
    }
    with TemporaryDirectory() as folder:
        for name, options in forms.items():
            file = make_video(Path(folder) / f"a.{name}", frames=4, size=(32, 32), **options)
            made[name] = file.read_bytes()
    return made


def matte(file: Path) -> None:
    """A cut-out is whole, or there is none and no other file."""
    target = file.with_name("out.png")
    cutter: Any = Cutter(RedOfPhoto(), Rendering(False, None))  # type: ignore[arg-type]
    done = cutter(Job(file, target))
    if done.error:
        raise done.error
    assert read_rgba(target)[1].size
    target.unlink()


def read_alphas(file: Path) -> None:
    for read in (read_header, read_alpha, read_rgba, lambda file: read_alpha(file, equal_channels=True)):
        with suppress(InputError):
            read(file)
    with suppress(InputError):
        assert set(np.unique(read_trimap(file, SHAPE))) <= {0, 128, 255}


def read_manifests(file: Path) -> None:
    folder = file.with_name("prepared")
    folder.mkdir()
    for name in (MANIFEST, JOURNAL):
        (folder / name).write_bytes(file.read_bytes())
        with suppress(InputError):
            verify(folder)
        with suppress(InputError):
            Journal(folder, {"dataset": "cutouts"}).is_done("train/a", folder, {"a.png"})
        (folder / name).unlink()
    folder.rmdir()


def read_sweeps(file: Path) -> None:
    from sdnet_pl.launch.sweep import read_sweep

    read_sweep(file)


def read_configs(file: Path) -> None:
    from sdnet_pl.data.config import find_benchmark

    find_benchmark("a", [file])


def load(file: Path) -> None:
    from sdnet_pl.inference.weights import load_weights

    with file.open("ab") as stream:
        stream.write(small_weights()[1])
    load_weights(file.rename(file.with_suffix(".safetensors")))


def cut_out(file: Path) -> None:
    """A video is whole, or there is none and no other file."""
    target = file.with_name("out.mov")
    cut(file, target, Red())
    assert frames_of(target)
    target.unlink()


KINDS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[Path], None]]] = {
    "photo": (photos, matte),
    "alpha": (alphas, read_alphas),
    "manifest": (manifests, read_manifests),
    "sweep": (sweeps, read_sweeps),
    "config": (configs, read_configs),
    "weights": (weights, load),
    "video": (videos, cut_out),
}
MEGAPIXELS = 1
"""What a picture may hold here: what a header claims is allocated."""


def read(kind: str, content: bytes, valid: bool = False) -> None:
    """Does what is done with such a file: it may be refused unless it is valid, and no other file stays."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        with nullcontext() if valid else suppress(InputError):
            KINDS[kind][1](file)
        left = [path.name for path in Path(folder).iterdir()]
        assert left in (["file"], ["file.safetensors"]), left


def limit_pixels(set_attribute: Callable[[Any, str, Any], None]) -> None:
    """Pictures and videos that are larger are refused, so that memory tells something within seconds."""
    from sdnet_pl.inference.video import reader

    set_attribute(decoding, "MAX_MEGAPIXELS", MEGAPIXELS)
    set_attribute(reader, "_MOST_PIXELS", MEGAPIXELS * 10**6)
