import json
import math
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import load_model, read_card
from biostyle.data.prepared import load_prepared
from biostyle.errors import ConfigError, InterruptedRunError, SplitError
from biostyle.inference.quality import EVALUATION
from biostyle.progress import SilentProgress
from biostyle.stages.prepare_fundus import prepare_fundus
from biostyle.stages.train_classifier import (
    train_grader,
    train_quality_classifier,
    without_nan,
)
from biostyle.training.classifier import ClassifierSettings
from tests.fundus import CLASSIFIER, SETTINGS, SMALL, SPLIT, FundusRun
from tests.simulated import read_tree


class StopAt(SilentProgress):
    """Ask for a stop after a number of steps."""

    def __init__(self, step: int) -> None:
        self.stop_at = step

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)


def evaluation(directory: Path) -> dict[str, Any]:
    return json.loads((directory / EVALUATION).read_text())


def test_quality_is_evaluated_on_held_back_patients(fundus_run: FundusRun) -> None:
    result = evaluation(fundus_run.quality)
    domain = load_prepared(fundus_run.clean)
    test = domain.frames("test")
    assert sum(map(sum, result["confusion"])) == 13 * len(test)
    assert [sum(row) for row in result["confusion"]] == [5 * len(test), 4 * len(test), 4 * len(test)]
    assert result["macro_f"]["n_patients"] == len({row.sequence for row in test})
    assert result["noise_floor"] == result["confusion"][1][0] / (4 * len(test))
    assert 0 <= result["calibration_error"] <= 1
    card = read_card(fundus_run.quality)
    assert not {f"fundus/{row.frame_id}" for row in test} & set(card["training_data"]["frames"])


def test_the_saved_network_is_calibrated(fundus_run: FundusRun) -> None:
    network, card = load_model(fundus_run.quality)
    assert float(network.temperature) != 1
    assert card["arguments"]["n_classes"] == 3
    assert card["preprocessing"]["working_side_px"] == 48


def test_grades_are_evaluated_where_they_are_known(fundus_run: FundusRun) -> None:
    result = evaluation(fundus_run.grader)
    graded = [row for row in load_prepared(fundus_run.clean).frames("test") if "IDRiD" in row.frame_id]
    assert sum(map(sum, result["confusion"])) == result["kappa"]["n"] == len(graded)
    network, card = load_model(fundus_run.grader)
    assert card["arguments"]["n_classes"] == 5
    assert float(network.temperature) == 1  # a temperature would make expected grades alike


def test_a_resumed_run_is_the_straight_one(fundus_run: FundusRun, tmp_path: Path) -> None:
    common: dict[str, Any] = {"seed": 0, "device": "cpu"}
    settings = ClassifierSettings(**CLASSIFIER.model_dump() | {"checkpoint_every": 1})
    with pytest.raises(InterruptedRunError):
        train_quality_classifier(
            fundus_run.clean, tmp_path / "q", settings, SMALL,
            options=BuildOptions(progress=StopAt(2)), **common,
        )  # fmt: skip
    out = train_quality_classifier(
        fundus_run.clean, tmp_path / "q", settings, SMALL, options=BuildOptions(resume=True), **common
    )
    straight = {k: v for k, v in read_tree(fundus_run.quality).items() if k != "artifact.json"}
    assert {k: v for k, v in read_tree(out).items() if k != "artifact.json"} == straight


def test_without_grades_there_is_no_grader(fundus_run: FundusRun, tmp_path: Path) -> None:
    drive = SETTINGS.model_copy(update={"folders": SETTINGS.folders[1:]})
    clean = prepare_fundus(fundus_run.data, tmp_path / "clean", drive, SPLIT, options=BuildOptions())
    with pytest.raises(SplitError, match=r"got \[0, 0, 0, 0, 0\] images"):
        train_grader(clean, tmp_path / "g", CLASSIFIER, SMALL, seed=0, device="cpu", options=BuildOptions())


def test_grades_that_no_training_photograph_has_are_named(fundus_run: FundusRun, tmp_path: Path) -> None:
    data = Path(shutil.copytree(fundus_run.data, tmp_path / "data"))
    table = data / SETTINGS.folders[0].folder / "grades.csv"
    head, *lines = table.read_text().splitlines(keepends=True)
    table.write_text(head + "".join(line for line in lines if line.split(",")[1] != "1"))
    clean = prepare_fundus(data, tmp_path / "clean", SETTINGS, SPLIT, options=BuildOptions())
    out = train_grader(clean, tmp_path / "g", CLASSIFIER, SMALL, seed=0, device="cpu", options=BuildOptions())
    result = evaluation(out)
    assert result["not_learned"] == [1]
    assert not np.array(result["confusion"])[:, 1].any()


def test_the_small_network_begins_with_no_weights(fundus_run: FundusRun, tmp_path: Path) -> None:
    (tmp_path / "b0.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"left out for the architecture 'small', got .*b0\.safetensors"):
        train_quality_classifier(
            fundus_run.clean, tmp_path / "q", CLASSIFIER, SMALL, seed=0, device="cpu",
            weights=tmp_path / "b0.safetensors", options=BuildOptions(),
        )  # fmt: skip


def test_what_is_undefined_is_null() -> None:
    assert without_nan({"a": math.nan, "b": [1], "c": 0.5}) == {"a": None, "b": [1], "c": 0.5}
