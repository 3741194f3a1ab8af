from typing import Any

import numpy as np
import pandas as pd
import pytest

from biostyle.reporting.shift import distances, grade_change, quality_change, vessel_change

RNG = np.random.default_rng(0)
N = 24


def judged(quality: np.ndarray, grade: np.ndarray, **more: Any) -> pd.DataFrame:
    probs = RNG.dirichlet([1, 1, 1], N)
    columns = dict(zip(("p_good", "p_usable", "p_reject"), probs.T, strict=True))
    counts = {"tp": [10.0, None] * (N // 2), "fp": [2.0, None] * (N // 2), "fn": [3.0, None] * (N // 2)}
    return pd.DataFrame(
        {
            "frame_id": [f"f{index}" for index in range(N)],
            "original": [f"f{index}" for index in range(N)],
            "patient": [f"p{index // 2}" for index in range(N)],
            "quality": quality,
            "grade": grade,
            "true_grade": [None if index % 6 == 5 else index % 6 for index in range(N)],
            "vessels_kept": 1.0,
            **columns,
            **counts,
            **more,
        }
    )


BEFORE = judged(RNG.integers(0, 3, N), RNG.integers(0, 5, N))
AFTER = judged(RNG.integers(0, 2, N), RNG.integers(0, 5, N))


def test_an_identical_translation_fills_the_diagonal_alone() -> None:
    change = quality_change(BEFORE, BEFORE, 0.1)
    shift = np.array(change["shift"])
    np.testing.assert_array_equal(shift, np.diag(np.diag(shift)))
    assert change["before"] == change["after"]
    assert change["unchanged"]["value"] == 1
    assert change["net_shift_to_good"]["value"] == pytest.approx(-0.1)
    grades = grade_change(BEFORE, BEFORE)
    assert grades["kappa_before"] == grades["kappa_after"]
    assert (grades["kappa_difference"]["value"], grades["mean_grade_shift"]["value"]) == (0, 0)
    assert grades["kappa_difference"]["ci95"] == [0, 0]
    assert not grades["mean_grade_shift"]["falls"]


def test_strata_add_up_to_the_whole() -> None:
    change = quality_change(BEFORE, AFTER, 0.1)
    assert list(change["by_grade"]) == ["0", "1", "2", "3", "4", "unknown"]
    np.testing.assert_array_equal(np.sum(list(change["by_grade"].values()), axis=0), change["shift"])
    shares = [change[name]["value"] for name in ("improved", "unchanged", "worsened")]
    assert sum(shares) == pytest.approx(1)
    assert sum(change["mean_probabilities"]["after"].values()) == pytest.approx(1)


def test_a_falling_grade_is_noticed() -> None:
    low = AFTER.assign(grade=0)
    shift = grade_change(BEFORE.assign(grade=3), low)["mean_grade_shift"]
    assert (shift["value"], shift["falls"]) == (-3, True)


def test_kappa_counts_known_grades_alone() -> None:
    grades = grade_change(BEFORE, AFTER.assign(grade=[index % 6 % 5 for index in range(N)]))
    assert (grades["kappa_after"]["value"], grades["kappa_after"]["n"]) == (1, 20)
    assert grades["kappa_difference"]["value"] == pytest.approx(1 - grades["kappa_before"]["value"])


def test_without_known_grades_there_is_no_kappa() -> None:
    unknown = BEFORE.assign(true_grade=None)
    assert grade_change(unknown, unknown)["kappa_difference"]["value"] is None
    assert list(quality_change(unknown, unknown, 0)["by_grade"]) == ["unknown"]


def test_vessels_count_where_they_were_traced() -> None:
    better = BEFORE.assign(fp=[0.0, None] * (N // 2), vessels_kept=0.75)
    change = vessel_change(BEFORE, better, BEFORE.assign(fp=[0.0, None] * (N // 2)))
    assert "f_ceiling" not in change
    assert change["f_before"]["value"] == pytest.approx(20 / 25)
    assert change["f_after"]["value"] == change["f_clean"]["value"] == pytest.approx(20 / 23)
    assert change["f_difference"]["value"] == pytest.approx(20 / 23 - 20 / 25)
    assert (change["f_after"]["n"], change["kept"]["n"], change["kept"]["value"]) == (N // 2, N, 0.75)


def test_vessels_are_told_apart_by_the_quality_they_were_seen_in() -> None:
    better = BEFORE.assign(fp=[0.0, None] * (N // 2))
    rated = BEFORE.assign(true_quality=[1.0] * 8 + [2.0] * 8 + [None] * 8)
    assert vessel_change(BEFORE, better, BEFORE)["by_quality"] == {}  # nobody rated any
    mixed = pd.concat([BEFORE[:8], better[8:]])
    by_quality = vessel_change(rated, mixed, BEFORE)["by_quality"]
    assert list(by_quality) == ["usable", "reject"]
    assert [row["f_before"]["value"] for row in by_quality.values()] == pytest.approx([20 / 25] * 2)
    assert [row["f_after"]["value"] for row in by_quality.values()] == pytest.approx([20 / 25, 20 / 23])
    assert [row["f_after"]["n"] for row in by_quality.values()] == [4, 4]


def test_the_ceiling_is_scored_on_the_same_photographs() -> None:
    change = vessel_change(BEFORE, BEFORE, BEFORE, BEFORE.assign(fp=[0.0, None] * (N // 2)))
    assert change["f_ceiling"]["value"] == pytest.approx(20 / 23)
    assert change["f_ceiling"]["n"] == change["f_before"]["n"] == N // 2


def test_distances_fall_towards_good_photographs() -> None:
    good, before = RNG.normal(size=(30, 6)), RNG.normal(3, size=(30, 6))
    found = distances(good, before, good)
    assert found["kid_after"]
    assert found["kid_before"]
    assert found["fid_after"]
    assert found["kid_after"]["value"] < found["kid_before"]["value"]
    assert found["fid_after"]["comparable"] is False
    assert distances(good[:1], before, good)["kid_after"] is None
