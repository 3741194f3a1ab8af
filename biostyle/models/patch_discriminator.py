"""The PatchGAN discriminator of CycleGAN."""

from __future__ import annotations

import torch
from torch import nn

from biostyle.models.resnet_generator import initialise_normal


class PatchDiscriminator(nn.Module):
    """Judge overlapping patches as real or translated.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    n_filters : int
        Number of filters of the first layer (64 in the paper).
    n_layers : int
        Number of stride-2 layers: 3 gives the 70 x 70 pixel receptive field of the paper, 2 gives 34 x 34.

    References
    ----------
    .. [1] Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
       CVPR 2017. :doi:`10.1109/CVPR.2017.632`
    """

    def __init__(self, in_channels: int = 1, n_filters: int = 64, n_layers: int = 3) -> None:
        super().__init__()
        self.arguments = {"in_channels": in_channels, "n_filters": n_filters, "n_layers": n_layers}
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, n_filters, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        n_in = n_filters
        for level in range(1, n_layers + 1):
            n_out = n_filters * min(2**level, 8)
            layers += [
                nn.Conv2d(n_in, n_out, 4, stride=2 if level < n_layers else 1, padding=1),
                nn.InstanceNorm2d(n_out),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            n_in = n_out
        layers.append(nn.Conv2d(n_in, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        self.apply(initialise_normal)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images in [0, 1].

        Returns
        -------
        Tensor of shape (N, 1, H', W')
            One unnormalised score a patch, float32; high means real.
        """
        return self.layers(images * 2 - 1).float()
