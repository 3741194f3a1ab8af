"""Numbers of a report: the summary that every output is made from, and the tables cut from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from biostyle.metrics.score_table import dependence, summarise
from biostyle.metrics.statistics import paired_difference
from biostyle.reporting.document import AFTER, BASELINES, BEFORE, CEILING, DomainResult, Report
from biostyle.reporting.lesions import add_measures
from biostyle.reporting.race import gap_closed, summarise_race

SCHEMA = 1
ROW_TITLES = {
    BEFORE: "Before",
    AFTER: "After",
    "all_foreground": "All foreground",
    "all_background": "All background",
    "otsu": "Otsu",
    "matching": "Matching only",
    "adabn": "Batch statistics of B",
    "cyclegan": "CycleGAN",
    "cyclegan_sa": "CycleGAN with S_A",
    "retrain": "Retrained S_B",
    "retrain_rare": "Retrained S_B, rarer class half favoured",
    "consensus": "Consensus",
    "augmented": "CycleGAN augmentation",
    "transfer_all": "Transfer learning, all of B's labels",
    "augmented_transfer": "CycleGAN augmentation and transfer",
    CEILING: "Ceiling (B's labels)",
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
    >>> row_title("transfer_10")
    'Transfer learning, 10 labels of B'
    """
    kind, _, n_images = name.rpartition("_")
    if kind == "transfer" and n_images.isdecimal():
        return f"Transfer learning, {n_images} labels of B"
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
        The content of ``summary.json``: ``schema``, ``pipeline`` and ``domains``, and ``published_measures`` where there
        are any. Scores are means over images and ``pooled`` holds those of the summed counts; None stands for undefined.
    """
    domains = {domain.name: _summarise_domain(domain, report) for domain in report.domains}
    measures = report.published_measures
    published = {} if measures is None else {"published_measures": dict(measures)}
    return {"schema": SCHEMA, "pipeline": report.pipeline, "domains": domains, **published}


def _summarise_domain(domain: DomainResult, report: Report) -> dict[str, Any]:
    """Summarise the rows, the paired differences and the further references of one domain."""
    bootstrap = {"block_length": report.block_length, "n_resamples": report.n_resamples, "seed": report.seed}

    def rows(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        return {name: summarise(table, **bootstrap) for name, table in tables.items()}

    def difference(row: str, to: str = BEFORE) -> dict[str, Any]:
        first, second = (domain.tables[name].set_index("image_id")["f_score"] for name in (to, row))
        drawn = bootstrap | dependence(domain.tables[to], report.block_length)
        return paired_difference(second.reindex(first.index).to_numpy(), first.to_numpy(), **drawn)

    scores = rows(domain.tables)
    out: dict[str, Any] = {
        "n_scored": domain.n_scored,
        "n_frames": domain.n_frames,
        "reference": domain.reference,
        BEFORE: scores.pop(BEFORE),
    }
    baselines = {name: scores.pop(name) for name in BASELINES if name in scores}
    if AFTER in scores:
        out[AFTER] = scores.pop(AFTER)
        out["difference"] = difference(AFTER)
        out["difference_to"] = {name: difference(AFTER, name) for name in baselines}
    out["baselines"] = baselines
    scores = {name: {**row, "difference": difference(name)} for name, row in scores.items()}
    ceiling = scores.pop(CEILING, None)
    supervised = {name: scores.pop(name) for name in report.supervised if name in scores}
    if domain.choice:
        out |= summarise_race(domain.choice, {BEFORE: out[BEFORE], **scores})
    elif scores:
        out["candidates"] = scores
    if ceiling:
        out[CEILING] = ceiling
        out["gap_closed"] = gap_closed(
            *(out.get(name, {}).get("f_score") for name in (BEFORE, AFTER, CEILING))
        )
    if supervised:
        out["supervised"] = supervised
    if report.published_measures is not None:
        add_measures(out, domain.tables, n_resamples=report.n_resamples, seed=report.seed)
    if domain.flags:
        out["flags"] = [dict(flag) for flag in domain.flags]
    if domain.secondary:
        out["secondary"] = {reference: rows(tables) for reference, tables in domain.secondary.items()}
    return out


def overview_rows(summary: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """Arrange this run's scores with domains as columns.

    Parameters
    ----------
    summary : mapping
        What :func:`summarise_report` returns.

    Returns
    -------
    list of (str, list)
        Row name and one summary row, or None, a domain: before, after, difference, candidates, ceiling, baselines.
    """
    domains = list(summary["domains"].values())
    scored = [_scored_candidates(domain) for domain in domains]
    merged = [
        {**domain, **rows, **domain.get("supervised", {}), **domain["baselines"]}
        for domain, rows in zip(domains, scored, strict=True)
    ]
    supervised = dict.fromkeys(name for domain in domains for name in domain.get("supervised", {}))
    candidates = dict.fromkeys(name for rows in scored for name in rows)
    candidates.pop(BEFORE, None)
    names = (BEFORE, AFTER, "difference", *candidates, *supervised, CEILING, *BASELINES)
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
    rows = {name: domain[name] for name in (BEFORE, AFTER) if name in domain} | _scored_candidates(domain)
    rows |= domain.get("supervised", {}) | ({CEILING: domain[CEILING]} if CEILING in domain else {})
    return list({**rows, **domain["baselines"]}.items())


def race_rows(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Write down how the race went, with domains as columns.

    Parameters
    ----------
    summary : mapping
        What :func:`summarise_report` returns.

    Returns
    -------
    list of (str, list of str)
        What it is, and a text a domain: the choice, the verdict, the oracle, the regret, the part of the gap to the
        ceiling that was closed, and how many frames are flagged; only what some domain has.
    """
    domains = list(summary["domains"].values())

    def flagged(domain: Mapping[str, Any]) -> str:
        flags = domain.get("flags", [])
        return f"{sum(bool(flag['flagged']) for flag in flags)} of {len(flags)}" if flags else MISSING

    rows = [
        ("Chosen without labels", [row_title(domain.get("chosen", MISSING)) for domain in domains]),
        ("Verdict", [domain.get("verdict", MISSING) for domain in domains]),
        ("Oracle", [row_title(domain.get("oracle") or MISSING) for domain in domains]),
        ("Regret", [format_score(domain.get("regret")) for domain in domains]),
        ("Gap closed", [format_share(domain.get("gap_closed")) for domain in domains]),
        ("Flagged frames", [flagged(domain) for domain in domains]),
    ]
    return [(name, cells) for name, cells in rows if any(cell != MISSING for cell in cells)]


def difference_rows(domain: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """List the paired differences between the chosen mask and what it has to beat.

    Parameters
    ----------
    domain : mapping
        One value of ``summary["domains"]``.

    Returns
    -------
    list of (str, dict)
        Row name and the difference of ``after`` to it; empty where there is no ``after``.
    """
    if "difference" not in domain:
        return []
    return [(BEFORE, domain["difference"]), *domain["difference_to"].items()]


def _scored_candidates(domain: Mapping[str, Any]) -> dict[str, Any]:
    """Candidates of one domain that there are score tables of."""
    return {name: row for name, row in domain.get("candidates", {}).items() if "ci95" in row}


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
    >>> flatten({"seed": 0, "cyclegan": {"n_steps": 500}})
    [('seed', '0'), ('cyclegan.n_steps', '500')]
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


def format_share(value: float | None) -> str:
    """Write a part of a whole in per cent.

    Parameters
    ----------
    value : float or None
        1 is the whole; None where undefined.

    Returns
    -------
    str
        For example ``62 %``, or a dash.

    Examples
    --------
    >>> format_share(0.625), format_share(-0.25), format_share(None)
    ('62 %', '−25 %', '–')
    """
    return MISSING if value is None else f"{100 * value:.0f} %".replace("-", "−")


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
