"""The segmenter on frames of any size: the whole frame's logits, tile by tile.

A U-Net in evaluation mode knows nothing of the frame but what its kernels reach, so a tile with a margin as wide as
that gives the very logits of the whole frame, if it begins where the pooling of the whole frame has a window begin.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from biostyle.inference.settings import InferenceSettings
from biostyle.models.unet import UNet

Prediction = Callable[[int, int], torch.Tensor]
_CHANNELS_ALIVE = 8  # times the filters: input, concatenation and output of the widest block
_SHARE = 0.25  # of the memory, for one tile
_LARGEST_PX = 4096


def prepare_for_inference(model: nn.Module) -> nn.Module:
    """Return a copy of a network that computes the same in less time.

    Batch norms behind a convolution become part of it, and weights lie channels last.

    Parameters
    ----------
    model : Module
        Any network.

    Returns
    -------
    Module
        A copy in evaluation mode, on the same device, equal up to rounding. It cannot be trained further.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for block in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for i in range(len(block) - 1):
            convolution, norm = block[i], block[i + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return model.to(memory_format=torch.channels_last)


def predict_rows(segmenter: UNet, images: torch.Tensor, settings: InferenceSettings) -> Prediction:
    """Compute the logits of a frame a few rows at a time.

    Parameters
    ----------
    segmenter : UNet
        In evaluation mode, on the device to compute on.
    images : Tensor of shape (1, C, H, W)
        In [0, 1], on any device.
    settings : InferenceSettings
        Precision, memory and the size of tiles.

    Returns
    -------
    callable
        From ``start, stop`` to the logits of these rows, shape (1, K, stop - start, W), on the segmenter's device:
        those of ``segmenter(images)`` to a relative error of 1e-5 in float32.
    """
    device = next(segmenter.parameters()).device
    height, width = images.shape[-2:]
    multiple, margin = 2 ** segmenter.arguments["depth"], reach_px(segmenter)
    tile = tile_px(segmenter, settings)

    def predict(start: int, stop: int) -> torch.Tensor:
        above, below = _window(start, stop, height, margin, multiple)
        parts = []
        for left in range(0, width, tile):
            right = min(left + tile, width)
            first, last = _window(left, right, width, margin, multiple)
            window = images[:, :, above:below, first:last].to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.dtype == torch.bfloat16):
                logits = segmenter(window)
            parts.append(logits[:, :, start - above : stop - above, left - first : right - first])
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=3)

    return predict


def reach_px(segmenter: UNet) -> int:
    """Return how far from a pixel the segmenter looks.

    Parameters
    ----------
    segmenter : UNet
        The network.

    Returns
    -------
    int
        In pixels: two 3x3 convolutions reach 2 · 2^l pixels at level l, on the way down and up, and the pooling
        window of the deepest level 2^depth more.

    Examples
    --------
    >>> reach_px(UNet(depth=4))
    108
    """
    depth = segmenter.arguments["depth"]
    return 4 * (2**depth - 1) + 3 * 2**depth


def tile_px(segmenter: UNet, settings: InferenceSettings) -> int:
    """Return the edge of a tile without its margin.

    Parameters
    ----------
    segmenter : UNet
        The network.
    settings : InferenceSettings
        With ``tile_px``, or memory to choose it from.

    Returns
    -------
    int
        In pixels: a tile with its margin takes a quarter of the memory, at 32 bytes a pixel for each filter.
    """
    if settings.tile_px is not None:
        return settings.tile_px
    memory = settings.memory_on(next(segmenter.parameters()).device)
    bytes_per_px = 4 * _CHANNELS_ALIVE * segmenter.arguments["n_filters"]
    edge = math.isqrt(int(_SHARE * memory) // bytes_per_px) - 2 * reach_px(segmenter)
    return min(max(edge, 64), _LARGEST_PX)


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut a frame into strips.

    Parameters
    ----------
    height : int
        Rows of the frame.
    rows : int
        Rows of a strip.

    Returns
    -------
    iterator of tuple of int
        First and last row, exclusive, of each.

    Examples
    --------
    >>> list(strips(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def _window(start: int, stop: int, length: int, margin: int, multiple: int) -> tuple[int, int]:
    """Extend a range by the margin, to where pooling windows begin, within the frame."""
    first = max(start - margin, 0) // multiple * multiple
    last = -(-(stop + margin) // multiple) * multiple
    return first, min(last, length)
