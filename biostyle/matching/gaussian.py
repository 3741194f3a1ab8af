"""Gaussian blur of any width, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

_WHOLE_PX = 4096
_BLOCK_PX = 512
_REACH = 7


def gaussian_blur(images: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Blur with a Gaussian that is renormalised where it reaches over the border.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        Any floating values.
    sigma_px : float
        Standard deviation, in pixels, greater than 0; may exceed the image.

    Returns
    -------
    Tensor of shape (N, C, H, W)
        The blurred images; a constant stays what it is.

    Notes
    -----
    Each axis is one matrix product, so the cost of frames up to 4096 px a side does not depend on the width. Larger ones are
    cut into blocks, whose matrices leave out the weights that float32 would lose: those beyond seven standard deviations.

    Examples
    --------
    >>> gaussian_blur(torch.ones(1, 1, 3, 2), 50.0).mean().item()
    1.0
    """
    height, width = images.shape[-2:]
    if torch.compiler.is_exporting() or max(height, width) <= _WHOLE_PX:
        rows, columns = (_weights((0, size), (0, size), sigma_px, images) for size in (height, width))
        return rows @ images @ columns.T
    blurred = torch.empty_like(images)
    for top, bottom, first, last in _blocks(height, sigma_px):
        rows = _weights((top, bottom), (first, last), sigma_px, images) @ images[..., first:last, :]
        for left, right, start, stop in _blocks(width, sigma_px):
            columns = _weights((left, right), (start, stop), sigma_px, images)
            blurred[..., top:bottom, left:right] = rows[..., start:stop] @ columns.T
    return blurred


def _blocks(size: int, sigma_px: float) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of each block of output positions, and of the input positions that it depends on."""
    reach = math.ceil(_REACH * sigma_px)
    for start in range(0, size, _BLOCK_PX):
        stop = min(start + _BLOCK_PX, size)
        yield start, stop, max(start - reach, 0), min(stop + reach, size)


def _weights(
    out: tuple[int, int], given: tuple[int, int], sigma_px: float, like: torch.Tensor
) -> torch.Tensor:
    """Weights of input positions for each of some output positions; each row sums to 1."""
    at, position = (torch.arange(*span, dtype=like.dtype, device=like.device) for span in (out, given))
    weights = torch.exp(-0.5 * ((at[:, None] - position[None, :]) / sigma_px) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
