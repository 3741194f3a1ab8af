"""Pictures before | after: which files, which plane, and bad files among them."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from biostyle.application import load
from biostyle.errors import CheckpointError
from biostyle.io.inputs import find_inputs
from biostyle.io.scaling import to_unit_range
from biostyle.progress import SilentProgress
from biostyle.stages.preview_files import preview_files
from biostyle.stages.process_files import Task
from tests.adapted_models import write_adapted
from tests.io.bad_files import DEEP, STACK, tiff
from tests.simulated import read_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven files; the last one is a stack, the first one broken."""
    root = tmp_path / "in"
    root.mkdir()
    (root / "0.tif").write_bytes(b"II*\0")
    for number in range(1, 6):
        (root / f"{number}.tif").write_bytes(tiff(DEEP + number))
    (root / "6.tif").write_bytes(tiff(STACK, imagej=True, metadata={"axes": "TYX"}))
    return root


def test_pictures_show_the_middle_plane_before_and_after(folder: Path, tmp_path: Path) -> None:
    model = load(write_adapted(tmp_path / "model"), "cpu")
    files = find_inputs([folder])
    task = Task("stylize")
    results = preview_files(model, files, tmp_path / "out", task, 7, SilentProgress())
    assert [result.status for result in results] == ["failed"] + ["written"] * 6
    assert set(read_tree(tmp_path / "out")) == {f"{number}.tif.png" for number in range(1, 7)}
    picture = imagecodecs.png_decode((tmp_path / "out" / "6.tif.png").read_bytes())
    assert picture.shape == (40, 108)
    before, after = to_unit_range(STACK[3]), model.stylize(STACK[3])
    np.testing.assert_array_equal(picture[:, :50], np.rint(before * 255))
    np.testing.assert_array_equal(picture[:, 58:], np.rint(after * 255))
    again = preview_files(model, files[3:4], tmp_path / "out", task, 1, SilentProgress())
    assert "must not exist" in again[0].error
    replaced = preview_files(
        model, files[3:4], tmp_path / "out", Task("stylize", overwrite=True), 1, SilentProgress()
    )
    assert replaced[0].status == "written"


def test_pictures_do_not_lie_beside_their_inputs(folder: Path, tmp_path: Path) -> None:
    model = load(write_adapted(tmp_path / "model"), "cpu")
    (result,) = preview_files(
        model, find_inputs([folder / "1.tif"]), folder, Task("stylize"), 4, SilentProgress()
    )
    assert "must lie in another folder" in result.error


def test_a_model_that_cannot_stylize(folder: Path, tmp_path: Path) -> None:
    model = load(write_adapted(tmp_path / "model", ()), "cpu")
    with pytest.raises(CheckpointError, match="to stylize"):
        preview_files(model, find_inputs([folder]), tmp_path / "out", Task("stylize"), 3, SilentProgress())
