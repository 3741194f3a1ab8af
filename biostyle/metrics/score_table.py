"""The table of scores per image, its summary, and the trivial baselines that stand next to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biostyle.metrics.clusters import none_if_undefined
from biostyle.metrics.overlap import (
    PixelCounts,
    f_score,
    jaccard,
    pixel_counts,
    pooled_score,
    precision,
    recall,
)
from biostyle.metrics.statistics import block_bootstrap_interval
from biostyle.types import NDArray

SCORES = {"precision": precision, "recall": recall, "f_score": f_score, "jaccard": jaccard}


def score_table(
    image_ids: Sequence[str], counts: Sequence[PixelCounts], groups: Sequence[str] | None = None
) -> pd.DataFrame:
    """Tabulate counts and scores, one row an image.

    Parameters
    ----------
    image_ids : sequence of str
        Name of each image, in frame order.
    counts : sequence of PixelCounts
        Counts of each image.
    groups : sequence of str, optional
        Patient or lesion of each image, where images of one are not in time order.

    Returns
    -------
    pandas.DataFrame
        Columns image_id, tp, fp, fn, tn (pixels), precision, recall, f_score, jaccard, and group where groups are given;
        undefined is NaN.

    Examples
    --------
    >>> score_table(["t000"], [PixelCounts(1, 1, 1, 7)])[["image_id", "f_score"]].to_dict("records")
    [{'image_id': 't000', 'f_score': 0.5}]
    """
    rows = [
        {"image_id": image_id, **asdict(count)} | {name: score(count) for name, score in SCORES.items()}
        for image_id, count in zip(image_ids, counts, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["image_id", "tp", "fp", "fn", "tn", *SCORES])
    return table if groups is None else table.assign(group=list(groups))


def read_score_table(path: Path) -> pd.DataFrame:
    """Read a score table back from CSV.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    pandas.DataFrame
        What :func:`score_table` made.
    """
    names = dict.fromkeys(("image_id", "group"), str)  # "007" is no number and "NA" is not undefined
    undefined = {score: [""] for score in SCORES}
    table = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=undefined)
    return table.astype(dict.fromkeys(SCORES, float))


def counts_of(table: pd.DataFrame) -> list[PixelCounts]:
    """Take the pixel counts out of a score table.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`score_table` returns.

    Returns
    -------
    list of PixelCounts
        Counts of each image.

    Examples
    --------
    >>> counts_of(score_table(["t000"], [PixelCounts(1, 1, 1, 7)]))
    [PixelCounts(tp=1, fp=1, fn=1, tn=7)]
    """
    return [PixelCounts(*map(int, row)) for row in table[["tp", "fp", "fn", "tn"]].to_numpy()]


def dependence(table: pd.DataFrame, block_length: int) -> dict[str, Any]:
    """Say which images of a score table are not independent, for a bootstrap.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`score_table` returns.
    block_length : int
        Consecutive frames resampled together.

    Returns
    -------
    dict
        ``groups`` and ``block_length``, as :func:`biostyle.metrics.statistics.block_bootstrap_interval` takes them: the
        table's groups, drawn whole; without groups what precedes the last underscore of an image id (``01`` of
        ``01_t007``), in blocks.

    Examples
    --------
    >>> dependence(score_table(["01_t007"], [PixelCounts(1, 1, 1, 7)]), 5)
    {'groups': ['01'], 'block_length': 5}
    """
    if "group" in table:
        return {"groups": [str(group) for group in table["group"]], "block_length": None}
    sequences = [str(image_id).rpartition("_")[0] for image_id in table["image_id"]]
    return {"groups": sequences, "block_length": block_length}


def summarise(
    table: pd.DataFrame, *, block_length: int = 5, n_resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Summarise a score table, ready for JSON.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`score_table` returns.
    block_length : int
        Consecutive frames resampled together; see
        :func:`biostyle.metrics.statistics.block_bootstrap_interval`.
    n_resamples : int
        Number of bootstrap resamples.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        The mean per image of precision, recall, f_score and jaccard over the images where it is defined;
        "ci95", the 95 % interval of the mean f_score; "pooled", the same scores of all counts added up;
        "n_scored" and "n_undefined", images in the table and those without an f_score. Undefined is None.

    Notes
    -----
    Blocks stay within a sequence, or are whole groups: see :func:`dependence`.

    Examples
    --------
    >>> summary = summarise(score_table(["t000"], [PixelCounts(1, 1, 1, 7)]))
    >>> summary["f_score"], summary["ci95"], summary["pooled"]["jaccard"]
    (0.5, [None, None], 0.3333333333333333)
    """
    counts = counts_of(table)
    interval = block_bootstrap_interval(
        table["f_score"].to_numpy(dtype=np.float64),
        n_resamples=n_resamples,
        seed=seed,
        **dependence(table, block_length),
    )
    return {
        **{name: none_if_undefined(float(table[name].mean())) for name in SCORES},
        "ci95": [none_if_undefined(bound) for bound in interval],
        "pooled": {name: none_if_undefined(pooled_score(counts, score)) for name, score in SCORES.items()},
        "n_scored": len(table),
        "n_undefined": int(table["f_score"].isna().sum()),
    }


def baseline_counts(target: NDArray, image: NDArray | None = None) -> dict[str, PixelCounts]:
    """Count the pixels of trivial predictions, which any segmenter has to beat.

    Parameters
    ----------
    target : ndarray of bool or integer, shape (H, W)
        True class indices; above 0 is foreground, 255 is not annotated.
    image : ndarray, optional
        The frame, of the same shape (H, W), or an 8-bit photograph (H, W, 3); without it there is no Otsu baseline.

    Returns
    -------
    dict of str to PixelCounts
        Under "all_foreground", "all_background" and, given the image, "otsu": Otsu's threshold [1]_ with the brighter
        side as foreground, whatever the modality; in a photograph the darker side of the mean of the channels.

    Raises
    ------
    MaskError
        If the sizes differ or the target does not hold integers.

    References
    ----------
    .. [1] Otsu N. A threshold selection method from gray-level histograms. IEEE Transactions on Systems, Man,
       and Cybernetics 9:62-66, 1979. https://doi.org/10.1109/TSMC.1979.4310076

    Examples
    --------
    >>> import numpy as np
    >>> target = np.array([[1, 0], [0, 0]])
    >>> baseline_counts(target, np.array([[9, 1], [1, 1]]))["otsu"]
    PixelCounts(tp=1, fp=0, fn=0, tn=3)
    """
    predictions = {
        "all_foreground": np.ones(target.shape, bool),
        "all_background": np.zeros(target.shape, bool),
    }
    if image is not None:
        from skimage.filters import threshold_otsu

        gray = image if image.ndim == 2 else 255 - np.rint(image.mean(axis=2)).astype(np.uint8)
        predictions["otsu"] = gray > threshold_otsu(gray)
    return {name: pixel_counts(pred, target) for name, pred in predictions.items()}
