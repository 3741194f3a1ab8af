"""Intervals for photographs of patients: both eyes of one patient are not independent."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from biostyle.types import NDArray


def cluster_bootstrap_interval(
    rows: npt.ArrayLike,
    statistic: Callable[[NDArray], float],
    clusters: Sequence[object] | NDArray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a percentile interval from a bootstrap that draws whole clusters.

    Parameters
    ----------
    rows : array-like of shape (n,) or (n, k)
        One row an image.
    statistic : callable
        Function of resampled rows that returns a number; NaN where it is undefined.
    clusters : sequence of length n
        Patient of each image.
    n_resamples : int
        Number of resamples.
    level : float
        Coverage aimed at, in (0, 1).
    seed : int
        Seed of the draws.

    Returns
    -------
    low, high : float
        Bounds of the interval; NaN for fewer than two clusters, or where the statistic is never defined.

    Notes
    -----
    As many clusters as there are get drawn with replacement, each with all its images [1]_. With a handful of patients
    every bootstrap interval is too narrow.

    References
    ----------
    .. [1] Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B 69:369-390, 2007.
       https://doi.org/10.1111/j.1467-9868.2007.00593.x

    Examples
    --------
    >>> cluster_bootstrap_interval([1.0, 1.0, 1.0], np.mean, ["ann", "ann", "bob"])
    (1.0, 1.0)
    """
    values = np.asarray(rows)
    names = np.array([str(cluster) for cluster in clusters])
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    if len(members) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    resamples = (
        values[np.concatenate([members[index] for index in drawn])]
        for drawn in rng.integers(len(members), size=(n_resamples, len(members)))
    )
    return percentile_interval(resamples, statistic, level)


def percentile_interval(
    resamples: Iterable[NDArray], statistic: Callable[[NDArray], float], level: float
) -> tuple[float, float]:
    """Return the quantiles between which a statistic of resamples lies.

    Parameters
    ----------
    resamples : iterable of ndarray
        Resampled rows.
    statistic : callable
        Function of rows that returns a number; NaN where it is undefined, which is left out.
    level : float
        Coverage aimed at, in (0, 1).

    Returns
    -------
    low, high : float
        Bounds of the interval; NaN where the statistic is never defined.

    Examples
    --------
    >>> percentile_interval([np.ones(3), np.ones(3)], np.mean, 0.95)
    (1.0, 1.0)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample, or all of them, may be undefined
        replicates = [statistic(rows) for rows in resamples]
        low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def with_interval(
    rows: npt.ArrayLike,
    statistic: Callable[[NDArray], float],
    clusters: Sequence[object] | NDArray,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return a statistic with its 95 % interval, ready for JSON.

    Parameters
    ----------
    rows : array-like of shape (n,) or (n, k)
        One row an image.
    statistic : callable
        Function of rows that returns a number; NaN where it is undefined.
    clusters : sequence of length n
        Patient of each image.
    n_resamples : int
        As in :func:`cluster_bootstrap_interval`.
    seed : int
        As in :func:`cluster_bootstrap_interval`.

    Returns
    -------
    dict
        ``{"value": number, "ci95": [low, high], "n": images, "n_patients": clusters}``; undefined is None.

    Examples
    --------
    >>> with_interval([0, 1, 1, 0], np.mean, list("abcd"), seed=0)["value"]
    0.5
    """
    values = np.asarray(rows)
    value = float(statistic(values)) if len(values) else math.nan
    interval = cluster_bootstrap_interval(values, statistic, clusters, n_resamples=n_resamples, seed=seed)
    return {
        "value": none_if_undefined(value),
        "ci95": [none_if_undefined(bound) for bound in interval],
        "n": len(values),
        "n_patients": len({str(cluster) for cluster in clusters}),
    }


def none_if_undefined(value: float) -> float | None:
    """Return None for NaN, which JSON does not have.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    float or None
        The same number, if it is one.

    Examples
    --------
    >>> none_if_undefined(0.5), none_if_undefined(float("nan"))
    (0.5, None)
    """
    return None if math.isnan(value) else value
