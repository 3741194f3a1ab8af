"""Bring a frame of any dtype to float32 in [0, 1], the only range that crosses a function boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np

from biostyle.errors import ConfigError, ImageError
from biostyle.types import NDArray

_ROWS = 1024  # computed at a time, so that a large frame needs no copy in float64


def to_unit_range(
    image: NDArray,
    mode: Literal["percentile", "dtype"] = "percentile",
    low_percentile: float = 0.5,
    high_percentile: float = 99.5,
) -> NDArray:
    """Scale one frame to [0, 1].

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Frame of any real dtype.
    mode : {"percentile", "dtype"}
        "percentile" maps two percentiles of this frame to 0 and 1 and clips. "dtype" divides by the dtype's
        maximum, which keeps frames comparable but squashes 16-bit data on a pedestal and very dark
        8-bit data.
    low_percentile, high_percentile : float
        Percentiles that become 0 and 1, in [0, 100]; used by "percentile" alone.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Values in [0, 1]; never NaN. A constant frame becomes 0.

    Raises
    ------
    ConfigError
        If `mode` is unknown or the percentiles are not ascending within [0, 100].
    ImageError
        If the frame holds NaN or infinity, or, with "dtype", values that have no place in [0, 1].

    Notes
    -----
    Where both percentiles fall on the same value (a dark frame with few objects), the minimum and maximum
    replace them.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.array([[33001, 34932], [36863, 33001]], np.uint16)
    >>> to_unit_range(frame, low_percentile=0, high_percentile=100)
    array([[0. , 0.5],
           [1. , 0. ]], dtype=float32)
    """
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        n_bad = int((~np.isfinite(image)).sum())
        raise ImageError(
            f"image must be finite, got {n_bad} NaN or infinite pixels. Replace them before use."
        )
    if mode == "dtype":
        return _divide_by_dtype_maximum(image)
    if mode != "percentile":
        raise ConfigError(f"mode must be 'percentile' or 'dtype', got {mode!r}. Correct the setting.")
    low, high = percentile_range(image, low_percentile, high_percentile)
    if low == high:
        return np.zeros(image.shape, np.float32)
    unit = np.empty(image.shape, np.float32)
    for start in range(0, image.shape[0], _ROWS):
        values = image[start : start + _ROWS].astype(np.float64)
        unit[start : start + _ROWS] = np.clip((values - low) / (high - low), 0, 1)
    return unit


def percentile_range(image: NDArray, low_percentile: float, high_percentile: float) -> tuple[float, float]:
    """Return the gray values at two percentiles of a frame.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Finite frame of any real dtype.
    low_percentile, high_percentile : float
        Percentiles, ascending within [0, 100].

    Returns
    -------
    low, high : float
        Gray values; the minimum and maximum where both percentiles fall on the same value.

    Raises
    ------
    ConfigError
        If the percentiles are not ascending within [0, 100].

    Examples
    --------
    >>> import numpy as np
    >>> percentile_range(np.arange(101), 10, 90)
    (10.0, 90.0)
    """
    if not 0 <= low_percentile < high_percentile <= 100:
        raise ConfigError(
            "low_percentile and high_percentile must ascend within [0, 100], "
            f"got {low_percentile} and {high_percentile}. Correct the settings."
        )
    low, high = _percentiles(image, (low_percentile, high_percentile))
    if low == high:
        low, high = image.min(), image.max()
    return float(low), float(high)


def _percentiles(image: NDArray, percentiles: tuple[float, float]) -> NDArray:
    """Percentiles as NumPy defines them; of small integers from a histogram, of others from the stored type."""
    positions = np.asarray(percentiles) / 100 * (image.size - 1)
    below = np.floor(positions).astype(np.int64)
    above = np.minimum(below + 1, image.size - 1)
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2:
        lowest, highest = int(image.min()), int(image.max())
        counts = np.zeros(highest - lowest + 1, np.int64)
        for start in range(0, image.shape[0], _ROWS):
            values = image[start : start + _ROWS].ravel().astype(np.int64) - lowest
            counts += np.bincount(values, minlength=counts.size)
        ranks = np.cumsum(counts)
        first, second = (lowest + np.searchsorted(ranks, at, side="right") for at in (below, above))
    else:
        ordered = image.flatten()
        ordered.partition(np.unique(np.concatenate([below, above])))
        first, second = ordered[below], ordered[above]
    a, b, t = first.astype(np.float64), second.astype(np.float64), positions - below
    return np.where(t >= 0.5, b - (b - a) * (1 - t), a + (b - a) * t)


def _divide_by_dtype_maximum(image: NDArray) -> NDArray:
    """Divide integers by their dtype's maximum; floats must already be in [0, 1]."""
    maximum = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > maximum:
        raise ImageError(
            f"image must lie in [0, {maximum}] to be scaled by its dtype {image.dtype}, "
            f"got {low:g} to {high:g}. Use mode 'percentile'."
        )
    return (image / np.float64(maximum)).astype(np.float32)
