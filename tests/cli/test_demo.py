from __future__ import annotations

import json
from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions
from biostyle.config import CellTrackingConfig
from biostyle.pipelines import demo
from tests.conftest import Invoke


@pytest.fixture
def asked(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[CellTrackingConfig, Path, BuildOptions]]:
    """Let a finished run stand in for the training; what was asked for is recorded."""
    calls: list[tuple[CellTrackingConfig, Path, BuildOptions]] = []

    def run(config: CellTrackingConfig, out: Path, *, command: str, options: BuildOptions) -> Path:
        calls.append((config, out, options))
        return tiny_run / "report"

    monkeypatch.setattr(demo, "run", run)
    return calls


def test_runs_the_demo_configuration_and_prints_the_table(
    asked: list[tuple[CellTrackingConfig, Path, BuildOptions]], tiny_run: Path, biostyle: Invoke
) -> None:
    result = biostyle("demo", "--seed", "3", "--device", "cpu", "--out", "there")
    assert result.exit_code == 0, result.output
    ((config, out, options),) = asked
    assert (config.seed, config.device, out) == (3, "cpu", Path("there"))
    assert config.domains["microscope_b"].folder == "SIM-B"
    assert options.resume  # a demo that was stopped goes on by itself
    assert options.replace
    assert "before" in result.stdout
    assert result.stdout.endswith(f"Report: {tiny_run / 'report' / 'index.html'}\n")


def test_json_is_all_there_is_on_standard_output(
    asked: list[tuple[CellTrackingConfig, Path, BuildOptions]], biostyle: Invoke
) -> None:
    assert json.loads(biostyle("demo", "--json").stdout)["schema"] == 1
    assert asked[0][1] == Path("biostyle-demo")


def test_a_device_that_is_not_there_is_named(biostyle: Invoke, tmp_path: Path) -> None:
    result = biostyle("demo", "--device", "gpu", "--out", tmp_path / "demo")
    assert result.exit_code == 3
    assert result.stderr.endswith("device must be auto, cpu or cuda, got 'gpu'. Choose one of them.\n")


def test_an_output_that_holds_something_else_is_left_alone(biostyle: Invoke, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    result = biostyle("demo", "--out", tmp_path)
    assert result.exit_code == 3
    assert result.stderr.startswith(
        "ArtifactMismatchError: output must be new or a directory made by biostyle"
    )
    assert (tmp_path / "data" / "mine.txt").read_text() == "mine"
