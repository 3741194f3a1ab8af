"""Sentences of a report: what the numbers mean, said once and without hope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from biostyle.reporting.document import AFTER, BEFORE
from biostyle.reporting.tables import format_interval, format_score, format_signed, row_title

EFFECTS = {
    "better": "Better after adaptation",
    "worse": "Worse after adaptation",
    "unclear": "No clear change",
    "unknown": "Cannot be judged",
    "rejected": "Worse, and not used",
    "caution": "No better than a trivial mask",
    "unadapted": "Not adapted",
}


def effect(domain: Mapping[str, Any]) -> str:
    """Say what adaptation did to one domain, as far as the paired interval allows.

    Parameters
    ----------
    domain : mapping
        One value of ``summary["domains"]``.

    Returns
    -------
    str
        ``"better"`` if the 95 % interval of the paired difference in F lies above 0, ``"worse"`` if below,
        ``"unclear"`` if it holds 0, ``"unknown"`` if there is none, ``"unadapted"`` without an after or where the
        choice was to leave the frames as they are.

    Examples
    --------
    >>> effect({"difference": {"value": -0.4, "ci95": [-0.5, -0.3], "n": 9}})
    'worse'
    """
    if "difference" not in domain or domain.get("chosen") == BEFORE:
        return "unadapted"
    low, high = domain["difference"]["ci95"]
    if low is None or high is None:
        return "unknown"
    return "better" if low > 0 else "worse" if high < 0 else "unclear"


def headline(summary: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Say in one sentence where adaptation helped and where it hurt.

    Parameters
    ----------
    summary : mapping
        What :func:`biostyle.reporting.tables.summarise_report` returns.
    titles : mapping of str to str
        Domain titles by name.

    Returns
    -------
    str
        One sentence.
    """
    effects = {name: effect(domain) for name, domain in summary["domains"].items()}
    adapted = [name for name, found in effects.items() if found != "unadapted"]
    if not adapted:
        return "Nothing was adapted; these are the scores as they are."
    clauses = []
    for kind, verb in (
        ("better", "helped"),
        ("worse", "hurt"),
        ("unclear", "made no clear difference"),
        ("unknown", "could not be judged"),
    ):
        names = [titles[name] for name in adapted if effects[name] == kind]
        if names:
            clauses.append(f"{verb} in {_listed(names)}")
    return f"Adaptation {_listed(clauses)}."


def findings(summary: Mapping[str, Any], titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Spell out the headline, one sentence a domain, and warn where a trivial mask does as well.

    Parameters
    ----------
    summary : mapping
        What :func:`biostyle.reporting.tables.summarise_report` returns.
    titles : mapping of str to str
        Domain titles by name.

    Returns
    -------
    list of (str, str)
        A key of ``EFFECTS`` and a sentence.
    """
    found = []
    for name, domain in summary["domains"].items():
        kind = effect(domain)
        if kind != "unadapted":
            difference = domain["difference"]
            found.append(
                (
                    kind,
                    f"{titles[name]}: mean F {format_score(domain[BEFORE]['f_score'])} before, "
                    f"{format_score(domain[AFTER]['f_score'])} after; paired difference "
                    f"{format_signed(difference['value'])} over {_counted(difference['n'])}, "
                    f"95\N{NO-BREAK SPACE}% interval {format_interval(difference['ci95'], format_signed)}.",
                )
            )
    order = list(EFFECTS)
    found.sort(key=lambda item: order.index(item[0]))
    found += [("rejected", text) for text in _rejected(summary, titles)]
    return found + [("caution", text) for text in _cautions(summary, titles)]


def _rejected(summary: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    """Name the candidates that were not chosen and are clearly worse than no adaptation."""
    for name, domain in summary["domains"].items():
        for candidate, row in domain.get("candidates", {}).items():
            high = row.get("difference", {"ci95": [None, None]})["ci95"][1]
            if candidate != domain.get("chosen") and high is not None and high < 0:
                yield (
                    f"{titles[name]}: {row_title(candidate)} would have given {format_score(row['f_score'])} "
                    f"instead of {format_score(domain[BEFORE]['f_score'])}."
                )


def _cautions(summary: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    """Name the domains whose final score is not clearly above that of the best trivial mask."""
    for name, domain in summary["domains"].items():
        final = AFTER if AFTER in domain else BEFORE
        trivial = {
            baseline: row["f_score"]
            for baseline, row in domain["baselines"].items()
            if row["f_score"] is not None
        }
        score = domain[final]["f_score"]
        if not trivial or score is None:
            continue
        best = max(trivial, key=lambda baseline: trivial[baseline])
        compared = f"{final} scores {format_score(score)}, the trivial mask “{row_title(best)}”"
        difference = domain.get("difference_to", {}).get(best, {"ci95": [None, None]})
        low = difference["ci95"][0]
        if score <= trivial[best]:
            yield f"{titles[name]}: {compared} {format_score(trivial[best])}."
        elif low is not None and low <= 0:
            yield (
                f"{titles[name]}: {compared} {format_score(trivial[best])}; the interval of their paired difference, "
                f"{format_interval(difference['ci95'], format_signed)}, holds 0."
            )


def _listed(items: list[str]) -> str:
    """Join words the way a sentence does."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _counted(n: int) -> str:
    """Count images."""
    return f"{n} image" if n == 1 else f"{n} images"
