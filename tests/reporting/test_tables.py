from __future__ import annotations

import json
from dataclasses import replace

import pytest

from biostyle.metrics.overlap import PixelCounts
from biostyle.metrics.score_table import score_table
from biostyle.reporting import findings, tables
from biostyle.reporting.document import DomainResult, Report


def with_domain(report: Report, domain: DomainResult) -> Report:
    return replace(report, domains=[domain])


def test_summary_has_the_documented_keys(report: Report) -> None:
    summary = tables.summarise_report(report)
    assert list(summary) == ["schema", "pipeline", "domains"]
    assert (summary["schema"], summary["pipeline"]) == (1, "cell-tracking")
    zeiss = summary["domains"]["zeiss"]
    assert (zeiss["n_scored"], zeiss["n_frames"], zeiss["reference"]) == (6, 84, "gold")
    for row in (zeiss["before"], zeiss["after"], *zeiss["baselines"].values()):
        assert {"f_score", "jaccard", "precision", "recall", "ci95", "pooled"} <= set(row)
        assert len(row["ci95"]) == 2
    assert set(zeiss["difference"]) == {"value", "ci95", "n"}
    assert list(zeiss["baselines"]) == ["all_foreground", "all_background", "otsu"]
    assert set(summary["domains"]["nikon"]) == {"n_scored", "n_frames", "reference", "before", "baselines"}
    assert zeiss["secondary"]["silver"]["before"]["n_scored"] == 3


def test_scores_are_means_over_images(report: Report, domain_b: DomainResult) -> None:
    row = tables.summarise_report(report)["domains"]["zeiss"]
    assert row["before"]["f_score"] == pytest.approx(domain_b.tables["before"]["f_score"].mean())
    expected = (domain_b.tables["after"]["f_score"] - domain_b.tables["before"]["f_score"]).mean()
    assert row["difference"]["value"] == pytest.approx(expected)
    assert row["difference"]["n"] == 6


def test_difference_pairs_images_by_id_not_by_row(report: Report, domain_b: DomainResult) -> None:
    shuffled = replace(domain_b, tables={**domain_b.tables, "after": domain_b.tables["after"].iloc[::-1]})
    straight, other = (
        tables.summarise_report(with_domain(report, domain))["domains"]["zeiss"]["difference"]
        for domain in (domain_b, shuffled)
    )
    assert straight == other


def test_undefined_scores_become_null(report: Report, domain_b: DomainResult) -> None:
    empty = score_table(["01_t000"], [PixelCounts(0, 0, 0, 100)])
    domain = replace(domain_b, tables={"before": empty, "after": empty}, n_scored=1, secondary={})
    summary = tables.summarise_report(with_domain(report, domain))
    zeiss = json.loads(json.dumps(summary, allow_nan=False))["domains"]["zeiss"]
    assert zeiss["before"]["f_score"] is None
    assert zeiss["before"]["ci95"] == [None, None]
    assert zeiss["before"]["n_undefined"] == 1
    assert zeiss["difference"] == {"value": None, "ci95": [None, None], "n": 0}
    assert findings.effect(zeiss) == "unknown"
    assert findings.headline(summary, {"zeiss": "ZEISS"}) == "Adaptation could not be judged in ZEISS."


def test_other_rows_are_kept_as_candidates(report: Report, domain_b: DomainResult) -> None:
    domain = replace(domain_b, tables={**domain_b.tables, "cyclegan": domain_b.tables["before"]})
    summary = tables.summarise_report(with_domain(report, domain))
    assert list(summary["domains"]["zeiss"]["candidates"]) == ["cyclegan"]
    names = [name for name, _ in tables.overview_rows(summary)]
    assert names == [
        "before", "after", "difference", "cyclegan", "all_foreground", "all_background", "otsu",
    ]  # fmt: skip


def with_choice(domain: DomainResult, chosen: str) -> DomainResult:
    """The same domain, with two candidates and a choice between them and the unchanged frames."""
    label_free = {"before": 0.9, "matching": 0.95, "cyclegan": 0.6}
    return replace(
        domain,
        tables={
            **domain.tables,
            "matching": domain.tables["before"].assign(f_score=domain.tables["before"]["f_score"] + 0.125),
            "cyclegan": domain.tables["after"],
        },
        choice={
            "chosen": chosen,
            "verdict": "adopt",
            "reason": "The label-free score rises.",
            "candidates": {name: {"label_free": score} for name, score in label_free.items()},
        },
    )


def test_a_choice_is_put_beside_the_oracle(report: Report, domain_b: DomainResult) -> None:
    domain = with_choice(domain_b, "cyclegan")
    summary = tables.summarise_report(with_domain(report, domain))
    zeiss = summary["domains"]["zeiss"]
    assert {name: row["label_free"] for name, row in zeiss["candidates"].items()} == {
        "before": 0.9, "matching": 0.95, "cyclegan": 0.6,
    }  # fmt: skip
    assert (zeiss["chosen"], zeiss["verdict"], zeiss["oracle"]) == ("cyclegan", "adopt", "matching")
    assert zeiss["reason"] == "The label-free score rises."
    assert zeiss["regret"] == pytest.approx(zeiss["before"]["f_score"] + 0.125 - zeiss["after"]["f_score"])
    names = [name for name, _ in tables.overview_rows(summary)]
    assert names == [
        "before", "after", "difference", "matching", "cyclegan", "all_foreground", "all_background", "otsu",
    ]  # fmt: skip


def test_the_ceiling_is_no_candidate(report: Report, domain_b: DomainResult) -> None:
    raced = with_choice(domain_b, "matching")
    best = raced.tables["before"].assign(f_score=raced.tables["before"]["f_score"] + 0.1875)
    ceiling = replace(raced, tables={**raced.tables, "after": raced.tables["matching"], "ceiling": best})
    summary = tables.summarise_report(with_domain(report, ceiling))
    zeiss = summary["domains"]["zeiss"]
    assert "ceiling" not in zeiss["candidates"]
    assert (zeiss["oracle"], zeiss["regret"]) == ("matching", 0)
    assert zeiss["ceiling"]["difference"]["value"] == pytest.approx(0.1875)
    assert zeiss["gap_closed"] == pytest.approx(0.125 / 0.1875)
    names = [name for name, _ in tables.score_rows(zeiss)]
    assert names == [
        "before", "after", "matching", "cyclegan", "ceiling", "all_foreground", "all_background", "otsu",
    ]  # fmt: skip
    assert names[4] in dict(tables.overview_rows(summary))


def test_a_ceiling_needs_no_choice(report: Report, domain_b: DomainResult) -> None:
    domain = replace(
        domain_b, tables={"before": domain_b.tables["after"], "ceiling": domain_b.tables["before"]}
    )
    zeiss = tables.summarise_report(with_domain(report, domain))["domains"]["zeiss"]
    assert zeiss["gap_closed"] is None
    assert "candidates" not in zeiss


def test_after_is_compared_with_every_trivial_mask(report: Report, domain_b: DomainResult) -> None:
    zeiss = tables.summarise_report(report)["domains"]["zeiss"]
    assert list(zeiss["difference_to"]) == ["all_foreground", "all_background", "otsu"]
    for name, difference in zeiss["difference_to"].items():
        expected = (domain_b.tables["after"]["f_score"] - domain_b.tables[name]["f_score"]).mean()
        assert difference["value"] == pytest.approx(expected)
        low, high = difference["ci95"]
        assert low < expected < high
    rows = tables.difference_rows(zeiss)
    assert [name for name, _ in rows] == ["before", *zeiss["difference_to"]]
    assert tables.difference_rows(tables.summarise_report(report)["domains"]["nikon"]) == []


def test_the_race_has_a_column_a_domain(report: Report, domain_b: DomainResult) -> None:
    flags = [{"frame": "01_t000", "flagged": ["why"]}, {"frame": "01_t001", "flagged": []}]
    raced = replace(with_choice(domain_b, "cyclegan"), flags=flags)
    summary = tables.summarise_report(replace(report, domains=[report.domains[0], raced]))
    assert summary["domains"]["zeiss"]["flags"] == flags
    assert "flags" not in summary["domains"]["nikon"]
    rows = dict(tables.race_rows(summary))
    assert rows["Chosen without labels"] == ["–", "CycleGAN"]
    assert rows["Oracle"] == ["–", "Matching only"]
    assert rows["Flagged frames"] == ["–", "1 of 2"]
    assert "Gap closed" not in rows
    assert tables.race_rows(tables.summarise_report(report)) == []


def test_a_candidate_without_predictions_has_no_row_of_scores(report: Report, domain_b: DomainResult) -> None:
    raced = with_choice(domain_b, "cyclegan")
    raced = replace(raced, tables={name: table for name, table in raced.tables.items() if name != "matching"})
    summary = tables.summarise_report(with_domain(report, raced))
    zeiss = summary["domains"]["zeiss"]
    assert zeiss["candidates"]["matching"]["label_free"] == 0.95
    assert zeiss["oracle"] == "before"
    for rows in (tables.score_rows(zeiss), tables.overview_rows(summary)):
        assert "matching" not in dict(rows)


def test_the_regret_of_the_oracle_is_nothing(report: Report, domain_b: DomainResult) -> None:
    summary = tables.summarise_report(with_domain(report, with_choice(domain_b, "matching")))
    assert summary["domains"]["zeiss"]["regret"] == 0


@pytest.mark.parametrize("all_undefined", [False, True])
def test_a_choice_that_cannot_be_scored_has_no_regret(
    all_undefined: bool, report: Report, domain_b: DomainResult
) -> None:
    nothing = score_table(["01_t000"], [PixelCounts(0, 0, 0, 100)])
    wrong = nothing if all_undefined else score_table(["01_t000"], [PixelCounts(0, 9, 0, 91)])
    chosen = with_choice(domain_b, "before")
    domain = replace(
        chosen,
        tables={"before": nothing, "after": nothing, "matching": wrong, "cyclegan": wrong},
        n_scored=1,
        secondary={},
    )
    zeiss = tables.summarise_report(with_domain(report, domain))["domains"]["zeiss"]
    assert zeiss["regret"] is None
    assert zeiss["oracle"] == (None if all_undefined else "matching")


def test_scores_frame_holds_every_row_and_its_reference(report: Report) -> None:
    frame = tables.scores_frame(report)
    assert list(frame.columns[:4]) == ["domain", "row", "image_id", "tp"]
    assert len(frame) == 3 + 5 * 6 + 3
    assert set(frame.loc[frame["reference"] == "silver", "row"]) == {"before"}


def test_per_image_subtracts_before_from_after(domain_b: DomainResult) -> None:
    table = tables.per_image(domain_b)
    row = table.loc["01_t000"]
    assert row[("difference", "f_score")] == pytest.approx(20 / 60 - 60 / 80)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (-0.0001, "0.000"), (0.5, "+0.500"), (-0.5, "−0.500")],
)
def test_signed_numbers(value: float | None, text: str) -> None:
    assert tables.format_signed(value) == text


def test_interval_that_is_undefined_is_a_dash() -> None:
    assert tables.format_interval([None, None]) == "–"
    assert tables.format_interval([-0.5, 0.5], tables.format_signed) == "−0.500 to +0.500"
