import numpy as np
import pytest
import torch
from torch.nn import functional as F

from biostyle.losses import (
    Reconstruction,
    adversarial_loss,
    cycle_loss,
    dice_cross_entropy,
    dice_loss,
    gradient_loss,
)
from biostyle.types import NOT_ANNOTATED


@pytest.mark.parametrize(("real", "expected"), [(True, (0.25 + 1 + 9) / 3), (False, (0.25 + 0 + 4) / 3)])
def test_least_squares_by_hand(real: bool, expected: float) -> None:
    scores = torch.tensor([0.5, 0.0, -2.0])
    assert adversarial_loss(scores, real, "lsgan").item() == pytest.approx(expected)


@pytest.mark.parametrize("real", [True, False])
def test_logarithmic_loss_by_hand(real: bool) -> None:
    scores = np.array([0.3, -1.2, 40.0])
    sigmoid = 1 / (1 + np.exp(-scores))
    with np.errstate(divide="ignore"):
        expected = -np.log(sigmoid) if real else scores - np.log(sigmoid)  # 1 - σ(s) = σ(s) exp(-s)
    loss = adversarial_loss(torch.from_numpy(scores), real, "log")
    assert loss.item() == pytest.approx(expected.mean())


@pytest.mark.parametrize(("kind", "power"), [("l1", 1), ("l2", 2)])
def test_cycle_loss_counts_differences_on_the_paper_s_scale(kind: Reconstruction, power: int) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 3, 1, 4, 5))
    expected = (np.abs((first * 2 - 1) - (second * 2 - 1)) ** power).mean()
    found = cycle_loss(torch.from_numpy(first), torch.from_numpy(second), kind).item()
    assert found == pytest.approx(expected)


def test_gradient_loss_counts_differences_of_neighbours() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 3, 1, 4, 5))
    expected = sum((np.diff(first - second, axis=axis) ** 2).mean() for axis in (-2, -1))
    assert gradient_loss(torch.from_numpy(first), torch.from_numpy(second)).item() == pytest.approx(expected)
    assert gradient_loss(torch.from_numpy(first) + 0.2, torch.from_numpy(first)).item() == pytest.approx(0)


def numpy_dice(logits: np.ndarray, target: np.ndarray) -> float:
    """Soft Dice loss in plain loops over classes and annotated pixels."""
    annotated = target != NOT_ANNOTATED
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for k in range(1, logits.shape[1]):
        p, t = probs[:, k][annotated], (target == k)[annotated]
        scores.append((2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))
    return 1 - float(np.mean(scores))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_dice_by_numpy(n_classes: int) -> None:
    rng = np.random.default_rng(1)
    logits, target = rng.normal(size=(3, n_classes, 6, 7)), rng.integers(0, n_classes, (3, 6, 7))
    target[rng.random(target.shape) < 0.3] = NOT_ANNOTATED
    loss = dice_loss(torch.from_numpy(logits), torch.from_numpy(target))
    assert loss.item() == pytest.approx(numpy_dice(logits, target))


def test_dice_of_a_sure_and_right_answer_is_zero() -> None:
    target = torch.tensor([[[0, 1], [1, 1]]])
    logits = torch.stack([1 - target, target], 1) * 100.0
    assert dice_loss(logits, target).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(-logits, target).item() == pytest.approx(1 - 1 / (1 + 3 + 1))


def test_dice_of_nothing_is_zero() -> None:
    target = torch.zeros(1, 2, 2, dtype=torch.int64)
    logits = torch.stack([torch.full((1, 2, 2), 100.0), torch.zeros(1, 2, 2)], 1)
    assert dice_loss(logits, target).item() == 0


def test_pixels_without_annotation_change_neither_loss_nor_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 4, 4, generator=generator)
    target = torch.randint(2, (1, 4, 4), generator=generator)
    target[:, 2:] = NOT_ANNOTATED
    moved = logits.clone()
    moved[:, :, 2:] += 5 * torch.randn(1, 2, 2, 4, generator=generator)
    moved.requires_grad_(True)
    loss = dice_cross_entropy(moved, target)
    assert loss.item() == pytest.approx(dice_cross_entropy(logits, target).item())
    loss.backward()
    assert moved.grad is not None
    assert moved.grad[:, :, 2:].abs().sum() == 0
    assert moved.grad[:, :, :2].abs().sum() > 0


def test_dice_cross_entropy_is_the_sum_of_both() -> None:
    rng = np.random.default_rng(2)
    logits, target = rng.normal(size=(2, 2, 3, 3)), rng.integers(0, 2, (2, 3, 3))
    chosen = np.take_along_axis(logits, target[:, None], 1)[:, 0]
    cross_entropy = (np.log(np.exp(logits).sum(1)) - chosen).mean()
    loss = dice_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target))
    assert loss.item() == pytest.approx(numpy_dice(logits, target) + cross_entropy)


def weighted_by_hand(logits: np.ndarray, target: np.ndarray, ratio: float) -> float:
    """Cross-entropy in which a foreground pixel counts as much as several of the background, or as a part of one."""
    annotated = target != NOT_ANNOTATED
    chosen = np.take_along_axis(logits, (target * annotated)[:, None], 1)[:, 0]
    entropy = np.log(np.exp(logits).sum(1)) - chosen
    weights = np.where(target == 0, 1.0, ratio) * annotated
    return float((weights * entropy).sum() / weights.sum())


@pytest.mark.parametrize(
    ("n_foreground", "largest_weight", "ratio"),
    [
        (4, 1.0, 1.0),
        (4, 10.0, 16 / 4),  # as much, together, as the background
        (4, 3.0, 3.0),
        (1, 10.0, 10.0),
        (10, 10.0, 1.0),
        (15, 10.0, 5 / 15),  # a rarer background is weighed up in the same way
        (15, 2.0, 1 / 2),
        (19, 10.0, 1 / 10),
    ],
)
def test_what_is_rarer_weighs_as_much_as_the_rest_but_within_bounds(
    n_foreground: int, largest_weight: float, ratio: float
) -> None:
    rng = np.random.default_rng(3)
    target = np.full(24, NOT_ANNOTATED)
    target[:20] = np.arange(20) < n_foreground
    logits, target = rng.normal(size=(1, 2, 4, 6)), target.reshape(1, 4, 6)
    loss = dice_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target), largest_weight)
    expected = numpy_dice(logits, target) + weighted_by_hand(logits, target, ratio)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_weights_the_loss_is_the_plain_one(n_classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, n_classes, 5, 5, generator=generator)
    target = torch.randint(n_classes, (2, 5, 5), generator=generator)
    target[0, :3] = NOT_ANNOTATED
    plain = dice_loss(logits, target) + F.cross_entropy(logits, target, ignore_index=NOT_ANNOTATED)
    torch.testing.assert_close(dice_cross_entropy(logits, target), plain)
    torch.testing.assert_close(dice_cross_entropy(logits, target, 1.0), plain)


@pytest.mark.parametrize("value", [0, 1, NOT_ANNOTATED])
def test_weights_of_a_single_class_are_defined(value: int) -> None:
    logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    loss = dice_cross_entropy(logits, torch.full((1, 4, 4), value), 10.0)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    if value == NOT_ANNOTATED:
        assert loss.item() == 0
