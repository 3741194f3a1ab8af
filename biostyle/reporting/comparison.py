"""Several runs of one pipeline side by side: how much of a score is the method, and how much the seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from biostyle.errors import PairingError
from biostyle.reporting.document import AFTER, BASELINES, BEFORE, CEILING
from biostyle.reporting.tables import MISSING, format_score, row_title

_SAME = ("reference", "n_scored", "n_frames")


def compare_runs(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise every row of every domain over runs that differ in their seed.

    Parameters
    ----------
    summaries : mapping of str to mapping
        Content of each run's ``summary.json``, by the run's name.

    Returns
    -------
    dict
        ``schema``, ``pipeline``, ``runs`` (the names) and ``domains``. A domain has its ``reference``, ``n_scored`` and
        ``n_frames``; ``rows``, by row the ``mean``, ``sd`` (of the sample, None for one run), ``min``, ``max`` and ``n``
        of the runs' mean F-scores, and of ``regret`` and ``gap_closed`` where they are there; ``label_free`` and
        ``edge_support``, the same of each candidate's label-free score and of the support of its contours by edges; and
        ``chosen`` and ``verdict``, one a run, None where nothing was chosen. A row counts the runs in which it is defined.

    Raises
    ------
    PairingError
        If there is no run, or the runs differ in pipeline, domains, or in what a domain was scored on.
    """
    if not summaries:
        raise PairingError("runs must be at least one, got none. Name the runs' directories.")
    first_name, first = next(iter(summaries.items()))
    for name, summary in summaries.items():
        _check_same("pipeline", summary["pipeline"], first["pipeline"], name, first_name)
        _check_same("domains", list(summary["domains"]), list(first["domains"]), name, first_name)
        for domain, found in summary["domains"].items():
            for key in _SAME:
                wanted = first["domains"][domain][key]
                _check_same(f"{domain}.{key}", found[key], wanted, name, first_name)
    return {
        "schema": 1,
        "pipeline": first["pipeline"],
        "runs": list(summaries),
        "domains": {
            name: _compare_domain([summary["domains"][name] for summary in summaries.values()])
            for name in first["domains"]
        },
    }


def comparison_markdown(comparison: Mapping[str, Any]) -> str:
    """Write a comparison as Markdown: an overview with domains as columns, then a table a domain.

    Parameters
    ----------
    comparison : mapping
        What :func:`compare_runs` returns.

    Returns
    -------
    str
        Markdown.
    """
    domains, runs = comparison["domains"], comparison["runs"]
    rows = dict.fromkeys(row for domain in domains.values() for row in domain["rows"])
    lines = [
        f"# {comparison['pipeline']}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}",
        "",
        "Mean F over images; mean ± standard deviation over runs.",
        "",
        *_table(
            ["", *domains],
            [
                [_title(row), *(_spread(domain["rows"].get(row)) for domain in domains.values())]
                for row in rows
            ],
        ),
    ]
    for name, domain in domains.items():
        header = ["", "Mean", "Standard deviation", "Minimum", "Maximum", "Runs"]
        cells = [
            [
                _title(row),
                *(format_score(found[key]) for key in ("mean", "sd", "min", "max")),
                str(found["n"]),
            ]
            for row, found in domain["rows"].items()
        ]
        scored = f"Scored {domain['n_scored']} of {domain['n_frames']} frames against {domain['reference']}."
        lines += ["", f"## {name}", "", scored, "", *_table(header, cells)]
        if any(domain["chosen"]):
            choices = zip(runs, domain["chosen"], domain["verdict"], strict=True)
            chosen = [[run, row_title(found or MISSING), said or MISSING] for run, found, said in choices]
            lines += ["", *_table(["Run", "Chosen without labels", "Verdict"], chosen)]
    return "\n".join(lines) + "\n"


def _compare_domain(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise one domain over the runs."""
    rows: dict[str, list[float]] = {}
    label_free: dict[str, list[float]] = {}
    edge_support: dict[str, list[float]] = {}
    for run in runs:
        scored = {name: run[name] for name in (BEFORE, AFTER, CEILING) if name in run}
        scored |= {name: row for name, row in run.get("candidates", {}).items() if name != BEFORE}
        scored |= run.get("supervised", {})
        for name, row in {**scored, **run["baselines"]}.items():
            rows.setdefault(name, []).append(row["f_score"])
        for name, row in run.get("candidates", {}).items():
            if "label_free" in row:
                label_free.setdefault(name, []).append(row["label_free"])
            if "edge_support" in row.get("label_free_measures", {}):
                edge_support.setdefault(name, []).append(row["label_free_measures"]["edge_support"])
        for name in ("regret", "gap_closed"):
            if name in run:
                rows.setdefault(name, []).append(run[name])
    candidates = [
        name for name in rows if name not in {BEFORE, AFTER, CEILING, "regret", "gap_closed", *BASELINES}
    ]
    order = (BEFORE, AFTER, "regret", "gap_closed", *candidates, CEILING, *BASELINES)
    return {
        **{key: runs[0][key] for key in _SAME},
        "rows": {name: _describe(rows[name]) for name in order if name in rows},
        "label_free": {name: _describe(scores) for name, scores in label_free.items()},
        "edge_support": {name: _describe(supports) for name, supports in edge_support.items()},
        "chosen": [run.get("chosen") for run in runs],
        "verdict": [run.get("verdict") for run in runs],
    }


def _describe(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Mean, spread and extremes of the defined values."""
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "sd": statistics.stdev(known) if len(known) > 1 else None,
        "min": min(known, default=None),
        "max": max(known, default=None),
        "n": len(known),
    }


def _check_same(what: str, found: Any, wanted: Any, name: str, first_name: str) -> None:
    """Refuse to compare what is not the same thing."""
    if found != wanted:
        raise PairingError(
            f"{what} must be the same in all runs, got {found!r} ({name}) and {wanted!r} ({first_name}). "
            "Compare runs that differ in their seed only."
        )


def _title(row: str) -> str:
    """Name a row, be it a score or what follows from scores."""
    return {"regret": "Regret", "gap_closed": "Gap closed"}.get(row, row_title(row))


def _spread(row: Mapping[str, Any] | None) -> str:
    """Write mean and standard deviation in one cell."""
    if row is None or row["mean"] is None:
        return MISSING
    return format_score(row["mean"]) + ("" if row["sd"] is None else f" ± {format_score(row['sd'])}")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
