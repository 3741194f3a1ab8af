"""The generator's layers as steps on strips.

Each pads at the frame's own border and nowhere else, so the rows come out as if the whole frame had been there.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from biostyle.inference.strip import Step, Strip

_NEIGHBOURS = 8


def convolution(layer: nn.Conv2d, dtype: torch.dtype) -> Step:
    """Convolve with the layer's stride and padding.

    Parameters
    ----------
    layer : Conv2d
        With the same stride and padding along both axes, padding with zeros or reflected.
    dtype : dtype
        To compute in.

    Returns
    -------
    Step
        The convolution.
    """
    weight, bias = _parameters(layer, dtype)
    kernel, stride, padding = weight.shape[2], layer.stride[0], int(layer.padding[0])
    mode = "reflect" if layer.padding_mode == "reflect" else "constant"

    def height(n_rows: int) -> int:
        return (n_rows + 2 * padding - kernel) // stride + 1

    def apply(strip: Strip) -> Strip:
        values = F.conv2d(strip.padded(padding, mode), weight, bias, stride)
        start = 0 if strip.start == 0 else (strip.start + padding) // stride
        return Strip(values, start, height(strip.height))

    def needed(start: int, stop: int) -> tuple[int, int]:
        return start * stride - padding, (stop - 1) * stride - padding + kernel

    return Step(apply, needed, height)


def output(layer: nn.Conv2d, dtype: torch.dtype) -> Step:
    """Convolve for the last time and bring the tanh of it to [0, 1].

    A convolution to one channel leaves most of a processor's vector unit idle. A kernel widened by seven zeros
    computes eight neighbouring pixels as eight channels, which lie in memory just as the pixels do.

    Parameters
    ----------
    layer : Conv2d
        Of stride 1, reflected.
    dtype : dtype
        To compute in.

    Returns
    -------
    Step
        The convolution and the tanh, in float32.
    """
    weight, bias = _parameters(layer, dtype)
    n_channels, kernel, padding = weight.shape[0], weight.shape[2], int(layer.padding[0])
    wide = torch.cat([F.pad(weight, (i, _NEIGHBOURS - 1 - i)) for i in range(_NEIGHBOURS)])
    wide, bias = wide.contiguous(memory_format=torch.channels_last), bias.repeat(_NEIGHBOURS)

    def apply(strip: Strip) -> Strip:
        width = strip.values.shape[3]
        values = strip.padded(padding, "reflect")
        if width % _NEIGHBOURS:
            values = F.pad(values, (0, -width % _NEIGHBOURS))
        values = F.conv2d(values, wide, bias, (1, _NEIGHBOURS)).permute(0, 2, 3, 1)
        values = values.reshape(1, values.shape[1], -1, n_channels).permute(0, 3, 1, 2)[..., :width]
        start = 0 if strip.start == 0 else strip.start + padding
        return Strip((torch.tanh(values.float()) + 1) / 2, start, strip.height)

    def needed(start: int, stop: int) -> tuple[int, int]:
        return start - padding, stop - padding + kernel - 1

    return Step(apply, needed, _same)


def enlargement(layer: nn.Conv2d, dtype: torch.dtype) -> Step:
    """Double the size by nearest neighbours and convolve, as one 4x4 transposed convolution.

    Each pixel of the result sees 2x2 different pixels only, so the weights that meet the same pixel are added first:
    4 products instead of 9, and the doubled layer is never made. Its reflected border is a repeated border of the
    small one.

    Parameters
    ----------
    layer : Conv2d
        The convolution behind the doubling: 3x3, stride 1, reflected.
    dtype : dtype
        To compute in.

    Returns
    -------
    Step
        Doubling and convolution.
    """
    weight, bias = layer.weight.double().transpose(0, 1), _parameters(layer, dtype)[1]
    for axis in (2, 3):
        first, second, third = weight.unbind(axis)
        weight = torch.stack([third, second + third, first + second, first], axis)
    weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)

    def apply(strip: Strip) -> Strip:
        values = F.conv_transpose2d(strip.padded(1, "replicate"), weight, bias, stride=2, padding=3)
        start = 0 if strip.start == 0 else 2 * strip.start + 2
        return Strip(values, start, 2 * strip.height)

    def needed(start: int, stop: int) -> tuple[int, int]:
        return start // 2 - 1, (stop + 1) // 2 + 1

    return Step(apply, needed, _doubled)


def transposed_convolution(layer: nn.ConvTranspose2d, dtype: torch.dtype) -> Step:
    """Double the size as the paper does.

    Parameters
    ----------
    layer : ConvTranspose2d
        3x3, stride 2, padding and output padding 1.
    dtype : dtype
        To compute in.

    Returns
    -------
    Step
        The transposed convolution.
    """
    weight, bias = _parameters(layer, dtype)

    def apply(strip: Strip) -> Strip:
        values = F.conv_transpose2d(strip.values, weight, bias, stride=2, padding=1, output_padding=1)
        if not strip.reaches_bottom:  # the last row also depends on the row below
            values = values[:, :, :-1]
        return Strip(values, 2 * strip.start, 2 * strip.height)

    def needed(start: int, stop: int) -> tuple[int, int]:
        return start // 2, stop // 2 + 1

    return Step(apply, needed, _doubled)


def normalisation(mean: torch.Tensor, variance: torch.Tensor, eps: float, relu: bool) -> Step:
    """Normalise with known statistics, as an instance norm does with its own.

    Parameters
    ----------
    mean, variance : Tensor of shape (C,)
        Of each channel, float64.
    eps : float
        Added to the variance.
    relu : bool
        Whether a ReLU follows.

    Returns
    -------
    Step
        The normalisation.
    """
    shift = mean.float()[:, None, None]
    scale = (variance + eps).rsqrt().float()[:, None, None]

    def apply(strip: Strip) -> Strip:
        values = (strip.values - shift).mul_(scale)
        if relu:
            values.relu_()
        return strip._replace(values=values.to(strip.values.dtype))

    return Step(apply, lambda start, stop: (start, stop), _same)


def _parameters(
    layer: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and bias in the type and the memory format to compute in."""
    weight = layer.weight.to(dtype).contiguous(memory_format=torch.channels_last)
    bias = weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias.to(dtype)
    return weight, bias


def _same(n_rows: int) -> int:
    """Keep the number of rows."""
    return n_rows


def _doubled(n_rows: int) -> int:
    """Double the number of rows."""
    return 2 * n_rows
