"""The objective: the vectors, independent references, gradients, empty maps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sdnet_pl.data.composition import composite
from sdnet_pl.errors import InputError
from sdnet_pl.losses import TEACHER_STUDENT, MattingObjective
from sdnet_pl.losses._laplacian import laplacian_losses
from sdnet_pl.losses.functional import (
    composition_loss,
    cosine_distillation_loss,
    l1_loss,
    laplacian_loss,
    laplacian_pyramid,
)

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.mark.parametrize("case", ["noise_64x64", "disk_96x128"])
def test_laplacian_matches_the_vectors(case: str):
    expected = json.loads((VECTORS / "laplacian.json").read_text())[case]["loss"]
    arrays = np.load(VECTORS / "laplacian.npz")
    pred, target = (torch.from_numpy(arrays[f"{case}__{part}"]) for part in ("pred", "gt"))
    assert laplacian_loss(pred, target).item() == pytest.approx(expected, rel=1e-12)  # float64


def dense_laplacian(d: torch.Tensor) -> torch.Tensor:
    """The definition: blur with the 5x5 kernel, keep every second, stuff with zeros, blur, subtract."""
    row = torch.tensor([1.0, 4, 6, 4, 1], dtype=d.dtype)
    kernel = torch.outer(row, row)[None, None] / 256
    loss = torch.zeros((), dtype=d.dtype)
    for n in range(1, 6):
        d = d[..., : d.shape[-2] // 2 * 2, : d.shape[-1] // 2 * 2]
        low = F.conv2d(F.pad(d, (2, 2, 2, 2), mode="reflect"), kernel)[..., ::2, ::2]
        stuffed = torch.zeros_like(d)
        stuffed[..., ::2, ::2] = low
        loss += 2 ** (n - 1) / 5 * (d - F.conv2d(F.pad(stuffed, (2, 2, 2, 2), mode="reflect"), 4 * kernel)).abs().mean()
        d = low
    return loss


# The smallest, square, odd at the first level, odd at later ones, higher than wide.
SIZES = [(64, 64), (64, 67), (96, 128), (97, 131), (160, 100)]


@pytest.mark.parametrize("size", SIZES)
def test_laplacian_is_the_dense_definition(size: tuple[int, int]):
    torch.manual_seed(0)
    pred, target = torch.rand(2, 2, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(laplacian_loss(pred, target), dense_laplacian(pred - target), rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_fast_laplacian_and_its_gradient_are_those_of_the_plain_one(size: tuple[int, int]):
    torch.manual_seed(0)
    pred = torch.rand(3, 2, 1, *size, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, *size, dtype=torch.float64)
    fast = laplacian_losses(pred - target)
    plain = torch.stack([laplacian_loss(p, target) for p in pred])
    torch.testing.assert_close(fast, plain, rtol=1e-12, atol=0)
    weights = torch.rand(3, dtype=torch.float64)  # each prediction has a factor of its own from above
    (found,), (expected,) = (torch.autograd.grad((weights * losses).sum(), pred) for losses in (fast, plain))
    # float64 rounds at 1e-16 of values up to 1e-3; no band value of noise is so near to zero that its sign is open.
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-17)


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (64, 64)])
def test_the_pyramid_has_five_levels_of_half_the_size_each(size: tuple[int, int]):
    levels = laplacian_pyramid(torch.randn(2, 1, *size))
    assert [tuple(level.shape[-2:]) for level in levels] == [tuple(s // 2**n * 2 for s in size) for n in range(1, 6)]
    flat = laplacian_pyramid(torch.full((1, 1, *size), 0.5))
    assert all((level == 0).all() for level in flat)  # no residual: a constant has no detail, at the border neither


def test_plain_laplacian_keeps_its_precision_under_autocast():
    torch.manual_seed(0)
    pred, target = torch.rand(2, 1, 1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        under = laplacian_loss(pred, target)
    assert torch.equal(under, laplacian_loss(pred, target))


def test_laplacian_keeps_no_gradient_where_none_is_asked_for():
    with torch.no_grad():
        assert laplacian_losses(torch.rand(1, 1, 1, 64, 64)).grad_fn is None


def test_laplacian_refuses_small_crops():
    with pytest.raises(InputError, match=r"at least 64 pixels, got \(32, 64\)"):
        laplacian_loss(torch.rand(1, 1, 32, 64), torch.rand(1, 1, 32, 64))


def test_cosine_matches_the_vector():
    vector = json.loads((VECTORS / "composition_and_cosine.json").read_text())["cosine_flattened"]
    student, teacher = (torch.tensor(vector[f"{who}_4x6"])[None, None] for who in ("student", "teacher"))
    loss = cosine_distillation_loss(student, teacher)
    assert loss.item() == pytest.approx(vector["one_minus_cosine"], abs=1e-6)  # float32


def test_cosine_upsamples_the_student_and_spares_the_teacher():
    torch.manual_seed(0)
    student = torch.rand(2, 1, 8, 8, requires_grad=True)
    teacher = torch.rand(2, 1, 16, 16, requires_grad=True)
    loss = cosine_distillation_loss(student, teacher)
    up = F.interpolate(student, size=(16, 16), mode="bilinear").flatten(1)
    torch.testing.assert_close(loss, (1 - F.cosine_similarity(up, teacher.flatten(1))).mean())
    loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("level", [0.0, 1e-8, 1e-4, 1e-2])
def test_cosine_on_nearly_empty_maps_has_a_bounded_gradient(level: float):
    torch.manual_seed(0)
    student = (level * torch.rand(2, 1, 32, 32)).requires_grad_()
    for teacher in (torch.zeros(2, 1, 32, 32), level * torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)):
        loss = cosine_distillation_loss(student, teacher)
        (gradient,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(gradient).all()
        # |d cos / d student| <= 2 / ‖student‖, whose floor is 0.01 · 32; half for the mean over two samples.
        assert gradient.flatten(1).norm(dim=1).max() <= 2 / (0.01 * 32) / 2
    assert cosine_distillation_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)) == 0


def test_composition_loss_of_the_true_alpha_is_zero():
    torch.manual_seed(0)
    f, b = torch.rand(2, 2, 3, 8, 8)
    alpha = torch.rand(2, 1, 8, 8)
    image = alpha * f + (1 - alpha) * b
    assert composition_loss(alpha, f, b, image) < 1e-7
    expected = ((torch.zeros(1) * f + b) - image).abs().mean()
    torch.testing.assert_close(composition_loss(torch.zeros_like(alpha), f, b, image), expected)


def batch(size: int = 64) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    f, b = torch.rand(2, 2, 3, size, size)
    target = torch.rand(2, 1, size, size)
    return {"target": target, "foreground": f, "background": b}


def outputs(size: int = 64) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    torch.manual_seed(2)
    return torch.rand(2, 1, size, size), {i: torch.rand(2, 1, size >> (i - 1), size >> (i - 1)) for i in (2, 3, 4)}


@pytest.mark.parametrize("distillation", TEACHER_STUDENT)
def test_objective_returns_every_term_and_their_weighted_sum(distillation: str):
    weights = {"l1": 2.0, "laplacian": 3.0, "composition": 5.0}
    objective = MattingObjective(distillation, 2, 3, 5, aux_weight=7, distillation_weight=11)  # type: ignore[arg-type]
    alpha, sides = outputs()
    data = batch()
    terms = objective(alpha, sides, **data)
    expected = sum(w * terms[n] for n, w in weights.items())
    expected += 7 * sum(w * terms[f"aux{i}_{n}"] for n, w in weights.items() for i in (2, 3, 4))
    if distillation == "none":
        assert "distillation" not in terms
    else:
        expected += 11 * terms["distillation"]
    torch.testing.assert_close(terms["total"], expected)
    torch.testing.assert_close(terms["l1"], l1_loss(alpha, data["target"]))
    up = F.interpolate(sides[3], size=(64, 64), mode="bilinear")
    torch.testing.assert_close(terms["aux3_laplacian"], laplacian_loss(up, data["target"]))


@pytest.mark.parametrize(
    ("distillation", "pairs"),
    [("best_teacher", [(2, 3), (2, 4)]), ("dense", [(2, 3), (2, 4), (3, 4)]), ("transitive", [(2, 3), (3, 4)])],
)
def test_teachers_of_table_5(distillation: str, pairs: list[tuple[int, int]]):
    alpha, sides = outputs()
    terms = MattingObjective(distillation)(alpha, sides, **batch())  # type: ignore[arg-type]
    expected = sum(cosine_distillation_loss(sides[student], sides[teacher]) for teacher, student in pairs)
    torch.testing.assert_close(terms["distillation"], torch.as_tensor(expected))


@pytest.mark.parametrize("distillation", TEACHER_STUDENT)
def test_every_cosine_is_reported_and_no_other_than_the_taught_has_a_gradient(distillation: str):
    alpha, sides = outputs()
    leaves = [side.requires_grad_() for side in sides.values()]
    objective = MattingObjective(distillation, aux_weight=0)  # type: ignore[arg-type]
    terms = objective(alpha, sides, **batch())
    for teacher, student in ((2, 3), (2, 4), (3, 4)):
        cosine = terms[f"cosine_{teacher}_{student}"]
        torch.testing.assert_close(cosine, 1 - cosine_distillation_loss(sides[student], sides[teacher]).detach())
        assert not cosine.requires_grad
    if not objective.pairs:
        assert "distillation" not in terms
        return
    gradients = torch.autograd.grad(terms["distillation"], leaves, allow_unused=True)
    students = {student for _, student in objective.pairs}
    assert {i for i, gradient in zip(sides, gradients, strict=True) if gradient is not None} == students


def plain_total(alpha: torch.Tensor, sides: dict[int, torch.Tensor], data: dict[str, torch.Tensor]) -> torch.Tensor:
    """The total as the paper writes it: each prediction and each term by itself, L_c against the composite."""
    f, b, target = data["foreground"], data["background"], data["target"]
    image = target * f + (1 - target) * b

    def l_alpha(pred: torch.Tensor) -> torch.Tensor:
        composition = (pred * f + (1 - pred) * b - image).abs().mean()
        return (pred - target).abs().mean() + 2 * dense_laplacian(pred - target) + 3 * composition

    total = l_alpha(alpha)
    for side in sides.values():
        total = total + 4 * l_alpha(F.interpolate(side, size=target.shape[-2:], mode="bilinear"))
    for student in (3, 4):
        up = F.interpolate(sides[student], size=sides[2].shape[-2:], mode="bilinear").flatten(1)
        total = total + 5 * (1 - F.cosine_similarity(up, sides[2].detach().flatten(1))).mean()
    return total


def test_objective_and_its_gradients_are_those_of_the_plain_form():
    alpha, sides = outputs(96)
    data = batch(96)
    leaves = [alpha, *sides.values()]
    for leaf in leaves:
        leaf.requires_grad_()
    total = MattingObjective("best_teacher", 1, 2, 3, 4, 5)(alpha, sides, **data)["total"]
    expected = plain_total(alpha, sides, data)
    torch.testing.assert_close(total, expected)
    fast, plain = torch.autograd.grad(total, leaves), torch.autograd.grad(expected, leaves)
    for one, other in zip(fast, plain, strict=True):
        # float32: where α̂ is within 1e-7 of α, or a band within 1e-7 of zero, rounding decides the sign; one such pixel
        # of these 18432 is up to 2 / 136 of the norm.
        assert (one - other).norm() <= 0.02 * other.norm()
        assert ((one - other).abs() > 1e-5 * other.abs().max()).float().mean() < 1e-3


def half_known() -> torch.Tensor:
    known = torch.ones(2, 1, 64, 64)
    known[..., :32] = 0
    return known


def test_what_is_not_known_changes_no_term_of_the_alpha():
    """Side outputs are upsampled bilinearly: their left quarter reaches no known pixel."""
    objective, data = MattingObjective("best_teacher"), batch()
    alpha, sides = outputs()
    terms = objective(alpha, sides, **data, known=half_known())
    other, other_sides = alpha.clone(), {i: side.clone() for i, side in sides.items()}
    other[..., :32] = 1 - other[..., :32]
    for side in other_sides.values():
        side[..., : side.shape[-1] // 4] = 1
    other_target = data["target"].clone()
    other_target[..., :32] = 0
    changed = objective(other, other_sides, **(data | {"target": other_target}), known=half_known())
    # Self-distillation teaches there too.
    assert changed.pop("distillation") != terms.pop("distillation")
    terms = {name: value for name, value in terms.items() if not name.startswith(("total", "cosine"))}
    assert len(terms) == 12
    for name, value in terms.items():
        assert changed[name] == value > 0, name


def test_what_is_not_known_gives_no_gradient():
    alpha, sides = outputs()
    leaves = [alpha, *sides.values()]
    for leaf in leaves:
        leaf.requires_grad_()
    total = MattingObjective("none")(alpha, sides, **batch(), known=half_known())["total"]
    for leaf, gradient in zip(leaves, torch.autograd.grad(total, leaves), strict=True):
        unknown = leaf.shape[-1] // 2 if leaf is alpha else leaf.shape[-1] // 4
        assert (gradient[..., :unknown] == 0).all()
        assert (gradient[..., leaf.shape[-1] // 2 :] != 0).float().mean() > 0.9


def test_to_know_everything_changes_nothing():
    objective, (alpha, sides), data = MattingObjective("dense"), outputs(), batch()
    terms = objective(alpha, sides, **data)
    everywhere = objective(alpha, sides, **data, known=torch.ones_like(alpha))
    assert terms.keys() == everywhere.keys()
    for name, value in terms.items():
        assert torch.equal(everywhere[name], value), name


def test_to_know_nothing_leaves_distillation_alone():
    alpha, sides = outputs()
    terms = MattingObjective(distillation_weight=3)(alpha, sides, **batch(), known=torch.zeros_like(alpha))
    assert terms["total"] == 3 * terms["distillation"] > 0


@pytest.mark.parametrize("case", ["same_colors", "noise_64x64", "disk_96x128"])
def test_composition_term_equals_the_loss_against_the_clean_composite(case: str):
    torch.manual_seed(0)
    if case == "same_colors":  # F = B: nothing of the composition tells the alpha
        f = b = torch.rand(1, 3, 64, 64)
        pred, target = torch.rand(2, 1, 1, 64, 64)
    else:
        arrays = np.load(VECTORS / "laplacian.npz")
        pred, target = (torch.from_numpy(arrays[f"{case}__{part}"]).float() for part in ("pred", "gt"))
        f, b = torch.rand(2, 1, 3, *target.shape[-2:])
    term = MattingObjective("none")(pred, {}, target, f, b)["composition"]
    # float32: the plain form subtracts two pictures of size 1 with 6e-8 rounding each.
    torch.testing.assert_close(term, composition_loss(pred, f, b, composite(f, b, target)), rtol=1e-5, atol=1e-7)


def test_objective_refuses_bad_settings():
    with pytest.raises(InputError, match="distillation is 'best'; choose one of none, best_teacher"):
        MattingObjective("best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="aux_weight is -1"):
        MattingObjective(aux_weight=-1)


def test_empty_pictures_train_with_finite_gradients():
    from sdnet_pl.nn import create_model

    torch.manual_seed(0)
    model = create_model("sdnet-tiny")
    empty = torch.zeros(2, 1, 64, 64)
    f, b = torch.rand(2, 2, 3, 64, 64)
    out = model.forward_side_outputs(b)
    MattingObjective()(out.alpha, out.side_alphas, empty, f, b)["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_true_alpha_of_another_shape_is_refused():
    alpha, colors = torch.rand(2, 1, 64, 64), torch.rand(2, 3, 64, 64)
    for target in (torch.rand(2, 3, 64, 64), torch.rand(1, 1, 64, 64)):
        with pytest.raises(InputError, match=r"give both as \[B, 1, H, W\]"):
            MattingObjective()(alpha, {}, target, colors, colors)
