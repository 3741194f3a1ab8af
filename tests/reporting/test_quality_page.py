import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from biostyle.errors import OutputError
from biostyle.reporting.quality import Judged, JudgedDomain, summarise_quality
from biostyle.reporting.quality_page import headline, write_quality_report
from tests.reporting.test_quality import DOMAIN, REPORT, judged


def test_four_files_say_the_same(tmp_path: Path) -> None:
    page = write_quality_report(REPORT, tmp_path)
    assert page == tmp_path / "index.html"
    html, text = page.read_text(encoding="utf-8"), (tmp_path / "report.md").read_text(encoding="utf-8")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 24
    assert "A report &amp; more" in html
    assert "A report \\& more" in text
    for said in ("Of 12 photographs that were not good, a net +40.0%", "Verdict: adopt."):
        assert said in html
        assert said in text
    assert 'class="alarm">Good photographs do not stay as they are' in html
    assert html.count("data:image/png;base64,") == 4
    assert summary["quality"]["net_shift_to_good"]["noise_floor"] == 0.1


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_quality_report(REPORT, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_page_without_grades_vessels_and_verdict(tmp_path: Path) -> None:
    columns = ["frame_id", "patient", "quality", "p_good", "p_usable", "p_reject"]
    bare = Judged(judged().table[columns], judged().features)
    domain = JudgedDomain("photographs", "a → b", bare, {"after": bare})
    html = write_quality_report(replace(REPORT, domains=[domain], grader=None), tmp_path).read_text("utf-8")
    assert "Net shift to good" in html
    for absent in ("Vessel F", "Kappa", "KID", "Verdict"):
        assert absent not in html


def test_grades_that_were_not_learned_are_named(tmp_path: Path) -> None:
    grader = {**(REPORT.grader or {}), "not_learned": [1, 3]}
    page = write_quality_report(replace(REPORT, grader=grader), tmp_path)
    for text in (page.read_text("utf-8"), (tmp_path / "report.md").read_text("utf-8")):
        assert "No training photograph has grade 1, 3, so it is given only as a mean of others." in text


def test_what_the_classifier_thinks_of_rated_photographs_is_said(tmp_path: Path) -> None:
    rated = replace(DOMAIN, before=judged(2.0, true_quality=1))
    page = write_quality_report(replace(REPORT, domains=[rated]), tmp_path)
    for text in (page.read_text("utf-8"), (tmp_path / "report.md").read_text("utf-8")):
        assert "The quality of 12 is known; as they are, the classifier agrees in 50" in text


def test_where_all_are_good_there_is_nothing_to_gain() -> None:
    good = judged(quality=0)
    domain = replace(DOMAIN, before=good, candidates={"agnostic": good})
    summary = summarise_quality(replace(REPORT, domains=[domain]))
    assert headline(summary).startswith("No photograph was less than good")


def test_where_nothing_is_adopted_the_headline_says_so() -> None:
    kept = replace(DOMAIN, choice={**DOMAIN.choice, "chosen": "before"})  # type: ignore[dict-item]
    assert headline(summarise_quality(replace(REPORT, domains=[kept]))).startswith("No candidate is worth")


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file"):
        write_quality_report(REPORT, tmp_path / "file" / "report")
