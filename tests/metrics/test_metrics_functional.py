"""The functionals against the shared vectors and slow references from the definitions, and at the traps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch import Tensor

from sdnet_pl.errors import InputError
from sdnet_pl.metrics.functional import connectivity_error, gradient_error, intersection_over_union, mad, mse, sad
from sdnet_pl.metrics.quantisation import quantise, to_levels

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "metrics.json").read_text())
FUNCTIONALS = {
    "sad_over_1000": sad,
    "mad": mad,
    "mse": mse,
    "gradient": gradient_error,
    "connectivity": connectivity_error,
}
# SAD, MAD and MSE of the vectors are float64; their gradient and connectivity went through float32 (eps 1.2e-7)
RELATIVE = {"sad_over_1000": 1e-12, "mad": 1e-12, "mse": 1e-12, "gradient": 3e-7, "connectivity": 3e-7}


def as_alpha(levels: object) -> Tensor:
    return torch.from_numpy(np.asarray(levels, dtype=np.float32) / 255)[None, None]


def as_trimap(codes: object) -> Tensor:
    return torch.from_numpy(np.asarray(codes, dtype=np.uint8))[None, None]


def mattes(batch: int = 3, height: int = 40, width: int = 56) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(batch, 1, 8, 8, generator=generator) * 2 - 0.5
    target = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    pred = (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    trimap = torch.full(target.shape, 128, dtype=torch.uint8)
    trimap[target < 0.1] = 0
    trimap[target > 0.9] = 255
    return pred, target, trimap


def reference(name: str, pred: Tensor, target: Tensor, trimap: Tensor | None) -> float:
    """One image, float64, straight from the definitions."""
    p, t = (np.rint(alpha[0, 0].double().numpy() * 255).astype(int) for alpha in (pred, target))
    region = np.ones(p.shape, dtype=bool) if trimap is None else trimap[0, 0].numpy() == 128
    d = (p - t) / 255
    if name == "sad_over_1000":
        return np.abs(d)[region].sum() / 1000
    if name == "mad":
        return np.abs(d)[region].mean()
    if name == "mse":
        return (d**2)[region].mean()
    if name == "gradient":
        return ((reference_amplitude(p) - reference_amplitude(t)) ** 2)[region].sum() / 1000
    return np.abs(np.subtract(*reference_degrees(p, t)))[region].sum() / 1000


def reference_amplitude(levels: np.ndarray) -> np.ndarray:
    stretched = (levels - levels.min()) / (levels.max() - levels.min())
    x = np.arange(-4, 5)
    gauss = np.exp(-(x**2) / (2 * 1.4**2)) / (1.4 * np.sqrt(2 * np.pi))
    kernel = np.outer(gauss, -x * gauss / 1.4**2)
    kernel /= np.sqrt((kernel**2).sum())
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(stretched, 4, mode="edge"), (9, 9))
    return np.hypot(*(np.einsum("ijkl,kl->ij", windows, k) for k in (kernel, kernel.T)))


def reference_degrees(p: np.ndarray, t: np.ndarray) -> list[np.ndarray]:
    kept = np.full(p.shape, -1.0)
    for step in range(1, 11):
        components = label((p * 10 >= 255 * step) & (t * 10 >= 255 * step), connectivity=1)
        sizes = [(components == number).sum() for number in range(1, components.max() + 1)]
        body = components == 1 + int(np.argmax(sizes)) if sizes else np.zeros(p.shape, dtype=bool)
        kept[(kept < 0) & ~body] = (step - 1) / 10
    kept[kept < 0] = 1
    deltas = [levels / 255 - kept for levels in (p, t)]
    return [1 - np.where(delta >= 0.15, delta, 0) for delta in deltas]


@pytest.mark.parametrize("region", ["whole", "unknown"])
@pytest.mark.parametrize("case", list(VECTORS))
def test_vectors(case: str, region: str) -> None:
    vector = VECTORS[case]
    trimap = as_trimap(vector["trimap_u8"])
    assert (
        "n_unknown" not in vector["expected"][region] or vector["expected"][region]["n_unknown"] == trimap.eq(128).sum()
    )
    for name, expected in vector["expected"][region].items():
        if name == "n_unknown":
            continue
        value = FUNCTIONALS[name](
            as_alpha(vector["pred_u8"]), as_alpha(vector["gt_u8"]), trimap if region == "unknown" else None
        )
        assert value.shape == (1,)
        if region == "unknown" and not trimap.eq(128).any():
            # the vectors hold 0 for an empty sum; here it is no score at all
            assert not expected
            assert value.isnan().all()
        else:
            assert value.item() == pytest.approx(expected, rel=RELATIVE[name], abs=1e-15), name


@pytest.mark.parametrize("with_trimap", [False, True], ids=["whole", "unknown"])
@pytest.mark.parametrize("name", list(FUNCTIONALS))
def test_batch_is_reference_one_by_one(name: str, with_trimap: bool) -> None:
    pred, target, trimap = mattes()
    given = trimap if with_trimap else None
    together = FUNCTIONALS[name](pred, target, given)
    assert together.dtype == torch.float64
    assert together.shape == (3,)
    for i in range(3):
        one = slice(i, i + 1)
        single = None if given is None else given[one]
        assert FUNCTIONALS[name](pred[one], target[one], single).item() == together[i].item()
        expected = reference(name, pred[one], target[one], single)
        assert together[i].item() == pytest.approx(expected, rel=1e-10)


def test_connectivity_of_noise() -> None:
    """Many small components, many ties for the largest one."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        pred, target = torch.rand(2, 1, 1, 60, 70, generator=generator)
        expected = reference("connectivity", pred, target, None)
        assert connectivity_error(pred, target).item() == pytest.approx(expected, rel=1e-10)


def test_connectivity_of_large_image() -> None:
    """Opencv labels large pictures in parallel; the first of equal components must stay the first."""
    target = torch.zeros(1, 1, 512, 512)
    for row in range(8, 512, 64):
        target[..., row : row + 20, 30:400] = 1.0
    pred = target.clone()
    pred[..., 200:, :] *= 0.5
    expected = reference("connectivity", pred, target, None)
    assert connectivity_error(pred, target).item() == pytest.approx(expected, rel=1e-10)


def test_connectivity_level_153_reaches_six_tenths() -> None:
    """153 / 255 is 0.6 exactly, but less than the float64 of 6 * 0.1."""
    target = as_alpha(np.full((10, 10), 153))
    pred = as_alpha(np.full((10, 10), 255))
    # l = 0.6 for all: phi of the target is 1, phi of the prediction 1 - 0.4
    assert connectivity_error(pred, target).item() == pytest.approx(100 * 0.4 / 1000, rel=1e-12)


def test_connectivity_background_is_no_component() -> None:
    """A background larger than the body must not be taken for it."""
    target = np.zeros((20, 20))
    target[5:10, 5:10] = 255
    pred = target.copy()
    pred[15:17, 15:19] = 255
    # the body agrees; the eight extra pixels have phi 0 against 1
    assert connectivity_error(as_alpha(pred), as_alpha(target)).item() == pytest.approx(8 / 1000, rel=1e-12)


def test_connectivity_is_four_connected() -> None:
    target = np.zeros((10, 10))
    target[:4, :4] = 255
    target[4:7, 4:7] = 255
    pred = target.copy()
    pred[4:7, 4:7] = 128
    # touching by a corner only, the small square is cut off: l = 0, delta 1 against 128 / 255
    assert connectivity_error(as_alpha(pred), as_alpha(target)).item() == pytest.approx(9 * 127 / 255 / 1000, rel=1e-12)


@pytest.mark.parametrize("name", list(FUNCTIONALS))
def test_empty_region_is_nan_for_that_image_only(name: str) -> None:
    pred, target, trimap = mattes()
    trimap[1] = 255
    value = FUNCTIONALS[name](pred, target, trimap)
    assert value.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("name", list(FUNCTIONALS))
def test_perfect_matte_scores_zero(name: str) -> None:
    _, target, trimap = mattes()
    assert FUNCTIONALS[name](target, target).tolist() == [0, 0, 0]
    assert FUNCTIONALS[name](target, target, trimap).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", list(FUNCTIONALS))
def test_constant_mattes(name: str) -> None:
    """An image without a shade has no gradient and cannot be stretched."""
    value = FUNCTIONALS[name](torch.full((1, 1, 16, 16), 0.2), torch.zeros(1, 1, 16, 16)).item()
    expected = {"sad_over_1000": 0.2 * 0.256, "mad": 0.2, "mse": 0.04, "gradient": 0, "connectivity": 0.2 * 0.256}
    assert value == pytest.approx(expected[name], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_level_survives_every_dtype(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.float64)
    alpha = (levels / 255).to(dtype)
    assert to_levels(alpha).tolist() == levels.tolist()
    image = alpha.view(1, 1, 16, 16)
    assert mad(image, (levels / 255).view(1, 1, 16, 16)).tolist() == [0]


def test_prediction_is_quantised_once() -> None:
    target = torch.zeros(1, 1, 4, 4)
    assert mad(torch.full_like(target, 0.4 / 255), target).item() == 0
    assert mad(torch.full_like(target, 0.6 / 255), target).item() == pytest.approx(1 / 255, rel=1e-12)


def test_prediction_may_carry_a_gradient() -> None:
    pred, target, _ = mattes()
    for functional in FUNCTIONALS.values():
        assert not functional(pred.requires_grad_(), target).requires_grad


def overlap(pred: Tensor, target: Tensor) -> list[float]:
    return intersection_over_union(quantise(pred, target)).tolist()


def test_overlap_of_squares() -> None:
    """10 × 10 pixels, and as many 6 to the right and 5 further down: 4 × 5 are common."""
    levels = np.zeros((30, 30))
    levels[5:15, 5:15] = 255
    target = as_alpha(levels)
    pred = as_alpha(np.roll(levels, (5, 6), axis=(0, 1)))
    apart = as_alpha(np.roll(levels, 12, axis=1))
    empty = torch.zeros_like(target)
    assert overlap(pred, target) == overlap(target, pred) == pytest.approx([20 / 180], rel=1e-12)
    assert overlap(target, target) == [1]
    assert overlap(apart, target) == overlap(empty, target) == overlap(target, empty) == [0]
    assert overlap(empty, empty) == [1]
    batch = torch.cat([pred, target, apart, empty]), torch.cat([target, target, target, empty])
    assert overlap(*batch) == pytest.approx([20 / 180, 1, 0, 1], rel=1e-12)


@pytest.mark.parametrize(("alpha", "inside"), [(127 / 255, False), (0.498, False), (0.5, True), (128 / 255, True)])
def test_overlap_counts_pixels_from_level_128_on(alpha: float, inside: bool) -> None:
    """One half is 127.5 levels, which rounds to the even 128."""
    shade, opaque = torch.full((1, 1, 4, 4), alpha), torch.ones(1, 1, 4, 4)
    assert overlap(shade, opaque) == overlap(opaque, shade) == [float(inside)]


ALPHA = torch.full((2, 1, 8, 8), 0.5)
CODES = torch.full((2, 1, 8, 8), 128, dtype=torch.uint8)
BAD = {
    "3-channel target": (ALPHA, ALPHA.expand(2, 3, 8, 8), None, r"target has shape \[2, 3, 8, 8\].*take one of its"),
    "3-channel pred": (ALPHA.expand(2, 3, 8, 8), ALPHA, None, r"pred has shape \[2, 3, 8, 8\]"),
    "no channel": (ALPHA[:, 0], ALPHA[:, 0], None, r"target has shape \[2, 8, 8\].*reshape"),
    "sizes": (ALPHA[..., :4], ALPHA, None, r"pred has shape \[2, 1, 8, 4\], target \[2, 1, 8, 8\].*native size"),
    "batches": (ALPHA[:1], ALPHA, None, r"pred has shape \[1, 1, 8, 8\]"),
    "empty": (ALPHA[:0], ALPHA[:0], None, "at least one pixel"),
    "8-bit": ((ALPHA * 255).to(torch.uint8), ALPHA, None, r"pred is torch.uint8.*divide 8-bit by 255"),
    "above 1": (ALPHA * 2.5, ALPHA, None, r"pred holds values from 1.25 to 1.25.*clamp"),
    "below 0": (ALPHA, ALPHA - 1, None, r"target holds values from -0.5"),
    "NaN": (ALPHA.where(torch.eye(8) == 0, torch.nan), ALPHA, None, "pred holds values from nan"),
    "infinite": (ALPHA / 0, ALPHA, None, "pred holds values from inf"),
    "trimap code 127": (ALPHA, ALPHA, CODES - 1, r"trimap holds 127; its codes are 0 .*nearest"),
    "trimap codes 0, 1, 2": (ALPHA, ALPHA, CODES % 3 - torch.eye(8, dtype=torch.uint8), "trimap holds 1, 2;"),
    "many codes": (ALPHA, ALPHA, torch.arange(128, dtype=torch.uint8).view(2, 1, 8, 8), r"trimap holds 1, 2, 3, 4, 5 "),
    "float trimap": (ALPHA, ALPHA, CODES.float() / 255, "trimap is torch.float32"),
    "trimap size": (ALPHA, ALPHA, CODES[..., :4], r"trimap has shape \[2, 1, 8, 4\]"),
    "trimap batch": (ALPHA, ALPHA, CODES[:1], r"trimap has shape \[1, 1, 8, 8\]"),
    "devices": (ALPHA, ALPHA, CODES.to("meta"), "trimap is on meta, target on cpu"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_named(case: str) -> None:
    pred, target, trimap, message = BAD[case]
    for functional in FUNCTIONALS.values():
        with pytest.raises(InputError, match=message):
            functional(pred, target, trimap)
