"""Adapt a segmenter without training it: batch normalisation is told what B's features are like."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn import functional as F

from biostyle.adaptation import foreground

_LEAST_SHARE = 1e-6  # of foreground and of background, so that neither weighs nothing


class BatchStatisticsSettings(BaseModel):
    """How far a segmenter's batch normalisation is moved.

    Attributes
    ----------
    n_frames : int
        Training frames of each domain, evenly spaced, that are looked at.
    share_b : float
        Share of B in the statistics, in (0, 1]: at 1, A's are forgotten.
    """

    model_config = ConfigDict(extra="forbid")

    n_frames: int = Field(8, ge=1)
    share_b: float = Field(0.5, gt=0, le=1)


@torch.no_grad()
def adapt_batch_statistics(
    segmenter: nn.Module,
    frames: Sequence[torch.Tensor],
    foreground_share_a: float,
    share_b: float,
    trained_on_a: float = 1.0,
) -> bool:
    """Mix the means and variances that batch normalisation divides by with those of other frames.

    Parameters
    ----------
    segmenter : Module
        A Segmenter in evaluation mode; changed in place.
    frames : sequence of Tensor of shape (1, C, H, W)
        Frames of B as the segmenter is to see them, on its device.
    foreground_share_a : float
        Share of the foreground in frames of A, in [0, 1].
    share_b : float
        Share of ``frames`` in the mixture, in (0, 1].
    trained_on_a : float
        Share of A in what the segmenter was trained on, in [0, 1]; the rest was B.

    Returns
    -------
    bool
        False where the segmenter has no such layer; it is then as it was.

    Notes
    -----
    Statistics of B instead of A's are adaptive batch normalisation [1]_, and mixtures of both do better where there are few
    frames [2]_. Both take for granted that the two domains hold as much foreground. Where B is confluent and A is not, its
    features differ for that reason alone, and to normalise the difference away makes cells background. So pixels are
    weighted here until what the segmenter itself calls foreground has the share that it had in training: with foreground
    probability p, mean p̄ over ``frames``, share a in A and share t of A in training, that is s = t a + (1 - t) p̄, and a pixel
    weighs p s/p̄ + (1 - p)(1 - s)/(1 - p̄).

    References
    ----------
    .. [1] Li, Wang, Shi, Hou and Liu, "Adaptive Batch Normalization for Practical Domain Adaptation", Pattern Recognition 80,
       2018. :doi:`10.1016/j.patcog.2018.03.005`
    .. [2] Schneider, Rusak, Eck, Bringmann, Brendel and Bethge, "Improving Robustness Against Common Corruptions by Covariate
       Shift Adaptation", NeurIPS 2020. :doi:`10.48550/arXiv.2006.16971`
    """
    layers = [
        module
        for module in segmenter.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]
    if not layers:
        return False
    probs = [foreground(segmenter, frame) for frame in frames]
    found_share = sum(prob.mean().item() for prob in probs) / len(probs)
    known_share = trained_on_a * foreground_share_a + (1 - trained_on_a) * found_share
    known, share = (min(max(value, _LEAST_SHARE), 1 - _LEAST_SHARE) for value in (known_share, found_share))
    found: dict[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]] = {layer: [] for layer in layers}

    def measure(layer: nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor | None:
        features = inputs[0].float()
        if features.shape[-2:] == (1, 1):  # one position has no variance
            return None
        weight = F.adaptive_avg_pool2d(weights, (features.shape[-2], features.shape[-1]))
        weight = weight / weight.sum()
        mean = (features * weight).sum((0, 2, 3))
        variance = ((features - mean[:, None, None]) ** 2 * weight).sum((0, 2, 3))
        found[layer].append((mean, variance))
        return F.batch_norm(features, mean, variance, layer.weight, layer.bias, eps=layer.eps)  # type: ignore[arg-type]

    hooks = [layer.register_forward_hook(measure) for layer in layers]
    for frame, prob in zip(frames, probs, strict=True):
        weights = prob * known / share + (1 - prob) * (1 - known) / (1 - share)
        segmenter(frame)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        if found[layer]:
            mean, variance = (torch.stack(each).mean(0) for each in zip(*found[layer], strict=True))
            layer.running_mean.lerp_(mean, share_b)  # type: ignore[union-attr]
            layer.running_var.lerp_(variance, share_b)  # type: ignore[union-attr]
    return True
