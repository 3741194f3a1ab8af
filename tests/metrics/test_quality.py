import json
import math

import numpy as np
import pytest
from sklearn import metrics as reference

from biostyle.metrics.quality import (
    confusion_matrix,
    macro_f_score,
    macro_f_with_interval,
    net_shift_to_good,
    noise_floor,
    shift_matrix,
    shift_shares,
    stratified_shift_matrices,
)

RNG = np.random.default_rng(0)
TRUTH, PRED = RNG.integers(0, 3, (2, 200))
PATIENTS = np.repeat(np.arange(100), 2)


def test_counts_and_scores_are_those_of_scikit_learn() -> None:
    confusion = confusion_matrix(TRUTH, PRED)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(TRUTH, PRED))
    assert macro_f_score(confusion) == pytest.approx(reference.f1_score(TRUTH, PRED, average="macro"))


def test_a_class_that_is_not_there_is_left_out() -> None:
    assert macro_f_score(confusion_matrix([0, 1], [0, 1])) == 1
    assert macro_f_score(confusion_matrix([0, 1], [0, 2])) == pytest.approx(1 / 3)
    assert math.isnan(macro_f_score(np.zeros((3, 3), int)))


def test_the_interval_holds_the_score() -> None:
    result = macro_f_with_interval(TRUTH, PRED, PATIENTS)
    low, high = result["ci95"]
    assert low < result["value"] < high
    assert (result["n"], result["n_patients"]) == (200, 100)


def test_noise_floor() -> None:
    assert noise_floor(confusion_matrix([1] * 20 + [0], [0] * 3 + [1] * 17 + [0])) == 0.15
    assert math.isnan(noise_floor(confusion_matrix([0, 2], [0, 2])))


def test_an_identical_translation_fills_the_diagonal_and_shifts_nothing() -> None:
    matrix = shift_matrix(PRED, PRED)
    np.testing.assert_array_equal(matrix, np.diag(np.bincount(PRED)))
    shares = shift_shares(PRED, PRED, PATIENTS)
    assert [shares[name]["value"] for name in ("improved", "unchanged", "worsened")] == [0, 1, 0]
    shift = net_shift_to_good(PRED, PRED, 0.1, PATIENTS)
    assert shift["value"] == pytest.approx(-0.1)
    assert shift["ci95"] == pytest.approx([-0.1, -0.1])


def test_strata_add_up_to_the_whole() -> None:
    grades = [None if grade == 5 else int(grade) for grade in RNG.integers(0, 6, 200)]
    matrices = stratified_shift_matrices(TRUTH, PRED, grades)
    assert list(matrices) == [0, 1, 2, 3, 4, None]
    np.testing.assert_array_equal(sum(matrices.values()), shift_matrix(TRUTH, PRED))


def test_shares_by_hand() -> None:
    shares = shift_shares([2, 2, 1, 0, 0], [0, 2, 0, 0, 2], list("abcde"))
    assert {name: share["value"] for name, share in shares.items()} == {
        "improved": 0.4,
        "unchanged": 0.4,
        "worsened": 0.2,
    }
    assert all(share["ci95"][0] <= share["value"] <= share["ci95"][1] for share in shares.values())


def test_spoiled_good_photographs_count_against_the_net_shift() -> None:
    # three of four became good, one of two ceased to be
    shift = net_shift_to_good([1, 1, 2, 2, 0, 0], [0, 0, 0, 2, 0, 1], 0.15, list("abcdef"))
    assert shift["value"] == pytest.approx(2 / 4 - 0.15)
    assert (shift["n"], shift["n_patients"], shift["noise_floor"]) == (4, 6, 0.15)
    json.dumps(shift)


def test_nothing_to_improve_is_undefined() -> None:
    assert net_shift_to_good([0, 0], [0, 0], 0.1, ["a", "b"])["value"] is None
