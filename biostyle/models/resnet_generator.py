"""The residual generator of CycleGAN."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from biostyle.models.padding import pad_to_multiple

# Two halvings; the reflected padding of the first layer and of the blocks needs this much to mirror.
MULTIPLE, SMALLEST = 4, 8


def initialise_normal(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02²) and set biases to zero, as CycleGAN does.

    Parameters
    ----------
    module : Module
        One module; pass the function to ``Module.apply`` for a network.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ResidualBlock(nn.Module):
    """Two reflected 3x3 convolutions with instance normalisation, added to their input.

    Parameters
    ----------
    n_channels : int
        Number of channels that come in and go out.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, n_channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(n_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_channels, n_channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(n_channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Refine features.

        Parameters
        ----------
        features : Tensor of shape (N, C, H, W)
            Any values, at least 2 pixels high and wide.

        Returns
        -------
        Tensor of shape (N, C, H, W)
            Their sum with what the layers make of them.
        """
        return features + self.layers(features)


def _upsampling(decoder: str, n_in: int, n_out: int) -> list[nn.Module]:
    """Double the resolution, by a transposed convolution or by resizing and convolving."""
    if decoder == "transpose":
        return [nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)]
    return [
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(n_in, n_out, 3, padding=1, padding_mode="reflect"),
    ]


class ResnetGenerator(nn.Module):
    """Translate images from one domain to the other.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images that come in.
    out_channels : int
        Number of channels of the images that go out.
    n_filters : int
        Number of filters at full resolution (64 in the paper).
    n_blocks : int
        Number of residual blocks (9 in the paper for 256 x 256 images, 6 for 128 x 128).
    decoder : {"transpose", "resize"}
        How the decoder enlarges: transposed convolutions as in the paper, or nearest-neighbour resizing followed by
        a convolution, which leaves no checkerboard [2]_.

    References
    ----------
    .. [1] Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
       Networks", ICCV 2017. :doi:`10.1109/ICCV.2017.244`
    .. [2] Odena, Dumoulin and Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
       :doi:`10.23915/distill.00003`
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        n_filters: int = 64,
        n_blocks: int = 9,
        decoder: Literal["transpose", "resize"] = "transpose",
    ) -> None:
        super().__init__()
        self.arguments = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "n_filters": n_filters,
            "n_blocks": n_blocks,
            "decoder": decoder,
        }
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, n_filters, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(n_filters),
            nn.ReLU(inplace=True),
        ]
        for n_in in (n_filters, 2 * n_filters):
            layers += [
                nn.Conv2d(n_in, 2 * n_in, 3, stride=2, padding=1),
                nn.InstanceNorm2d(2 * n_in),
                nn.ReLU(inplace=True),
            ]
        layers += [ResidualBlock(4 * n_filters) for _ in range(n_blocks)]
        for n_out in (2 * n_filters, n_filters):
            layers += [
                *_upsampling(decoder, 2 * n_out, n_out),
                nn.InstanceNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
        layers.append(nn.Conv2d(n_filters, out_channels, 7, padding=3, padding_mode="reflect"))
        self.layers = nn.Sequential(*layers)
        self.apply(initialise_normal)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Translate a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images in [0, 1], of any size.

        Returns
        -------
        Tensor of shape (N, C', H, W)
            Images in [0, 1], float32.
        """
        height, width = images.shape[-2:]
        translated = self.layers(pad_to_multiple(images * 2 - 1, MULTIPLE, SMALLEST))[..., :height, :width]
        return (torch.tanh(translated.float()) + 1) / 2
