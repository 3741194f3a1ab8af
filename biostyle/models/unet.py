"""The U-Net that segments."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from biostyle.models.padding import pad_to_multiple


def _double_convolution(n_in: int, n_out: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and a ReLU."""
    layers: list[nn.Module] = []
    for n_channels in (n_in, n_out):
        layers += [
            nn.Conv2d(n_channels, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Encoder and decoder with skip connections.

    Differs from the paper in three ways that have become usual: convolutions keep their size (so no cropping of the
    skips), batch normalisation follows each of them, and the decoder resizes before it convolves.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    n_classes : int
        Number of classes K, background included.
    n_filters : int
        Number of filters at full resolution; doubled at each level.
    depth : int
        Number of times the resolution is halved.

    References
    ----------
    .. [1] Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
       MICCAI 2015. :doi:`10.1007/978-3-319-24574-4_28`
    """

    def __init__(self, in_channels: int = 1, n_classes: int = 2, n_filters: int = 16, depth: int = 4) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "n_classes": n_classes,
            "n_filters": n_filters,
            "depth": depth,
        }
        widths = [n_filters * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            _double_convolution(n_in, n_out)
            for n_in, n_out in zip([in_channels, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            _double_convolution(widths[level + 1] + widths[level], widths[level])
            for level in reversed(range(depth))
        )
        self.head = nn.Conv2d(n_filters, n_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images in [0, 1], of any size.

        Returns
        -------
        Tensor of shape (N, K, H, W)
            Unnormalised class scores, float32.
        """
        height, width = images.shape[-2:]
        features = pad_to_multiple(images * 2 - 1, 2 ** len(self.decoder))
        skips = []
        for level, block in enumerate(self.encoder):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            enlarged = F.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([enlarged, skips.pop()], dim=1))
        return self.head(features)[..., :height, :width].float()
