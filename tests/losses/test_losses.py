"""The objective: the vectors, independent references, gradients, empty maps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sdnet_pl.errors import InputError
from sdnet_pl.losses import TEACHER_STUDENT, MattingObjective
from sdnet_pl.losses.functional import composition_loss, cosine_distillation_loss, l1_loss, laplacian_loss

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


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (160, 100)])
def test_laplacian_is_the_dense_definition(size: tuple[int, int]):
    # Sides whose fifth level has three values and more, which the dense form's reflection by two needs.
    torch.manual_seed(0)
    pred, target = torch.rand(2, 2, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(laplacian_loss(pred, target), dense_laplacian(pred - target), rtol=1e-12, atol=0)


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
    return {"target": target, "foreground": f, "background": b, "composite": target * f + (1 - target) * b}


def outputs() -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    torch.manual_seed(2)
    return torch.rand(2, 1, 64, 64), {i: torch.rand(2, 1, 64 >> (i - 1), 64 >> (i - 1)) for i in (2, 3, 4)}


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
    MattingObjective()(out.alpha, out.side_outputs, empty, f, b, b)["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
