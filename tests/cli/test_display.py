from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from biostyle.cli.display import ScreenProgress, command_line, print_summary


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("biostyle.cli.display.time", clock)
    return clock


def train(progress: ScreenProgress, clock: Clock, first: int, last: int, n_steps: int) -> None:
    for step in range(first, last + 1):
        progress.update(step, n_steps, {"loss": step / 4})
        clock.now += 2


def test_a_log_has_a_line_a_stage_and_ten_lines_a_training(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScreenProgress(Path("runs/x")).shown() as progress:
        progress.stage("runs/x/prepared/a", "up to date")
        progress.stage("runs/x/segmenter", "making")
        train(progress, clock, 1, 40, 40)
        progress.note("[a remark]")
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].split() == ["prepared/a", "up", "to", "date"]
    assert lines[1].split() == ["segmenter", "making"]
    assert len(lines) == 13
    assert lines[2] == "  step 4 of 40, about 72 s left  loss 1.000"
    assert lines[-2] == "  step 40 of 40, about 0 s left  loss 10.000"
    assert lines[-1] == "[a remark]"


def test_the_time_left_of_a_resumed_training_counts_its_own_steps(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScreenProgress(Path()).shown() as progress:
        progress.stage("segmenter", "resuming")
        train(progress, clock, 81, 90, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "  step 81 of 100  loss 20.250"
    assert lines[2] == "  step 90 of 100, about 20 s left  loss 22.500"


@pytest.mark.parametrize(("seconds", "n_lines"), [(0.2, 0), (60, 10)])
def test_a_log_tells_of_work_without_losses_if_it_is_long(
    seconds: float, n_lines: int, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScreenProgress(Path()).shown() as progress:
        progress.stage("segment", "40 files")
        for step in range(1, 41):
            progress.update(step, 40, {})
            clock.now += seconds
    lines = capsys.readouterr().err.splitlines()[1:]
    assert len(lines) == n_lines
    assert not lines or lines[0] == "  step 4 of 40, about 2160 s left"


def test_a_terminal_gets_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with ScreenProgress(Path("run")).shown() as progress:
        progress.stage("run/segmenter", "making")
        progress.update(3, 10, {"loss": 0.5})
        progress.stage("run/stylizer/b", "up to date")
        progress.note("[a remark]")
        assert progress.bar is not None
        assert len(progress.bar.tasks) == 1
        progress.update(7, 8, {"cycle": 1.25})
        progress.bar.refresh()
    text = terminal.getvalue()
    for words in ("segmenter", "stylizer/b", "[a remark]", "7/8", "cycle 1.250"):
        assert words in text
    assert "run/segmenter" not in text


def scores(f_score: float | None, low: float | None = None, high: float | None = None) -> dict[str, object]:
    return {"f_score": f_score, "ci95": [low, high]}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    domains = {
        "a": {"n_scored": 9, "reference": "silver", "before": scores(0.9, 0.85, 0.95), "baselines": {}},
        "b": {
            "n_scored": 1,
            "reference": "gold",
            "before": scores(0.25),
            "after": scores(None),
            "difference": {"value": -0.125, "ci95": [-0.25, -0.0625]},
            "baselines": {"otsu": scores(0.5, 0.4, 0.6)},
        },
    }
    (tmp_path / "summary.json").write_text(json.dumps({"domains": domains}))
    return tmp_path


def test_prints_scores_with_intervals_and_a_dash_for_what_is_not_there(
    report: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_summary(report, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    rows = {line.strip().split("  ")[0]: " ".join(line.split()) for line in lines}
    assert rows["before"] == "before 0.900 [0.85, 0.95] 0.250"
    assert rows["after"] == "after – –"
    assert rows["difference"] == "difference – -0.125 [-0.25, -0.06]"
    assert rows["Otsu"] == "Otsu – 0.500 [0.40, 0.60]"
    assert "9 frames, silver" in "\n".join(lines)
    assert lines[0] == "Pixel F-score, mean per image [95 % interval]"
    assert lines[-1] == f"Report: {report / 'index.html'}"


def test_without_any_mask_no_row_of_scores_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    domain = {"n_scored": 0, "reference": "gold", "before": scores(None), "baselines": {}, "verdict": "adopt"}
    (tmp_path / "summary.json").write_text(json.dumps({"domains": {"b": domain}}))
    print_summary(tmp_path, as_json=False)
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert rows[:-1] == ["Nothing is scored: no masks", "b", "no masks", "verdict adopt"]


def test_json_is_the_file_itself(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(report, as_json=True)
    assert capsys.readouterr().out == (report / "summary.json").read_text()


def test_the_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/bin/biostyle", "run", "cell-tracking", "--out", "my runs/x"])
    assert command_line() == "biostyle run cell-tracking --out 'my runs/x'"
