"""What a quality classifier says, how well it says it, and how a translation changes it.

Qualities are class indices in EyeQ's order: 0 good, 1 usable, 2 reject. A smaller number is a better photograph.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from biostyle.metrics.clusters import with_interval
from biostyle.types import NDArray

GOOD, USABLE, REJECT = 0, 1, 2
N_QUALITIES = 3


def confusion_matrix(truth: npt.ArrayLike, pred: npt.ArrayLike, n_classes: int = N_QUALITIES) -> NDArray:
    """Count the images of each true class by the class they were given.

    Parameters
    ----------
    truth, pred : array-like of int, shape (n,)
        Classes, from 0 to ``n_classes`` - 1.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Rows are true, columns predicted.

    Examples
    --------
    >>> confusion_matrix([0, 0, 2], [0, 1, 2]).tolist()
    [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    """
    pairs = np.asarray(truth, dtype=np.int64) * n_classes + np.asarray(pred, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f_score(confusion: NDArray) -> float:
    """Average the F-scores of the classes.

    Parameters
    ----------
    confusion : ndarray of int, shape (K, K)
        Of :func:`confusion_matrix`.

    Returns
    -------
    float
        In [0, 1]; a class that is neither there nor predicted is left out. NaN if there is none.

    Examples
    --------
    >>> round(macro_f_score(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 4]])), 4)
    0.8222
    """
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    there = both > 0
    if not there.any():
        return math.nan
    return float((2 * np.diag(confusion)[there] / both[there]).mean())


def macro_f_with_interval(
    truth: npt.ArrayLike, pred: npt.ArrayLike, patients: Sequence[object] | NDArray, *, seed: int = 0
) -> dict[str, Any]:
    """Score a quality classifier, with an interval over patients.

    Parameters
    ----------
    truth, pred : array-like of int, shape (n,)
        Qualities.
    patients : sequence of length n
        Patient of each image.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        As of :func:`biostyle.metrics.clusters.with_interval`.

    Examples
    --------
    >>> macro_f_with_interval([0, 1, 2], [0, 1, 2], ["a", "b", "c"])["value"]
    1.0
    """
    rows = np.c_[np.asarray(truth, dtype=np.int64), np.asarray(pred, dtype=np.int64)]
    return with_interval(
        rows, lambda pair: macro_f_score(confusion_matrix(pair[:, 0], pair[:, 1])), patients, seed=seed
    )


def noise_floor(confusion: NDArray) -> float:
    """Return how often the classifier calls a truly usable photograph good.

    Photographs seem to get this much better by the classifier's mistakes alone.

    Parameters
    ----------
    confusion : ndarray of int, shape (3, 3)
        On held-back patients.

    Returns
    -------
    float
        A share, in [0, 1]; NaN if no photograph was usable.

    Examples
    --------
    >>> noise_floor(np.array([[9, 1, 0], [3, 16, 1], [0, 0, 8]]))
    0.15
    """
    n_usable = confusion[USABLE].sum()
    return float(confusion[USABLE, GOOD] / n_usable) if n_usable else math.nan


def shift_matrix(before: npt.ArrayLike, after: npt.ArrayLike) -> NDArray:
    """Count the photographs by their quality before and after.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Qualities.

    Returns
    -------
    ndarray of int, shape (3, 3)
        Rows are before, columns after; an identical translation fills the diagonal alone.

    Examples
    --------
    >>> shift_matrix([2, 2, 1], [0, 2, 0]).tolist()
    [[0, 0, 0], [1, 0, 0], [1, 0, 1]]
    """
    return confusion_matrix(before, after)


def stratified_shift_matrices(
    before: npt.ArrayLike, after: npt.ArrayLike, strata: Sequence[Hashable]
) -> dict[Hashable, NDArray]:
    """Count shifts within each stratum, such as each grade of a disease.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Qualities.
    strata : sequence of length n
        Stratum of each photograph; None where it is unknown, which is a stratum too.

    Returns
    -------
    dict
        A shift matrix for each stratum, in order with None last; they add up to that of all photographs.

    Examples
    --------
    >>> {grade: matrix.sum() for grade, matrix in stratified_shift_matrices([1, 1, 2], [0, 1, 1], [4, 0, 4]).items()}
    {0: np.int64(1), 4: np.int64(2)}
    """
    first, second = np.asarray(before, dtype=np.int64), np.asarray(after, dtype=np.int64)
    matrices = {}
    for stratum in sorted(set(strata), key=lambda name: (name is None, name)):
        chosen = np.array([name == stratum for name in strata])
        matrices[stratum] = shift_matrix(first[chosen], second[chosen])
    return matrices


def shift_shares(
    before: npt.ArrayLike, after: npt.ArrayLike, patients: Sequence[object] | NDArray, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Return which share of photographs got better, stayed and got worse.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Qualities.
    patients : sequence of length n
        Patient of each photograph.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        ``improved``, ``unchanged`` and ``worsened``, each as of :func:`biostyle.metrics.clusters.with_interval`.

    Examples
    --------
    >>> shares = shift_shares([1, 1, 0, 2], [0, 0, 0, 2], list("abcd"))
    >>> {name: share["value"] for name, share in shares.items()}
    {'improved': 0.5, 'unchanged': 0.5, 'worsened': 0.0}
    """
    change = np.sign(np.asarray(after, dtype=np.int64) - np.asarray(before, dtype=np.int64))
    names = {"improved": -1, "unchanged": 0, "worsened": 1}
    return {
        name: with_interval((change == sign).astype(float), np.mean, patients, seed=seed)
        for name, sign in names.items()
    }


def net_shift_to_good(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    noise_floor: float,
    patients: Sequence[object] | NDArray,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how many of the photographs that were not good became good, beyond mistakes of the classifier.

    Parameters
    ----------
    before, after : array-like of int, shape (n,)
        Qualities.
    noise_floor : float
        Of :func:`noise_floor`; it is taken as known exactly.
    patients : sequence of length n
        Patient of each photograph.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        ``value`` and ``ci95``, shares less the noise floor; ``noise_floor``; ``n``, photographs that were not good.

    Notes
    -----
    (became good - ceased to be good) / (were not good) - noise floor. Photographs that were good count against it when
    they are spoiled, and for nothing when they stay.

    Examples
    --------
    >>> shift = net_shift_to_good([1, 2, 2, 1, 0], [0, 0, 2, 0, 0], 0.15, list("abcde"))
    >>> round(shift["value"], 2), shift["n"]
    (0.6, 4)
    """
    rows = np.c_[np.asarray(before, dtype=np.int64), np.asarray(after, dtype=np.int64)]

    def net(pairs: NDArray) -> float:
        good_before, good_after = (pairs == GOOD).T
        n_not_good = int((~good_before).sum())
        if n_not_good == 0:
            return math.nan
        return (int(good_after.sum()) - int(good_before.sum())) / n_not_good - noise_floor

    result = with_interval(rows, net, patients, seed=seed)
    return result | {"n": int((rows[:, 0] != GOOD).sum()), "noise_floor": noise_floor}
