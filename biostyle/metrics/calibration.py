"""Whether a classifier's probabilities can be believed, and one number that mends them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def expected_calibration_error(probs: npt.ArrayLike, truth: npt.ArrayLike, n_bins: int = 15) -> float:
    """Return how far confidence and accuracy are apart.

    Parameters
    ----------
    probs : array-like of shape (n, K)
        Class probabilities; rows add up to 1.
    truth : array-like of int, shape (n,)
        True classes.
    n_bins : int
        Number of equal bins of confidence.

    Returns
    -------
    float
        In [0, 1]; NaN if there is nothing.

    Notes
    -----
    The mean, over bins of the highest probability and weighted by their sizes, of |accuracy - mean confidence| [1]_.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
       https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> round(expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 2)
    0.4
    """
    table, classes = np.asarray(probs, dtype=np.float64), np.asarray(truth)
    if len(classes) == 0:
        return math.nan
    confidence, correct = table.max(axis=1), table.argmax(axis=1) == classes
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(classes))


def fit_temperature(logits: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Find the number to divide class scores by, so that their softmax is calibrated.

    No prediction changes by it.

    Parameters
    ----------
    logits : array-like of shape (n, K)
        Class scores on validation images, which were not trained on.
    truth : array-like of int, shape (n,)
        True classes.

    Returns
    -------
    float
        Between 1/20 and 20; 1 if there is nothing.

    Notes
    -----
    It minimises the mean negative log-likelihood [1]_.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
       https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> logits = [[4.0, 0.0]] * 4  # 98 % sure, and right three times out of four
    >>> round(4 / fit_temperature(logits, [0, 0, 0, 1]), 2)  # the log odds of .75
    1.1
    """
    scores, classes = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    if len(classes) == 0:
        return 1.0

    def loss(log_temperature: float) -> float:
        log_probs = log_softmax(scores / math.exp(log_temperature), axis=1)
        return float(-log_probs[np.arange(len(classes)), classes].mean())

    limit = math.log(20)
    return math.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)
