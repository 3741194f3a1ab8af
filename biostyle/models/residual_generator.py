"""A generator that begins by changing nothing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from biostyle.models.resnet_generator import ResnetGenerator


class ResidualGenerator(nn.Module):
    """Add what a residual generator makes to the image it is made from.

    The last convolution starts at zero, so an untrained network returns its input: what stands before it, such as
    deterministic matching, is the starting point, and bright and dark are not exchanged by chance.

    Parameters
    ----------
    n_channels : int
        Number of channels of the images.
    n_filters : int
        Number of filters at full resolution.
    n_blocks : int
        Number of residual blocks.
    decoder : {"transpose", "resize"}
        How the decoder enlarges; see :class:`~biostyle.models.resnet_generator.ResnetGenerator`.

    Examples
    --------
    >>> images = torch.rand(1, 1, 16, 16)
    >>> torch.equal(ResidualGenerator(1, 4, 1)(images), images)
    True
    """

    def __init__(
        self,
        n_channels: int = 1,
        n_filters: int = 64,
        n_blocks: int = 9,
        decoder: Literal["transpose", "resize"] = "resize",
    ) -> None:
        super().__init__()
        self.arguments = {
            "n_channels": n_channels,
            "n_filters": n_filters,
            "n_blocks": n_blocks,
            "decoder": decoder,
        }
        self.generator = ResnetGenerator(n_channels, n_channels, n_filters, n_blocks, decoder)
        last = self.generator.layers[-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Translate a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images of one domain in [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            The same images in the other domain's look, in [0, 1].
        """
        return (images + (2 * self.generator(images) - 1)).clamp(0, 1)
