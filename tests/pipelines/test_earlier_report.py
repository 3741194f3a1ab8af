"""Reports of domains that a run leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions
from biostyle.errors import OutputError
from biostyle.pipelines.earlier_report import set_earlier_report_aside
from biostyle.progress import SilentProgress
from tests.conftest import Invoke
from tests.simulated import read_tree, stat_tree


class Listener(SilentProgress):
    """Remember what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def stage(self, name: str, status: str) -> None:
        self.said.append((Path(name).name, status))


def report_of(out: Path, *domains: str) -> Path:
    (out / "report").mkdir(parents=True)
    (out / "report" / "summary.json").write_text(json.dumps({"domains": dict.fromkeys(domains)}))
    return out / "report"


def test_a_report_that_covers_more_is_set_aside_under_a_number_of_its_own(tmp_path: Path) -> None:
    listener = Listener()
    options = BuildOptions(progress=listener)
    for number, domains in enumerate((("a", "b", "c"), ("a", "d")), start=1):
        report = report_of(tmp_path, *domains)
        before = read_tree(report)
        set_earlier_report_aside(report, ["a", "b"], options)
        assert not report.exists()
        assert read_tree(tmp_path / f"report-{number}") == before
    assert listener.said == [
        ("report-1", "keeps the report that also covers c"),
        ("report-2", "keeps the report that also covers d"),
    ]


@pytest.mark.parametrize("domains", [("a", "b"), ("a",)])
def test_a_report_that_covers_no_more_stays_for_its_stage_to_replace(
    domains: tuple[str, ...], tmp_path: Path
) -> None:
    report = report_of(tmp_path, *domains)
    set_earlier_report_aside(report, {"a": 1, "b": 2}, BuildOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("summary", [None, "{", "[]", "{}"])
def test_what_is_no_report_is_left_to_its_stage(summary: str | None, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    if summary is not None:
        (tmp_path / "report" / "summary.json").write_text(summary)
    set_earlier_report_aside(tmp_path / "report", ["a"], BuildOptions())
    set_earlier_report_aside(tmp_path / "nothing", ["a"], BuildOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_that_cannot_be_renamed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of(tmp_path, "a", "b")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        OutputError, match=rf"renamed to report-1, got Permission denied \({re.escape(str(report))}\)"
    ):
        set_earlier_report_aside(report, ["a"], BuildOptions())


def test_a_run_of_fewer_domains_keeps_the_report_of_all(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    command = ("run", "cell-tracking", "--config", tiny_config, "--data-root", tiny_data, "--out", run_copy)
    whole, times = read_tree(run_copy / "report"), stat_tree(run_copy)
    planned = biostyle(*command, "--domains", "zeiss", "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert (
        "report-1                         would keep the report that also covers artificial" in planned.stderr
    )
    assert stat_tree(run_copy) == times
    for keeps in (True, False):  # the second time there is nothing to keep
        result = biostyle(*command, "--domains", "zeiss")
        assert result.exit_code == 0, result.output
        assert ("keeps the report that also covers artificial" in result.stderr) == keeps
        assert list(json.loads((run_copy / "report" / "summary.json").read_text())["domains"]) == [
            "nikon",
            "zeiss",
        ]
        assert read_tree(run_copy / "report-1") == whole
    result = biostyle(*command)
    assert result.exit_code == 0, result.output
    assert not (run_copy / "report-2").exists()
    assert set(json.loads((run_copy / "report" / "summary.json").read_text())["domains"]) == {
        "nikon", "zeiss", "artificial"
    }  # fmt: skip
