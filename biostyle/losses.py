"""What training minimises.

In: network outputs and targets. Out: one scalar tensor. Weights, optimisers and schedules never live here.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from biostyle.types import NOT_ANNOTATED

AdversarialLoss = Literal["lsgan", "log"]
Reconstruction = Literal["l1", "l2"]


def adversarial_loss(scores: torch.Tensor, real: bool, kind: AdversarialLoss) -> torch.Tensor:
    """Distance of a discriminator's scores from "all real" or "all translated".

    Parameters
    ----------
    scores : Tensor
        Unnormalised discriminator scores of any shape.
    real : bool
        Whether the scores are to say "real". The generator asks for ``real=True`` of its own images.
    kind : {"lsgan", "log"}
        Least squares [1]_, or the logarithmic loss in its non-saturating form [2]_.

    Returns
    -------
    Tensor
        A scalar.

    Notes
    -----
    With target ``t`` in {0, 1}: ``mean((s - t)²)`` or ``-mean(t log σ(s) + (1 - t) log(1 - σ(s)))``.

    References
    ----------
    .. [1] Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017. :doi:`10.1109/ICCV.2017.304`
    .. [2] Goodfellow et al., "Generative Adversarial Networks", 2014. :doi:`10.1145/3422622`

    Examples
    --------
    >>> adversarial_loss(torch.tensor([0.0, 1.0]), True, "lsgan").item()
    0.5
    """
    target = torch.full_like(scores, float(real))
    if kind == "lsgan":
        return F.mse_loss(scores, target)
    return F.binary_cross_entropy_with_logits(scores, target)


def cycle_loss(reconstructed: torch.Tensor, images: torch.Tensor, kind: Reconstruction) -> torch.Tensor:
    """Mean absolute or squared difference, used for cycle consistency and identity.

    Parameters
    ----------
    reconstructed : Tensor of shape (N, C, H, W)
        What came back, in [0, 1].
    images : Tensor of shape (N, C, H, W)
        What went in, in [0, 1].
    kind : {"l1", "l2"}
        Absolute differences, as in the paper, or their squares.

    Returns
    -------
    Tensor
        A scalar. Differences are doubled, because the paper's weights (λ = 10) refer to images in [-1, 1].

    Notes
    -----
    The gradient of absolute differences is as large for the smallest change as for the largest. Two generators that begin as
    the identity pay no less than that for their first step, which is more than a discriminator offers for it, and remain the
    identity. Squares cost next to nothing near zero, and only what does not come back.

    References
    ----------
    .. [1] Zhu et al., ICCV 2017, equation 2. :doi:`10.1109/ICCV.2017.244`

    Examples
    --------
    >>> images, shifted = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.25)
    >>> cycle_loss(images, shifted, "l1").item(), cycle_loss(images, shifted, "l2").item()
    (0.5, 0.25)
    """
    if kind == "l1":
        return 2 * F.l1_loss(reconstructed, images)
    return 4 * F.mse_loss(reconstructed, images)


def gradient_loss(images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between two images' differences of neighbouring pixels.

    Parameters
    ----------
    images, wanted : Tensor of shape (N, C, H, W)
        In [0, 1].

    Returns
    -------
    Tensor
        A scalar, the sum over both directions. Blur costs more than in a difference of pixels, and a change of brightness
        nothing.

    References
    ----------
    .. [1] Mathieu, Couprie and LeCun, "Deep multi-scale video prediction beyond mean square error", ICLR 2016,
       equation 6 with an exponent of 2, https://arxiv.org/abs/1511.05440

    Examples
    --------
    >>> edge = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    >>> gradient_loss(edge / 2, edge).item()
    0.25
    """
    terms = [F.mse_loss(images.diff(dim=axis), wanted.diff(dim=axis)) for axis in (-2, -1)]
    return torch.stack(terms).sum()


def dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice coefficient of the foreground classes, pooled over the batch.

    Parameters
    ----------
    logits : Tensor of shape (N, K, H, W)
        Unnormalised class scores.
    target : Tensor of shape (N, H, W)
        Class indices, int64; 255 is not annotated and does not count.

    Returns
    -------
    Tensor
        A scalar in [0, 1].

    Notes
    -----
    ``1 - mean_k (2 Σ p t + 1) / (Σ p + Σ t + 1)``; the ones keep an empty batch defined.

    References
    ----------
    .. [1] Milletari, Navab and Ahmadi, "V-Net", 3DV 2016. :doi:`10.1109/3DV.2016.79`
    """
    annotated = (target != NOT_ANNOTATED).unsqueeze(1)
    probs = logits.softmax(dim=1) * annotated
    truth = F.one_hot(target * annotated.squeeze(1), logits.shape[1]).movedim(-1, 1) * annotated
    axes = (0, 2, 3)
    overlap = (probs * truth).sum(axes)[1:]
    total = (probs.sum(axes) + truth.sum(axes))[1:]
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


def dice_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, largest_weight: float = 1.0
) -> torch.Tensor:
    """Sum of Dice loss and cross-entropy.

    Parameters
    ----------
    logits : Tensor of shape (N, K, H, W)
        Unnormalised class scores.
    target : Tensor of shape (N, H, W)
        Class indices, int64; 255 is not annotated and does not count.
    largest_weight : float
        The pixels of the rarer of background and foreground weigh as much, together, as the others in the
        cross-entropy, but each at most this much; 1 weighs all pixels alike.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    .. [1] Isensee et al., "nnU-Net", Nature Methods 2021. :doi:`10.1038/s41592-020-01008-z`
    """
    background = target == 0
    foreground = (target != NOT_ANNOTATED) & ~background
    ratio = background.sum() / foreground.sum().clamp_min(1)
    weights = foreground * ratio.clamp(1, largest_weight)
    weights = weights + background * (1 / ratio.clamp_min(1 / largest_weight)).clamp(1, largest_weight)
    entropy = F.cross_entropy(logits, target, ignore_index=NOT_ANNOTATED, reduction="none")
    return dice_loss(logits, target) + (weights * entropy).sum() / weights.sum().clamp_min(1)
