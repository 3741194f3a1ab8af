"""Rating photographs and comparing folders of them through the command line."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from biostyle.data.sources.simulated_fundus import simulate_retina
from tests.conftest import Invoke
from tests.fundus import FundusRun


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for folder, first in (("before", 0), ("after", 10)):
        (tmp_path / folder).mkdir()
        for index in range(2):
            retina = simulate_retina(first + index, shape=(80, 100))
            Image.fromarray(retina.photograph).save(tmp_path / folder / f"{index}.png")
    return tmp_path


def test_ratings_are_printed_or_written(biostyle: Invoke, fundus_run: FundusRun, photographs: Path) -> None:
    command = ("quality", photographs / "before", "--model", fundus_run.quality, "--device", "cpu")
    printed = biostyle(*command)
    assert printed.exit_code == 0, printed.output
    table = pd.read_csv(io.StringIO(printed.stdout))
    assert list(table["image"]) == ["0.png", "1.png"]
    assert set(table["quality"]) <= {"good", "usable", "reject"}
    written = biostyle(*command, "-o", photographs / "rated.csv")
    assert written.exit_code == 0, written.output
    assert (photographs / "rated.csv").read_text() == printed.stdout


def test_a_report_compares_two_folders(biostyle: Invoke, fundus_run: FundusRun, photographs: Path) -> None:
    command = ["quality-report", photographs / "before", photographs / "after", "--model", fundus_run.quality]
    command += ["-o", photographs / "report", "--device", "cpu"]
    shown = biostyle(*command)
    assert shown.exit_code == 0, shown.output
    assert "before → after, 2 photographs" in shown.stdout
    assert str(photographs / "report" / "index.html") in shown.stdout
    again = biostyle(*command, "--json")
    assert json.loads(again.stdout)["pipeline"] == "quality-report"
    assert "up to date" in again.stderr


def test_another_model_is_one_line(biostyle: Invoke, fundus_run: FundusRun, photographs: Path) -> None:
    result = biostyle("quality", photographs / "before", "--model", fundus_run.grader)
    assert result.exit_code == 3
    assert "must be a classifier of quality, got small_classifier with 5 classes" in result.stderr
