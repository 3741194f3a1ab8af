"""Stage: judged photographs before and after translation → which stylizer to use, without a label of domain B."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.metrics.grading import mean_grade_shift
from biostyle.selection import IDENTITY, Verdict
from biostyle.stages.judge_photographs import read_judged

CHOICE = "choice.json"
LEAST_GAIN = 0.05  # in the mean probability of being good, beyond what is lost of the vessels
MARGIN = 0.02  # candidates this close cannot be told apart; the one that changes least is taken
LOST_VESSELS = 0.5  # what losing all vessels costs
CLEAN_UNCHANGED, CLEAN_KEPT = 0.95, 0.99  # a good photograph must stay good, with its vessels
LEAST_CLEAN_KEPT = 0.9  # who loses more vessels of good photographs is not trusted with those of poor ones
# All of the above, part of the request.
RULE: dict[str, float] = {
    "least_gain": LEAST_GAIN,
    "margin": MARGIN,
    "lost_vessels": LOST_VESSELS,
    "clean_unchanged": CLEAN_UNCHANGED,
    "clean_kept": CLEAN_KEPT,
    "least_clean_kept": LEAST_CLEAN_KEPT,
}


def assess(
    before: pd.DataFrame, after: pd.DataFrame, clean_before: pd.DataFrame, clean_after: pd.DataFrame
) -> dict[str, Any]:
    """Measure a candidate without labels of B.

    Parameters
    ----------
    before, after : DataFrame
        Photographs of B, as :func:`~biostyle.stages.judge_photographs.judge_photographs` judged them, in one order.
    clean_before, clean_after : DataFrame
        Good photographs, likewise.

    Returns
    -------
    dict
        ``quality_gain``, in the mean probability of being good; ``vessels_kept``; ``score``, the gain less
        ``LOST_VESSELS`` times the share of the vessels that is lost; ``grade_shift``, how the mean apparent grade changes,
        and ``grade_falls``, whether it surely falls; ``clean_unchanged``, the share of good photographs whose quality
        stays, and ``clean_vessels_kept``.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": ["a"], "p_good": 0.2, "quality": 2, "grade": 1, "vessels_kept": 0.9})
    >>> assess(table, table.assign(p_good=0.7), table, table)["score"]
    0.45
    """
    gain = float(after["p_good"].mean() - before["p_good"].mean())
    kept = float(after["vessels_kept"].mean())
    shift = mean_grade_shift(before["grade"], after["grade"], list(before["patient"]))
    same = clean_before["quality"].to_numpy() == clean_after["quality"].to_numpy()
    return {
        "score": round(gain - LOST_VESSELS * (1 - kept), 6),
        "quality_gain": gain,
        "vessels_kept": kept,
        "grade_shift": shift["value"],
        "grade_falls": shift["falls"],
        "clean_unchanged": float(np.mean(same)),
        "clean_vessels_kept": float(clean_after["vessels_kept"].mean()),
    }


def choose(assessed: Mapping[str, Mapping[str, Any]]) -> tuple[str, Verdict, str]:
    """Choose among candidates.

    Parameters
    ----------
    assessed : mapping of str to mapping
        What :func:`assess` says of each, from the one that changes least to the one that changes most.

    Returns
    -------
    chosen : str
        Name of a candidate; ``"before"`` where none is worth its cost.
    verdict : {"adopt", "adopt with care", "don't adapt"}
        What to do.
    reason : str
        Why, in one sentence.

    Examples
    --------
    >>> good = {"score": 0.4, "clean_unchanged": 1.0, "clean_vessels_kept": 1.0, "grade_falls": False, "grade_shift": 0.0}
    >>> choose({"matching_gentle": {**good, "score": 0.01}, "agnostic": good})[:2]
    ('agnostic', 'adopt')
    """
    trusted = {
        name: candidate
        for name, candidate in assessed.items()
        if candidate["clean_vessels_kept"] >= LEAST_CLEAN_KEPT
    }
    best = max((candidate["score"] for candidate in trusted.values()), default=0.0)
    if best < LEAST_GAIN:
        return (
            IDENTITY,
            "don't adapt",
            f"no candidate that keeps {LEAST_CLEAN_KEPT:.0%} of good photographs' vessels gains {LEAST_GAIN} in the "
            f"probability of being good beyond what it costs in vessels; the best gains {best:.3f}",
        )
    chosen = next(name for name, candidate in trusted.items() if candidate["score"] >= best - MARGIN)
    candidate, cares = trusted[chosen], []
    if candidate["clean_unchanged"] < CLEAN_UNCHANGED or candidate["clean_vessels_kept"] < CLEAN_KEPT:
        cares.append(
            f"of good photographs {candidate['clean_unchanged']:.0%} keep their quality and "
            f"{candidate['clean_vessels_kept']:.1%} of their vessels: translate only what the classifier does not call good"
        )
    if candidate["grade_falls"]:
        cares.append(
            f"the apparent grade falls by {-candidate['grade_shift']:.2f}: read grades before translation"
        )
    gain = f"it gains {candidate['score']:.3f} in the probability of being good, less lost vessels"
    return chosen, "adopt with care" if cares else "adopt", "; ".join([gain, *cares])


def choose_stylizer(
    before: Path,
    candidates: Mapping[str, Path],
    clean: Path,
    clean_candidates: Mapping[str, Path],
    out: Path,
    *,
    options: BuildOptions,
) -> Path:
    """Choose among stylizers by the validation part: its patients were neither trained on nor are they tested on.

    Parameters
    ----------
    before : Path
        Judged photographs of B as they are.
    candidates : mapping of str to Path
        The same photographs, judged after each candidate, from the one that changes least on.
    clean : Path
        Judged good photographs as they are.
    clean_candidates : mapping of str to Path
        The same, judged after each candidate.
    out : Path
        Directory to make, with ``choice.json``: ``chosen``, ``verdict``, ``reason`` and ``candidates``.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    inputs = {"before": before, "clean": clean}
    inputs |= {f"candidate.{name}": path for name, path in candidates.items()}
    inputs |= {f"clean.{name}": path for name, path in clean_candidates.items()}

    def work(partial: Path) -> None:
        first, good = _validation(before), _validation(clean)
        assessed = {
            name: assess(first, _validation(path), good, _validation(clean_candidates[name]))
            for name, path in candidates.items()
        }
        chosen, verdict, reason = choose(assessed)
        write_json(
            partial / CHOICE,
            {
                "chosen": chosen,
                "verdict": verdict,
                "reason": reason,
                "candidates": assessed,
                "order": list(assessed),
            },
        )

    build(out, "choose-stylizer", RULE, inputs, work, options)
    return out


def read_choice(directory: Path) -> dict[str, Any]:
    """Read a choice.

    Parameters
    ----------
    directory : Path
        What :func:`choose_stylizer` made.

    Returns
    -------
    dict
        Keys ``chosen``, ``verdict``, ``reason``, ``candidates`` and ``order``.
    """
    return json.loads((directory / CHOICE).read_text())


def _validation(directory: Path) -> pd.DataFrame:
    """The validation part of what was judged."""
    table, _ = read_judged(directory)
    return table[table["split"] == "validation"]
