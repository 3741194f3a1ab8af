"""What a report on the quality of photographs says, and the numbers it comes down to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from biostyle.reporting.document import BEFORE
from biostyle.reporting.shift import distances, grade_change, quality_agreement, quality_change, vessel_change
from biostyle.reporting.tables import format_interval, format_signed
from biostyle.types import NDArray

TITLES = {
    BEFORE: "As they are",
    "matching_gentle": "Enhanced gently, nothing learned",
    "matching_firm": "Enhanced firmly, nothing learned",
    "matching_strong": "Enhanced strongly, nothing learned",
    "restored": "Restorer, learned from pairs",
    "restored_gentle": "Restorer, then enhanced gently",
    "agnostic": "Agnostic stylizer",
    "specific": "Specific stylizer",
    "after": "After",
}
_VESSEL_SCORES = ("f_before", "f_after", "f_clean", "f_ceiling")


class Judged(NamedTuple):
    """What was judged: one row a photograph, and the quality classifier's features in the same order."""

    table: pd.DataFrame
    features: NDArray


@dataclass(frozen=True)
class QualityPanel:
    """One photograph to look at.

    Attributes
    ----------
    image_id : str
        Its name in the tables.
    before, after : ndarray of uint8, shape (S, S, 3)
        The photograph, and its translation.
    vessels_before, vessels_after : ndarray of shape (S, S) or None
        Where vessels are seen in each, 0 or 1.
    """

    image_id: str
    before: NDArray
    after: NDArray
    vessels_before: NDArray | None = None
    vessels_after: NDArray | None = None


@dataclass(frozen=True)
class JudgedDomain:
    """Photographs of one kind before and after each candidate, all in one order.

    Attributes
    ----------
    name, title : str
        Key in ``summary.json``, and name for people.
    before : Judged
        Test photographs as they are.
    candidates : mapping of str to Judged
        The same after each candidate.
    clean : Judged or None
        Good photographs, to be told apart by no candidate.
    clean_candidates : mapping of str to DataFrame
        The same after each candidate.
    choice : mapping or None
        ``chosen``, ``verdict``, ``reason``, and by candidate what was measured without labels.
    panels : sequence of QualityPanel
        Photographs to show.
    ceiling : DataFrame or None
        Test photographs as they are, judged with a segmenter of vessels that was trained on such photographs.
    """

    name: str
    title: str
    before: Judged
    candidates: Mapping[str, Judged]
    clean: Judged | None = None
    clean_candidates: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    choice: Mapping[str, Any] | None = None
    panels: Sequence[QualityPanel] = ()
    ceiling: pd.DataFrame | None = None


@dataclass(frozen=True)
class QualityReport:
    """A whole report on the quality of photographs.

    Attributes
    ----------
    title, pipeline : str
        Heading, and what made the photographs.
    domains : sequence of JudgedDomain
        The first is the one that the summary's own verdict is about.
    classifier : mapping
        How the quality classifier does: ``macro_f``, ``confusion``, ``noise_floor``, ``calibration_error``.
    grader : mapping or None
        How the grader does: ``kappa``, ``confusion``.
    settings, versions, fingerprints : mapping
        Resolved configuration, software, and digests of the data.
    command, machine, created : str
        Command line, processor in words, and time in ISO 8601.
    """

    title: str
    pipeline: str
    domains: Sequence[JudgedDomain]
    classifier: Mapping[str, Any]
    grader: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str]
    command: str
    machine: str
    created: str


def summarise_quality(report: QualityReport) -> dict[str, Any]:
    """Reduce a report to what ``summary.json`` holds.

    Parameters
    ----------
    report : QualityReport
        The report.

    Returns
    -------
    dict
        ``quality``, ``grading``, ``vessels`` and ``verdict`` of the first domain's choice, in short; ``classifier`` and
        ``grader``; ``domains``, each with every candidate in full.
    """
    noise_floor = report.classifier["noise_floor"] or 0.0
    domains = {domain.name: _summarise_domain(domain, noise_floor) for domain in report.domains}
    first = domains[report.domains[0].name]
    after = first["candidates"][first["chosen"]]
    quality, grading, vessels = (after[name] for name in ("quality", "grading", "vessels"))
    return {
        "schema": 1,
        "pipeline": report.pipeline,
        "title": report.title,
        "created": report.created,
        "quality": {name: quality[name] for name in ("before", "after", "net_shift_to_good")},
        "grading": grading
        and {name: grading[name]["value"] for name in ("kappa_before", "kappa_after", "mean_grade_shift")},
        "vessels": vessels and {name: vessels[name]["value"] for name in _VESSEL_SCORES if name in vessels},
        "chosen": first["chosen"],
        "verdict": first["verdict"],
        "reason": first["reason"],
        "classifier": dict(report.classifier),
        "grader": None if report.grader is None else dict(report.grader),
        "domains": domains,
    }


def judged_frame(report: QualityReport) -> pd.DataFrame:
    """Stack every judged photograph of a report.

    Parameters
    ----------
    report : QualityReport
        The report.

    Returns
    -------
    DataFrame
        One row a domain, candidate and photograph, with the columns ``domain`` and ``candidate`` first.
    """
    tables = []
    for domain in report.domains:
        for name, judged in {BEFORE: domain.before, **domain.candidates}.items():
            table = judged.table.copy()
            table.insert(0, "candidate", name)
            table.insert(0, "domain", domain.name)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def warnings(candidate: Mapping[str, Any]) -> list[str]:
    """Say what a candidate destroys.

    Parameters
    ----------
    candidate : mapping
        A candidate of a domain of :func:`summarise_quality`.

    Returns
    -------
    list of str
        Sentences; none where nothing was found.

    Examples
    --------
    >>> warnings({"grading": {"mean_grade_shift": {"falls": True, "value": -0.5},
    ...                        "kappa_difference": {"value": 0.0}},
    ...           "vessels": None, "clean": None})
    ['The apparent grade falls by 0.50 on average: lesions are being hidden.']
    """
    found = []
    grading, vessels, clean = (candidate[name] for name in ("grading", "vessels", "clean"))
    if grading and grading["mean_grade_shift"]["falls"]:
        fall = -grading["mean_grade_shift"]["value"]
        found.append(f"The apparent grade falls by {fall:.2f} on average: lesions are being hidden.")
    if grading and (grading["kappa_difference"]["value"] or 0) < -0.02:
        change = grading["kappa_difference"]
        found.append(f"Kappa of the grades falls by {-change['value']:.3f}{_how_sure(change['ci95'])}.")
    if vessels and (vessels["f_difference"]["value"] or 0) < 0:
        found.append(f"The F-score of the vessels falls by {-vessels['f_difference']['value']:.3f}.")
    if clean and (clean["unchanged"] < 0.95 or (clean["f_loss"] or 0) > 0.01):
        found.append(
            f"Good photographs do not stay as they are: {clean['unchanged']:.1%} keep their quality, and the F-score of "
            f"their vessels falls by {clean['f_loss'] or 0:.3f}. Translate only what is not good."
        )
    return found


def _how_sure(ci95: list[float | None]) -> str:
    """Write the interval of a fall, if there is one."""
    if None in ci95:
        return ""
    unsure = "" if (ci95[1] or 0) < 0 else ", too wide to be sure"
    return f" (95\N{NO-BREAK SPACE}% interval of the change {format_interval(ci95, format_signed)}{unsure})"


def _summarise_domain(domain: JudgedDomain, noise_floor: float) -> dict[str, Any]:
    """Summarise what every candidate does to one domain."""
    choice = domain.choice or {
        "chosen": next(iter(domain.candidates), BEFORE),
        "verdict": None,
        "reason": None,
    }
    everything = {BEFORE: domain.before, **domain.candidates}
    return {
        "title": domain.title,
        "n": len(domain.before.table),
        "n_patients": int(domain.before.table["patient"].nunique()),
        **{name: choice[name] for name in ("chosen", "verdict", "reason")},
        "agreement": quality_agreement(domain.before.table)
        if "true_quality" in domain.before.table
        else None,
        "candidates": {
            name: _summarise_candidate(domain, name, judged, noise_floor)
            for name, judged in everything.items()
        },
        "measures": choice.get("candidates", {}),
    }


def _summarise_candidate(
    domain: JudgedDomain, name: str, judged: Judged, noise_floor: float
) -> dict[str, Any]:
    """Summarise what one candidate does."""
    before, after = domain.before.table, judged.table
    summary: dict[str, Any] = {"quality": quality_change(before, after, noise_floor)}
    summary["grading"] = grade_change(before, after) if "grade" in before else None
    traced = domain.clean is not None and "tp" in before
    summary["vessels"] = (
        vessel_change(before, after, domain.clean.table, domain.ceiling) if traced and domain.clean else None
    )
    summary["distances"] = (
        distances(domain.clean.features, domain.before.features, judged.features) if domain.clean else None
    )
    summary["likeness"] = (
        {
            f"{column}_{when}": float(table[column].mean())
            for column in ("psnr_db", "ssim")
            for when, table in (("before", before), ("after", after))
        }
        if "psnr_db" in before and before["psnr_db"].notna().any()
        else None
    )
    summary["clean"] = (
        _clean(domain.clean.table, domain.clean_candidates[name])
        if domain.clean and name in domain.clean_candidates
        else None
    )
    summary["warnings"] = warnings(summary)
    return summary


def _clean(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """What happens to good photographs: how many keep their quality, and what their vessels lose."""
    same = before["quality"].to_numpy() == after["quality"].to_numpy()
    loss = vessel_change(before, after, before)["f_difference"]["value"]
    unchanged = float(same.mean()) if len(same) else math.nan
    return {"n": len(before), "unchanged": unchanged, "f_loss": None if loss is None else -loss}
