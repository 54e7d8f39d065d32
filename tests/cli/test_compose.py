"""A benchmark as pictures: another method is scored on what a run is scored on, and stands beside it in a table."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data import BackgroundFolder, CompositeBenchmark, CutoutFolder, benchmark_folder
from sdnet_pl.data.config import find_benchmark
from sdnet_pl.data.image_io import read_rgb, write_png
from sdnet_pl.inference import load_weights
from sdnet_pl.metrics import METRIC_LABELS

PROCEDURAL = {
    "class_path": "sdnet_pl.data.CompositeBenchmark",
    "init_args": {
        kind: {"class_path": f"sdnet_pl.data.Procedural{name}", "init_args": {"length": 3, "size": 64, "seed": 1}}
        for kind, name in (("foregrounds", "Portraits"), ("backgrounds", "Backgrounds"))
    },
}


def source(kind: str, path: str) -> dict[str, object]:
    return {"class_path": f"sdnet_pl.data.{kind}", "init_args": {"path": path}}


@pytest.fixture
def config(cutout_root: Path) -> Path:
    """A config as of a training; the training's pictures and those of the validation are missing."""
    listed = {
        "foregrounds": source("CutoutFolder", "${data.root}/cutouts/val"),
        "backgrounds": source("BackgroundFolder", "${data.root}/backgrounds/val"),
        "backgrounds_per_foreground": 2,
    }
    data = {
        "root": "elsewhere",
        "foregrounds": [source("CutoutFolder", "${data.root}/missing")],
        "validation": {"aim-500": source("AlphaBenchmark", "${data.root}/missing")},
        "test": {"held-out": {"class_path": "sdnet_pl.data.CompositeBenchmark", "init_args": listed}},
    }
    file = cutout_root / "config.yaml"
    file.write_text(yaml.safe_dump({"seed_everything": 1, "trainer": {"max_epochs": 3}, "model": {}, "data": data}))
    return file


def compose(config: Path, *more: Path | str, name: str = "held-out") -> list[str]:
    return [
        "compose",
        *map(str, (name, config.parent / "out", "--config", config, "--data.root", config.parent, *more)),
    ]


@pytest.fixture
def benchmark(cutout_root: Path) -> CompositeBenchmark:
    people, places = CutoutFolder(f"{cutout_root}/cutouts/val"), BackgroundFolder(f"{cutout_root}/backgrounds/val")
    return CompositeBenchmark(people, places, 2)


def test_the_pictures_are_those_of_the_benchmark(config: Path, benchmark: CompositeBenchmark, capsys):
    assert main(compose(config)) == 0
    said, out = capsys.readouterr(), config.parent / "out"
    assert f"held-out ({benchmark.hash}): 6 pictures" in said.out
    assert "Composing held-out" in said.err
    record = yaml.safe_load((out / "held-out.yaml").read_text())
    assert record["hash"] == benchmark.hash
    assert record["description"] == benchmark.description
    names = benchmark_folder.file_names(benchmark)
    assert list(record["pictures"]) == names == sorted(names)
    for i, name in enumerate(names):
        person, place = benchmark.name(i).split(" over ")
        assert name == f"{i}-{person}-over-{place}"
        assert record["pictures"][name]["name"] == benchmark.name(i)
        for kind in ("image", "alpha", "trimap"):
            shown = benchmark[i][kind].permute(1, 2, 0).numpy()
            pixels = np.asarray(Image.open(out / kind / f"{name}.png"))
            np.testing.assert_array_equal(pixels.reshape(shown.shape), shown)
    assert len(list(out.rglob("*.*"))) == 3 * 6 + 1


def test_later_configs_prevail(config: Path, capsys):
    listed = {"other": PROCEDURAL}
    later = config.with_name("later.yaml")
    later.write_text(yaml.safe_dump({"data": {"test": listed}}))
    assert main(compose(config, "--config", later)) == 2
    assert "'held-out'; the config has other, aim-500." in capsys.readouterr().err


def test_a_folder_is_mended_and_what_is_right_is_kept(config: Path):
    assert main(compose(config)) == 0
    out = config.parent / "out"
    # Every file is written by moving it to its place, so one that is kept stays the same inode.
    before = {file: (file.read_bytes(), file.stat().st_ino) for file in out.rglob("*.png")}
    gone, short, other, *kept = sorted(before)
    gone.unlink()
    short.write_bytes(before[short][0][:-40])
    write_png(other, np.full((120, 100), 7, np.uint8))
    (out / "image" / f".{'0' * 32}.png").touch()  # of a process that was killed
    assert main(compose(config)) == 0
    assert {file: file.read_bytes() for file in out.rglob("*.png")} == {file: x for file, (x, _) in before.items()}
    assert all(file.stat().st_ino == before[file][1] for file in kept)


def test_a_stopped_run_goes_on(config: Path, monkeypatch: pytest.MonkeyPatch):
    written: list[Path] = []

    def stops(path: Path, pixels: np.ndarray) -> None:
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path)
        write_png(path, pixels)

    out = config.parent / "out"
    monkeypatch.setattr(benchmark_folder, "write_png", stops)
    assert main(compose(config)) == 130
    assert sorted(out.rglob("*.png")) == sorted(written)
    assert benchmark_folder.find_benchmark_folder(out / "alpha") is None
    monkeypatch.undo()
    assert main(compose(config)) == 0
    shutil.move(out / "alpha", config.parent / "disk")
    (out / "alpha").symlink_to(config.parent / "disk", target_is_directory=True)
    (config.parent / "link").symlink_to(out, target_is_directory=True)
    assert benchmark_folder.find_benchmark_folder(config.parent / "link" / "alpha") is not None
    found = benchmark_folder.find_benchmark_folder(out / "alpha")
    assert found is not None
    assert len(found.pictures) == 6


def another_picture(config: Path) -> None:
    write_png(config.parent / "backgrounds" / "val" / "00.jpg", np.zeros((8, 8, 3), np.uint8))


def another_folder(config: Path) -> None:
    (config.parent / "out" / "held-out.yaml").rename(config.parent / "out" / "mine.yaml")


def another_yaml(config: Path) -> None:
    (config.parent / "out" / "held-out.yaml").write_text("- a list")


def more_pictures(config: Path) -> None:
    write_png(config.parent / "out" / "trimap" / "6.png", np.zeros((8, 8), np.uint8))


def to_nowhere(config: Path) -> None:
    config.write_text(config.read_text().replace("data.root", "model.preset"))


@pytest.mark.parametrize(
    ("spoil", "arguments", "said"),
    [
        (another_picture, {}, ["out holds held-out with the hash", "empty folder"]),
        (another_folder, {}, ["out holds other files (alpha, image, mine.yaml, trimap)", "empty folder"]),
        (another_yaml, {}, ["held-out.yaml does not belong to a benchmark"]),
        (more_pictures, {}, ["trimap/6.png is not a picture of held-out", "remove it"]),
        (None, {"name": "composition-1k"}, ["'composition-1k'; the config has held-out, aim-500."]),
        (None, {"name": "aim500"}, ["the config has held-out, aim-500; did you mean aim-500?"]),
        (None, {"name": "aim-500"}, ["missing"]),
        (lambda config: config.write_text("data: {sides: 3}"), {}, ["config is invalid", "sides"]),
        (to_nowhere, {}, ["is invalid", "only `data` is read", "model.preset"]),
        (lambda config: config.write_text("data: [}"), {}, ["not a YAML file"]),
        (lambda config: config.write_text("- a list"), {}, ["not a YAML file"]),
        (lambda config: config.unlink(), {}, ["config.yaml", "check the path"]),
    ],
)
def test_refusals(config: Path, capsys, spoil: Callable[[Path], None] | None, arguments: dict[str, str], said):
    assert main(compose(config)) == 0
    if spoil:
        spoil(config)
    before = {file: file.read_bytes() for file in (config.parent / "out").rglob("*.*")}
    assert main(compose(config, **arguments)) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("sdnet-pl: error: ")
    for text in said:
        assert text in line
    assert {file: file.read_bytes() for file in (config.parent / "out").rglob("*.*")} == before


def test_pictures_are_checked_first(config: Path, capsys):
    bad = [config.parent / "cutouts/val/01.png", config.parent / "backgrounds/val/02.jpg"]
    for file in bad:
        file.write_bytes(file.read_bytes()[:200])
    assert main(compose(config)) == 2
    error = capsys.readouterr().err
    assert "2 of 7 pictures cannot be used" in error
    assert all(str(file) in error for file in bad)
    assert "see below, or take such pictures out of their folders" in error
    assert "--no-check" not in error  # with which it would fail half-way
    assert not (config.parent / "out").exists()


def test_odd_alphas_are_named(config: Path, capsys):
    file = config.parent / "cutouts/val/01.png"
    pixels = np.array(Image.open(file))
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(file)
    assert main(compose(config)) == 0
    assert "1 of 3 alphas in" in (error := capsys.readouterr().err)
    assert "0 everywhere, so that nobody is in the picture (01.png)" in error
    assert main(compose(config, "--no-check")) == 0
    assert "nobody" not in capsys.readouterr().err


def test_what_a_config_says_elsewhere_reaches_its_data(config: Path, benchmark: CompositeBenchmark):
    """A saved config refers to other settings than those of `data` too."""
    text = config.read_text(encoding="utf-8").replace("max_epochs: 3", "max_epochs: 3\n  log_every_n_steps: 5")
    settings = yaml.safe_load(text)
    settings["data"]["test"]["held-out"]["init_args"]["seed"] = "${trainer.log_every_n_steps}"
    config.write_bytes(yaml.safe_dump(settings).encode("utf-16"))  # as a shell of Windows writes it
    found = find_benchmark("held-out", [config], str(config.parent))
    assert isinstance(found, CompositeBenchmark)
    assert (found.seed, benchmark.seed) == (5, 0)


def test_without_a_config_there_is_the_built_in_benchmark():
    assert len(find_benchmark("procedural", [])) == 32


def test_names_fit_every_file_system(benchmark: CompositeBenchmark, monkeypatch: pytest.MonkeyPatch):
    names = ["a/b: c*.x over ?", "e\u0301" * 300, "", *"xyz"]
    monkeypatch.setattr(CompositeBenchmark, "name", lambda self, index: names[index])
    assert benchmark_folder.file_names(benchmark)[:3] == ["0-a-b-c-.x-over", f"1-{chr(0xE9) * 99}", "2-"]


def table(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def scored(tiny_fit: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was tested on "composition-1k", that benchmark as pictures, and what its network makes of these."""
    root = tmp_path_factory.mktemp("scored")
    listed = json.dumps({"composition-1k": PROCEDURAL})
    assert main(tiny_fit(root / "run", f"--data.test={listed}")) == 0
    assert main(["compose", "composition-1k", f"{root}/bench", "--config", f"{root}/run/config.yaml"]) == 0
    model, _ = load_weights(root / "run" / "best.ckpt")
    for file in (root / "bench" / "image").iterdir():
        with torch.inference_mode():
            alpha = model.eval()(torch.from_numpy(read_rgb(file)).permute(2, 0, 1)[None] / 255)
        write_png(root / "pred" / file.name, (255 * alpha[0, 0]).round().to(torch.uint8).numpy())
    return root


def evaluate(scored: Path, output: Path, *more: str, bench: Path | None = None) -> dict[str, str]:
    """The row that `evaluate` writes."""
    alpha = (bench or scored / "bench") / "alpha"
    arguments = ["--method", "MODNet*", "--workers", "0", "-o", str(output), *more]
    assert main(["evaluate", "--pred", f"{scored}/pred", "--alpha", str(alpha), *arguments]) == 0
    return table(output / "metrics.csv")[0]


def test_evaluate_gives_the_scores_of_test(scored: Path, tmp_path: Path, capsys):
    trimaps = f"--trimap={scored}/bench/trimap"
    theirs, ours = evaluate(scored, tmp_path / "eval", trimaps), table(scored / "run" / "metrics.csv")[0]
    assert {key: theirs[key] for key in ("benchmark", "hash", "images")} == {
        key: ours[key] for key in ("benchmark", "hash", "images")
    }
    for key in METRIC_LABELS:
        # Both quantise alpha to 8 bits. A pixel whose value lies at a half may fall to either side.
        assert float(theirs[key]) == pytest.approx(float(ours[key]), rel=1e-4)
    lists = [folder / "benchmarks" / "composition-1k.yaml" for folder in (tmp_path / "eval", scored / "run")]
    assert lists[0].read_text() == lists[1].read_text()
    assert "is that of runs of `sdnet-pl test`" in capsys.readouterr().out
    assert evaluate(scored, tmp_path / "whole")["hash"] == ours["hash"]
    capsys.readouterr()

    assert main(["report", str(tmp_path / "eval"), str(scored / "run"), "--table", "1"]) == 0
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("|") and ours["hash"] in line]
    assert len(rows) == 2
    assert rows[0].startswith("| MODNet* |")
    assert rows[1].startswith("| Ours |")
    assert "different benchmark hashes" not in text


def test_other_pictures_keep_a_hash_of_their_own(scored: Path, tmp_path: Path, capsys):
    own = table(scored / "run" / "metrics.csv")[0]["hash"]
    assert evaluate(scored, tmp_path / "fixed", "--region", "unknown")["hash"] != own
    bench = tmp_path / "bench"
    for file in (path for path in (scored / "bench").rglob("*") if path.is_file()):
        copy = bench / file.relative_to(scored / "bench")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    trimap = next((bench / "trimap").iterdir())
    write_png(trimap, np.full((64, 64), 128, np.uint8))
    capsys.readouterr()
    trimaps = f"--trimap={bench}/trimap"
    assert evaluate(scored, tmp_path / "trimap", trimaps, bench=bench)["hash"] != own
    assert "scores of runs do not compare" in " ".join(capsys.readouterr().out.split())
    assert evaluate(scored, tmp_path / "whole", bench=bench)["hash"] == own  # no trimap counts there
    alpha = next((bench / "alpha").iterdir())
    write_png(alpha, np.zeros((64, 64), np.uint8))
    assert evaluate(scored, tmp_path / "alpha", bench=bench)["hash"] != own
    # A changed list is no benchmark that `compose` wrote.
    record = bench / "composition-1k.yaml"
    record.write_text(record.read_text().replace("size: null", "size: 64"))
    assert benchmark_folder.find_benchmark_folder(bench / "alpha") is None
