"""How well grades of a disease agree, and whether a translation changes them.

Grades are whole numbers from 0, none, to 4, proliferative diabetic retinopathy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from biostyle.metrics.clusters import with_interval
from biostyle.metrics.quality import confusion_matrix
from biostyle.types import NDArray

N_GRADES = 5


def quadratic_kappa(confusion: NDArray) -> float:
    """Return Cohen's kappa with quadratic weights.

    Parameters
    ----------
    confusion : ndarray of int, shape (K, K)
        Counts of pairs of grades, as of :func:`biostyle.metrics.quality.confusion_matrix`.

    Returns
    -------
    float
        1 is full agreement, 0 is chance; NaN where no disagreement is expected, because all grades are one.

    Notes
    -----
    1 - sum(w O) / sum(w E), with w = (i - j)², the counts O, and E = outer product of their margins / n [1]_.

    References
    ----------
    .. [1] Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit",
       Psychological Bulletin 70:213-220, 1968. https://doi.org/10.1037/h0026256

    Examples
    --------
    >>> quadratic_kappa(np.array([[2, 0], [0, 2]])), quadratic_kappa(np.array([[1, 1], [1, 1]]))
    (1.0, 0.0)
    """
    index = np.arange(len(confusion))
    weights = (index[:, None] - index) ** 2
    n = confusion.sum()
    expected = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / max(n, 1)
    disagreement = (weights * expected).sum()
    return float(1 - (weights * confusion).sum() / disagreement) if disagreement else math.nan


def kappa_with_interval(
    truth: npt.ArrayLike, pred: npt.ArrayLike, patients: Sequence[object] | NDArray, *, seed: int = 0
) -> dict[str, Any]:
    """Return the quadratic kappa of grades, with an interval over patients.

    Parameters
    ----------
    truth, pred : array-like of int, shape (n,)
        Grades.
    patients : sequence of length n
        Patient of each photograph.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        As of :func:`biostyle.metrics.clusters.with_interval`.

    Examples
    --------
    >>> kappa_with_interval([0, 4, 2], [0, 4, 2], ["a", "b", "c"])["value"]
    1.0
    """
    rows = np.c_[np.asarray(truth, dtype=np.int64), np.asarray(pred, dtype=np.int64)]
    return with_interval(
        rows,
        lambda pairs: quadratic_kappa(confusion_matrix(pairs[:, 0], pairs[:, 1], N_GRADES)),
        patients,
        seed=seed,
    )


def expected_grades(probabilities: NDArray) -> NDArray:
    """Return the grade that is expected of each photograph, as a whole number.

    Parameters
    ----------
    probabilities : ndarray of shape (n, 5)
        Of each grade; rows add up to 1.

    Returns
    -------
    ndarray of int, shape (n,)
        Grades.

    Notes
    -----
    The mean of the grades, rounded: the decision that costs least in expectation where a mistake costs its square, as in
    :func:`quadratic_kappa`. The most probable grade costs least where all mistakes are alike, and jumps from 0 to 4 when
    two probabilities change places.

    Examples
    --------
    >>> expected_grades(np.array([[0.4, 0.1, 0.1, 0.1, 0.3], [0.0, 0.0, 1.0, 0.0, 0.0]])).tolist()
    [2, 2]
    """
    return np.rint(probabilities @ np.arange(probabilities.shape[1])).astype(np.int64)


def kappa_change(
    truth: npt.ArrayLike,
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    patients: Sequence[object] | NDArray,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return by how much the quadratic kappa changes, with an interval over patients.

    Parameters
    ----------
    truth, before, after : array-like of int, shape (n,)
        True grades, and those given to the same photographs before and after.
    patients : sequence of length n
        Patient of each photograph.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        As of :func:`biostyle.metrics.clusters.with_interval`; each resample holds the same photographs before and after.

    Examples
    --------
    >>> round(kappa_change([0, 4, 2], [4, 0, 2], [0, 4, 2], ["a", "b", "c"])["value"], 6)
    2.0
    """
    rows = np.stack([np.asarray(grades, dtype=np.int64) for grades in (truth, before, after)], axis=1)

    def change(triples: NDArray) -> float:
        first, second = (
            quadratic_kappa(confusion_matrix(triples[:, 0], triples[:, column], N_GRADES))
            for column in (1, 2)
        )
        return second - first

    return with_interval(rows, change, patients, seed=seed)


def grade_shift_matrix(before: npt.ArrayLike, after: npt.ArrayLike) -> NDArray:
    """Count the photographs by their predicted grade before and after.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Grades.

    Returns
    -------
    ndarray of int, shape (5, 5)
        Rows are before, columns after; what is below the diagonal seems less ill than it did.

    Examples
    --------
    >>> grade_shift_matrix([4, 2], [3, 2])[4].tolist()
    [0, 0, 0, 1, 0]
    """
    return confusion_matrix(before, after, N_GRADES)


def mean_grade_shift(
    before: npt.ArrayLike, after: npt.ArrayLike, patients: Sequence[object] | NDArray, *, seed: int = 0
) -> dict[str, Any]:
    """Return by how much the predicted grade changes on average.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Grades.
    patients : sequence of length n
        Patient of each photograph.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        As of :func:`biostyle.metrics.clusters.with_interval`, with ``falls``: whether the whole interval is below 0,
        which means that lesions are being hidden.

    Examples
    --------
    >>> shift = mean_grade_shift([4, 4, 2], [3, 3, 1], ["a", "b", "c"])
    >>> shift["value"], shift["falls"]
    (-1.0, True)
    """
    change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    shift = with_interval(change, np.mean, patients, seed=seed)
    high = shift["ci95"][1]
    return shift | {"falls": high is not None and high < 0}
