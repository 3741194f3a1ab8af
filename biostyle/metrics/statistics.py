"""Intervals for means over frames of movies, which are not independent of one another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from biostyle.metrics.clusters import (
    cluster_bootstrap_interval,
    none_if_undefined,
    percentile_interval,
)
from biostyle.types import NDArray


def block_bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[[NDArray], float] = np.nanmean,
    *,
    block_length: int | None = 5,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: Sequence[object] | NDArray | None = None,
) -> tuple[float, float]:
    """Return a percentile interval from a moving-block bootstrap.

    Parameters
    ----------
    values : array-like of shape (n,) or (n, k)
        One row a frame, in frame order; NaN is undefined.
    statistic : callable
        Function of resampled rows, shape (n,) or (n, k), that returns a number.
    block_length : int or None
        Consecutive rows drawn together; shortened to n / 3 where there are few rows, so that blocks can vary. None
        draws whole groups: see :func:`biostyle.metrics.clusters.cluster_bootstrap_interval`.
    n_resamples : int
        Number of resamples.
    level : float
        Coverage aimed at, in (0, 1).
    seed : int
        Seed of the draws.
    groups : sequence of length n, optional
        Sequence each row belongs to; no block crosses from one into another.

    Returns
    -------
    low, high : float
        Bounds of the interval; NaN for fewer than two rows that are defined, or where the statistic is never defined.

    Notes
    -----
    Blocks are drawn with replacement from all blocks of consecutive rows and joined until n rows are reached
    [1]_. With a handful of rows every bootstrap interval is too narrow.

    References
    ----------
    .. [1] Künsch HR. The jackknife and the bootstrap for general stationary observations. Annals of
       Statistics 17:1217-1241, 1989. https://doi.org/10.1214/aos/1176347265

    Examples
    --------
    >>> block_bootstrap_interval([0.5, 0.5, 0.5, 0.5], seed=0)
    (0.5, 0.5)
    """
    rows = np.asarray(values, dtype=np.float64)
    n = len(rows)
    undefined = np.isnan(rows).any(axis=tuple(range(1, rows.ndim)))
    if n - int(undefined.sum()) < 2:
        return math.nan, math.nan
    if block_length is None:
        clusters = range(n) if groups is None else groups
        return cluster_bootstrap_interval(
            rows, statistic, clusters, n_resamples=n_resamples, level=level, seed=seed
        )
    length = max(1, min(block_length, n // 3))
    blocks = _consecutive_blocks(np.zeros(n) if groups is None else np.asarray(groups), length)
    n_drawn = math.ceil(n / min(map(len, blocks)))
    rng = np.random.default_rng(seed)
    resamples = (
        rows[np.concatenate([blocks[i] for i in drawn])[:n]]
        for drawn in rng.integers(len(blocks), size=(n_resamples, n_drawn))
    )
    return percentile_interval(resamples, statistic, level)


def paired_difference(
    after: npt.ArrayLike,
    before: npt.ArrayLike,
    *,
    block_length: int | None = 5,
    n_resamples: int = 2000,
    seed: int = 0,
    groups: Sequence[object] | NDArray | None = None,
) -> dict[str, Any]:
    """Return the mean of after minus before over the same images, with its 95 % interval.

    Parameters
    ----------
    after, before : array-like of shape (n,)
        Score of each image, in frame order; an image undefined in either is left out.
    block_length : int or None
        As in :func:`block_bootstrap_interval`.
    n_resamples : int
        As in :func:`block_bootstrap_interval`.
    seed : int
        As in :func:`block_bootstrap_interval`.
    groups : sequence of length n, optional
        Sequence each image belongs to.

    Returns
    -------
    dict
        ``{"value": mean, "ci95": [low, high], "n": images counted}``, ready for JSON: undefined is None.

    Examples
    --------
    >>> paired_difference([0.75, 0.75, float("nan")], [0.5, 0.5, 0.5])
    {'value': 0.25, 'ci95': [0.25, 0.25], 'n': 2}
    """
    difference = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    defined = ~np.isnan(difference)
    interval = block_bootstrap_interval(
        difference[defined],
        block_length=block_length,
        n_resamples=n_resamples,
        seed=seed,
        groups=None if groups is None else np.asarray(groups)[defined],
    )
    return {
        "value": float(difference[defined].mean()) if defined.any() else None,
        "ci95": [none_if_undefined(bound) for bound in interval],
        "n": int(defined.sum()),
    }


def _consecutive_blocks(groups: NDArray, length: int) -> list[NDArray]:
    """Return the row numbers of every block within one group; a shorter group is one block."""
    blocks = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        blocks += [rows[start : start + length] for start in range(max(1, len(rows) - length + 1))]
    return blocks
