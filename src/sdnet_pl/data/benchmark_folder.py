"""A benchmark as pictures in a folder, so that any method can be run on it and scored by ``sdnet-pl evaluate``."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from sdnet_pl.data.benchmarks import Benchmark, hash_of
from sdnet_pl.data.files import as_file, as_text, write_text
from sdnet_pl.data.image_io import read_alpha, read_rgb, write_png
from sdnet_pl.errors import InputError

KINDS = ("image", "alpha", "trimap")
NAME_BYTES = 200  # file systems take 255


class BenchmarkFolder(NamedTuple):
    """What ``NAME.yaml`` says of a folder that :func:`write_benchmark_folder` has completed.

    Attributes:
        file: That file.
        hash: The benchmark's.
        description: The benchmark's.
        pictures: By the pictures' names the sha256 of ``alpha`` alone, and of ``alpha_and_trimap``.
    """

    file: Path
    hash: str
    description: dict[str, Any]
    pictures: Mapping[str, Mapping[str, str]]

    def lists(self, sha256: Mapping[str, str], with_trimaps: bool) -> bool:
        """Whether these pictures are the benchmark's, all of them, by their :func:`sha256_of_pixels`."""
        kind = "alpha_and_trimap" if with_trimaps else "alpha"
        return sha256 == {name: picture[kind] for name, picture in self.pictures.items()}


def write_benchmark_folder(name: str, benchmark: Benchmark, folder: Path) -> None:
    """Write ``image/``, ``alpha/`` and ``trimap/`` of a benchmark and ``NAME.yaml``, with a progress bar.

    The pixels are those that ``sdnet-pl test`` shows the network. A file that holds them already is kept.

    Args:
        name: What the benchmark is called.
        benchmark: What is written.
        folder: Where: empty, or begun by the same call.

    Raises:
        InputError: The folder holds something else, another benchmark among it.
    """
    record = folder / f"{name}.yaml"
    files = file_names(benchmark)
    _require_own(folder, record, benchmark.hash, {f"{file}.png" for file in files})
    about: dict[str, Any] = {"hash": benchmark.hash, "description": benchmark.description}
    if not record.exists():
        _write_record(record, about)  # says whose the pictures are, should this stop half-way
    pictures = {}
    for index, file in enumerate(tqdm(files, desc=f"Composing {name}", unit="picture")):
        item: Mapping[str, Any] = benchmark[index]
        image, alpha, trimap = (item[kind].permute(1, 2, 0).numpy() for kind in KINDS)
        alpha, trimap = alpha[..., 0], trimap[..., 0]
        for kind, pixels in zip(KINDS, (image, alpha, trimap), strict=True):
            path = as_file(folder / kind / f"{file}.png")
            if not _holds(path, pixels):
                write_png(path, np.ascontiguousarray(pixels))
        pictures[file] = {
            "name": benchmark.name(index),
            "alpha": sha256_of_pixels(alpha),
            "alpha_and_trimap": sha256_of_pixels(alpha, trimap),
        }
    _write_record(record, about | {"pictures": pictures})


def find_benchmark_folder(alphas: Path) -> BenchmarkFolder | None:
    """The benchmark whose folder ``alpha/`` this is; None if :func:`write_benchmark_folder` has not completed one.

    It is found whether that folder is a link to another disk or is named by a link from elsewhere.
    """
    folders = dict.fromkeys((Path(os.path.abspath(alphas)).parent, alphas.resolve().parent))
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        try:
            held = yaml.safe_load(file.read_text(encoding="utf-8"))
            found = BenchmarkFolder(file, held["hash"], held["description"], held["pictures"])
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue  # another's, or of a folder that is not complete
        if found.hash == hash_of(found.description):
            return found
    return None


def file_names(benchmark: Benchmark) -> list[str]:
    """Of each picture, without suffix: its number, and what the benchmark calls it: ``012-anna-over-street``."""
    digits = len(str(len(benchmark) - 1))
    names = []
    for index in range(len(benchmark)):
        words = re.sub(r"[^\w.]+", "-", unicodedata.normalize("NFC", benchmark.name(index))).strip("-.")
        names.append(f"{index:0{digits}d}-{words}".encode()[:NAME_BYTES].decode(errors="ignore"))
    return names


def sha256_of_pixels(alpha: NDArray[np.uint8], trimap: NDArray[np.uint8] | None = None) -> str:
    """Hash of an alpha, uint8 ``[H, W]``, and of its trimap if there is one; not of the files."""
    digest = hashlib.sha256(f"{alpha.shape}".encode() + alpha.tobytes())
    if trimap is not None:
        digest.update(trimap.tobytes())
    return digest.hexdigest()


def _require_own(folder: Path, record: Path, expected: str, files: set[str]) -> None:
    """Refuses a folder that holds anything but this benchmark, and clears what a killed run left half-written."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give the folder to write.")
    if record.exists():
        try:
            found = yaml.safe_load(record.read_text(encoding="utf-8"))["hash"]
        except (ValueError, KeyError, TypeError, yaml.YAMLError):
            raise InputError(f"{record} does not belong to a benchmark; give an empty folder.") from None
        if found != expected:
            raise InputError(
                f"{folder} holds {record.stem} with the hash {found}, and the config's has {expected}: other pictures "
                "or rules; give an empty folder."
            )
    elif folder.exists() and (others := sorted(path.name for path in folder.iterdir())):
        raise InputError(f"{folder} holds other files ({', '.join(others[:5])}); give an empty folder.")
    for path in (path for kind in KINDS for path in (folder / kind).glob("*") if as_text(path.name) not in files):
        if not path.name.startswith("."):
            raise InputError(f"{path} is not a picture of {record.stem}; remove it, or give an empty folder.")
        if re.fullmatch(r"\.[0-9a-f]{32}\.png", path.name):
            path.unlink()


def _holds(path: Path, pixels: NDArray[np.uint8]) -> bool:
    try:
        return path.exists() and np.array_equal(read_rgb(path) if pixels.ndim == 3 else read_alpha(path), pixels)
    except InputError:
        return False


def _write_record(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False))
