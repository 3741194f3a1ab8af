"""Gaussian blur of any width, for images of any size."""

from __future__ import annotations

import torch


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
    Each axis is one matrix product, so the cost does not depend on the width.

    Examples
    --------
    >>> gaussian_blur(torch.ones(1, 1, 3, 2), 50.0).mean().item()
    1.0
    """
    rows, columns = (_blur_matrix(size, sigma_px, images) for size in images.shape[-2:])
    return rows @ images @ columns.T


def _blur_matrix(size: int, sigma_px: float, like: torch.Tensor) -> torch.Tensor:
    """Weights of every input position for every output position; each row sums to 1."""
    position = torch.arange(size, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * ((position[:, None] - position[None, :]) / sigma_px) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
