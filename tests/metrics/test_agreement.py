"""Dice and kappa against other people's implementations, and where nothing is there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from biostyle.metrics.agreement import dice, kappa
from biostyle.types import NDArray


def masks(seed: int, share: float = 0.3) -> tuple[NDArray, NDArray]:
    random = np.random.default_rng(seed)
    return random.random((20, 30)) < share, random.random((20, 30)) < 0.5


@pytest.mark.parametrize("seed", range(5))
def test_they_are_scikit_learns(seed: int) -> None:
    one, other = masks(seed)
    flat = one.ravel(), other.ravel()
    assert kappa(one, other) == pytest.approx(cohen_kappa_score(*flat), abs=1e-6)
    assert dice(one, other) == pytest.approx(f1_score(*flat), abs=1e-6)
    assert kappa(one, other) == pytest.approx(kappa(other, one))
    assert kappa(~one, ~other) == pytest.approx(kappa(one, other), abs=1e-6)


def test_equal_masks_agree_and_opposite_ones_do_not() -> None:
    one, _ = masks(0, 0.5)
    for mask in (one, np.zeros_like(one), np.ones_like(one)):
        assert kappa(mask, mask) == dice(mask, mask) == 1
        assert dice(mask, ~mask) == 0
    assert kappa(one, ~one) < -0.9
    assert kappa(np.zeros_like(one), np.ones_like(one)) == 0


def test_a_probability_is_as_good_as_its_share() -> None:
    mask = np.array([True, True, False, False])
    assert dice(mask * 0.8, mask) == pytest.approx(2 * 1.6 / 3.6)
