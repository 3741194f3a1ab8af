from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from biostyle.errors import OutputError
from biostyle.reporting.document import DomainResult, Report
from biostyle.reporting.render import FILES, write_report
from biostyle.reporting.tables import MISSING

HOSTILE = '<script>alert("x")</script>|*a*\n'


class Page(HTMLParser):
    """Collect tags, and complain about those that are not closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def check_tables(markdown: str) -> None:
    """Every table has a header, and as many cells in every row."""
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        lines = block.replace("\\|", "").splitlines()
        assert set(lines[1]) <= set("|-"), lines[1]
        assert len({line.count("|") for line in lines}) == 1, block


def test_writes_four_files_and_returns_the_page(report: Report, tmp_path: Path) -> None:
    index = write_report(report, tmp_path / "deep" / "report")
    assert index == tmp_path / "deep" / "report" / "index.html"
    assert sorted(path.name for path in index.parent.iterdir()) == sorted(FILES)


def test_summary_is_strict_json(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["domains"]["zeiss"]["after"]["f_score"] < 0.4


def test_scores_csv_has_one_line_an_image(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    assert (rows[0]["domain"], rows[0]["row"], rows[0]["image_id"], rows[0]["tp"]) == (
        "nikon", "before", "01_t000", "38",
    )  # fmt: skip


def test_page_needs_nothing_but_itself(report: Report, tmp_path: Path) -> None:
    page = parse(write_report(report, tmp_path))
    assert "link" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("data:image/", "#")), (tag, value[:60])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.search(r"url\(|https?://", text)


def test_page_is_accessible(report: Report, tmp_path: Path) -> None:
    page = parse(write_report(report, tmp_path))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 1 + 1 + 5 + 1  # overview, paired differences, five tiles, losses
    assert all(attributes["alt"] for attributes in pictures)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert page.tags[0] == ("html", {"lang": "en"})


def test_page_shows_this_run_beside_the_published_numbers(report: Report, tmp_path: Path) -> None:
    text = write_report(report, tmp_path).read_text(encoding="utf-8")
    assert "Adaptation hurt in ZEISS." in text
    assert "Worse after adaptation" in text
    assert "Before, published" in text
    assert "0.247" in text
    assert "Scored 6 of 84 frames against the gold reference." in text
    assert "78 of 84 frames have no gold mask" in text
    assert "Against the silver reference" in text
    assert "stylizer.n_steps" in text
    assert "ab" * 32 in text


def test_markdown_has_the_same_numbers_in_whole_tables(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "**Adaptation hurt in ZEISS.**" in text
    assert "| After, published | – | 0.247 |" in text
    check_tables(text)


def test_the_choice_is_shown_where_there_was_one(
    report: Report, domain_b: DomainResult, tmp_path: Path
) -> None:
    choice = {
        "chosen": "cyclegan",
        "verdict": "adopt with care",
        "reason": "It rises <a little>.",
        "candidates": {
            "before": {"label_free": 0.123, "agreement": 0.5},
            "cyclegan": {"label_free": 0.456, "agreement": None, "n_kept": 7},
            "checkpoint": {"label_free": 0.311, "agreement": 0.0625},
        },
        "left_out": {"retrain": "the segmenter <S> is not differentiable."},
    }
    ceiling = domain_b.tables["before"].assign(f_score=0.889)
    tables = {**domain_b.tables, "cyclegan": domain_b.tables["after"], "ceiling": ceiling}
    domains = [report.domains[0], replace(domain_b, tables=tables, choice=choice)]
    page = write_report(replace(report, domains=domains), tmp_path).read_text(encoding="utf-8")
    parse(tmp_path / "index.html")
    assert page.count("Chosen without labels: CycleGAN") == 1
    assert "<strong>adopt with care</strong>. It rises &lt;a little&gt;." in page
    for words in ("0.123", "0.456", "0.311", "oracle", "0.0625", "7", MISSING):
        assert f"<td>{words}</td>" in page
    assert "Retrained S_B did not take part: the segmenter &lt;S&gt; is not differentiable." in page
    assert re.search(r"The chosen candidate closes −4\d\d % of the gap between before and the ceiling", page)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    check_tables(text)
    assert "Chosen without labels: **CycleGAN**. Verdict: **adopt with care**." in text
    assert re.search(r"\| Before \| 0.123 \| 0.787 \| [^|]+ \| – \| – \| oracle \| 0.000 \|", text)
    assert re.search(r"\| CycleGAN \(chosen\) \| 0.456 \| 0.369 \|.*\|  \| 0.418 \|", text)
    assert "| Regret | – | 0.418 |" in text
    assert re.search(r"\| Ceiling \(B's labels\) \| – \| 0.889 \|.*\| \| – \|", text)


def test_the_differences_to_trivial_masks_are_shown(report: Report, tmp_path: Path) -> None:
    page = write_report(report, tmp_path).read_text(encoding="utf-8")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| Otsu \| −0.202 \| −0.2\d\d to −0.1\d\d \| 6 \|", text)
    assert re.search(r'<th scope="row">All foreground</th><td>−0.5\d\d</td>', page)


def test_only_flagged_frames_are_listed(report: Report, domain_b: DomainResult, tmp_path: Path) -> None:
    flag = {
        "n_objects_before": 4, "n_objects_after": 3, "vanished": 1, "appeared": 0, "fraction_before": 0.25,
        "fraction": 0.0625,
    }  # fmt: skip
    flags = [
        {"frame": "01_t000", **flag, "flagged": ["1 of 4 objects <vanished>", "the mask | is all but empty"]},
        {"frame": "01_t777", **flag, "flagged": []},
    ]

    def write(flags: list[dict[str, Any]]) -> tuple[str, str]:
        domains = [report.domains[0], replace(domain_b, flags=flags)]
        page = write_report(replace(report, domains=domains), tmp_path).read_text(encoding="utf-8")
        parse(tmp_path / "index.html")
        text = (tmp_path / "report.md").read_text(encoding="utf-8")
        check_tables(text)
        return page, text

    page, text = write(flags)
    assert "1 of 2 test frames is flagged" in page
    assert "1 of 4 objects &lt;vanished&gt;; the mask | is all but empty" in page
    assert (
        "| 01_t000 | 4 | 3 | 1 | 0 | 0.250 | 0.062 | 1 of 4 objects \\<vanished\\>; the mask \\| is all but empty |"
        in text
    )
    assert "01_t777" not in page + text
    assert "| Flagged frames | – | 1 of 2 |" in text
    page, text = write(flags[1:])
    for said in (page, text):
        assert "None of the 1 test frames is flagged." in said


def test_names_are_escaped(report: Report, domain_b: DomainResult, tmp_path: Path) -> None:
    hostile = replace(
        domain_b,
        title=HOSTILE,
        reference=HOSTILE,
        notes=[HOSTILE],
        tables={
            HOSTILE if name == "otsu" else name: table.assign(
                image_id=[HOSTILE + i for i in table["image_id"]]
            )
            for name, table in domain_b.tables.items()
        },
        panels=[replace(domain_b.panels[0], image_id=HOSTILE)],
    )
    altered = replace(
        report,
        title=HOSTILE,
        domains=[hostile],
        settings={HOSTILE: HOSTILE},
        command=HOSTILE,
        machine=HOSTILE,
    )
    page = parse(write_report(altered, tmp_path))
    assert [tag for tag, _ in page.tags].count("script") == 1
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown.replace("\\<script\\>", "").split("```")[0]


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(report, tmp_path / name)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_place_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "file"))):
        write_report(report, tmp_path / "file")


def test_reporting_imports_without_torch() -> None:
    code = "import sys, biostyle.reporting.render; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
