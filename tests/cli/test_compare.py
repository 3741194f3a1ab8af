from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from biostyle.cli.compare import compare
from biostyle.errors import DataError, PairingError


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three runs that differ in a score."""
    for seed, f_score in enumerate((0.5, 0.75, 0.625)):
        domain = {
            "n_scored": 4,
            "n_frames": 9,
            "reference": "silver",
            "before": {"f_score": f_score},
            "baselines": {},
        }
        report = tmp_path / f"seed{seed}" / "report"
        report.mkdir(parents=True)
        (report / "summary.json").write_text(json.dumps({"pipeline": "demo", "domains": {"b": domain}}))
    return [tmp_path / f"seed{seed}" for seed in range(3)]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(compare, [str(argument) for argument in arguments])


def test_runs_reports_and_files_are_taken(runs: list[Path]) -> None:
    result = run(runs[0], runs[1] / "report", runs[2] / "report" / "summary.json", "--json")
    assert result.exit_code == 0, result.output
    comparison = json.loads(result.stdout)
    assert comparison["domains"]["b"]["rows"]["before"]["mean"] == 0.625
    assert comparison["runs"][0] == str(runs[0])


def test_prints_and_writes_the_same(runs: list[Path], tmp_path: Path) -> None:
    result = run(*runs, "-o", tmp_path / "out")
    assert "| Before | 0.625 ± 0.125 |" in result.stdout
    assert (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8") == result.stdout
    assert run(*runs, "--json").stdout == (tmp_path / "out" / "comparison.json").read_text()


def test_one_run_twice_has_no_spread(runs: list[Path]) -> None:
    twice = runs[0].parent / "seed1" / ".." / "seed0"
    result = run(*runs, twice)
    assert isinstance(result.exception, PairingError)
    assert f"must be given once, got {runs[0]} twice" in str(result.exception)


def test_a_run_and_its_report_are_one(runs: list[Path]) -> None:
    result = run(runs[0], runs[0] / "report")
    assert isinstance(result.exception, PairingError)
    assert f"got {runs[0]} twice" in str(result.exception)


def test_runs_without_scores_of_masks_are_refused(runs: list[Path]) -> None:
    path = runs[1] / "report" / "summary.json"
    path.write_text(json.dumps({"pipeline": "fundus", "domains": {"mixed": {"n": 4}}}))
    result = run(runs[1])
    assert isinstance(result.exception, DataError)
    assert f"got the summary of pipeline 'fundus' ({path})" in str(result.exception)


@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '{"pipeline": "demo", "domains": [1]}'])
def test_a_run_without_a_readable_summary_is_named(content: str | None, runs: list[Path]) -> None:
    path = runs[1] / "report" / "summary.json"
    path.unlink() if content is None else path.write_text(content)
    result = run(*runs, "-o", runs[0].parent / "out")
    assert isinstance(result.exception, DataError)
    assert "run must hold a report's summary.json, got " in str(result.exception)
    assert f"({path})" in str(result.exception)
    assert not (runs[0].parent / "out").exists()


def test_at_least_one_run_has_to_be_given() -> None:
    assert run().exit_code == 2
