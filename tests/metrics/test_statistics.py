"""The block bootstrap covers what it should, keeps to its blocks and repeats itself."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from biostyle.metrics.statistics import block_bootstrap_interval, paired_difference


def movie(rng: np.random.Generator, n: int, correlation: float) -> np.ndarray:
    """Return an autoregressive series of mean 0 and standard deviation 1."""
    values = np.empty(n)
    values[0] = rng.normal()
    for i in range(1, n):
        values[i] = correlation * values[i - 1] + math.sqrt(1 - correlation**2) * rng.normal()
    return values


def coverage(correlation: float, block_length: int) -> float:
    """Return how often the 90 % interval of 120 frames holds the true mean."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = block_bootstrap_interval(
            movie(rng, 120, correlation),
            np.mean,
            block_length=block_length,
            n_resamples=150,
            level=0.9,
            seed=1,
        )
        hits += low <= 0 <= high
    return hits / 100


def test_coverage_of_independent_frames() -> None:
    assert 0.82 <= coverage(0, block_length=1) <= 0.98


def test_blocks_repair_the_coverage_of_dependent_frames() -> None:
    assert coverage(0.8, block_length=1) < 0.6
    assert coverage(0.8, block_length=15) > 0.72


def test_the_interval_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(2).normal(size=400)
    low, high = block_bootstrap_interval(values, block_length=1, n_resamples=2000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(30)
    one, same, other = (block_bootstrap_interval(values, n_resamples=100, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_blocks_stay_within_their_sequence() -> None:
    groups = ["01"] * 10 + ["02"] * 10
    rows = np.arange(20.0)

    def check(resample: np.ndarray) -> float:
        for block in resample.reshape(-1, 4):
            assert (np.diff(block) == 1).all()
            assert block[0] >= 10 or block[-1] < 10
        return 0.0

    assert block_bootstrap_interval(rows, check, block_length=4, n_resamples=200, groups=groups) == (0, 0)


def test_a_sequence_shorter_than_a_block_is_one_block() -> None:
    values, groups = [0.0] * 9 + [1.0], ["01"] * 9 + ["02"]
    low, high = block_bootstrap_interval(values, block_length=3, n_resamples=500, groups=groups)
    assert low == 0 < high


def test_few_frames_still_vary() -> None:
    low, high = block_bootstrap_interval([0.2, 0.4, 0.6], block_length=5)
    assert low < 0.4 < high


def test_rows_may_be_vectors() -> None:
    rows = np.array([[1.0, 2.0]] * 6)
    ratio = block_bootstrap_interval(rows, lambda rows: rows[:, 0].sum() / rows[:, 1].sum(), n_resamples=50)
    assert ratio == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [math.nan] * 4])
def test_too_little_to_say_anything_is_nan(values: list[float]) -> None:
    assert all(math.isnan(bound) for bound in block_bootstrap_interval(values, n_resamples=20))


def test_undefined_frames_are_left_out() -> None:
    low, high = block_bootstrap_interval([0.5, math.nan, 0.5, 0.5, math.nan], n_resamples=200)
    assert (low, high) == (0.5, 0.5)


def test_paired_difference_is_narrower_than_either_score() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(60) / 2
    difference = paired_difference(before + 0.1 + rng.normal(0, 0.01, 60), before)
    low, high = difference["ci95"]
    assert difference["value"] == pytest.approx(0.1, abs=0.01)
    assert low < difference["value"] < high
    assert high - low < 0.02
    assert difference["n"] == 60


def test_paired_difference_leaves_out_what_either_lacks() -> None:
    difference = paired_difference(
        [1, math.nan, 1, 1], [0.5, 0.5, math.nan, 0.5], groups=["a", "a", "b", "b"]
    )
    assert difference == {"value": 0.5, "ci95": [0.5, 0.5], "n": 2}
    assert paired_difference([math.nan], [1.0]) == {"value": None, "ci95": [None, None], "n": 0}


def test_whole_groups_are_drawn_without_a_block_length() -> None:
    values, groups = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], ["a"] * 3 + ["b"] * 3
    assert block_bootstrap_interval(values, block_length=None, groups=groups) == (0, 1)
    low, high = block_bootstrap_interval(values, block_length=None)
    assert 0 < low < high < 1
    found = paired_difference(values, [0.0] * 6, block_length=None, groups=groups)
    assert found == {"value": 0.5, "ci95": [0.0, 1.0], "n": 6}


def test_metrics_import_without_torch() -> None:
    import subprocess

    code = (
        "import sys, biostyle.metrics.score_table, biostyle.io.pairing, biostyle.io.labels, biostyle.io.scaling;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
