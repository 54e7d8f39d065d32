"""The torchmetrics shells and the collection: one process, two processes, pickled, saved, reset."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from sdnet_pl.errors import InputError
from sdnet_pl.metrics import (
    MAD,
    METRIC_LABELS,
    MSE,
    SAD,
    BenchmarkMetrics,
    ConnectivityError,
    ConstantMatteReference,
    GradientError,
    MattingMetric,
    functional,
)
from sdnet_pl.metrics.matting import REGIONS, STATE_DTYPE
from sdnet_pl.metrics.quantisation import quantise

SHELLS: dict[type[MattingMetric], Any] = {
    SAD: functional.sad,
    MAD: functional.mad,
    MSE: functional.mse,
    GradientError: functional.gradient_error,
    ConnectivityError: functional.connectivity_error,
}
# sums in another order differ in the last digits only
ORDER = 1e-13 if STATE_DTYPE is torch.float64 else 1e-5


def images() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Five images of different sizes; the third has no unknown pixel."""
    generator = torch.Generator().manual_seed(2)
    batch = []
    for i in range(5):
        height, width = 24 + 4 * i, 40 - 4 * i
        coarse = torch.rand(1, 1, 6, 6, generator=generator) * 2 - 0.5
        target = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
        pred = (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
        trimap = torch.where((target > 0.1) & (target < 0.9) & torch.tensor(i != 2), 128, 0).to(torch.uint8)
        batch.append((pred, target, trimap))
    return batch


def every_metric() -> dict[str, Metric]:
    metrics: dict[str, Metric] = {
        f"{shell.__name__}_{region}": shell(region=region) for shell in SHELLS for region in REGIONS
    }
    return metrics | {"constant": ConstantMatteReference(), "benchmark": BenchmarkMetrics(full=True)}


def feed(metric: Metric, image: tuple[Tensor, Tensor, Tensor]) -> None:
    if isinstance(metric, ConstantMatteReference):
        metric.update(image[1])
    else:
        metric.update(*image)


def results(metrics: dict[str, Metric]) -> dict[str, Any]:
    """Plain numbers of every metric, and the counts of the shells."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        value = metric.compute()
        found[name] = {k: v.item() for k, v in value.items()} if isinstance(value, dict) else value.item()
        if isinstance(metric, MattingMetric):
            found[f"{name}_counts"] = list(metric.counts())
    return found


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    metrics = every_metric()
    for metric in metrics.values():
        for image in images():
            feed(metric, image)
    return results(metrics)


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=ORDER), name


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("shell", list(SHELLS))
def test_mean_over_images(shell: type[MattingMetric], region: str, expected: dict[str, Any]) -> None:
    values = torch.cat([SHELLS[shell](p, t, m if region == "unknown" else None) for p, t, m in images()])
    name = f"{shell.__name__}_{region}"
    assert expected[name] == pytest.approx(values.nanmean().item(), rel=ORDER)
    assert expected[f"{name}_counts"] == ([4, 1] if region == "unknown" else [5, 0])
    assert not shell.higher_is_better
    assert not shell.is_differentiable
    assert not shell.full_state_update


@pytest.mark.parametrize("shell", list(SHELLS))
def test_without_an_image_it_is_nan(shell: type[MattingMetric]) -> None:
    metric = shell(region="unknown")
    pred, target, trimap = images()[2]
    metric.update(pred, target, trimap)
    assert metric.compute().isnan()
    assert metric.counts() == (0, 1)


def test_forward_gives_the_batch_and_keeps_the_mean() -> None:
    metric = MAD()
    first, second = (metric(*image) for image in images()[:2])
    assert metric.compute().item() == pytest.approx((first + second).item() / 2, rel=ORDER)


def test_whole_image_ignores_the_trimap() -> None:
    pred, target, _ = images()[0]
    metric = MSE()
    metric.update(pred, target, torch.ones(3))
    assert metric.compute() == functional.mse(pred, target)


def test_errors_of_the_shells() -> None:
    pred, target, _ = images()[0]
    with pytest.raises(InputError, match="unknown region needs one"):
        SAD(region="unknown").update(pred, target)
    with pytest.raises(InputError, match="region is 'hair'"):
        SAD(region="hair")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="take one of its channels"):
        ConstantMatteReference().update(target.expand(-1, 3, -1, -1))
    with pytest.raises(InputError, match="trimap holds 1"):
        BenchmarkMetrics().update(pred, target, torch.ones_like(target, dtype=torch.uint8))


@pytest.mark.parametrize("full", [False, True])
def test_benchmark_tells_the_scores_of_the_latest_batch(full: bool) -> None:
    metrics = BenchmarkMetrics(full=full)
    each = []
    for image in images():
        metrics.update(*image)
        each.append(metrics.latest)
    together = torch.cat(each, dim=1)
    assert together.shape == (len(metrics.score_names), 5)
    scores = metrics.compute()
    for name, values in zip(metrics.score_names, together, strict=True):
        assert values.nanmean().item() == pytest.approx(scores[name].item(), rel=ORDER), name
    assert together.isnan().any(1).tolist() == ["unknown" in name for name in metrics.score_names]


def test_constant_matte_is_scored_exactly() -> None:
    """Against the direct scores of the quantised constant: half a level of 255 apart at most."""
    metric = ConstantMatteReference()
    for _, target, _ in images():
        metric.update(target)
    line = metric.compute()
    targets = [torch.round(target.double() * 255) / 255 for _, target, _ in images()]
    alpha = sum(target.mean() for target in targets) / 5
    assert line["alpha"].item() == pytest.approx(float(alpha), rel=ORDER)
    assert line["mad"].item() == pytest.approx(float(sum((t - alpha).abs().mean() for t in targets) / 5), rel=ORDER)
    assert line["mse"].item() == pytest.approx(float(sum((t - alpha).square().mean() for t in targets) / 5), rel=ORDER)
    for name in ("mad", "mse"):
        direct = [getattr(functional, name)(torch.full_like(t, float(alpha)), t) for t in targets]
        assert line[name].item() == pytest.approx(torch.cat(direct).mean().item(), abs=0.5 / 255)
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert ConstantMatteReference().compute()["mad"].isnan()


def test_constant_matte_of_a_batch_is_one_by_one() -> None:
    targets = torch.rand(3, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    together, single = ConstantMatteReference(), ConstantMatteReference()
    together.update(targets)
    for target in targets:
        single.update(target[None])
    assert torch.allclose(together.histogram, single.histogram, rtol=ORDER)


@pytest.mark.parametrize("full", [False, True])
def test_benchmark_agrees_with_the_shells(full: bool, expected: dict[str, Any]) -> None:
    metrics = BenchmarkMetrics(full=full)
    for image in images():
        metrics.update(*image)
    scores = {name: value.item() for name, value in metrics.compute().items()}
    shells = {
        "sad": "SAD",
        "mad": "MAD",
        "mse": "MSE",
        "gradient": "GradientError",
        "connectivity": "ConnectivityError",
    }
    overlaps = torch.cat([functional.intersection_over_union(quantise(p, t)) for p, t, _ in images()])
    assert scores.pop("iou_whole") == pytest.approx(overlaps.mean().item(), rel=ORDER)
    for name in metrics.score_names:
        if name == "iou_whole":
            continue
        metric, region = name.split("_")
        assert scores.pop(name) == pytest.approx(expected[f"{shells[metric]}_{region}"], rel=ORDER), name
    assert scores == {
        "constant_mad_whole": pytest.approx(expected["constant"]["mad"], rel=ORDER),
        "constant_mse_whole": pytest.approx(expected["constant"]["mse"], rel=ORDER),
        "images": 5,
        "images_without_unknown": 1,
    }


@pytest.mark.parametrize("full", [False, True])
def test_benchmark_takes_the_mean_overlap_over_images(full: bool) -> None:
    """A perfect picture, one without overlap and one that shows half of the person: large pictures count no more."""
    person = torch.zeros(1, 1, 20, 30)
    person[..., 5:15, 10:20] = 1
    half = person.clone()
    half[..., :10, :] = 0
    shown, target = (F.interpolate(x, scale_factor=4) for x in (half, person))
    codes = torch.zeros_like(person, dtype=torch.uint8)
    metrics = BenchmarkMetrics(full=full)
    metrics.update(person, person, codes)
    metrics.update(1 - person, person, codes)
    metrics.update(shown, target, torch.zeros_like(target, dtype=torch.uint8))
    assert metrics.compute()["iou_whole"].item() == pytest.approx((1 + 0 + 0.5) / 3, rel=ORDER)


def test_every_score_has_its_label() -> None:
    assert set(BenchmarkMetrics(full=True).score_names) == METRIC_LABELS.keys()
    for name, (label, factor) in METRIC_LABELS.items():
        assert ("whole image" in label) == name.endswith("_whole")
        assert ("unknown region" in label) == name.endswith("_unknown")
        assert factor == (1000 if "×1000" in label else 1)


def test_reset_starts_anew(expected: dict[str, Any]) -> None:
    metrics = every_metric()
    for metric in metrics.values():
        feed(metric, images()[1])
        metric.compute()
        metric.reset()
        for image in images():
            feed(metric, image)
    assert_same(results(metrics), expected)


def test_half_way_through_pickle_and_state_dict(expected: dict[str, Any]) -> None:
    pickled, restored = {}, {}
    for (name, metric), fresh in zip(every_metric().items(), every_metric().values(), strict=True):
        metric.persistent(True)
        for image in images()[:2]:
            feed(metric, image)
        fresh.load_state_dict(metric.state_dict())
        pickled[name], restored[name] = pickle.loads(pickle.dumps(metric)), fresh
    for metrics in (pickled, restored):
        for metric in metrics.values():
            for image in images()[2:]:
                feed(metric, image)
    assert_same(results(pickled), expected)
    assert_same(results(restored), expected)


def test_states_keep_their_dtype_in_a_half_precision_model() -> None:
    model = torch.nn.ModuleDict({"metric": MAD(), "benchmark": BenchmarkMetrics()}).half()
    for metric in model.values():
        assert metric.total.dtype == STATE_DTYPE


def score_a_share(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    metrics = every_metric()
    for metric in metrics.values():
        for image in images()[rank::2]:
            feed(metric, image)
    Path(folder, f"{rank}.json").write_text(json.dumps(results(metrics)))
    dist.destroy_process_group()


@pytest.mark.timeout(120)
def test_two_processes_agree_with_one(tmp_path: Path, expected: dict[str, Any]) -> None:
    # Forked, since spawned ones import for longer than they score.
    torch.multiprocessing.start_processes(score_a_share, args=(str(tmp_path),), nprocs=2, start_method="fork")
    for rank in range(2):
        assert_same(json.loads((tmp_path / f"{rank}.json").read_text()), expected)
