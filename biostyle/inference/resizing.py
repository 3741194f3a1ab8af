"""Antialiased bilinear resizing of a strip of rows, as if the whole image had been there."""

from __future__ import annotations

import numpy as np
import torch

from biostyle.data.preprocessing import resize
from biostyle.types import NDArray


def needed_rows(n_in: int, n_out: int, start: int, stop: int) -> tuple[int, int]:
    """Return which rows of the input rows ``start`` to ``stop`` of the output depend on.

    Parameters
    ----------
    n_in, n_out : int
        Rows of the whole input and output.
    start, stop : int
        Rows of the output.

    Returns
    -------
    tuple of int
        First and last row, exclusive.

    Examples
    --------
    >>> needed_rows(8, 8, 2, 4), needed_rows(4, 8, 2, 4)
    ((2, 4), (0, 3))
    """
    if n_in == n_out:
        return start, stop
    scale = n_in / n_out
    reach = max(scale, 1.0)
    first = max(int(scale * (start + 0.5) - reach + 0.5), 0)
    return first, min(int(scale * (stop - 0.5) + reach + 0.5), n_in)


def resize_rows(
    band: torch.Tensor, first: int, size_in: tuple[int, int], size_out: tuple[int, int], start: int, stop: int
) -> torch.Tensor:
    """Compute some rows of :func:`biostyle.data.preprocessing.resize`.

    Parameters
    ----------
    band : Tensor of shape (N, C, rows, W)
        Those rows of the input that :func:`needed_rows` names, float32.
    first : int
        The first of them.
    size_in, size_out : tuple of int
        Height and width of the whole input and output, in pixels.
    start, stop : int
        Rows of the output.

    Returns
    -------
    Tensor of shape (N, C, stop - start, W')
        The resized rows.
    """
    band = resize(band, (band.shape[2], size_out[1]))
    if size_in[0] == size_out[0]:
        return band
    weights = _weights(first, band.shape[2], size_in[0] / size_out[0], np.arange(start, stop))
    return torch.from_numpy(weights).to(band) @ band


def _weights(first: int, n_rows: int, scale: float, out: NDArray) -> NDArray:
    """Weights of the band's rows for each row of the output: a triangle over one output row, at least two rows."""
    distance = first + np.arange(n_rows) + 0.5 - scale * (out[:, None] + 0.5)
    weights = np.clip(1 - np.abs(distance) / max(scale, 1.0), 0, None)
    return weights / weights.sum(axis=1, keepdims=True)
