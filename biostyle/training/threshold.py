"""Choose the probability from which on a pixel is foreground, and build it into the segmenter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from biostyle.adaptation import foreground
from biostyle.errors import ConfigError, SplitError
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet
from biostyle.types import NOT_ANNOTATED

THRESHOLDS = tuple(percent / 100 for percent in range(5, 100, 5))


@torch.inference_mode()
def choose_threshold(
    segmenter: UNet | DeepLab,
    images: Sequence[torch.Tensor],
    masks: Sequence[torch.Tensor],
    device: torch.device,
) -> float:
    """Return the threshold with the highest mean Jaccard index over validation images.

    Parameters
    ----------
    segmenter : UNet or DeepLab
        In evaluation mode, on ``device``.
    images : sequence of Tensor of shape (C, H, W)
        Validation images in [0, 1]: neither trained on nor tested on.
    masks : sequence of Tensor of shape (H, W)
        Their class indices, uint8; 255 is not annotated.
    device : device
        Where to compute.

    Returns
    -------
    float
        One of .05, .10, …, .95; among equals the one nearest to a half.

    Raises
    ------
    SplitError
        If there are no images.
    """
    if not images:
        raise SplitError("validation set must hold at least one image, got 0. Check the split.")
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64)
    total = torch.zeros_like(thresholds)
    for image, mask in zip(images, masks, strict=True):
        annotated = mask.to(device) != NOT_ANNOTATED
        probs = foreground(segmenter, image[None].to(device))[0, 0][annotated].double()
        truth = mask.to(device)[annotated] == 1
        found = probs > thresholds.to(device)[:, None]
        overlap, union = (found & truth).sum(dim=1), (found | truth).sum(dim=1)
        total += torch.where(union > 0, overlap / union.clamp_min(1), 1.0).cpu()
    best = total.max().item()
    equals = [t for t, sum_ in zip(THRESHOLDS, total.tolist(), strict=True) if math.isclose(sum_, best)]
    return min(equals, key=lambda threshold: abs(threshold - 0.5))


@torch.no_grad()
def build_in_threshold(segmenter: UNet | DeepLab, threshold: float) -> None:
    """Shift a segmenter's scores so that a foreground probability of one half is the threshold.

    Whatever comes after it then needs to know of no threshold.

    Parameters
    ----------
    segmenter : UNet or DeepLab
        Changed in place: the background's score is lowered by log((1 - t) / t).
    threshold : float
        The threshold t, between 0 and 1.

    Raises
    ------
    ConfigError
        If the threshold is not between 0 and 1.

    Examples
    --------
    >>> network = UNet(1, 2, n_filters=2, depth=1).eval()
    >>> images = torch.rand(1, 1, 8, 8)
    >>> before = foreground(network, images) > 0.3
    >>> build_in_threshold(network, 0.3)
    >>> torch.equal(foreground(network, images) > 0.5, before)
    True
    """
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold must lie between 0 and 1, got {threshold}. Give a probability.")
    bias = segmenter.head.bias
    assert bias is not None
    bias[0] -= math.log((1 - threshold) / threshold)


def fit_threshold(
    segmenter: nn.Module,
    images: Sequence[torch.Tensor],
    masks: Sequence[torch.Tensor],
    device: torch.device,
) -> float:
    """Choose the threshold on validation images, and build it in.

    Parameters
    ----------
    segmenter : Module
        A network of this package, in evaluation mode, on ``device``; changed in place.
    images, masks : sequence of Tensor
        As :func:`choose_threshold` takes them.
    device : device
        Where to compute.

    Returns
    -------
    float
        What :func:`choose_threshold` returned.

    Raises
    ------
    SplitError
        If there are no images.
    """
    assert isinstance(segmenter, UNet | DeepLab)  # whatever is trained is one of them
    threshold = choose_threshold(segmenter, images, masks, device)
    build_in_threshold(segmenter, threshold)
    return threshold
