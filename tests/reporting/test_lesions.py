"""The measures of lesions: in the summary of every row, and as text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from biostyle.metrics.lesion import lesion_measures
from biostyle.reporting.document import DomainResult, Report
from biostyle.reporting.lesions import format_percent, format_percent_interval, measure_rows
from biostyle.reporting.render import write_report
from biostyle.reporting.tables import overview_rows, row_title, score_rows, summarise_report

PUBLISHED = {"Somebody": {"tja": 70.0, "ja": 80.0, "di": 88.0, "ac": 93.0, "se": 87.0, "sp": 96.0}}


@pytest.fixture
def lesions(report: Report, domain_b: DomainResult) -> Report:
    """The simulated report, about lesions, with a row that saw B's labels."""
    tables = {
        name: table.assign(group=["x", "x", "x", "y", "y", "z"]) for name, table in domain_b.tables.items()
    }
    tables |= {"transfer_10": tables["before"], "matching": tables["otsu"]}
    choice = {
        "chosen": "matching",
        "verdict": "adopt",
        "reason": "It is sure.",
        "candidates": {"before": {"label_free": 0.8}, "matching": {"label_free": 0.9, "agreement": 0.7}},
    }
    domain = replace(domain_b, tables=tables, choice=choice)
    return replace(
        report, domains=[domain], published_measures=PUBLISHED, supervised=("transfer_10", "transfer_all")
    )


def test_every_row_gets_the_measures_of_its_table(lesions: Report) -> None:
    summary = summarise_report(lesions)
    assert summary["published_measures"] == PUBLISHED
    domain = summary["domains"]["zeiss"]
    rows = {
        "before": domain["before"],
        "after": domain["after"],
        **domain["baselines"],
        **domain["supervised"],
    }
    rows["matching"] = domain["candidates"]["matching"]
    for name, row in rows.items():
        means = lesion_measures(lesions.domains[0].tables[name]).mean()
        assert row["measures"] == pytest.approx(means.to_dict(), abs=0.005, nan_ok=True)
    assert "measures_difference" not in domain["before"]
    assert domain["supervised"]["transfer_10"]["measures_difference"]["ja"]["value"] == 0
    assert domain["measures_difference_to"]["otsu"]["ja"]["ci95"][1] < 0


def test_measures_with_the_truth_do_not_take_the_place_of_those_without(
    lesions: Report, tmp_path: Path
) -> None:
    candidates = summarise_report(lesions)["domains"]["zeiss"]["candidates"]
    assert candidates["matching"]["label_free_measures"] == {"agreement": 0.7}
    write_report(lesions, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    table = page.split("Label-free measures of every candidate")[1].split("</table>")[0]
    assert "agreement" in table
    assert "tja" not in table


def test_the_report_says_that_whole_lesions_were_drawn(
    lesions: Report, report: Report, tmp_path: Path
) -> None:
    for document, drawn in ((lesions, "whole lesions"), (report, "blocks of 5 consecutive images")):
        write_report(document, tmp_path)
        for name in ("index.html", "report.md"):
            assert f"(bootstrap over {drawn}, {document.n_resamples} resamples)" in (
                tmp_path / name
            ).read_text(encoding="utf-8")


def test_rows_with_labels_of_b_are_no_candidates(lesions: Report) -> None:
    summary = summarise_report(lesions)
    domain = summary["domains"]["zeiss"]
    assert list(domain["candidates"]) == ["before", "matching"]
    assert domain["oracle"] == "before"
    assert [name for name, _ in score_rows(domain)][:4] == ["before", "after", "matching", "transfer_10"]
    assert "transfer_10" in dict(overview_rows(summary))
    assert row_title("transfer_10") == "Transfer learning, 10 labels of B"
    assert row_title("transfer_all") == "Transfer learning, all of B's labels"


def test_without_published_measures_nothing_is_added(report: Report) -> None:
    summary = summarise_report(report)
    assert "measures" not in summary["domains"]["zeiss"]["before"]
    assert measure_rows(summary) == []


def test_two_measures_are_shown_in_the_terminal(lesions: Report) -> None:
    rows = dict(measure_rows(summarise_report(lesions)))
    assert list(rows) == [f"{name} {row}, per cent" for name in ("TJA", "JA") for row in ("before", "after")]
    before = lesion_measures(lesions.domains[0].tables["before"])["ja"].mean()
    assert rows["JA before, per cent"] == [f"{before:.2f}"]


def test_percentages_have_two_decimals() -> None:
    assert format_percent(0.0, signed=True) == "0.00"
    assert format_percent(3.456, signed=True) == "+3.46"
    assert format_percent(-3.4) == "−3.40"
    assert format_percent_interval([-1.0, 2.5], signed=True) == "−1.00 to +2.50"
    assert format_percent_interval([None, None]) == "–"
