"""Pixel counts of a binary segmentation and the overlap scores derived from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from biostyle.errors import MaskError
from biostyle.types import NOT_ANNOTATED, NDArray


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of one image, or of several added up, by agreement of prediction and truth.

    Parameters
    ----------
    tp : int
        True positives, in pixels.
    fp : int
        False positives, in pixels.
    fn : int
        False negatives, in pixels.
    tn : int
        True negatives, in pixels.

    Examples
    --------
    >>> PixelCounts(1, 2, 3, 4) + PixelCounts(1, 0, 0, 0)
    PixelCounts(tp=2, fp=2, fn=3, tn=4)
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: PixelCounts) -> PixelCounts:
        """Add two images' counts."""
        return PixelCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def pixel_counts(pred: NDArray, target: NDArray, not_annotated: int | None = NOT_ANNOTATED) -> PixelCounts:
    """Count the pixels of a prediction by agreement with the truth.

    Parameters
    ----------
    pred : ndarray of bool or integer, shape (H, W)
        Predicted class indices; above 0 is foreground.
    target : ndarray of bool or integer, shape (H, W)
        True class indices; above 0 is foreground.
    not_annotated : int or None
        Value of `target` whose pixels are left out; None counts every pixel.

    Returns
    -------
    PixelCounts
        Counts that add up to the annotated pixels.

    Raises
    ------
    MaskError
        If the sizes differ or a mask does not hold integers.

    Notes
    -----
    A truth stored as 0 and 255, or as instance identities, goes through
    :func:`biostyle.io.labels.labels_to_mask` first; otherwise its 255 reads as "not annotated".

    Examples
    --------
    >>> import numpy as np
    >>> pixel_counts(np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 255]]))
    PixelCounts(tp=1, fp=1, fn=1, tn=0)
    """
    for name, mask in (("pred", pred), ("target", target)):
        if mask.dtype.kind not in ("b", "u", "i"):
            raise MaskError(
                f"{name} must hold integers, got dtype {mask.dtype}. Threshold probabilities first."
            )
    if pred.shape != target.shape:
        raise MaskError(
            f"pred must have the truth's size {target.shape}, got {pred.shape}. "
            "Check that the two belong together."
        )
    foreground, true = pred > 0, target > 0
    n_px = target.size
    if not_annotated is not None and target.dtype != bool:
        annotated = target != not_annotated
        n_px = int(np.count_nonzero(annotated))
        if n_px < target.size:
            foreground &= annotated
            true &= annotated
    tp = int(np.count_nonzero(foreground & true))
    fp = int(np.count_nonzero(foreground)) - tp
    fn = int(np.count_nonzero(true)) - tp
    return PixelCounts(tp, fp, fn, n_px - tp - fp - fn)


def precision(counts: PixelCounts) -> float:
    """Return the part of the predicted foreground that is true, TP / (TP + FP).

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        Precision in [0, 1]; NaN where nothing was predicted.

    Examples
    --------
    >>> precision(PixelCounts(3, 1, 0, 0))
    0.75
    """
    return _ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: PixelCounts) -> float:
    """Return the part of the true foreground that was predicted, TP / (TP + FN).

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        Recall (sensitivity) in [0, 1]; NaN where the truth is empty.

    Examples
    --------
    >>> recall(PixelCounts(3, 0, 1, 0))
    0.75
    """
    return _ratio(counts.tp, counts.tp + counts.fn)


def f_score(counts: PixelCounts) -> float:
    """Return the F-score, 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        F-score in [0, 1]; NaN where truth and prediction are empty, 0 where only one of them is.

    Notes
    -----
    The harmonic mean of precision and recall; for two masks it equals the Dice coefficient [1]_.

    References
    ----------
    .. [1] Dice LR. Measures of the amount of ecologic association between species. Ecology 26:297-302, 1945.
       https://doi.org/10.2307/1932409

    Examples
    --------
    >>> f_score(PixelCounts(1, 1, 1, 7))
    0.5
    """
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


dice = f_score


def jaccard(counts: PixelCounts) -> float:
    """Return the Jaccard index (intersection over union), TP / (TP + FP + FN).

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        Jaccard index in [0, 1]; NaN where truth and prediction are empty, 0 where only one of them is.

    Notes
    -----
    Of one set of counts it is F / (2 - F) [1]_; of means over images it is not.

    References
    ----------
    .. [1] Jaccard P. The distribution of the flora in the alpine zone. New Phytologist 11:37-50, 1912.
       https://doi.org/10.1111/j.1469-8137.1912.tb05611.x

    Examples
    --------
    >>> jaccard(PixelCounts(1, 1, 2, 7))
    0.25
    """
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def accuracy(counts: PixelCounts) -> float:
    """Return the part of the pixels that are right, (TP + TN) / all.

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        Accuracy in [0, 1]; NaN where no pixel is annotated.

    Examples
    --------
    >>> accuracy(PixelCounts(3, 1, 0, 4))
    0.875
    """
    return _ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn)


def specificity(counts: PixelCounts) -> float:
    """Return the part of the true background that was left alone, TN / (TN + FP).

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image or of several.

    Returns
    -------
    float
        Specificity in [0, 1]; NaN where all is foreground.

    Examples
    --------
    >>> specificity(PixelCounts(3, 1, 0, 3))
    0.75
    """
    return _ratio(counts.tn, counts.tn + counts.fp)


def thresholded_jaccard(counts: PixelCounts, threshold: float = 0.65) -> float:
    """Return the Jaccard index, or 0 where it is below a threshold.

    Parameters
    ----------
    counts : PixelCounts
        Counts of one image.
    threshold : float
        Jaccard index from which a segmentation counts; .65 is the rule of ISIC 2018 [1]_.

    Returns
    -------
    float
        0 or a value in [threshold, 1]; NaN where truth and prediction are empty.

    References
    ----------
    .. [1] Codella N, et al. Skin lesion analysis toward melanoma detection 2018. arXiv:1902.03368, 2019.
       https://doi.org/10.48550/arXiv.1902.03368

    Examples
    --------
    >>> thresholded_jaccard(PixelCounts(6, 4, 0, 0)), thresholded_jaccard(PixelCounts(8, 2, 0, 0))
    (0.0, 0.8)
    """
    value = jaccard(counts)
    return 0.0 if value < threshold else value


def pooled_score(counts: Iterable[PixelCounts], score: Callable[[PixelCounts], float]) -> float:
    """Add up all images' counts, then score: large images and large objects weigh more.

    Parameters
    ----------
    counts : iterable of PixelCounts
        Counts per image.
    score : callable
        Score of one set of counts, such as :func:`f_score`.

    Returns
    -------
    float
        The pooled score; NaN where it is undefined.

    Examples
    --------
    >>> pooled_score([PixelCounts(9, 0, 0, 0), PixelCounts(0, 1, 1, 0)], f_score)
    0.9
    """
    return score(sum(counts, start=PixelCounts(0, 0, 0, 0)))


def mean_score(counts: Iterable[PixelCounts], score: Callable[[PixelCounts], float]) -> float:
    """Score each image, then take the mean of the defined scores: every image weighs the same.

    Parameters
    ----------
    counts : iterable of PixelCounts
        Counts per image.
    score : callable
        Score of one set of counts, such as :func:`f_score`.

    Returns
    -------
    float
        The mean score; NaN where no image has a defined one.

    Examples
    --------
    >>> mean_score([PixelCounts(9, 0, 0, 0), PixelCounts(0, 1, 1, 0)], f_score)
    0.5
    """
    defined = [value for value in map(score, counts) if not math.isnan(value)]
    return _ratio(math.fsum(defined), len(defined))


def _ratio(numerator: float, denominator: float) -> float:
    """Divide; nothing by nothing is NaN."""
    return numerator / denominator if denominator else math.nan
