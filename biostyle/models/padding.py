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
    if torch.compiler.is_exporting():
        return _pad_any_size(images, below, right)
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
    # Of positive numbers, because ONNX rounds the quotients of negative ones up.
    return (torch.sym_max(length, smallest) + multiple - 1) // multiple * multiple  # type: ignore[return-value]


def _pad_any_size(images: torch.Tensor, below: int, right: int) -> torch.Tensor:
    """Pad in a graph that holds for all sizes: the same values, without a decision in Python."""
    height, width = images.shape[-2:]
    mirrored = (torch.full((), below) < torch.full((), height)) & (
        torch.full((), right) < torch.full((), width)
    )

    def positions(length: int, added: int) -> torch.Tensor:
        """Where each row or column comes from."""
        position = torch.arange(length + added, device=images.device)
        beyond = torch.where(mirrored, 2 * (length - 1) - position, length - 1)
        return torch.where(position < length, position, beyond).clamp_min(0)

    return images[..., positions(height, below), :][..., positions(width, right)]
