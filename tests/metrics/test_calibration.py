import math

import numpy as np
import pytest
from scipy.special import softmax

from biostyle.metrics.calibration import expected_calibration_error, fit_temperature

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(4000, 3)) * 1.5
TRUTH = np.array([RNG.choice(3, p=row) for row in softmax(SCORES, axis=1)])


def test_finds_the_temperature_that_scores_were_multiplied_by() -> None:
    for temperature in (0.5, 1.0, 3.0):
        assert fit_temperature(SCORES * temperature, TRUTH) == pytest.approx(temperature, rel=0.06)


def test_dividing_by_it_mends_the_calibration() -> None:
    sure = SCORES * 4
    before = expected_calibration_error(softmax(sure, axis=1), TRUTH)
    after = expected_calibration_error(softmax(sure / fit_temperature(sure, TRUTH), axis=1), TRUTH)
    assert before > 0.15
    assert after < 0.03


def test_always_right_and_always_wrong_stay_within_bounds() -> None:
    assert 0.05 <= fit_temperature([[9.0, 0.0]], [0]) < 1
    assert fit_temperature([[9.0, 0.0]], [1]) == pytest.approx(20, rel=0.01)


def test_error_by_hand() -> None:
    # .6 sure and right half of the time; 1 sure and always right
    probs = [[0.6, 0.4], [0.6, 0.4], [0.0, 1.0], [0.0, 1.0]]
    assert expected_calibration_error(probs, [0, 1, 1, 1]) == pytest.approx(0.05)


def test_nothing() -> None:
    assert math.isnan(expected_calibration_error(np.empty((0, 3)), []))
    assert fit_temperature(np.empty((0, 3)), []) == 1
