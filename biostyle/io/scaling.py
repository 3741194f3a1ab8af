"""Bring a frame of any dtype to float32 in [0, 1], the only range that crosses a function boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np

from biostyle.errors import ConfigError, ImageError
from biostyle.types import NDArray


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
    values = image.astype(np.float64)
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


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
    low, high = np.percentile(image.astype(np.float64), (low_percentile, high_percentile))
    if low == high:
        low, high = image.min(), image.max()
    return float(low), float(high)


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
