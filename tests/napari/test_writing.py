"""Label layers as challenge results: all frames or none, and read back by the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biostyle.errors import MaskError, OutputError
from biostyle.io.labels import read_labels
from biostyle.io.pairing import files_by_id
from biostyle.napari.reading import METADATA
from biostyle.napari.writing import write_result

LABELS = np.arange(2 * 4 * 5, dtype=np.int32).reshape(2, 4, 5)


def attributes(sequence: str, numbers: list[int]) -> dict[str, Any]:
    """What napari says about a layer that was read from a challenge folder."""
    return {"name": "cells", "metadata": {METADATA: {"sequence": sequence, "numbers": numbers}}}


def test_a_result_has_the_numbers_of_its_frames(tmp_path: Path) -> None:
    files = write_result(str(tmp_path / "out"), LABELS, attributes("02", [3, 12]))
    assert files == [str(tmp_path / "out" / "02_RES" / f"mask0{number}.tif") for number in ("03", "12")]
    for file, plane in zip(files, LABELS, strict=True):
        written = read_labels(file)
        assert written.dtype == np.uint16
        np.testing.assert_array_equal(written, plane)
    assert list(files_by_id(tmp_path / "out", "prediction")) == ["02_t003", "02_t012"]
    assert sorted(path.name for path in (tmp_path / "out" / "02_RES").iterdir()) == [
        "mask003.tif",
        "mask012.tif",
    ]


@pytest.mark.parametrize(
    ("folder", "data", "about", "expected"),
    [
        ("05_RES", LABELS[0], {}, "05_RES/mask000.tif"),
        ("new", LABELS[0], {}, "new/01_RES/mask000.tif"),
        ("new", LABELS[:1], attributes("02", [1234]), "new/02_RES/mask1234.tif"),
        ("cropped", LABELS[:1], attributes("02", [3, 12]), "cropped/02_RES/mask000.tif"),
    ],
)
def test_other_layers_and_folders(
    tmp_path: Path, folder: str, data: np.ndarray, about: dict[str, Any], expected: str
) -> None:
    assert write_result(str(tmp_path / folder), data, about) == [str(tmp_path / expected)]


def test_lazy_labels_are_written_too(tmp_path: Path) -> None:
    da = pytest.importorskip("dask.array")
    files = write_result(str(tmp_path / "01_RES"), da.from_array(LABELS, chunks=(1, -1, -1)), {})
    np.testing.assert_array_equal(read_labels(files[1]), LABELS[1])


def test_nothing_is_left_of_a_result_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "01_RES"
    with pytest.raises(MaskError, match="got 0 to 70000"):
        write_result(str(folder), np.where(LABELS == 39, 70_000, LABELS % 2), {})
    assert list(folder.iterdir()) == []
    with pytest.raises(MaskError, match=r"got shape \(1, 2, 4, 5\) \(cells\)"):
        write_result(str(folder), LABELS[None], attributes("01", [0]))
    write_result(str(folder), LABELS, {})
    with pytest.raises(OutputError, match=r"got 2, such as mask000\.tif .*01_RES"):
        write_result(str(folder), LABELS, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"got Not a directory .*file"):
        write_result(str(tmp_path / "file"), LABELS, {})


def test_npe2_saves_it(tmp_path: Path) -> None:
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager()
    manager.register(npe2.PluginManifest.from_file(Path(__file__).parents[2] / "biostyle/napari/napari.yaml"))
    manager.activate("biostyle")
    path = str(tmp_path / "01_RES")
    writer, found = manager.get_writer(path, ["labels"], "biostyle")
    assert found == path
    assert len(writer.exec(args=(path, LABELS, {}), _registry=manager.commands)) == 2
    assert manager.get_writer(path, ["image"], "biostyle")[0] is None
