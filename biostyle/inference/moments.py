"""Mean and variance of each channel, gathered piece by piece."""

from __future__ import annotations

import torch


class ChannelMoments:
    """Mean and variance of each channel over pieces of any sizes, as if all had been there at once.

    Each piece is reduced on its own, around its own mean, and combined in float64 [1]_: no large sums cancel, so the
    result does not depend on how a frame is cut beyond rounding.

    Parameters
    ----------
    n_channels : int
        Number of channels C.
    device : device
        Where the pieces are.

    References
    ----------
    .. [1] Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and Recommendations",
       The American Statistician 37, 1983. :doi:`10.1080/00031305.1983.10483115`

    Examples
    --------
    >>> import torch
    >>> moments = ChannelMoments(1, torch.device("cpu"))
    >>> moments.add(torch.tensor([[[[1.0, 2.0]]]]))
    >>> moments.add(torch.tensor([[[[6.0]]]]))
    >>> moments.mean.item(), round(moments.variance.item(), 4)
    (3.0, 4.6667)
    """

    def __init__(self, n_channels: int, device: torch.device) -> None:
        self.n_pixels = 0
        self.mean = torch.zeros(n_channels, dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self.mean)

    def add(self, values: torch.Tensor) -> None:
        """Take in one piece.

        Parameters
        ----------
        values : Tensor of shape (N, C, H, W)
            Any floating values.
        """
        pixels = values.permute(0, 2, 3, 1).flatten(0, 2).float()
        n_new = pixels.shape[0]
        center = pixels.mean(0)
        deviation = pixels - center
        offset = deviation.mean(0).double()  # what the rounded mean is off by
        squares = deviation.square_().sum(0).double() - n_new * offset.square()
        n_pixels = self.n_pixels + n_new
        step = center.double() + offset - self.mean
        self._squares += squares + step.square() * (self.n_pixels * n_new / n_pixels)
        self.mean += step * (n_new / n_pixels)
        self.n_pixels = n_pixels

    @property
    def variance(self) -> torch.Tensor:
        """Variance of each channel, divided by the number of pixels, shape (C,), float64."""
        return self._squares / self.n_pixels
