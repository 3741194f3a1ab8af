"""Bring values in [0, 1] back to a file's dtype, and keep a record of how."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from biostyle.errors import ConfigError, ImageError
from biostyle.io.scaling import percentile_range
from biostyle.types import NDArray

IMAGE_DTYPES = ("uint8", "uint16", "float32")
_ROWS = 1024  # computed at a time, so that a large plane needs no copy in float64


def output_dtype(requested: str, source: np.dtype) -> np.dtype:
    """Resolve the option ``--dtype``.

    Parameters
    ----------
    requested : str
        "same", "uint8", "uint16" or "float32".
    source : numpy.dtype
        The input's dtype.

    Returns
    -------
    numpy.dtype
        What to write.

    Raises
    ------
    ConfigError
        If the option is none of these.

    Examples
    --------
    >>> output_dtype("same", np.dtype("uint16"))
    dtype('uint16')
    """
    if requested == "same":
        return source
    if requested not in IMAGE_DTYPES:
        raise ConfigError(
            f"dtype must be same, {', '.join(IMAGE_DTYPES)}, got {requested!r}. Correct --dtype."
        )
    return np.dtype(requested)


class RangeMapping:
    """Map planes in [0, 1] to a dtype, remembering the values that 0 and 1 became.

    Parameters
    ----------
    dtype : numpy.dtype
        uint8, uint16 or float32.
    mode : {"dtype", "frame"}
        "dtype" maps 0 and 1 to the ends of an integer dtype and leaves float32 in [0, 1]. "frame" maps them
        to two percentiles of the input's own frame, so that the output has the input's gray values.
    low_percentile, high_percentile : float
        Percentiles of the input's frame, in [0, 100]; used by "frame" alone.

    Raises
    ------
    ConfigError
        If the dtype or the mode is another one.

    Examples
    --------
    >>> mapping = RangeMapping(np.dtype("uint16"))
    >>> mapping.apply(np.array([[0.0, 0.5, 1.0]], np.float32))
    array([[    0, 32768, 65535]], dtype=uint16)
    """

    def __init__(
        self,
        dtype: np.dtype,
        mode: Literal["dtype", "frame"] = "dtype",
        low_percentile: float = 0.5,
        high_percentile: float = 99.5,
    ) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.name not in IMAGE_DTYPES:
            raise ConfigError(
                f"dtype must be one of {', '.join(IMAGE_DTYPES)}, got {dtype}. Correct --dtype."
            )
        if mode not in ("dtype", "frame"):
            raise ConfigError(f"range must be 'dtype' or 'frame', got {mode!r}. Correct the setting.")
        self.mode = mode
        self.percentiles = (low_percentile, high_percentile)
        self._ranges: list[tuple[float, float]] = []

    @property
    def dtype_range(self) -> tuple[float, float]:
        """Smallest and largest value written in mode "dtype"."""
        return (0.0, float(np.iinfo(self.dtype).max)) if self.dtype.kind == "u" else (0.0, 1.0)

    def apply(self, plane: NDArray, frame: NDArray | None = None) -> NDArray:
        """Map one plane.

        Parameters
        ----------
        plane : ndarray of shape (H, W)
            Values in [0, 1]; what lies outside is clipped.
        frame : ndarray of shape (H, W), optional
            The input's frame; needed by mode "frame".

        Returns
        -------
        ndarray of shape (H, W)
            The plane in the dtype; integers are rounded to the nearest.

        Raises
        ------
        ImageError
            If the plane is not finite, or mode "frame" gets no frame.
        """
        if not np.isfinite(plane).all():
            n_bad = int((~np.isfinite(plane)).sum())
            raise ImageError(f"result must be finite, got {n_bad} NaN or infinite pixels. Check the model.")
        low, high = self.dtype_range
        if self.mode == "frame":
            if frame is None:
                raise ImageError("frame must be given with range 'frame', got None. Pass the input's frame.")
            low, high = percentile_range(frame, *self.percentiles)
        self._ranges.append((low, high))
        mapped = np.empty(plane.shape, self.dtype)
        for start in range(0, plane.shape[0], _ROWS):
            values = np.clip(plane[start : start + _ROWS], 0, 1)
            if self.mode == "frame" or self.dtype.kind == "u":
                values = values.astype(np.float64) * (high - low) + low
            mapped[start : start + _ROWS] = np.rint(values) if self.dtype.kind == "u" else values
        return mapped

    @property
    def text(self) -> str:
        """One line for a file's description."""
        if self.mode == "dtype":
            low, high = self.dtype_range
            return f"[0, 1] mapped to [{low:g}, {high:g}]"
        low, high = self.percentiles
        return f"[0, 1] mapped to percentiles {low:g} and {high:g} of each input frame, listed in the JSON beside"

    @property
    def record(self) -> dict[str, Any]:
        """What the JSON beside the file says; ``ranges`` has one entry a plane unless all are the same."""
        ranges = self._ranges[:1] if len(set(self._ranges)) == 1 else self._ranges
        percentiles = {"percentiles": list(self.percentiles)} if self.mode == "frame" else {}
        return {
            "from": [0, 1],
            "mode": self.mode,
            **percentiles,
            "dtype": self.dtype.name,
            "ranges": [list(pair) for pair in ranges],
        }
