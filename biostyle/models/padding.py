"""Padding to a size a network with strides can halve evenly."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def pad_to_multiple(images: torch.Tensor, multiple: int, smallest: int = 1) -> torch.Tensor:
    """Pad on the right and below until height and width divide evenly.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        Any images.
    multiple : int
        What height and width must be a multiple of.
    smallest : int
        What height and width must at least be, in pixels.

    Returns
    -------
    Tensor of shape (N, C, H', W')
        The images with their border mirrored, or repeated where the image is too small to be mirrored.

    Examples
    --------
    >>> import torch
    >>> pad_to_multiple(torch.zeros(1, 1, 5, 8), 4).shape
    torch.Size([1, 1, 8, 8])
    """
    height, width = images.shape[-2:]
    below, right = (padded_length(n, multiple, smallest) - n for n in (height, width))
    if not below and not right:
        return images
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, below), mode=mode)


def padded_length(length: int, multiple: int, smallest: int = 1) -> int:
    """Return the height or width that :func:`pad_to_multiple` pads to.

    Parameters
    ----------
    length : int
        Height or width, in pixels.
    multiple : int
        What it must be a multiple of.
    smallest : int
        What it must at least be, in pixels.

    Returns
    -------
    int
        In pixels.

    Examples
    --------
    >>> padded_length(13, 4), padded_length(1, 4, smallest=8)
    (16, 8)
    """
    return -(-max(length, smallest) // multiple) * multiple
