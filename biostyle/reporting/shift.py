"""What a translation does to photographs, in numbers: quality, grade, vessels, and distance to good photographs.

In: tables with one row a photograph, as :func:`biostyle.stages.judge_photographs.judge_photographs` writes them. Out:
dictionaries that fit into ``summary.json``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from biostyle.metrics.clusters import with_interval
from biostyle.metrics.distribution import frechet_distance, kernel_inception_distance
from biostyle.metrics.grading import grade_shift_matrix, kappa_change, kappa_with_interval, mean_grade_shift
from biostyle.metrics.quality import (
    N_QUALITIES,
    net_shift_to_good,
    shift_matrix,
    shift_shares,
    stratified_shift_matrices,
)
from biostyle.types import NDArray

QUALITY_NAMES = ("good", "usable", "reject")


def quality_change(before: pd.DataFrame, after: pd.DataFrame, noise_floor: float) -> dict[str, Any]:
    """Describe how the predicted quality changes.

    Parameters
    ----------
    before, after : DataFrame
        The same photographs in the same order: ``patient``, ``quality``, ``p_good``, ``p_usable`` and ``p_reject``; and
        ``true_grade`` in ``before``, where grades are known.
    noise_floor : float
        How often the classifier calls a usable photograph good.

    Returns
    -------
    dict
        ``before`` and ``after``, shares of good, usable and reject; ``mean_probabilities`` of each; ``shift``, the 3 x 3
        matrix of counts, rows before; ``by_grade``, the same within each grade, ``"unknown"`` last; ``improved``,
        ``unchanged`` and ``worsened``; ``net_shift_to_good``.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": list("ab"), "quality": [1, 2], "p_good": 0.1, "p_usable": 0.5, "p_reject": 0.4})
    >>> quality_change(table, table.assign(quality=[0, 2]), noise_floor=0.1)["net_shift_to_good"]["value"]
    0.4
    """
    first, second = before["quality"].to_numpy(), after["quality"].to_numpy()
    patients = list(before["patient"])
    strata = [None if math.isnan(grade) else int(grade) for grade in _truth(before, "true_grade")]
    by_grade = stratified_shift_matrices(first, second, strata)
    probs = {
        name: {quality: float(table[f"p_{quality}"].mean()) for quality in QUALITY_NAMES}
        for name, table in (("before", before), ("after", after))
    }
    return {
        "n": len(before),
        "before": _shares(first),
        "after": _shares(second),
        "mean_probabilities": probs,
        "shift": shift_matrix(first, second).tolist(),
        "by_grade": {
            "unknown" if grade is None else str(grade): matrix.tolist() for grade, matrix in by_grade.items()
        },
        **shift_shares(first, second, patients),
        "net_shift_to_good": net_shift_to_good(first, second, noise_floor, patients),
    }


def quality_agreement(before: pd.DataFrame) -> dict[str, Any] | None:
    """Say how often the classifier calls photographs what a person, or the degradation model, called them.

    Parameters
    ----------
    before : DataFrame
        Photographs as they are: ``patient``, ``quality`` and ``true_quality``.

    Returns
    -------
    dict or None
        The share with interval; None where nobody rated any.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": list("abc"), "quality": [1, 2, 0], "true_quality": [1, 1, None]})
    >>> quality_agreement(table)["value"], quality_agreement(table[2:])
    (0.5, None)
    """
    known = before[before["true_quality"].notna()]
    if known.empty:
        return None
    same = (known["quality"] == known["true_quality"]).to_numpy(dtype=float)
    return with_interval(same, np.mean, list(known["patient"]))


def grade_change(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """Describe how the predicted grade changes, and how well it agrees with the true one.

    Parameters
    ----------
    before, after : DataFrame
        The same photographs in the same order: ``patient``, ``grade`` and ``true_grade``.

    Returns
    -------
    dict
        ``kappa_before`` and ``kappa_after``, quadratic-weighted, over photographs whose grade is known, and
        ``kappa_difference``, after less before, each with interval; ``shift``, the 5 x 5 matrix of counts, rows before;
        ``mean_grade_shift``.
    """
    known = before["true_grade"].notna().to_numpy()
    truth = before["true_grade"][known].astype(int).to_numpy()
    patients = list(before["patient"][known])
    first, second = before["grade"].to_numpy(), after["grade"].to_numpy()
    return {
        "kappa_before": kappa_with_interval(truth, first[known], patients),
        "kappa_after": kappa_with_interval(truth, second[known], patients),
        "kappa_difference": kappa_change(truth, first[known], second[known], patients),
        "shift": grade_shift_matrix(first, second).tolist(),
        "mean_grade_shift": mean_grade_shift(first, second, list(before["patient"])),
    }


def vessel_change(
    before: pd.DataFrame, after: pd.DataFrame, clean: pd.DataFrame, ceiling: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Describe what becomes of the vessels.

    Parameters
    ----------
    before, after : DataFrame
        The same photographs in the same order: ``patient``, ``original``, ``vessels_kept`` and ``tp, fp, fn``; and
        ``true_quality`` in ``before``, where it is known.
    clean : DataFrame
        The good photographs they were made from, if they were, with ``frame_id`` and ``tp, fp, fn``.
    ceiling : DataFrame or None
        Like `before`, but by a segmenter that learned from poor photographs with traced vessels.

    Returns
    -------
    dict
        ``f_before``, ``f_after`` and, where there is one, ``f_clean`` and ``f_ceiling``: mean F-scores over photographs with
        traced vessels, each with interval;
        ``f_difference``, after less before; ``by_quality``, ``f_before`` and ``f_after`` within each true quality that is
        known; ``kept``, the mean of ``vessels_kept`` over all of them.
    """
    patients = list(before["patient"])
    originals = clean.set_index("frame_id").reindex(before["original"])
    tables = {"f_before": before, "f_after": after}
    if before["original"].isin(clean["frame_id"]).any():
        tables["f_clean"] = originals
    rows = {name: _f_scores(table) for name, table in tables.items()}
    rows["f_difference"] = rows["f_after"] - rows["f_before"]
    if ceiling is not None:
        rows["f_ceiling"] = _f_scores(ceiling)
    traced = np.logical_and.reduce(np.isfinite(list(rows.values())), axis=0)

    def mean(name: str, among: NDArray) -> dict[str, Any]:
        return with_interval(rows[name][among], np.mean, list(before["patient"][among]))

    change: dict[str, Any] = {name: mean(name, traced) for name in rows}
    rated = _truth(before, "true_quality")
    strata = {name: traced & (rated == index) for index, name in enumerate(QUALITY_NAMES)}
    change["by_quality"] = {
        quality: {name: mean(name, among) for name in ("f_before", "f_after")}
        for quality, among in strata.items()
        if among.any()
    }
    return change | {"kept": with_interval(after["vessels_kept"].to_numpy(), np.mean, patients)}


def distances(
    features_good: NDArray, features_before: NDArray, features_after: NDArray
) -> dict[str, dict[str, Any] | None]:
    """Measure how far photographs are from good ones before and after, by the quality classifier's features.

    Parameters
    ----------
    features_good, features_before, features_after : ndarray of float, shape (N, D)
        One row a photograph; the good ones may be others, and of another number.

    Returns
    -------
    dict
        ``kid_before``, ``kid_after``, ``fid_before`` and ``fid_after``; None where a set has fewer than two.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, features in (("before", features_before), ("after", features_after)):
        enough = min(len(features_good), len(features)) >= 2
        found[f"kid_{name}"] = kernel_inception_distance(features_good, features) if enough else None
        found[f"fid_{name}"] = frechet_distance(features_good, features) if enough else None
    return found


def _shares(qualities: NDArray) -> dict[str, float | None]:
    """Share of each quality; None where there is no photograph."""
    counts = np.bincount(qualities, minlength=N_QUALITIES)
    total = int(counts.sum())
    return {
        name: float(count / total) if total else None
        for name, count in zip(QUALITY_NAMES, counts, strict=True)
    }


def _truth(table: pd.DataFrame, name: str) -> NDArray:
    """A column of true values; NaN where they are not known, and everywhere if there is none."""
    return table.get(name, pd.Series(math.nan, table.index)).to_numpy(dtype=float, na_value=math.nan)


def _f_scores(table: pd.DataFrame) -> NDArray:
    """F-score of each photograph's vessels; NaN where none were traced."""
    tp, fp, fn = (table[name].to_numpy(dtype=float) for name in ("tp", "fp", "fn"))
    with np.errstate(invalid="ignore"):
        return 2 * tp / (2 * tp + fp + fn)
