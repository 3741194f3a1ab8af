"""Counts and scores against scikit-learn, and the laws that tie them together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import jaccard_score, precision_recall_fscore_support

from biostyle.errors import MaskError
from biostyle.metrics.overlap import (
    PixelCounts,
    accuracy,
    dice,
    f_score,
    jaccard,
    mean_score,
    pixel_counts,
    pooled_score,
    precision,
    recall,
    specificity,
    thresholded_jaccard,
)

EMPTY = np.zeros((8, 9), np.uint8)
FULL = np.ones((8, 9), np.uint8)


def random_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two overlapping masks of random density."""
    rng = np.random.default_rng(seed)
    target = rng.random((40, 50)) < rng.uniform(0.05, 0.9)
    return np.where(rng.random(target.shape) < 0.2, ~target, target), target


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_scores_agree_with_scikit_learn(seed: int, dtype: type) -> None:
    pred, target = (mask.astype(dtype) for mask in random_masks(seed))
    counts = pixel_counts(pred, target)
    expected = precision_recall_fscore_support(target.ravel(), pred.ravel(), average="binary", pos_label=1)
    assert (precision(counts), recall(counts), f_score(counts)) == pytest.approx(expected[:3])
    assert jaccard(counts) == pytest.approx(jaccard_score(target.ravel(), pred.ravel()))


@pytest.mark.parametrize("seed", range(8))
def test_laws(seed: int) -> None:
    pred, target = random_masks(seed)
    counts = pixel_counts(pred, target)
    assert counts.tp + counts.fp + counts.fn + counts.tn == target.size
    assert jaccard(counts) == pytest.approx(f_score(counts) / (2 - f_score(counts)))
    assert f_score(pixel_counts(target, target)) == 1
    swapped = pixel_counts(target, pred)
    assert (precision(swapped), recall(swapped)) == (recall(counts), precision(counts))
    assert f_score(swapped) == f_score(counts)
    assert dice is f_score


def test_pixels_not_annotated_are_left_out() -> None:
    pred, target = random_masks(3)
    target = target.astype(np.uint8)
    target[:10] = 255
    assert pixel_counts(pred, target) == pixel_counts(pred[10:], target[10:])
    assert pixel_counts(pred, target, not_annotated=None) == pixel_counts(pred, target > 0)


def test_every_class_above_zero_is_foreground() -> None:
    assert pixel_counts(3 * FULL, 2 * FULL) == PixelCounts(72, 0, 0, 0)


def test_the_inputs_are_not_changed() -> None:
    pred, target = FULL.astype(bool), np.full((8, 9), 255, np.uint8)
    assert pixel_counts(pred, target) == PixelCounts(0, 0, 0, 0)
    assert pred.all()


@pytest.mark.parametrize("score", [f_score, jaccard, thresholded_jaccard])
def test_empty_masks(score: object) -> None:
    assert callable(score)
    assert math.isnan(score(pixel_counts(EMPTY, EMPTY)))
    assert score(pixel_counts(FULL, EMPTY)) == 0
    assert score(pixel_counts(EMPTY, FULL)) == 0


def test_precision_and_recall_of_empty_masks_are_undefined() -> None:
    assert math.isnan(precision(pixel_counts(EMPTY, FULL)))
    assert math.isnan(recall(pixel_counts(FULL, EMPTY)))


def test_thresholded_jaccard_keeps_the_threshold_itself() -> None:
    assert thresholded_jaccard(PixelCounts(65, 35, 0, 0)) == 0.65
    assert thresholded_jaccard(PixelCounts(64, 36, 0, 0)) == 0
    assert thresholded_jaccard(PixelCounts(64, 36, 0, 0), threshold=0.5) == 0.64


def test_pooled_and_mean_differ_and_the_mean_skips_the_undefined() -> None:
    counts = [PixelCounts(90, 10, 10, 0), PixelCounts(0, 5, 5, 90), PixelCounts(0, 0, 0, 100)]
    assert mean_score(counts, f_score) == pytest.approx(0.45)
    assert pooled_score(counts, f_score) == pytest.approx(180 / 210)


def test_no_images_are_undefined() -> None:
    assert math.isnan(mean_score([], f_score))
    assert math.isnan(pooled_score([], f_score))


def test_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match=r"\(8, 9\), got \(9, 8\)"):
        pixel_counts(EMPTY.T, EMPTY)


@pytest.mark.parametrize(
    ("pred", "target", "name"), [(EMPTY / 1, EMPTY, "pred"), (EMPTY, EMPTY / 1, "target")]
)
def test_probabilities_are_refused(pred: np.ndarray, target: np.ndarray, name: str) -> None:
    with pytest.raises(MaskError, match=f"{name} must hold integers, got dtype float64"):
        pixel_counts(pred, target)


def test_accuracy_and_specificity() -> None:
    counts = PixelCounts(tp=6, fp=2, fn=1, tn=11)
    assert (accuracy(counts), specificity(counts)) == (17 / 20, 11 / 13)
    assert specificity(counts) == recall(PixelCounts(counts.tn, counts.fn, counts.fp, counts.tp))
    assert math.isnan(specificity(PixelCounts(5, 0, 1, 0)))
    assert math.isnan(accuracy(PixelCounts(0, 0, 0, 0)))
