"""The table of the ablations: runs that resume where they stopped, and the peer under the same conditions."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.ablations import compare
from experiments.ablations.peer import MobileNetV2UNet, PeerModule
from sdnet_pl.cli import lightning
from sdnet_pl.data.files import atomic_write
from sdnet_pl.launch import fits
from sdnet_pl.lit import SDNetModule
from tests.conftest import SMALL

PEER = next(name for name in compare.ROWS if name.startswith("peer"))


def finish(root: Path, row: str, seed: int, mad: float) -> None:
    columns = [compare.METRIC_LABELS[key][0] for _, key in compare.SCORES]
    with atomic_write(compare.run_dir(root, row, seed) / "metrics.csv") as temporary:
        temporary.write_text(
            f"benchmark,hash,method,{','.join(dict.fromkeys(columns))}\n"
            f"cutouts,abc,network,{mad},1,1,1,0.9\ncutouts,abc,constant mean matte,480,1,,,\n"
            f"natural,def,network,{2 * mad},1,,,0.8\n"
        )


def test_the_table_has_mean_and_spread_of_the_finished_seeds(tmp_path: Path):
    for seed, mad in enumerate((30.0, 32.0, 34.0)):
        finish(tmp_path, "distillation none", seed, mad)
    finish(tmp_path, PEER, 0, 40.0)
    rows = {row["trained as"]: row for row in compare.table(compare.scores(tmp_path, [0, 1, 2]))}
    assert list(rows) == ["distillation none", PEER]
    row = rows["distillation none"]
    assert row["cutouts: MAD×1000 (whole image)"] == "32.00 ± 2.00"
    assert row["natural: MAD×1000 (whole image)"] == "64.00 ± 4.00"
    assert row["natural: IoU of alpha >= 0.5 (whole image)"] == "0.800 ± 0.000"
    assert row["benchmark hashes"] == "cutouts abc, natural def"
    assert rows[PEER]["cutouts: MAD×1000 (whole image)"] == "40.00"
    assert row["seeds"] == 3


def test_scores_of_other_builds_of_a_benchmark_are_refused(tmp_path: Path):
    finish(tmp_path, PEER, 0, 40.0)
    line = compare.scores(tmp_path, [0])[0]
    with pytest.raises(ValueError, match=r"different benchmarks.*cutouts abc.*cutouts xyz"):
        compare.table([line, {**line, "seed": 1, "benchmark hashes": "cutouts xyz"}])


@pytest.mark.slow
def test_the_peer_gives_alphas():
    torch.manual_seed(0)
    peer = MobileNetV2UNet().eval()
    assert sum(p.numel() for p in peer.parameters()) == pytest.approx(6.3e6, rel=0.01)
    alpha = peer(torch.rand(1, 3, 96, 64))
    assert alpha.shape == (1, 1, 96, 64)
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_missing_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("SDNET_DATA", str(tmp_path))
    (tmp_path / "cutouts/train").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        compare.main(["--root", str(tmp_path / "runs")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"{tmp_path} has no cutouts/val, no backgrounds/train" in error
    assert "set SDNET_DATA" in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_rows_train_once(cutout_root: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    def fit_here(command: list[str], **options: Any) -> None:
        """In this process: another one would import for seconds."""
        module = {"sdnet_pl": SDNetModule, "experiments.ablations.peer": PeerModule}[command[2]]
        assert lightning.run(command[3:], module) == 0

    monkeypatch.setattr(fits.subprocess, "run", fit_here)
    monkeypatch.setenv("SDNET_DATA", str(cutout_root))
    config = (Path(__file__).parents[3] / compare.CONFIG).read_text()
    for old, new in (("precision: bf16-mixed", "precision: 32-true"), ("{stem_stride: 2}", json.dumps(SMALL))):
        assert config.count(old) == 1
        config = config.replace(old, new)
    (tmp_path / "small.yaml").write_text(config)
    monkeypatch.setattr(compare, "CONFIG", str(tmp_path / "small.yaml"))
    kept = tmp_path / "kept"
    arguments = ["--rows", "trimap, distillation dense", PEER, "--seeds", "3", "--samples", "8"]
    arguments += ["--root", str(tmp_path / "runs"), "-o", str(kept)]
    compare.main(arguments)
    text = (kept / "table.md").read_text()
    assert text.count("| 1 |") == 2  # both rows have a seed
    # Or `report` would take it for SDNet, whose config it has.
    scores = (compare.run_dir(tmp_path / "runs", PEER, 3) / "metrics.csv").read_text()
    assert "peer: MobileNetV2 U-Net" in scores
    card = (compare.run_dir(tmp_path / "runs", PEER, 3) / "README.md").read_text()
    assert card.startswith("# peer: MobileNetV2 U-Net")
    assert "sdnet-pl matte" not in card
    assert capsys.readouterr().err.count(", seed 3") == 2
    monkeypatch.setattr(fits.subprocess, "run", None)  # nothing is left to run
    compare.main(arguments)
    assert (kept / "table.md").read_text() == text
    # Runs of another place and seed come beside those.
    shutil.copytree(tmp_path / "runs", tmp_path / "elsewhere")
    compare.run_dir(tmp_path / "elsewhere", PEER, 3).rename(compare.run_dir(tmp_path / "elsewhere", PEER, 4))
    compare.main(["--rows", PEER, "--seeds", "4", "--root", str(tmp_path / "elsewhere"), "-o", str(kept)])
    lines = list(csv.DictReader((kept / "scores.csv").open()))
    assert [(line["trained as"], line["seed"]) for line in lines] == [
        (PEER, "3"),
        (PEER, "4"),
        ("trimap, distillation dense", "3"),
    ]
    assert float(lines[2]["side output 4: MAD×1000 (whole image)"]) > 0
