"""Distances between two sets of images, by the features a network sees in them.

The features should come from a network that knows such images, for instance the quality classifier: those of networks
trained on everyday photographs say little about retinas.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biostyle.errors import ImageError
from biostyle.types import NDArray

_FEWEST_FOR_FID = 2048


def kernel_inception_distance(
    features_a: NDArray, features_b: NDArray, *, n_subsets: int = 100, subset_size: int = 100, seed: int = 0
) -> dict[str, Any]:
    """Return the squared maximum mean discrepancy of two sets of features with a cubic kernel (KID).

    Parameters
    ----------
    features_a, features_b : ndarray of float, shape (n_a, D) and (n_b, D)
        One row an image.
    n_subsets : int
        Number of random subsets, for the interval.
    subset_size : int
        Images of each set in a subset; at most half of the smaller set.
    seed : int
        Seed of the subsets.

    Returns
    -------
    dict
        ``value`` of all images; ``ci95``, the middle 95 % of the subsets' values; ``n``, images of each set. It is
        unbiased, hence negative for about half of all pairs of sets that do not differ.

    Raises
    ------
    ImageError
        If a set has fewer than two images, or their features differ in number.

    Notes
    -----
    With k(x, y) = (x·y / D + 1)³: the mean of k within A and within B, each without the diagonal, less twice the mean
    of k between them [1]_.

    References
    ----------
    .. [1] Bińkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs", ICLR 2018.
       https://arxiv.org/abs/1801.01401

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same, other = rng.normal(size=(2, 50, 4)), rng.normal(2, size=(50, 4))
    >>> kernel_inception_distance(same[0], other)["value"] > 10 * abs(kernel_inception_distance(*same)["value"])
    True
    """
    a, b = _check(features_a, features_b)
    size = max(2, min(subset_size, min(len(a), len(b)) // 2))
    rng = np.random.default_rng(seed)
    kernels = [_cubic(a, a), _cubic(b, b), _cubic(a, b)]
    subsets = []
    for _ in range(n_subsets):
        rows, columns = (rng.choice(len(x), min(size, len(x)), replace=False) for x in (a, b))
        subsets.append(
            _unbiased(
                kernels[0][np.ix_(rows, rows)],
                kernels[1][np.ix_(columns, columns)],
                kernels[2][np.ix_(rows, columns)],
            )
        )
    low, high = np.quantile(subsets, [0.025, 0.975])
    return {"value": _unbiased(*kernels), "ci95": [float(low), float(high)], "n": [len(a), len(b)]}


def frechet_distance(features_a: NDArray, features_b: NDArray) -> dict[str, Any]:
    """Return the Fréchet distance of two sets of features taken as Gaussian (FID).

    Parameters
    ----------
    features_a, features_b : ndarray of float, shape (n_a, D) and (n_b, D)
        One row an image.

    Returns
    -------
    dict
        ``value``; ``comparable``, whether it may be set beside a published one: only if both sets have at least 2048
        images and more than features, because it falls with the number of images; ``n``, images of each set.

    Raises
    ------
    ImageError
        If a set has fewer than two images, or their features differ in number.

    Notes
    -----
    |mean_a - mean_b|² + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^½) [1]_. With centred features X_a and X_b, divided by the
    roots of n - 1, the last trace is the sum of the singular values of X_a X_bᵀ, which needs no root of a matrix.

    References
    ----------
    .. [1] Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, "GANs Trained by a Two Time-Scale Update Rule Converge
       to a Local Nash Equilibrium", NeurIPS 2017. https://arxiv.org/abs/1706.08500

    Examples
    --------
    >>> points = np.array([[0.0], [2.0]])
    >>> frechet_distance(points, points + 3)
    {'value': 9.0, 'comparable': False, 'n': [2, 2]}
    """
    a, b = _check(features_a, features_b)
    centred = [(x - x.mean(axis=0)) / math.sqrt(len(x) - 1) for x in (a, b)]
    # whichever of the two equal sums has the smaller matrix
    factors = (
        centred
        if min(len(a), len(b)) <= a.shape[1]
        else [np.asarray(np.linalg.qr(x, mode="r")) for x in centred]
    )
    nuclear = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    spread = sum(float((x**2).sum()) for x in centred)
    distance = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + spread - 2 * nuclear)
    enough = min(len(a), len(b)) >= max(_FEWEST_FOR_FID, a.shape[1] + 1)
    return {"value": max(distance, 0.0), "comparable": enough, "n": [len(a), len(b)]}


def _check(features_a: NDArray, features_b: NDArray) -> tuple[NDArray, NDArray]:
    """Refuse features that cannot be compared."""
    a, b = (np.asarray(features, dtype=np.float64) for features in (features_a, features_b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ImageError(
            f"features must be two tables of at least 2 images and as many columns each, got {a.shape} and {b.shape}. "
            "Compare larger sets, by one network."
        )
    return a, b


def _cubic(x: NDArray, y: NDArray) -> NDArray:
    """Cubic kernel of every pair of rows."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def _unbiased(within_a: NDArray, within_b: NDArray, between: NDArray) -> float:
    """Squared maximum mean discrepancy from the kernels of all pairs."""
    means = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (within_a, within_b)]
    return float(means[0] + means[1] - 2 * between.mean())
