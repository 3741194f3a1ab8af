"""The generator taken apart into steps on strips."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from biostyle.inference.layer import convolution, enlargement, output, transposed_convolution
from biostyle.inference.strip import Step
from biostyle.models.resnet_generator import ResidualBlock, ResnetGenerator


class Stage(NamedTuple):
    """A convolution and the instance norm behind it.

    Attributes
    ----------
    name : str
        Dotted name of the norm in the generator.
    step : Step
        The convolution.
    n_channels : int
        Number of channels C that come out of it.
    eps : float
        What the norm adds to the variance.
    relu : bool
        Whether a ReLU follows.
    inner : bool
        Whether it is at a quarter of the frame's resolution, where keeping a layer is cheap.
    opens, closes : bool
        Whether it is the first, or the last, of a residual block.
    """

    name: str
    step: Step
    n_channels: int
    eps: float
    relu: bool
    inner: bool
    opens: bool = False
    closes: bool = False


def take_apart(generator: ResnetGenerator, dtype: torch.dtype) -> tuple[list[Stage], Step]:
    """Turn a generator into steps on strips.

    Parameters
    ----------
    generator : ResnetGenerator
        The generator.
    dtype : dtype
        To compute in.

    Returns
    -------
    stages : list of Stage
        Its normalised convolutions, in order.
    last : Step
        What turns the last features into an image in [0, 1].
    """
    stages: list[Stage] = []
    scale, doubled = 1, False
    last = step = None
    for index, layer in enumerate(generator.layers):
        name = f"layers.{index}"
        if isinstance(layer, ResidualBlock):
            stages += _block(layer, name, dtype)
        elif isinstance(layer, nn.InstanceNorm2d):
            assert step is not None
            stages.append(Stage(name, step, layer.num_features, layer.eps, relu=True, inner=scale == 4))
        elif isinstance(layer, nn.Upsample):
            doubled, scale = True, scale // 2
        elif isinstance(layer, nn.ConvTranspose2d):
            step, scale = transposed_convolution(layer, dtype), scale // 2
        elif isinstance(layer, nn.Conv2d):
            step, last = (enlargement if doubled else convolution)(layer, dtype), layer
            doubled, scale = False, scale * layer.stride[0]
    assert last is not None
    return stages, output(last, dtype)


def _block(block: ResidualBlock, name: str, dtype: torch.dtype) -> list[Stage]:
    """Both halves of a residual block."""
    stages = []
    for position in (0, 3):
        layer, norm = block.layers[position], block.layers[position + 1]
        assert isinstance(layer, nn.Conv2d)
        assert isinstance(norm, nn.InstanceNorm2d)
        first = position == 0
        stages.append(
            Stage(
                f"{name}.layers.{position + 1}",
                convolution(layer, dtype),
                norm.num_features,
                norm.eps,
                relu=first,
                inner=True,
                opens=first,
                closes=not first,
            )
        )
    return stages
