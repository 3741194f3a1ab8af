import math

import numpy as np
import pytest

from biostyle.metrics.clusters import cluster_bootstrap_interval, with_interval


def test_images_of_one_patient_count_once() -> None:
    rng = np.random.default_rng(0)
    patients = rng.normal(size=40)
    once = cluster_bootstrap_interval(patients, np.mean, np.arange(40))
    repeated = cluster_bootstrap_interval(np.repeat(patients, 5), np.mean, np.repeat(np.arange(40), 5))
    assert repeated == pytest.approx(once)
    taken_as_independent = cluster_bootstrap_interval(np.repeat(patients, 5), np.mean, np.arange(200))
    assert np.diff(repeated)[0] > 1.8 * np.diff(taken_as_independent)[0]


def test_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        values = rng.normal(size=60)
        low, high = cluster_bootstrap_interval(values, np.mean, np.arange(60), n_resamples=300, seed=seed)
        covered += low <= 0 <= high
    assert 87 <= covered <= 100


def test_one_patient_has_no_interval() -> None:
    assert all(map(math.isnan, cluster_bootstrap_interval([1, 2, 3], np.mean, ["a", "a", "a"])))
    assert with_interval([1, 2, 3], np.mean, ["a", "a", "a"]) == {
        "value": 2.0,
        "ci95": [None, None],
        "n": 3,
        "n_patients": 1,
    }


def test_undefined_resamples_are_left_out() -> None:
    def share_of_ones(values: np.ndarray) -> float:
        return float((values == 1).sum() / (values >= 0).sum()) if (values >= 0).any() else math.nan

    result = with_interval([1, -1], share_of_ones, ["a", "b"])
    assert result["value"] == 1
    assert result["ci95"] == [1, 1]
    assert with_interval([], np.mean, [])["value"] is None


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=20)
    first, again, other = (
        cluster_bootstrap_interval(values, np.mean, np.arange(20), seed=s) for s in (1, 1, 2)
    )
    assert first == again != other
