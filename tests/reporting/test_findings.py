from __future__ import annotations

from dataclasses import replace

import numpy as np

from biostyle.reporting import findings, tables
from biostyle.reporting.document import DomainResult, Report

TITLES = {"nikon": "NIKON", "zeiss": "ZEISS"}


def _with_domain(report: Report, domain: DomainResult) -> Report:
    return replace(report, domains=[domain])


def _swapped(domain: DomainResult) -> DomainResult:
    before, after = domain.tables["before"], domain.tables["after"]
    return replace(domain, tables={**domain.tables, "before": after, "after": before})


def test_headline_says_where_adaptation_hurt(report: Report) -> None:
    summary = tables.summarise_report(report)
    assert findings.headline(summary, TITLES) == "Adaptation hurt in ZEISS."
    kind, text = findings.findings(summary, TITLES)[0]
    assert kind == "worse"
    assert text.startswith(
        "ZEISS: mean F 0.787 before, 0.369 after; paired difference −0.418 over 6 images, 95"
    )


def test_headline_says_where_adaptation_helped(report: Report, domain_b: DomainResult) -> None:
    summary = tables.summarise_report(_with_domain(report, _swapped(domain_b)))
    assert findings.headline(summary, TITLES) == "Adaptation helped in ZEISS."
    assert findings.effect(summary["domains"]["zeiss"]) == "better"


def test_headline_does_not_claim_what_the_interval_does_not_hold(
    report: Report, domain_b: DomainResult
) -> None:
    before = domain_b.tables["before"]
    mixed = before.assign(f_score=before["f_score"] + np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1]))
    domain = replace(domain_b, tables={"before": before, "after": mixed})
    summary = tables.summarise_report(_with_domain(report, domain))
    assert findings.headline(summary, TITLES) == "Adaptation made no clear difference in ZEISS."


def test_headline_without_adaptation(report: Report) -> None:
    summary = tables.summarise_report(_with_domain(report, report.domains[0]))
    assert findings.headline(summary, TITLES).startswith("Nothing was adapted")
    assert findings.findings(summary, TITLES) == []


def test_a_trivial_mask_that_scores_as_well_is_named(report: Report) -> None:
    cautions = [
        text for kind, text in findings.findings(tables.summarise_report(report), TITLES) if kind == "caution"
    ]
    assert cautions == ["ZEISS: after scores 0.369, the trivial mask “All foreground” 0.876."]


def test_a_domain_left_as_it_is_counts_as_unadapted() -> None:
    domain = {"difference": {"value": 0.0, "ci95": [0.0, 0.0], "n": 9}, "chosen": "before"}
    assert findings.effect(domain) == "unadapted"
    assert findings.effect({**domain, "chosen": "matching"}) == "unclear"


def test_a_candidate_that_would_have_hurt_is_named(report: Report, domain_b: DomainResult) -> None:
    before, hurt = domain_b.tables["before"], domain_b.tables["after"]
    choice = {
        "chosen": "before",
        "verdict": "don't adapt",
        "reason": "It is not worth it.",
        "candidates": {"before": {"label_free": 0.9}, "cyclegan": {"label_free": 0.7}},
    }
    domain = replace(domain_b, tables={"before": before, "after": before, "cyclegan": hurt}, choice=choice)
    summary = tables.summarise_report(_with_domain(report, domain))
    assert summary["domains"]["zeiss"]["candidates"]["cyclegan"]["difference"]["ci95"][1] < 0
    assert findings.headline(summary, TITLES).startswith("Nothing was adapted")
    assert ("rejected", "ZEISS: CycleGAN would have given 0.369 instead of 0.787.") in findings.findings(
        summary, TITLES
    )


def test_a_trivial_mask_that_is_not_clearly_beaten_is_named(report: Report, domain_b: DomainResult) -> None:
    after = domain_b.tables["after"]
    f_score = after["f_score"] + [0.25, 0.25, 0.25, -0.125, -0.125, -0.125]
    near = {"before": domain_b.tables["before"], "after": after.assign(f_score=f_score), "otsu": after}
    summary = tables.summarise_report(_with_domain(report, replace(domain_b, tables=near)))
    low, high = summary["domains"]["zeiss"]["difference_to"]["otsu"]["ci95"]
    assert low < 0 < high
    kind, text = findings.findings(summary, TITLES)[-1]
    assert kind == "caution"
    assert (
        "after scores 0.432, the trivial mask “Otsu” 0.369; the interval of their paired difference" in text
    )
    far = {**near, "after": after.assign(f_score=after["f_score"] + 0.125)}
    summary = tables.summarise_report(_with_domain(report, replace(domain_b, tables=far)))
    assert "caution" not in dict(findings.findings(summary, TITLES))
