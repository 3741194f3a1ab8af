"""The six measures of skin lesions in a report, beside the rows of F-scores they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from biostyle.metrics.lesion import lesion_differences, summarise_lesions
from biostyle.reporting.document import AFTER, BEFORE

MEASURE_TITLES = {"tja": "TJA", "ja": "JA", "di": "DI", "ac": "AC", "se": "SE", "sp": "SP"}


def add_measures(
    domain: dict[str, Any], tables: Mapping[str, pd.DataFrame], *, n_resamples: int, seed: int
) -> None:
    """Add the measures of skin lesions to every row of a domain's summary.

    Parameters
    ----------
    domain : dict
        One value of ``summary["domains"]``; changed in place. Every row that has a table gets ``measures``,
        ``measures_ci95`` and, but for ``before``, ``measures_difference`` to before; the domain gets
        ``measures_difference_to``, that of ``after`` to each baseline.
    tables : mapping of str to DataFrame
        Score tables by row name.
    n_resamples : int
        Bootstrap resamples.
    seed : int
        Seed of the bootstrap.
    """
    bootstrap = {"n_resamples": n_resamples, "seed": seed}
    sections = [{name: domain[name] for name in (BEFORE, AFTER) if name in domain}]
    sections += [domain[key] for key in ("candidates", "baselines", "supervised") if key in domain]
    found = {name: summarise_lesions(table, **bootstrap) for name, table in tables.items()}
    for name, table in tables.items():
        if name != BEFORE:
            found[name]["measures_difference"] = lesion_differences(table, tables[BEFORE], **bootstrap)
    for section in sections:
        for name, row in section.items():
            row |= found.get(name, {})
    if AFTER in tables:
        domain["measures_difference_to"] = {
            name: lesion_differences(tables[AFTER], tables[name], **bootstrap) for name in domain["baselines"]
        }


def measure_rows(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Write the two measures that matter most, before and after, with domains as columns.

    Parameters
    ----------
    summary : mapping
        Content of ``summary.json``.

    Returns
    -------
    list of (str, list of str)
        What it is, and a text a domain; empty where the objects are no lesions.
    """
    domains = list(summary["domains"].values())
    rows = [
        (
            f"{MEASURE_TITLES[measure]} {row}, per cent",
            [format_percent(domain.get(row, {}).get("measures", {}).get(measure)) for domain in domains],
        )
        for measure in ("tja", "ja")
        for row in (BEFORE, AFTER)
    ]
    return rows if "published_measures" in summary else []


def format_percent(value: float | None, *, signed: bool = False) -> str:
    """Write a measure in per cent with two decimals.

    Parameters
    ----------
    value : float or None
        In per cent; None where undefined.
    signed : bool
        Whether to write a plus sign as well.

    Returns
    -------
    str
        For example ``81.03`` or ``−2.50``, or a dash.

    Examples
    --------
    >>> format_percent(81.03), format_percent(-2.5, signed=True), format_percent(None)
    ('81.03', '−2.50', '–')
    """
    if value is None:
        return "–"
    return f"{value:{'+' if signed and value else ''}.2f}".replace("-", "−")


def format_percent_interval(ci95: list[float | None], *, signed: bool = False) -> str:
    """Write an interval of a measure.

    Parameters
    ----------
    ci95 : list of float or None
        Lower and upper end, in per cent.
    signed : bool
        As in :func:`format_percent`.

    Returns
    -------
    str
        For example ``78.20 to 83.91``, or a dash.

    Examples
    --------
    >>> format_percent_interval([78.2, 83.91])
    '78.20 to 83.91'
    """
    if None in ci95:
        return "–"
    return " to ".join(format_percent(end, signed=signed) for end in ci95)
