"""A U-Net that restores images, and begins by changing nothing."""

from __future__ import annotations

import torch
from torch import nn

from biostyle.models.unet import UNet


class ResidualUNet(nn.Module):
    """Add what a U-Net makes of an image to the image.

    Its skip connections hand fine detail on, and its lowest level sees how the light falls on the whole image. The last
    convolution starts at zero, so an untrained network returns its input.

    Parameters
    ----------
    n_channels : int
        Number of channels of the images.
    n_filters : int
        Number of filters at full resolution; doubled at each level.
    depth : int
        Number of times the resolution is halved.

    Examples
    --------
    >>> images = torch.rand(1, 3, 16, 16)
    >>> torch.equal(ResidualUNet(3, 4, 1)(images), images)
    True
    """

    def __init__(self, n_channels: int = 3, n_filters: int = 16, depth: int = 4) -> None:
        super().__init__()
        self.arguments = {"n_channels": n_channels, "n_filters": n_filters, "depth": depth}
        self.unet = UNet(n_channels, n_channels, n_filters, depth)
        for parameter in self.unet.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Restore a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images in [0, 1], of any size.

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1], float32.
        """
        return (images + self.unet(images)).clamp(0, 1)
