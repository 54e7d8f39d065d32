"""Any method's alphas, saved as pictures, get the scores that the metrics give on their pixels."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data.trimap import evaluation_trimap
from sdnet_pl.metrics import METRIC_LABELS, ConstantMatteReference, functional

NAMES = ("a", "sub/b", "sub/c")
OF: dict[str, Callable[..., torch.Tensor]] = {
    "mad": functional.mad,
    "mse": functional.mse,
    "sad": functional.sad,
    "gradient": functional.gradient_error,
    "connectivity": functional.connectivity_error,
}


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Folders of small alphas, predictions and trimaps, and their pixels; the last trimap has no unknown pixel."""
    rng = np.random.default_rng(0)
    made: dict[str, dict[str, np.ndarray]] = {"alpha": {}, "pred": {}, "trimap": {}}
    for i, name in enumerate(NAMES):
        alpha = np.zeros((48 + 8 * i, 64), np.uint8)
        alpha[12:40, 10:40] = np.linspace(60, 255, 30).astype(np.uint8)
        trimap = np.where(alpha > 0, np.uint8(255), np.uint8(0))
        if i < 2:
            trimap[8:44, 6:30] = 128
        pred = np.clip(alpha + rng.integers(-60, 60, alpha.shape), 0, 255).astype(np.uint8)
        for kind, pixels in (("alpha", alpha), ("pred", pred), ("trimap", trimap)):
            made[kind][name] = pixels
            save(tmp_path / kind / f"{name}.png", pixels)
    return made


def evaluate(folder: Path, *more: str, pred: str = "pred") -> list[str]:
    return ["evaluate", "--pred", str(folder / pred), "--alpha", str(folder / "alpha"), "--workers", "0", *more]


def table(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def expected(pictures: dict[str, dict[str, np.ndarray]], name: str, key: str, trimap: np.ndarray) -> float:
    """A score by the functional metrics; IoU by numpy."""
    pred, alpha = pictures["pred"][name], pictures["alpha"][name]
    metric, region = key.rsplit("_", 1)
    if metric == "iou":
        a, b = pred >= 128, alpha >= 128
        return (a & b).sum() / (a | b).sum()
    batch = [torch.from_numpy(x)[None, None] / 255 for x in (pred, alpha)]
    unknown = torch.from_numpy(trimap)[None, None] if region == "unknown" else None
    return float(OF[metric](*batch, unknown))


@pytest.mark.parametrize("given", [True, False])
def test_scores_are_those_of_the_metrics(pictures, tmp_path: Path, capsys, given: bool):
    regions = ["--trimap", str(tmp_path / "trimap")] if given else ["--region", "unknown"]
    arguments = [*regions, "--method", "MODNet*", "--benchmark", "ppm-100", "-o", str(tmp_path / "out")]
    assert main(evaluate(tmp_path, *arguments)) == 0
    printed = capsys.readouterr().out
    each = {row["image"]: row for row in table(tmp_path / "out" / "images.csv")}
    assert list(each) == list(NAMES)
    method, *constant = table(tmp_path / "out" / "metrics.csv")
    keys = [key for key in METRIC_LABELS if given or key.endswith("unknown")]
    assert list(each["a"]) == ["benchmark", "image", *keys]
    assert {row["benchmark"] for row in each.values()} == {"ppm-100"}
    for key in keys:
        values = []
        for name in NAMES:
            trimap = pictures["trimap"][name] if given else evaluation_trimap(pictures["alpha"][name])
            value = expected(pictures, name, key, trimap)
            assert float(each[name][key]) == pytest.approx(value, rel=1e-12, nan_ok=True)
            values.append(value)
        assert float(method[key]) == pytest.approx(np.nanmean(values), rel=1e-12)
    assert method["method"] == "MODNet*"
    assert method["benchmark"] == "ppm-100"
    assert method["images"] == "3"
    assert method["images_without_unknown"] == ("1" if given else "0")
    assert [row["method"] for row in constant] == (["constant mean matte"] if given else [])
    if given:
        reference = ConstantMatteReference()
        for alpha in pictures["alpha"].values():
            reference.update(torch.from_numpy(alpha)[None, None] / 255)
        for key in ("mad", "mse"):
            assert float(constant[0][f"{key}_whole"]) == pytest.approx(float(reference.compute()[key]), rel=1e-12)
    assert printed == (tmp_path / "out" / "metrics.md").read_text()
    assert method["hash"] in printed
    assert ("fixed evaluation trimap, an ellipse of 25 px" in printed) != given
    description = yaml.safe_load((tmp_path / "out" / "benchmarks" / "ppm-100.yaml").read_text())
    assert description["hash"] == method["hash"]
    assert list(description["pictures"]) == list(NAMES)


def test_by_hand_and_without_trimap_the_whole_image_alone(tmp_path: Path, capsys):
    """204 of 255 in place of 255 everywhere, once in 8 and once in 16 bits."""
    save(tmp_path / "alpha" / "x.png", np.full((20, 50), 255, np.uint8))
    save(tmp_path / "alpha" / "y.png", np.full((20, 50), 65535, np.uint16))
    save(tmp_path / "pred" / "x.png", np.full((20, 50), 204, np.uint8))
    save(tmp_path / "pred" / "y.tif", np.full((20, 50), 204 * 257, np.uint16))
    assert main(evaluate(tmp_path, "-o", str(tmp_path / "out"))) == 0
    for row in [*table(tmp_path / "out" / "images.csv"), table(tmp_path / "out" / "metrics.csv")[0]]:
        assert float(row["mad_whole"]) == pytest.approx(0.2)
        assert float(row["mse_whole"]) == pytest.approx(0.04)
        assert float(row["sad_whole"]) == pytest.approx(0.2)
        assert not any("unknown" in column for column in row)
    assert table(tmp_path / "out" / "metrics.csv")[0]["method"] == "pred"
    printed = capsys.readouterr().out
    assert "unknown" not in printed
    assert "| MAD×1000 (whole image) | MSE×1000 (whole image) | SAD/1000 (whole image) |" in printed


def test_accents_may_be_composed_or_not(tmp_path: Path):
    save(tmp_path / "alpha" / "e\u0301.png", np.zeros((8, 8), np.uint8))
    save(tmp_path / "pred" / "\u00e9.png", np.zeros((8, 8), np.uint8))
    assert main(evaluate(tmp_path)) == 0


def test_the_true_alphas_are_no_predictions(pictures, tmp_path: Path, capsys):
    (tmp_path / "link").symlink_to(tmp_path / "alpha")
    assert main(evaluate(tmp_path, pred="link")) == 2
    assert "is the folder of the true alphas itself" in capsys.readouterr().err


def test_two_processes_give_what_one_gives(pictures, tmp_path: Path):
    for workers in ("0", "2"):
        more = ["--trimap", str(tmp_path / "trimap"), "--workers", workers, "-o", str(tmp_path / workers)]
        assert main(evaluate(tmp_path, *more)) == 0
    for file in ("metrics.csv", "metrics.md", "images.csv", "benchmarks/alpha.yaml"):
        assert (tmp_path / "0" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("start_method")
def test_two_processes_that_share_nothing_give_it_too(pictures, tmp_path: Path):
    test_two_processes_give_what_one_gives(pictures, tmp_path)


def hash_of(capsys, arguments: list[str]) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()[2].split("|")[2].strip()


def test_the_hash_is_that_of_the_pixels_of_the_benchmark(pictures, tmp_path: Path, capsys):
    trimap = ["--trimap", str(tmp_path / "trimap")]
    whole, both = hash_of(capsys, evaluate(tmp_path)), hash_of(capsys, evaluate(tmp_path, *trimap))
    assert whole != both
    # Another method, and other files of the same pixels: the same benchmark.
    save(tmp_path / "pred" / "a.png", pictures["pred"]["a"] // 2)
    for kind in ("alpha", "pred", "trimap"):
        (tmp_path / kind / "a.png").unlink()
        save(tmp_path / kind / "z.tif", pictures[kind]["a"])
    assert hash_of(capsys, evaluate(tmp_path)) == whole
    assert hash_of(capsys, evaluate(tmp_path, *trimap)) == both
    pictures["trimap"]["a"][0, 0] = 128
    save(tmp_path / "trimap" / "z.tif", pictures["trimap"]["a"])
    assert hash_of(capsys, evaluate(tmp_path)) == whole
    assert hash_of(capsys, evaluate(tmp_path, *trimap)) != both
    pictures["alpha"]["a"][0, 0] = 1
    save(tmp_path / "alpha" / "z.tif", pictures["alpha"]["a"])
    assert hash_of(capsys, evaluate(tmp_path)) != whole


def spoil(folder: Path, kind: str, names: Iterable[str], change: Callable[[np.ndarray], np.ndarray]) -> None:
    for name in names:
        file = folder / kind / f"{name}.png"
        save(file, np.asarray(change(np.asarray(Image.open(file))), np.uint8))


ODD: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "alphas of 0 and 1": ("alpha", lambda x: x > 127, "alphas in {} are 0 and 1 instead of 0 and 255"),
    "inverted alphas": ("alpha", lambda x: 255 - x, "alphas in {} are opaque around the picture"),
    "predictions of 0 and 1": ("pred", lambda x: x > 127, "alphas in {} are 0 and 1 instead of 0 and 255"),
    "inverted predictions": ("pred", lambda x: 255 - x, "predictions are nearer to the true alphas when inverted"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_alphas_are_named_and_a_folder_of_them_refused(pictures, tmp_path: Path, capsys, name: str):
    kind, change, said = ODD[name]
    said = said.format(tmp_path / kind)
    output = tmp_path / "out"
    spoil(tmp_path, kind, ["sub/b"], change)
    assert main(evaluate(tmp_path)) == 0
    error = capsys.readouterr().err
    assert f"1 of 3 {said}" in error
    assert "sub/b" in error
    spoil(tmp_path, kind, ["sub/c"], change)
    assert main(evaluate(tmp_path, "-o", str(output))) == 2
    captured = capsys.readouterr()
    assert f"error: 2 of 3 {said}" in captured.err
    assert "sub/b" in captured.err
    assert "--no-check" in captured.err
    assert not captured.out
    assert not output.exists()
    assert main(evaluate(tmp_path, "-o", str(output), "--no-check")) == 0
    assert said not in capsys.readouterr().err


def test_blank_predictions_are_named_and_scored(pictures, tmp_path: Path, capsys):
    spoil(tmp_path, "pred", NAMES, np.zeros_like)
    assert main(evaluate(tmp_path)) == 0
    assert f"3 of 3 alphas in {tmp_path / 'pred'} are 0 everywhere" in capsys.readouterr().err


def test_every_file_that_does_not_decode_is_named(pictures, tmp_path: Path, capsys):
    bad = [tmp_path / "pred/a.png", tmp_path / "alpha/sub/c.png", tmp_path / "trimap/sub/b.png"]
    for file in bad:
        file.write_bytes(file.read_bytes()[:60])
    assert main(evaluate(tmp_path, "--trimap", str(tmp_path / "trimap"))) == 2
    error = capsys.readouterr().err
    assert "3 of 9 pictures cannot be used" in error
    assert all(str(file) in error for file in bad)
    assert "see below, or take the files of such names out of every folder." in error
    assert "--no-check" not in error  # with which it would fail half-way


def other_names(folder: Path) -> None:
    for i in range(7):
        save(folder / "pred" / f"more{i}.png", np.zeros((8, 8), np.uint8))
    (folder / "pred" / "a.png").unlink()


def other_sizes(folder: Path) -> None:
    for name in ("a", "sub/b"):
        save(folder / "pred" / f"{name}.png", np.zeros((8, 9), np.uint8))
    save(folder / "trimap" / "sub" / "c.png", np.zeros((4, 5), np.uint8))


def colors(folder: Path) -> None:
    save(folder / "alpha" / "a.png", np.zeros((48, 64, 3), np.uint8))
    save(folder / "pred" / "sub" / "b.png", np.zeros((56, 64, 4), np.uint8))


def codes(folder: Path) -> None:
    save(folder / "trimap" / "sub" / "b.png", np.full((56, 64), 127, np.uint8))


def no_folder(folder: Path) -> None:
    (folder / "trimap").rename(folder / "elsewhere")


def earlier_scores(folder: Path) -> None:
    save(folder / "out" / "x.png", np.zeros((8, 8), np.uint8))
    (folder / "out" / "metrics.csv").write_text("benchmark,hash,images\n")


def a_note_of_the_users(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "metrics.md").write_text("mine")


def a_file_for_a_folder(folder: Path) -> None:
    (folder / "out").touch()


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (a_file_for_a_folder, [], ["out is a file", "-o"]),
        (a_note_of_the_users, [], ["out holds metrics.md already", "-o"]),
        (other_names, [], ["1 of 3 alphas", "(a)", "7 of 9 pictures", "more0, more1, more2, more3, more4, and 2 more"]),
        (other_sizes, [], ["3 file(s) of 3 pictures", "a.png is 9×8 and its alpha 64×48", "c.png is 5×4"]),
        (colors, [], ["2 file(s)", "alpha/a.png", "pred/sub/b.png", "3 channels", "greyscale"]),
        (codes, [], ["b.png", "127", "0 (background), 128 (unknown) and 255"]),
        (codes, ["--workers", "1"], ["b.png", "127", "0 (background), 128 (unknown) and 255"]),
        (no_folder, [], ["trimap does not exist"]),
        (earlier_scores, [], ["out holds metrics.csv already", "-o"]),
        (None, ["--region", "whole"], ["--region whole", "--trimap"]),
        (None, ["--method", "network"], ["'network'", "--method"]),
        (None, ["--benchmark", "a/b"], ["'a/b'", "slashes"]),
        (None, ["--workers", "-1"], ["--workers is -1"]),
    ],
)
def test_refusals(
    pictures, tmp_path: Path, capsys, change: Callable[[Path], None] | None, more: list[str], said: list[str]
):
    if change:
        change(tmp_path)
    before = set(tmp_path.rglob("*"))
    assert main(evaluate(tmp_path, "--trimap", str(tmp_path / "trimap"), "-o", str(tmp_path / "out"), *more)) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("sdnet-pl: error: ")]
    for text in said:
        assert text in line
    assert set(tmp_path.rglob("*")) == before  # nothing is written
