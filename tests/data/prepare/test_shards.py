"""Shards: what the command writes of them, what the sources read, and that training takes them as it takes folders."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from sdnet_pl.cli import main
from sdnet_pl.data.batches import TrainingBatch
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.dataset import MattingDataset
from sdnet_pl.data.prepare import shards
from sdnet_pl.data.prepare.manifest import JOURNAL
from sdnet_pl.data.samplers import EpochSampler
from sdnet_pl.data.sources.folders import BackgroundFolder, PairFolder
from sdnet_pl.data.sources.procedural import ProceduralBackgrounds
from sdnet_pl.data.sources.shards import BackgroundShards, PairShards
from sdnet_pl.errors import InputError

pytest.importorskip("litdata", reason="shards need litdata")


@pytest.fixture(autouse=True)
def two_pictures_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 2)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def cutouts(tree, prepare, tmp_path: Path) -> Path:
    """Five people in three shards; the same as files in ``folder``."""
    tree("cutouts")
    assert prepare("cutouts", "--shards") == 0
    assert prepare("cutouts", destination="folder") == 0
    return tmp_path / "DST/train"


# Writing


def test_people_in_shards_are_those_in_folders(tree, prepare, written, tmp_path, capsys):
    tree("p3m10k")
    assert prepare("p3m10k", "--shards") == 0
    assert "2 in train/" in capsys.readouterr().out
    files = {name for name in written() if not name.startswith("test/")}
    assert files == {"manifest.json", "train/chunk-00000.bin", "train/index.json"}
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 0
    assert prepare("p3m10k", destination="folder") == 0
    assert contents(tmp_path / "DST/test") == contents(tmp_path / "folder/test")  # what is scored is no shard
    check_equal(PairShards(str(tmp_path / "DST/train")), PairFolder(str(tmp_path / "folder/train"), extended=True))


@pytest.mark.slow
def test_backgrounds_in_shards_are_those_in_folders(tree, prepare, written, tmp_path):
    tree("coco")
    assert prepare("coco", "--shards", "--workers", 2) == 0
    assert {name for name in written() if "train2017" in name} == {
        f"train2017/{name}" for name in ("chunk-00000.bin", "chunk-00001.bin", "index.json")
    }
    assert prepare("coco", destination="folder") == 0
    for split in ("train2017", "val2017"):
        check_equal(BackgroundShards(str(tmp_path / "DST" / split)), BackgroundFolder(str(tmp_path / "folder" / split)))


def check_equal(packed, folder) -> None:
    assert len(packed) == len(folder)
    for index in reversed(range(len(folder) + 1)):  # the last wraps around
        np.testing.assert_equal(packed.load(index), folder.load(index))
        assert packed.fingerprint(index) == folder.fingerprint(index)


def test_verify_finds_a_damaged_shard(cutouts, tmp_path, capsys):
    shard = cutouts / "chunk-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    (cutouts / "index.json").unlink()
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == ["changed train/chunk-00001.bin", "missing train/index.json"]


def test_a_bad_picture_holds_its_shard_up_alone(tree, prepare, source, written, tmp_path, capsys):
    tree("cutouts")
    well = (source / "a.png").read_bytes()
    (source / "a.png").write_bytes(well[:100])
    assert prepare("cutouts", "--shards") == 1
    assert capsys.readouterr().err.count("a.png cannot be read") == 1
    done = {"train/chunk-00001.bin", "train/chunk-00002.bin"}
    assert written() == done | {JOURNAL}
    before = {name: (tmp_path / "DST" / name).stat().st_mtime_ns for name in done}

    shutil.copytree(tmp_path / "DST", tmp_path / "without")
    assert prepare("cutouts", "--shards", "--skip-bad", destination="without") == 0
    assert "4 in train/" in capsys.readouterr().out
    assert len(PairShards(str(tmp_path / "without/train"))) == 4
    manifest = json.loads((tmp_path / "without/manifest.json").read_text())
    assert len(manifest["left_out"]) == 1
    assert "a.png" not in manifest["sources"]

    (source / "a.png").write_bytes(well)
    assert prepare("cutouts", "--shards") == 0
    assert {name: (tmp_path / "DST" / name).stat().st_mtime_ns for name in done} == before
    assert len(PairShards(str(tmp_path / "DST/train"))) == 5


KILLED = """
import os, signal, sys
from pathlib import Path
from sdnet_pl.cli import main
from sdnet_pl.data.prepare import shards
from sdnet_pl.data.image_io import atomic_write

shards.SHARD, calls = 2, []

def killed(path):
    calls.append(path)
    if len(calls) == 2:
        with atomic_write(path) as temporary:
            temporary.write_bytes(b"half a shard")
            os.kill(os.getpid(), signal.SIGKILL)
    return atomic_write(path)

shards.atomic_write = killed
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_with_the_shards_that_are_missing(tree, prepare, source, written, tmp_path):
    tree("cutouts")
    (tmp_path / "script.py").write_text(KILLED)
    command = [sys.executable, tmp_path / "script.py", "prepare", "cutouts", source, tmp_path / "DST", "--shards"]
    options = ["--max-side", "48", "--workers", "1"]
    result = subprocess.run([*map(str, command), *options], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    first = tmp_path / "DST/train/chunk-00000.bin"
    assert {name for name in written() if name.endswith("chunk-00000.bin") or "manifest" in name} == {
        "train/chunk-00000.bin"
    }
    before = first.stat()
    assert prepare("cutouts", "--shards") == 0
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert prepare("cutouts", "--shards", destination="at once") == 0
    assert contents(tmp_path / "DST") == contents(tmp_path / "at once")


def test_shards_and_files_do_not_mix(cutouts, prepare, capsys):
    for more in ([], ["--shards"]):
        assert prepare("cutouts", *more, destination="DST" if not more else "folder") == 2
        assert "holds another preparation, with shards" in capsys.readouterr().err


# Reading


def test_without_litdata(tree, prepare, tmp_path, monkeypatch, capsys):
    tree("cutouts")
    monkeypatch.setitem(sys.modules, "litdata", None)
    assert prepare("cutouts", "--shards") == 2
    assert "pip install 'sdnet_pl[shards]'" in capsys.readouterr().err
    assert not (tmp_path / "DST").exists()


def test_folders_that_are_no_shards(cutouts):
    with pytest.raises(InputError, match=r"holds no index.json; give a folder that `sdnet-pl prepare --shards`"):
        PairShards(str(cutouts.parent))
    with pytest.raises(InputError, match=r"hold alpha, fg, name, and image are needed"):
        BackgroundShards(str(cutouts))
    source = PairShards(str(cutouts))
    (cutouts / "chunk-00001.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"Picture 2 of the shards in .*--verify"):
        source.load(2)
    (cutouts / "index.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be read \("):
        PairShards(str(cutouts))


def test_a_damaged_picture_is_named(cutouts):
    shard = cutouts / "chunk-00000.bin"
    shard.write_bytes(shard.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))
    with pytest.raises(InputError, match=r"fg of 'a' in .* cannot be read as a picture"):
        PairShards(str(cutouts)).load(0)


def test_samples_are_those_of_the_folder(cutouts, tmp_path):
    """Also where the main process has opened the shards before the loader's processes start, and after pickling."""
    people = PairShards(str(cutouts)), PairFolder(str(tmp_path / "folder/train"), extended=True)
    people[0].load(0)
    check_equal(pickle.loads(pickle.dumps(people[0])), people[1])
    batches = []
    for source in people:
        dataset = MattingDataset([source], [ProceduralBackgrounds(4, 64)], 64, seed=0)
        batches.append(list(DataLoader(dataset, sampler=EpochSampler(8), batch_size=2, num_workers=2)))
    for one, other in zip(*batches, strict=True):
        for key, value in one.items():
            assert torch.equal(value, other[key]), key


class Recorder(LightningModule):
    """Notes the samples that it gets, and keeps a checkpoint of every step."""

    def __init__(self, folder: Path, people: PairShards) -> None:
        super().__init__()
        self.folder, self.people = folder, people
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), list[int]()

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> torch.Tensor:
        self.seen += batch["seed"].tolist()
        return self.weight.sum()

    def on_train_batch_end(self, *args: object) -> None:
        self.trainer.save_checkpoint(self.folder / f"step{self.global_step}.ckpt")

    def on_train_end(self) -> None:
        (self.folder / f"seen-{self.global_rank}.json").write_text(json.dumps([len(self.people), self.seen]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit_in_two(folder: Path, path: Path, checkpoint: Path | None = None) -> list[list[int]]:
    """The samples of both processes."""
    people = PairShards(str(path))
    # Forked, since other processes import for longer than they train.
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        max_epochs=2,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = MattingDataModule(foregrounds=[people], size=64, batch_size=1, samples_per_epoch=6, workers=1)
    trainer.fit(Recorder(folder, people), datamodule=data, ckpt_path=checkpoint)
    found = [json.loads((folder / f"seen-{rank}.json").read_text()) for rank in range(2)]
    assert [length for length, _ in found] == [5, 5]
    return [seen for _, seen in found]


def test_two_processes_share_the_samples_and_go_on_in_the_middle_of_an_epoch(cutouts, tmp_path):
    """Two epochs of three steps of two processes; resumed after the first step of the second one."""
    folder = PairFolder(str(tmp_path / "folder/train"), extended=True)
    expected = MattingDataset([folder], [ProceduralBackgrounds(size=64)], 64, seed=0)
    numbers = [int(expected[number]["seed"]) for number in range(12)]
    assert fit_in_two(tmp_path, cutouts) == [numbers[0::2], numbers[1::2]]  # each sample once
    assert fit_in_two(tmp_path, cutouts, tmp_path / "step4.ckpt") == [numbers[8::2], numbers[9::2]]


class Storage(BaseHTTPRequestHandler):
    """As much of S3 as hands out a bucket, and notes what was asked for."""

    def __init__(self, folder: Path, asked: list[tuple[str, int]], *arguments) -> None:
        self.folder, self.asked = folder, asked
        super().__init__(*arguments)

    def do_GET(self) -> None:
        data = (self.folder / self.path.split("?")[0].removeprefix("/bucket/")).read_bytes()
        wanted, status = self.headers.get("Range"), 200
        if wanted:
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            status, data = 206, data[first : last + 1]
        self.asked.append((self.path.rpartition("/")[2].split("?")[0], len(data)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def storage(cutouts, tmp_path, monkeypatch) -> Iterator[list[tuple[str, int]]]:
    asked: list[tuple[str, int]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Storage, cutouts, asked))
    Thread(target=server.serve_forever, daemon=True).start()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("litdata.utilities.dataset_utilities._LITDATA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield asked
    server.shutdown()
    server.server_close()


def test_object_storage_is_asked_for_the_bytes_of_a_picture(storage, tmp_path):
    source = PairShards("s3://bucket")
    assert list((tmp_path / "cache").rglob("index.json"))
    folder = PairFolder(str(tmp_path / "folder/train"), extended=True)
    storage.clear()
    source.load(3)
    (place, _), (shard, size) = storage
    assert place == shard == "chunk-00001.bin"
    assert size < 0.6 * (tmp_path / "DST/train" / shard).stat().st_size  # one picture of two
    check_equal(source, folder)
    assert not list((tmp_path / "cache").rglob("*.bin"))
