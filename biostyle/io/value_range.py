"""Bring values in [0, 1] back to a file's dtype, and keep a record of how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biostyle.errors import ConfigError, ImageError
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


@dataclass(frozen=True)
class RangeMapping:
    """Map planes in [0, 1] to a dtype: to the whole range of an integer one; float32 stays in [0, 1].

    Parameters
    ----------
    dtype : numpy.dtype
        uint8, uint16 or float32.

    Raises
    ------
    ConfigError
        If it is another one.

    Examples
    --------
    >>> mapping = RangeMapping(np.dtype("uint16"))
    >>> mapping.apply(np.array([[0.0, 0.5, 1.0]], np.float32))
    array([[    0, 32768, 65535]], dtype=uint16)
    """

    dtype: np.dtype

    def __post_init__(self) -> None:
        """Refuse other types."""
        if self.dtype.name not in IMAGE_DTYPES:
            raise ConfigError(
                f"dtype must be one of {', '.join(IMAGE_DTYPES)}, got {self.dtype}. Correct --dtype."
            )

    @property
    def high(self) -> float:
        """What 1 becomes; 0 stays 0."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind == "u" else 1.0

    def apply(self, plane: NDArray) -> NDArray:
        """Map one plane.

        Parameters
        ----------
        plane : ndarray of shape (H, W)
            Values in [0, 1]; what lies outside is clipped.

        Returns
        -------
        ndarray of shape (H, W)
            The plane in the dtype; integers are rounded to the nearest.

        Raises
        ------
        ImageError
            If the plane is not finite.
        """
        if not np.isfinite(plane).all():
            n_bad = int((~np.isfinite(plane)).sum())
            raise ImageError(f"result must be finite, got {n_bad} NaN or infinite pixels. Check the model.")
        mapped = np.empty(plane.shape, self.dtype)
        for start in range(0, plane.shape[0], _ROWS):
            values = np.clip(plane[start : start + _ROWS], 0, 1)
            if self.dtype.kind == "u":
                values = np.rint(values.astype(np.float64) * self.high)
            mapped[start : start + _ROWS] = values
        return mapped

    @property
    def text(self) -> str:
        """One line for a file's description."""
        return f"[0, 1] mapped to [0, {self.high:g}]"

    @property
    def record(self) -> dict[str, Any]:
        """What the JSON beside the file says."""
        return {"from": [0, 1], "to": [0, self.high], "dtype": self.dtype.name}
