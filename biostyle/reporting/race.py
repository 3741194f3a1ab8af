"""The race as the report tells it: what was chosen without labels beside what the labels would have said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summarise_race(choice: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Put the label-free choice beside the labelled oracle, which nobody could have chosen without truth.

    Parameters
    ----------
    choice : mapping
        ``chosen``, ``verdict``, ``reason``, ``candidates`` with their ``label_free`` scores and measures, and perhaps
        ``left_out``.
    scores : mapping of str to mapping
        Summary row of every candidate that was scored, ``"before"`` among them; never the supervised ceiling.

    Returns
    -------
    dict
        ``candidates``: by name the summary row with ``label_free``, the ``label_free_measures`` behind it and ``regret``, the
        oracle's F minus its own; a candidate that was not scored has an ``f_score`` of None and no intervals.
        ``chosen``, ``verdict``, ``reason`` and ``left_out`` as decided. ``oracle``: the candidate with the highest F,
        and ``regret``, that of the chosen one; None where undefined.

    Examples
    --------
    >>> choice = {"chosen": "before", "verdict": "don't adapt", "reason": "Nothing is better.",
    ...           "candidates": {"before": {"label_free": 0.9}, "matching": {"label_free": 0.8}}}
    >>> race = summarise_race(choice, {"before": {"f_score": 0.5}, "matching": {"f_score": 0.75}})
    >>> race["oracle"], race["regret"]
    ('matching', 0.25)
    """
    known = {name: row["f_score"] for name, row in scores.items() if row["f_score"] is not None}
    oracle = max(known, key=lambda name: known[name]) if known else None
    candidates: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*scores, *choice["candidates"]]):
        found = dict(choice["candidates"].get(name, {}))
        candidates[name] = {
            **scores.get(name, {"f_score": None}),
            "label_free": found.pop("label_free", None),
            "label_free_measures": found,
            "regret": known[oracle] - known[name] if oracle is not None and name in known else None,
        }
    return {
        "candidates": candidates,
        "chosen": choice["chosen"],
        "verdict": choice["verdict"],
        "reason": choice["reason"],
        "left_out": dict(choice.get("left_out", {})),
        "oracle": oracle,
        "regret": candidates.get(choice["chosen"], {}).get("regret"),
    }


def gap_closed(before: float | None, chosen: float | None, ceiling: float | None) -> float | None:
    """Return the part of the way from the unadapted segmenter to the supervised ceiling that was made.

    Parameters
    ----------
    before, chosen, ceiling : float or None
        F-scores in [0, 1] of the segmenter as it is, of the chosen candidate, and of a segmenter trained on B's labels;
        None where undefined.

    Returns
    -------
    float or None
        (chosen - before) / (ceiling - before); 1 is the ceiling, below 0 is worse than before. None where one of them is
        undefined or the ceiling is not above before.

    Examples
    --------
    >>> gap_closed(0.5, 0.75, 0.9), gap_closed(0.9, 0.9, 0.9)
    (0.625, None)
    """
    if before is None or chosen is None or ceiling is None or ceiling <= before:
        return None
    return (chosen - before) / (ceiling - before)
