"""Tests of biostyle.cli.adapt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from biostyle.config import AdaptConfig, RaceSettings, load_config
from biostyle.data.preprocessing import Preprocessing
from biostyle.io.labels import read_labels
from tests.conftest import Invoke
from tests.folders import write_adapt_config
from tests.foreign_segmenters import write_torchscript


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that runs in seconds."""
    return write_adapt_config(tmp_path / "tiny.toml")


@pytest.mark.slow
def test_adapts_and_says_where_the_model_is(
    biostyle: Invoke, tiny_data: Path, config: Path, tmp_path: Path
) -> None:
    arguments = ["adapt", "--segmenter", write_torchscript(tmp_path / "smooth.pt"), "--multiple", "2"]
    arguments += [
        "--images-a",
        tiny_data / "SIM-A",
        "--images-b",
        tiny_data / "SIM-B",
        "-o",
        tmp_path / "run",
    ]
    arguments += ["--config", config, "--set", 'candidates=["matching"]', "--seed", "3", "--device", "cpu"]
    result = biostyle(*arguments)
    assert result.exit_code == 0, result.output
    assert f"Adapted model: {tmp_path / 'run/model'}" in result.output
    assert f"Report: {tmp_path / 'run/report/index.html'}" in result.output
    assert json.loads((tmp_path / "run/segmenter/model.json").read_text())["arguments"] == {"multiple": 2}
    again = biostyle(*arguments, "--json")
    assert json.loads(again.stdout)["domains"]["b"]["verdict"]


@pytest.mark.slow
def test_one_object_of_each_image_can_be_asked_for(
    biostyle: Invoke, tiny_data: Path, config: Path, tmp_path: Path
) -> None:
    arguments = ["--segmenter", write_torchscript(tmp_path / "smooth.pt"), "-o", tmp_path / "run"]
    arguments += ["--images-a", tiny_data / "SIM-A", "--images-b", tiny_data / "SIM-B", "--config", config]
    arguments += ["--masks-b", tiny_data / "SIM-B" / "01_ST" / "SEG"]  # every candidate predicts then
    arguments += [
        "--set",
        'candidates=["matching", "retrain", "retrain_rare"]',
        "--set",
        "matching.single_object=true",
    ]
    result = biostyle("adapt", *arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run/candidates/matching/single_object/model.json").is_file()
    n_objects = {
        row: [read_labels(path).max() for path in (tmp_path / "run/predictions" / row).rglob("mask*.tif")]
        for row in ("before", "matching")
    }
    assert len(n_objects["matching"]) == len(n_objects["before"]) > 0
    assert max(n_objects["before"]) > 1
    assert max(n_objects["matching"]) == 1
    choice = json.loads((tmp_path / "run/model/choice.json").read_text())["candidates"]
    assert choice["matching"]["singleness"] > choice["before"]["singleness"]
    report = (tmp_path / "run/report/index.html").read_text(encoding="utf-8")
    assert "singleness" in report
    assert "a segmenter invents more than it misses" in report  # so there is no retrain_rare


def test_the_masks_of_a_challenge_folder_are_found(
    biostyle: Invoke, tiny_data: Path, config: Path, tmp_path: Path
) -> None:
    folders = ["--images-a", tiny_data / "SIM-A", "--images-b", tiny_data / "SIM-B", "-o", tmp_path / "run"]
    result = biostyle("adapt", *folders, "--config", config, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "would be made" in result.output
    assert not (tmp_path / "run").exists()


def test_the_preset_makes_candidates_as_the_one_for_cell_tracking_does() -> None:
    preset, tracking = load_config("adapt", None, AdaptConfig), load_config("cell_tracking/cpu")
    for name in RaceSettings.model_fields.keys() - {"preprocessing"}:
        assert getattr(preset, name) == getattr(tracking, name), f"copy {name} to configs/adapt.toml"
    assert preset.preprocessing == Preprocessing()


def test_a_segmenter_or_masks_to_train_one_are_needed(
    biostyle: Invoke, tiny_data: Path, tmp_path: Path
) -> None:
    folders = [
        "--images-a",
        tiny_data / "SIM-A/01",
        "--images-b",
        tiny_data / "SIM-B/01",
        "-o",
        tmp_path / "run",
    ]
    result = biostyle("adapt", *folders)
    assert result.exit_code == 2
    assert "Give --segmenter, or --masks-a to train one." in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--segmenter", "nothing.pt"], "got nothing there (nothing.pt)"),
        (["--segmenter", "tests.foreign_segmenters:Labels"], "floating-point scores, got torch.int64"),
        (["--segmenter", "no_such_module:make"], "got no module no_such_module"),
        (["--segmenter", "tests.foreign_segmenters:Halving"], "Pass --multiple"),
        (
            ["--segmenter", "tests.foreign_segmenters:Smooth", "--config", "nothing"],
            "got 'nothing'",
        ),
        (["--segmenter", "tests.foreign_segmenters:Smooth", "--set", "candidates=[]"], "must name matching"),
        (
            ["--segmenter", "tests.foreign_segmenters:Smooth", "--set", "matching.single_object=true"],
            "got 0. Annotate images of A, or switch off single_object.",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_3(
    biostyle: Invoke, tiny_data: Path, config: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    folders = [
        "--images-a",
        tiny_data / "SIM-A/01",
        "--images-b",
        tiny_data / "SIM-B/01",
        "-o",
        tmp_path / "run",
    ]
    result = biostyle("adapt", *folders, "--config", config, *arguments)
    assert result.exit_code == 3, result.output
    assert said in result.output
    assert "Traceback" not in result.output
