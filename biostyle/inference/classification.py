"""What a classifier says about many images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from biostyle.data.preprocessing import Preprocessing
from biostyle.models.classifier import ImageClassifier
from biostyle.types import NDArray


def input_batch(squares: Iterable[NDArray], preprocessing: Preprocessing) -> torch.Tensor:
    """Turn photographs of one shape into one batch for :func:`classify`.

    Parameters
    ----------
    squares : iterable of ndarray of uint8, shape (H, W, 3)
        Photographs.
    preprocessing : Preprocessing
        How the classifier wants its input.

    Returns
    -------
    Tensor of uint8, shape (N, 3, H', W')
        At the working resolution, in [0, 255].
    """
    images = [preprocessing.image_batch(square).mul(255).round().to(torch.uint8) for square in squares]
    return torch.cat(images) if images else torch.empty((0, 3, 32, 32), dtype=torch.uint8)


@torch.no_grad()
def classify(
    classifier: ImageClassifier, images: torch.Tensor, batch_size: int = 64
) -> tuple[NDArray, NDArray]:
    """Score the classes of images and return the features that the scores come from.

    Parameters
    ----------
    classifier : ImageClassifier
        A trained network, in evaluation mode.
    images : Tensor of uint8, shape (N, 3, H, W)
        Images in [0, 255], on any device.
    batch_size : int
        Images at a time; it changes nothing but memory.

    Returns
    -------
    logits : ndarray of float32, shape (N, K)
        Class scores; the softmax of calibrated ones are probabilities.
    features : ndarray of float32, shape (N, D)
        For :mod:`biostyle.metrics.distribution`.
    """
    device = next(classifier.parameters()).device
    logits, features = [], []
    for batch in images.split(batch_size):
        described = classifier.features(batch.to(device).float() / 255)
        features.append(described.cpu().numpy())
        logits.append(classifier.score(described).cpu().numpy())
    if not logits:
        return np.empty((0, classifier.head.out_features), np.float32), np.empty(
            (0, classifier.head.in_features), np.float32
        )
    return np.concatenate(logits), np.concatenate(features)


def probabilities(logits: NDArray) -> NDArray:
    """Turn class scores into probabilities.

    Parameters
    ----------
    logits : ndarray of shape (N, K)
        Class scores.

    Returns
    -------
    ndarray of shape (N, K)
        In [0, 1]; rows add up to 1.

    Examples
    --------
    >>> probabilities(np.array([[1.0, 1.0]])).tolist()
    [[0.5, 0.5]]
    """
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
