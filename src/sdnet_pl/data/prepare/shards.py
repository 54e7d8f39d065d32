"""Prepared pictures packed into litdata's shards, for sets of more files than a file system or a disk likes.

A folder of shards holds ``chunk-NNNNN.bin``, each with 64 pictures at most, and ``index.json``. An item is the files of
a picture as they would lie in a folder, ``fg`` and ``alpha`` or ``image``, and its ``name``.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sdnet_pl.data.files import atomic_write, naming, write_text
from sdnet_pl.data.prepare.base import Sample, Unit
from sdnet_pl.data.prepare.samples import Record, describe, write_sample
from sdnet_pl.data.sources.shards import BACKGROUND, PAIR, import_litdata

INDEX = "index.json"
# One is done again after a kill, and done by one process: not too many. Storage likes files of some megabytes: 64
# pairs of 1024 pixels are about 25.
SHARD = 64


def pack(samples: list[Sample]) -> list[Unit]:
    """What becomes a shard each, in the order of the folder sources; what is scored remains one sample each."""
    folders: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.kind != "test":
            folders[sample.folder, sample.kind].append(sample)
    units = [Unit(sample.key, (sample,)) for sample in samples if sample.kind == "test"]
    for (folder, kind), members in folders.items():
        members.sort(key=lambda sample: sample.name + (".jpg" if kind == "background" else ""))
        units += [
            Unit(f"{folder}/chunk-{start // SHARD:05}.bin", tuple(members[start : start + SHARD]), shard=True)
            for start in range(0, len(members), SHARD)
        ]
    return units


def write_shard(
    unit: Unit, root: Path, destination: Path, max_side: int, skip_bad: bool
) -> tuple[Record | None, list[str]]:
    """As :func:`~sdnet_pl.data.prepare.workers.write_unit`, of one shard.

    The shard is written whole or not at all; with ``skip_bad`` without the pictures that cannot be used.
    """
    import_litdata()
    from litdata.streaming.writer import BinaryWriter

    sources: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    with TemporaryDirectory() as folder, naming(folder):
        writer = BinaryWriter(f"{folder}/shard", chunk_size=len(unit.samples))
        count = 0
        for sample in unit.samples:
            with TemporaryDirectory(dir=folder) as files:
                outcome = write_sample(sample, root, Path(files), max_side)
                if isinstance(outcome, str):
                    problems.append(outcome)
                    continue
                below = Path(files) / sample.folder
                paths = [Path(files) / name for name in outcome["files"]]
                parts = {
                    "image" if sample.kind == "background" else path.relative_to(below).parts[0]: path.read_bytes()
                    for path in paths
                }
            writer.add_item(count, {**parts, "name": sample.name})
            sources |= outcome["sources"]
            count += 1
        if not count or (problems and not skip_bad):
            return None, problems
        writer.done()
        (shard,) = Path(folder, "shard").glob("*.bin")
        target = destination / unit.key
        with atomic_write(target) as temporary:
            temporary.write_bytes(shard.read_bytes())
    return {"sources": sources, "files": {unit.key: describe(target)}}, problems


def write_index(folder: Path, shards: list[Path], kind: str) -> dict[str, Any]:
    """Write the index that litdata reads a folder of shards by.

    Args:
        folder: the folder.
        shards: its shards, in their order.
        kind: of the samples in them.

    Returns:
        The sha256 and the size of the index.
    """
    import_litdata()
    from litdata.streaming.writer import BinaryWriter

    chunks = [
        {
            "chunk_bytes": shard.stat().st_size,
            "chunk_size": int(np.fromfile(shard, np.uint32, 1)[0]),  # a shard begins with the number of its items
            "dim": None,
            "filename": shard.name,
        }
        for shard in shards
    ]
    with TemporaryDirectory() as temporary_folder, naming(temporary_folder):
        writer = BinaryWriter(temporary_folder, chunk_size=SHARD)
        writer.serialize({**dict.fromkeys(BACKGROUND if kind == "background" else PAIR, b""), "name": ""})
        config = writer.get_config()
    sums = "".join(describe(shard)["sha256"] for shard in shards)
    # litdata drops the index that it keeps of a set in object storage when this changes.
    stamp = hashlib.sha256(sums.encode()).hexdigest()[:16]
    write_text(folder / INDEX, json.dumps({"chunks": chunks, "config": config, "updated_at": stamp}) + "\n")
    return describe(folder / INDEX)
