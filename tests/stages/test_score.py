import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from biostyle.artifacts import BuildOptions
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.data.splits import SplitSettings
from biostyle.errors import MaskError, PairingError
from biostyle.io.labels import read_labels, write_labels
from biostyle.stages.predict import result_path
from biostyle.stages.prepare import prepare
from biostyle.stages.score import read_scores, score
from tests.photographs import PhotographRun
from tests.simulated import TINY_SPLIT


@pytest.fixture
def with_gold(tiny_data: Path, tmp_path: Path) -> Path:
    """Domain B whose frames 0 and 6 have gold masks too, of which 6 is empty."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for number in (0, 6):
        labels = read_labels(data / "SIM-B" / "01_ST" / "SEG" / f"man_seg{number:03d}.tif")
        write_labels(data / "SIM-B" / "01_GT" / "SEG" / f"man_seg{number:03d}.tif", labels * (number == 0))
    settings = DomainSettings(folder="SIM-B", title="B")
    return prepare(data, tmp_path / "prepared", settings, TINY_SPLIT, annotated=False, options=BuildOptions())


def predictions(tiny_run: Path) -> dict[str, Path]:
    found = tiny_run / "predictions" / "zeiss"
    return {"before": found / "before", "after": found / "cyclegan"}


def test_scores_against_every_reference_and_says_what_was_left_out(
    with_gold: Path, tiny_run: Path, tmp_path: Path
) -> None:
    out = score(with_gold, predictions(tiny_run), tmp_path / "s", reference="auto", options=BuildOptions())
    reference, tables, notes = read_scores(out)
    assert reference == "silver"
    assert set(tables) == {"silver", "gold"}
    rows = {"before", "after", "all_foreground", "all_background", "otsu"}
    assert set(tables["silver"]) == set(tables["gold"]) == rows
    assert list(tables["silver"]) == ["before", "after", "all_background", "all_foreground", "otsu"]
    assert list(tables["silver"]["after"]["image_id"]) == ["01_t005", "01_t006", "01_t007"]
    assert list(tables["gold"]["after"]["image_id"]) == ["01_t006"]
    assert np.isnan(tables["gold"]["all_background"]["f_score"][0])
    assert tables["gold"]["all_foreground"]["f_score"][0] == 0
    assert notes == [
        "Scored 3 of 8 frames against silver masks.",
        "Split by block (the last block of each sequence is test): 4 training, 3 test, 1 unused frames.",
    ]


def test_notes_tell_a_narrowed_gap_and_masks_of_frames_that_are_not_scored(
    tiny_data: Path, tiny_run: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for number in (5, 6, 7):
        (data / "SIM-B" / "01_ST" / "SEG" / f"man_seg{number:03d}.tif").unlink()
    settings, split = DomainSettings(folder="SIM-B", title="B"), SplitSettings(gap_frames=20)
    prepared = prepare(data, tmp_path / "p", settings, split, annotated=False, options=BuildOptions())
    out = score(prepared, predictions(tiny_run), tmp_path / "s", reference="auto", options=BuildOptions())
    _, narrowed, unscored = read_scores(out)[2]
    assert narrowed.startswith(
        "There are so few frames that only 4 before the first test frame were left out"
    )
    assert unscored == "No test frame has a mask: nothing was scored. 5 other frames have one: see [split]."


def test_gold_can_be_chosen_and_is_read_back_exactly(with_gold: Path, tiny_run: Path, tmp_path: Path) -> None:
    out = score(with_gold, predictions(tiny_run), tmp_path / "s", reference="gold", options=BuildOptions())
    reference, tables, notes = read_scores(out)
    assert reference == "gold"
    assert "2 test frames have no gold mask and were not scored." in notes
    table = tables["silver"]["before"]
    again = 2 * table["tp"] / (2 * table["tp"] + table["fp"] + table["fn"])
    assert (table["f_score"] == again).all()


def test_a_reference_that_is_not_there_is_named(tiny_run: Path, tmp_path: Path) -> None:
    prepared = tiny_run / "prepared" / "zeiss"
    with pytest.raises(PairingError, match=r"must have gold masks to be scored, got 0 of 3 \(.*zeiss\)"):
        score(prepared, predictions(tiny_run), tmp_path / "s", reference="gold", options=BuildOptions())
    assert not (tmp_path / "s").exists()


def test_a_prediction_of_another_size_is_named(run_copy: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(run_copy / "predictions" / "zeiss" / "before", foreign)
    (foreign / "artifact.json").unlink()
    write_labels(foreign / "01_RES" / "mask006.tif", np.zeros((3, 4), np.uint8))
    prepared = run_copy / "prepared" / "zeiss"
    with pytest.raises(MaskError, match=r"size \(72, 80\), got \(3, 4\) \(.*mask006\.tif\)"):
        score(prepared, {"before": foreign}, tmp_path / "s", reference="auto", options=BuildOptions())


def test_a_missing_prediction_is_named(run_copy: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(run_copy / "predictions" / "zeiss" / "before", foreign)
    (foreign / "artifact.json").unlink()
    (foreign / "01_RES" / "mask006.tif").unlink()
    prepared = run_copy / "prepared" / "zeiss"
    with pytest.raises(MaskError, match=r"got No such file or directory \(.*mask006\.tif\)"):
        score(prepared, {"before": foreign}, tmp_path / "s", reference="auto", options=BuildOptions())


def test_photographs_are_scored_by_lesion(photograph_run: PhotographRun, tmp_path: Path) -> None:
    domain = load_prepared(photograph_run.b)
    rows = domain.frames("test")
    pred = tmp_path / "pred"
    for row in rows:
        write_labels(result_path(pred, row), domain.read_truth(row)[0])
    out = score(photograph_run.b, {"before": pred}, tmp_path / "s", reference="gold", options=BuildOptions())
    reference, tables, notes = read_scores(out)
    assert list(tables[reference]["before"]["group"]) == [row.sequence for row in rows]
    assert (tables[reference]["before"]["f_score"] == 1).all()
    sizes = [len(domain.frames(part)) for part in ("train", "validation", "test")]
    n_training, n_validation, n_test = sizes
    assert notes == [
        f"Scored {n_test} of {len(domain.rows)} frames against gold masks.",
        f"Split by group (whole lesions): {n_training} training, {n_validation} validation, {n_test} test, 0 unused frames.",
    ]


def test_photographs_without_masks_are_not_scored(photograph_run: PhotographRun, tmp_path: Path) -> None:
    prepared = Path(shutil.copytree(photograph_run.b, tmp_path / "prepared"))
    (prepared / "artifact.json").unlink()
    table = prepared / "frames.csv"
    table.write_text(re.sub(r"gold/[^,]*", "", table.read_text()))
    out = score(prepared, {"before": prepared}, tmp_path / "s", reference="gold", options=BuildOptions())
    _, tables, notes = read_scores(out)
    assert tables["gold"]["before"].empty
    assert notes[-1] == "No test frame has a mask: nothing was scored."
