"""Numbers of a report: the summary that every output is made from, and the tables cut from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from biostyle.metrics.score_table import summarise
from biostyle.metrics.statistics import paired_difference
from biostyle.reporting.document import AFTER, BASELINES, BEFORE, DomainResult, Report

SCHEMA = 1
ROW_TITLES = {
    BEFORE: "Before",
    AFTER: "After",
    "all_foreground": "All foreground",
    "all_background": "All background",
    "otsu": "Otsu",
    "matching": "Matching only",
    "cyclegan": "CycleGAN",
}
MISSING = "–"


def row_title(name: str) -> str:
    """Name a row of the score tables for people.

    Parameters
    ----------
    name : str
        Key in ``DomainResult.tables``.

    Returns
    -------
    str
        Title; a name that is not a standard one is its own title.

    Examples
    --------
    >>> row_title("all_foreground"), row_title("my-method")
    ('All foreground', 'my-method')
    """
    return ROW_TITLES.get(name, name)


def summarise_report(report: Report) -> dict[str, Any]:
    """Reduce every table of a report to means with 95 % intervals.

    Parameters
    ----------
    report : Report
        What was measured.

    Returns
    -------
    dict
        The content of ``summary.json``: ``schema``, ``pipeline`` and ``domains``. Scores are means over images and
        ``pooled`` holds those of the summed counts; None stands for undefined.
    """
    domains = {domain.name: _summarise_domain(domain, report) for domain in report.domains}
    return {"schema": SCHEMA, "pipeline": report.pipeline, "domains": domains}


def _summarise_domain(domain: DomainResult, report: Report) -> dict[str, Any]:
    """Summarise the rows, the paired difference and the further references of one domain."""
    bootstrap = {"block_length": report.block_length, "n_resamples": report.n_resamples, "seed": report.seed}

    def rows(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        return {name: summarise(table, **bootstrap) for name, table in tables.items()}

    def difference(row: str) -> dict[str, Any]:
        before, after = (domain.tables[name].set_index("image_id")["f_score"] for name in (BEFORE, row))
        sequences = [str(image_id).rpartition("_")[0] for image_id in before.index]
        return paired_difference(
            after.reindex(before.index).to_numpy(), before.to_numpy(), groups=sequences, **bootstrap
        )

    scores = rows(domain.tables)
    out: dict[str, Any] = {
        "n_scored": domain.n_scored,
        "n_frames": domain.n_frames,
        "reference": domain.reference,
        BEFORE: scores.pop(BEFORE),
    }
    if AFTER in scores:
        out[AFTER] = scores.pop(AFTER)
        out["difference"] = difference(AFTER)
    out["baselines"] = {name: scores.pop(name) for name in BASELINES if name in scores}
    scores = {name: {**row, "difference": difference(name)} for name, row in scores.items()}
    if domain.choice:
        out |= _choice(domain.choice, {BEFORE: out[BEFORE], **scores})
    elif scores:
        out["candidates"] = scores
    if domain.secondary:
        out["secondary"] = {reference: rows(tables) for reference, tables in domain.secondary.items()}
    return out


def _choice(choice: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """Put the label-free choice beside the labelled oracle, which nobody could have chosen without truth."""
    label_free = {name: found["label_free"] for name, found in choice["candidates"].items()}
    candidates = {name: {**row, "label_free": label_free.get(name)} for name, row in scores.items()}
    known = {name: row["f_score"] for name, row in scores.items() if row["f_score"] is not None}
    oracle = max(known, key=lambda name: known[name]) if known else None
    chosen = known.get(choice["chosen"])
    return {
        "candidates": candidates,
        "chosen": choice["chosen"],
        "verdict": choice["verdict"],
        "reason": choice["reason"],
        "oracle": oracle,
        "regret": None if oracle is None or chosen is None else known[oracle] - chosen,
    }


def overview_rows(summary: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """Arrange this run's scores with domains as columns.

    Parameters
    ----------
    summary : mapping
        What :func:`summarise_report` returns.

    Returns
    -------
    list of (str, list)
        Row name and one summary row, or None, a domain: before, after, difference, candidates, baselines.
    """
    domains = list(summary["domains"].values())
    merged = [{**domain, **domain.get("candidates", {}), **domain["baselines"]} for domain in domains]
    candidates = dict.fromkeys(name for domain in domains for name in domain.get("candidates", {}))
    candidates.pop(BEFORE, None)
    names = (BEFORE, AFTER, "difference", *candidates, *BASELINES)
    rows = [(name, [domain.get(name) for domain in merged]) for name in names]
    return [(name, cells) for name, cells in rows if any(cells)]


def score_rows(domain: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """List the rows of one domain's score table in reading order.

    Parameters
    ----------
    domain : mapping
        One value of ``summary["domains"]``.

    Returns
    -------
    list of (str, dict)
        Row name and its summary.
    """
    rows = {name: domain[name] for name in (BEFORE, AFTER) if name in domain}
    return list({**rows, **domain.get("candidates", {}), **domain["baselines"]}.items())


def per_image(domain: DomainResult) -> pd.DataFrame:
    """Put before and after of each image side by side.

    Parameters
    ----------
    domain : DomainResult
        One domain.

    Returns
    -------
    DataFrame
        Indexed by image; columns such as ``("before", "f_score")``, and ``("difference", "f_score")``.
    """
    columns = ["f_score", "precision", "recall", "jaccard"]
    shown = {
        name: domain.tables[name].set_index("image_id")[columns]
        for name in (BEFORE, AFTER)
        if name in domain.tables
    }
    table = pd.concat(shown, axis=1).reindex(domain.tables[BEFORE]["image_id"])
    if AFTER in shown:
        table[("difference", "f_score")] = table[(AFTER, "f_score")] - table[(BEFORE, "f_score")]
    return table


def scores_frame(report: Report) -> pd.DataFrame:
    """Stack every per-image score of a report.

    Parameters
    ----------
    report : Report
        What was measured.

    Returns
    -------
    DataFrame
        One row a domain, row name and image, with the reference it was scored against in the last column.
    """
    parts = []
    for domain in report.domains:
        for reference, tables in {domain.reference: domain.tables, **domain.secondary}.items():
            for row, table in tables.items():
                part = table.copy()
                part.insert(0, "domain", domain.name)
                part.insert(1, "row", row)
                parts.append(part.assign(reference=reference))
    return pd.concat(parts, ignore_index=True)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List nested settings under dotted names.

    Parameters
    ----------
    settings : mapping
        Settings, possibly nested.
    prefix : str
        Name of the section they are in, with its dot.

    Returns
    -------
    list of (str, str)
        Dotted name and value.

    Examples
    --------
    >>> flatten({"seed": 0, "stylizer": {"n_steps": 500}})
    [('seed', '0'), ('stylizer.n_steps', '500')]
    """
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def format_score(value: float | None) -> str:
    """Write a score with three decimals.

    Parameters
    ----------
    value : float or None
        Score; None or NaN where undefined.

    Returns
    -------
    str
        For example ``0.912``, or a dash.

    Examples
    --------
    >>> format_score(0.9123), format_score(None)
    ('0.912', '–')
    """
    return MISSING if value is None or math.isnan(value) else f"{value:.3f}"


def format_signed(value: float | None) -> str:
    """Write a difference with its sign.

    Parameters
    ----------
    value : float or None
        Difference; None or NaN where undefined.

    Returns
    -------
    str
        For example ``+0.120`` or ``−0.403``, or a dash.

    Examples
    --------
    >>> format_signed(-0.4032), format_signed(0.0)
    ('−0.403', '0.000')
    """
    text = format_score(value)
    if text in (MISSING, "0.000", "-0.000"):
        return text.lstrip("-")
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def format_interval(ci95: list[float | None], write: Any = format_score) -> str:
    """Write an interval.

    Parameters
    ----------
    ci95 : list of float or None
        Lower and upper end.
    write : callable
        How to write an end, :func:`format_score` or :func:`format_signed`.

    Returns
    -------
    str
        For example ``0.881 to 0.923``, or a dash.

    Examples
    --------
    >>> format_interval([0.881, 0.923])
    '0.881 to 0.923'
    """
    low, high = ci95
    return MISSING if low is None or high is None else f"{write(low)} to {write(high)}"
