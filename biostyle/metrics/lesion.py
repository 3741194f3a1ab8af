"""The six measures that segmentations of skin lesions are compared by, in per cent, with intervals over lesions."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from biostyle.metrics.overlap import accuracy, dice, jaccard, recall, specificity, thresholded_jaccard
from biostyle.metrics.score_table import counts_of, dependence
from biostyle.metrics.statistics import block_bootstrap_interval, paired_difference

MEASURES = {
    "tja": thresholded_jaccard,
    "ja": jaccard,
    "di": dice,
    "ac": accuracy,
    "se": recall,
    "sp": specificity,
}
_DECIMALS = 2


def lesion_measures(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the measures of every image.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`biostyle.metrics.score_table.score_table` returns.

    Returns
    -------
    pandas.DataFrame
        In per cent, one row an image, indexed by its id: tja (Jaccard index, 0 where it is below .65 [1]_), ja (Jaccard
        index), di (Dice coefficient), ac (accuracy), se (sensitivity) and sp (specificity), those of [2]_; undefined
        is NaN.

    References
    ----------
    .. [1] Codella N, et al. Skin lesion analysis toward melanoma detection 2018. arXiv:1902.03368, 2019.
       https://doi.org/10.48550/arXiv.1902.03368
    .. [2] Andrade C, et al. Data augmentation using adversarial image-to-image translation for the segmentation of
       mobile-acquired dermatological images. Journal of Imaging 7:2, 2021. https://doi.org/10.3390/jimaging7010002

    Examples
    --------
    >>> from biostyle.metrics.overlap import PixelCounts
    >>> from biostyle.metrics.score_table import score_table
    >>> lesion_measures(score_table(["a"], [PixelCounts(6, 2, 2, 90)])).loc["a"].round(2).tolist()
    [0.0, 60.0, 75.0, 96.0, 75.0, 97.83]
    """
    rows = [
        {name: 100 * measure(counts) for name, measure in MEASURES.items()} for counts in counts_of(table)
    ]
    return pd.DataFrame(rows, columns=list(MEASURES), index=list(table["image_id"]), dtype=float)


def summarise_lesions(table: pd.DataFrame, *, n_resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Average the measures over images, ready for JSON.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`biostyle.metrics.score_table.score_table` returns.
    n_resamples : int
        Number of bootstrap resamples.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        ``measures``, the mean of each, and ``measures_ci95``, its 95 % interval, whole lesions drawn together where the
        table names them; per cent with two decimals, None where undefined.

    Examples
    --------
    >>> from biostyle.metrics.overlap import PixelCounts
    >>> from biostyle.metrics.score_table import score_table
    >>> summarise_lesions(score_table(["a"], [PixelCounts(6, 2, 2, 90)]))["measures"]["sp"]
    97.83
    """
    measures = lesion_measures(table)
    drawn = dependence(table, 1)
    intervals = {
        name: block_bootstrap_interval(measures[name], n_resamples=n_resamples, seed=seed, **drawn)
        for name in MEASURES
    }
    return {
        "measures": {name: _rounded(measures[name].mean()) for name in MEASURES},
        "measures_ci95": {name: [_rounded(end) for end in ends] for name, ends in intervals.items()},
    }


def lesion_differences(
    after: pd.DataFrame, before: pd.DataFrame, *, n_resamples: int = 2000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Compare two segmentations of the same images.

    Parameters
    ----------
    after, before : pandas.DataFrame
        Score tables of the same images.
    n_resamples : int
        Number of bootstrap resamples.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict of str to dict
        By measure what :func:`biostyle.metrics.statistics.paired_difference` returns, in per cent with two decimals.

    Examples
    --------
    >>> from biostyle.metrics.overlap import PixelCounts
    >>> from biostyle.metrics.score_table import score_table
    >>> good, bad = (score_table(["a"], [PixelCounts(n, 0, 10 - n, 90)]) for n in (9, 7))
    >>> lesion_differences(good, bad)["ja"]["value"]
    20.0
    """
    first = lesion_measures(before)
    second = lesion_measures(after).reindex(first.index)
    drawn = dependence(before, 1)
    found = {
        name: paired_difference(second[name], first[name], n_resamples=n_resamples, seed=seed, **drawn)
        for name in MEASURES
    }
    return {
        name: {
            "value": _rounded(difference["value"]),
            "ci95": [_rounded(end) for end in difference["ci95"]],
            "n": difference["n"],
        }
        for name, difference in found.items()
    }


def _rounded(value: float | None) -> float | None:
    """Round for print; None where undefined."""
    return None if value is None or math.isnan(value) else round(float(value), _DECIMALS)
