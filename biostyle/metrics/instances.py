"""Overlaps of numbered objects, and the challenge's segmentation score derived from them."""

from __future__ import annotations

import numpy as np

from biostyle.errors import MaskError
from biostyle.types import NDArray

_MOST_ENTRIES = 2**28  # 2 GiB


def overlap_matrix(pred: NDArray, target: NDArray) -> NDArray:
    """Count the pixels that each predicted object shares with each true one.

    Parameters
    ----------
    pred : ndarray of integer, shape (H, W)
        Predicted instance identities; 0 is background.
    target : ndarray of integer, shape (H, W)
        True instance identities; 0 is background.

    Returns
    -------
    ndarray of int64, shape (P + 1, T + 1)
        Pixels by predicted and true identity, from 0 to the highest of each. Entry (0, 0) is background in both.

    Raises
    ------
    MaskError
        If the sizes differ, a mask does not hold integers from 0, or the highest identities would make a matrix of more
        than 2 GiB.

    Notes
    -----
    One joint histogram over runs of equal pairs instead of pixels: along a row, objects go on for many pixels.

    Examples
    --------
    >>> import numpy as np
    >>> overlap_matrix(np.array([[1, 1, 0, 0]]), np.array([[0, 2, 2, 0]]))
    array([[1, 0, 1],
           [1, 0, 1]])
    """
    for name, mask in (("pred", pred), ("target", target)):
        if mask.dtype.kind not in "ui" or (mask.dtype.kind == "i" and mask.size and mask.min() < 0):
            lowest = f" from {mask.min()}" if mask.dtype.kind == "i" else ""
            raise MaskError(
                f"{name} must hold integers from 0, got {mask.dtype}{lowest}. Number the objects first."
            )
    if pred.shape != target.shape:
        raise MaskError(
            f"pred must have the truth's size {target.shape}, got {pred.shape}. "
            "Check that the two belong together."
        )
    if not pred.size:
        return np.zeros((1, 1), np.int64)
    found, true = pred.ravel(), target.ravel()
    changes = found[1:] != found[:-1]
    changes |= true[1:] != true[:-1]
    ends = np.append(np.flatnonzero(changes), found.size - 1)
    found, true, lengths = found[ends], true[ends], np.diff(ends, prepend=-1)
    n_found, n_true = (int(labels.max()) + 1 for labels in (found, true))
    if n_found * n_true > _MOST_ENTRIES:
        raise MaskError(
            f"objects must be numbered without large gaps, got identities up to {n_found - 1} in pred and "
            f"{n_true - 1} in target. Renumber them from 1."
        )
    overlaps = np.zeros((n_found, n_true), np.int64)
    np.add.at(overlaps.reshape(-1), found.astype(np.int64) * n_true + true.astype(np.int64), lengths)
    return overlaps


def seg_score(overlaps: NDArray) -> float:
    """Return the segmentation score (SEG) of the Cell Tracking Challenge.

    Parameters
    ----------
    overlaps : ndarray of integer, shape (P + 1, T + 1)
        From :func:`overlap_matrix`.

    Returns
    -------
    float
        Mean Jaccard coefficient of the true objects and what was found of them, in [0, 1]; NaN where there is none. An
        object is found by the prediction that holds more than half of it; otherwise it counts 0.

    References
    ----------
    .. [1] Maška et al., "The Cell Tracking Challenge: 10 years of objective benchmarking", Nature Methods 2023,
       doi:10.1038/s41592-023-01879-y.

    Examples
    --------
    >>> import numpy as np
    >>> seg_score(np.array([[90, 1], [2, 7]]))
    0.7
    """
    areas = overlaps.sum(axis=0)
    there = np.flatnonzero(areas[1:]) + 1
    if there.size == 0:
        return float("nan")
    shared = overlaps[1:, there]
    if shared.shape[0] == 0:
        return 0.0
    best = shared.argmax(axis=0)
    common = shared[best, np.arange(there.size)]
    union = areas[there] + overlaps[1:].sum(axis=1)[best] - common
    return float(np.where(2 * common > areas[there], common / union, 0.0).mean())
