import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from biostyle.metrics.grading import (
    expected_grades,
    grade_shift_matrix,
    kappa_change,
    kappa_with_interval,
    mean_grade_shift,
    quadratic_kappa,
)
from biostyle.metrics.quality import confusion_matrix

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 5, 150)
PRED = np.clip(TRUTH + RNG.integers(-1, 2, 150), 0, 4)
PATIENTS = np.arange(150)


@pytest.mark.parametrize("pred", [PRED, RNG.permutation(TRUTH), 4 - TRUTH])
def test_kappa_is_that_of_scikit_learn(pred: np.ndarray) -> None:
    expected = cohen_kappa_score(TRUTH, pred, weights="quadratic", labels=range(5))
    assert quadratic_kappa(confusion_matrix(TRUTH, pred, 5)) == pytest.approx(expected)


def test_kappa_of_one_grade_alone_is_undefined() -> None:
    assert math.isnan(quadratic_kappa(confusion_matrix([2, 2], [2, 2], 5)))
    assert math.isnan(quadratic_kappa(np.zeros((5, 5), int)))
    assert kappa_with_interval([2, 2], [2, 2], ["a", "b"])["value"] is None


def test_the_interval_holds_the_kappa() -> None:
    result = kappa_with_interval(TRUTH, PRED, PATIENTS)
    assert result["ci95"][0] < result["value"] < result["ci95"][1]


def test_no_other_grade_is_expected_to_cost_less() -> None:
    probabilities = RNG.dirichlet(np.ones(5), 200)
    costs = probabilities @ (np.arange(5)[:, None] - np.arange(5)) ** 2
    np.testing.assert_array_equal(expected_grades(probabilities), costs.argmin(axis=1))
    assert expected_grades(np.empty((0, 5))).tolist() == []


def test_a_change_of_kappa_is_paired() -> None:
    worse = np.where(np.arange(150) % 3 == 0, 4 - PRED, PRED)
    change = kappa_change(TRUTH, PRED, worse, PATIENTS)
    first, second = (kappa_with_interval(TRUTH, pred, PATIENTS)["value"] for pred in (PRED, worse))
    assert change["value"] == pytest.approx(second - first)
    assert change["ci95"][0] < change["value"] < change["ci95"][1] < 0
    same = kappa_change(TRUTH, PRED, PRED, PATIENTS)
    assert (same["value"], same["ci95"]) == (0, [0, 0])
    assert kappa_change([2, 2], [2, 2], [2, 2], ["a", "b"])["value"] is None
    assert kappa_change([], [], [], [])["value"] is None


def test_an_identical_translation_leaves_kappa_and_grades() -> None:
    before, after = (kappa_with_interval(TRUTH, pred, PATIENTS) for pred in (PRED, PRED.copy()))
    assert before == after
    np.testing.assert_array_equal(grade_shift_matrix(PRED, PRED), np.diag(np.bincount(PRED)))
    shift = mean_grade_shift(PRED, PRED, PATIENTS)
    assert (shift["value"], shift["ci95"], shift["falls"]) == (0, [0, 0], False)


def test_a_fall_is_noticed_only_when_it_is_sure() -> None:
    lower = np.maximum(PRED - 1, 0)
    assert mean_grade_shift(PRED, lower, PATIENTS)["falls"]
    assert not mean_grade_shift(lower, PRED, PATIENTS)["falls"]
    one_fell = PRED.copy()
    one_fell[PRED.argmax()] -= 1
    shift = mean_grade_shift(PRED, one_fell, PATIENTS)
    assert shift["value"] == pytest.approx(-1 / 150)
    assert not shift["falls"]
    assert not mean_grade_shift([3], [1], ["a"])["falls"]
