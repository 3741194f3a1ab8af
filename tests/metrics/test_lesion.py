"""The six measures against scikit-learn and by hand; their intervals draw whole lesions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from biostyle.metrics.lesion import MEASURES, lesion_differences, lesion_measures, summarise_lesions
from biostyle.metrics.overlap import PixelCounts, pixel_counts
from biostyle.metrics.score_table import score_table


def masks(seed: int, flips: float) -> tuple[np.ndarray, np.ndarray]:
    """A truth and a prediction that differs in a share of the pixels."""
    rng = np.random.default_rng(seed)
    truth = rng.random((20, 30)) < 0.4
    return truth, truth ^ (rng.random(truth.shape) < flips)


@pytest.mark.parametrize("flips", [0.02, 0.1, 0.3])
def test_the_measures_are_those_of_scikit_learn(flips: float) -> None:
    truth, pred = masks(1, flips)
    found = lesion_measures(score_table(["a"], [pixel_counts(pred, truth)])).loc["a"]
    true, guess = truth.ravel(), pred.ravel()
    ja = 100 * jaccard_score(true, guess)
    expected = {
        "tja": ja if ja >= 65 else 0.0,
        "ja": ja,
        "di": 100 * f1_score(true, guess),
        "ac": 100 * accuracy_score(true, guess),
        "se": 100 * recall_score(true, guess),
        "sp": 100 * recall_score(~true, ~guess),
    }
    assert found.to_dict() == pytest.approx(expected)


def test_means_are_over_images_and_leave_out_what_is_undefined() -> None:
    full, right = PixelCounts(100, 0, 0, 0), PixelCounts(60, 10, 10, 20)
    found = summarise_lesions(score_table(["a", "b"], [full, right], ["1", "2"]), n_resamples=100)
    assert found["measures"] == {
        "tja": 87.5,
        "ja": 87.5,
        "di": round(100 * (1 + 120 / 140) / 2, 2),
        "ac": 90.0,
        "se": round(100 * (1 + 60 / 70) / 2, 2),
        "sp": round(100 * 20 / 30, 2),
    }
    intervals = found["measures_ci95"]
    assert intervals.pop("sp") == [None, None]  # one value that is defined says nothing about spread
    assert all(low <= found["measures"][name] <= high for name, (low, high) in intervals.items())
    json.dumps(found, allow_nan=False)


def test_photographs_of_one_lesion_are_drawn_together() -> None:
    counts = [PixelCounts(90, 5, 5, 100)] * 4 + [PixelCounts(50, 30, 20, 100)] * 4
    names = [f"i{position}" for position in range(8)]
    together = score_table(names, counts, ["x"] * 4 + ["y"] * 4)
    apart = score_table(names, counts, names)
    wide, narrow = (summarise_lesions(table)["measures_ci95"]["ja"] for table in (together, apart))
    assert wide == [50.0, 90.0]
    assert narrow[0] > wide[0]
    one = score_table(names, counts, ["x"] * 8)
    assert summarise_lesions(one)["measures_ci95"]["ja"] == [None, None]


def test_differences_are_paired_by_image() -> None:
    before = score_table(["a", "b"], [PixelCounts(5, 0, 5, 90), PixelCounts(8, 0, 2, 90)], ["1", "2"])
    after = score_table(["b", "a"], [PixelCounts(9, 0, 1, 90), PixelCounts(7, 0, 3, 90)], ["2", "1"])
    found = lesion_differences(after, before, n_resamples=100)
    assert set(found) == set(MEASURES)
    assert found["ja"] == {"value": 15.0, "ci95": [10.0, 20.0], "n": 2}
    assert found["tja"]["value"] == 40.0


def test_nothing_scored_is_undefined() -> None:
    found = summarise_lesions(score_table([], []))
    assert found["measures"]["ja"] is None
    assert not any(math.isfinite(end) for ends in found["measures_ci95"].values() for end in ends if end)
