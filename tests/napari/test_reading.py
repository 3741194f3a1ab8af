"""Challenge folders as layers: lazy, aligned, and refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from biostyle.errors import ImageError, MaskError, PairingError
from biostyle.io.frames import read_frame, write_frame
from biostyle.io.labels import read_labels, write_labels
from biostyle.napari.reading import METADATA, get_reader, read_folder

pytest.importorskip("dask.array")


@pytest.fixture
def folder(tmp_path: Path, tiny_data: Path) -> Path:
    """A data set of one sequence with complete silver masks, to play with."""
    return Path(shutil.copytree(tiny_data / "SIM-B", tmp_path / "SIM-B"))


def test_a_sequence_becomes_an_image_and_labels(folder: Path) -> None:
    (image, about, kind), (labels, about_labels, kind_labels) = read_folder(str(folder / "01"))
    assert (kind, kind_labels) == ("image", "labels")
    assert (about["name"], about_labels["name"]) == ("SIM-B 01", "SIM-B 01_ST")
    assert about["metadata"] == {METADATA: {"sequence": "01", "numbers": list(range(8))}}
    assert (image.shape, image.dtype, labels.shape) == ((8, 72, 80), np.uint16, (8, 72, 80))
    np.testing.assert_array_equal(image[3], read_frame(folder / "01" / "t003.tif"))
    np.testing.assert_array_equal(labels[3], read_labels(folder / "01_ST" / "SEG" / "man_seg003.tif"))


def test_pixels_are_read_when_they_are_looked_at(folder: Path) -> None:
    image = read_folder(str(folder / "01"))[0][0]
    (folder / "01" / "t005.tif").write_bytes(b"II*\0")
    image[4].compute()
    with pytest.raises(ImageError, match=r"t005\.tif"):
        image[5].compute()


def test_gold_and_results_are_opened_and_gaps_are_kept(folder: Path) -> None:
    (folder / "01_GT" / "SEG").mkdir(parents=True)
    (folder / "01_RES").mkdir()
    (folder / "02_RES").mkdir()
    mask = np.full((72, 80), 7, np.uint8)
    write_labels(folder / "01_GT" / "SEG" / "man_seg006.tif", mask)
    write_labels(folder / "01_RES" / "mask000.tif", mask)
    (folder / "01_RES" / "res_track.txt").write_text("1 0 0 0\n")
    (folder / "01" / "t002.tif").unlink()
    (folder / "01_ST" / "SEG" / "man_seg002.tif").unlink()
    layers = {about["name"]: (data, about) for data, about, _ in read_folder(str(folder))}
    assert list(layers) == ["SIM-B 01", "SIM-B 01_GT", "SIM-B 01_ST", "SIM-B 01_RES"]
    assert {data.dtype for data, about in list(layers.values())[1:]} == {np.dtype(np.int32)}
    data, about = layers["SIM-B 01_GT"]
    assert about["metadata"][METADATA]["numbers"] == [0, 1, 3, 4, 5, 6, 7]
    assert np.asarray(data.max(axis=(1, 2))).tolist() == [0, 0, 0, 0, 0, 7, 0]
    assert layers["SIM-B 01_RES"][0][0].min().compute() == 7


def test_other_paths_are_left_to_other_readers(folder: Path, tmp_path: Path) -> None:
    assert get_reader(str(folder)) is get_reader(str(folder / "01")) is read_folder
    (tmp_path / "02").mkdir()
    for path in (folder / "01_ST", tmp_path / "02", tmp_path, folder / "01" / "t000.tif", tmp_path / "no"):
        assert get_reader(str(path)) is None
    assert get_reader([str(folder)]) is None


def test_what_does_not_fit_is_named(folder: Path) -> None:
    write_frame(folder / "01" / "t001.tif", np.eye(9, dtype=np.uint16))
    write_labels(folder / "01_ST" / "SEG" / "man_seg001.tif", np.eye(9, dtype=np.uint16))
    (image, _, _), (labels, _, _) = read_folder(str(folder))
    with pytest.raises(ImageError, match=r"\(72, 80\) uint16 of the first one, got \(9, 9\) uint16 .*t001"):
        image[1].compute()
    with pytest.raises(MaskError, match=r"got \(9, 9\) .*man_seg001"):
        labels[1].compute()
    (folder / "01" / "t001.tif").unlink()
    with pytest.raises(PairingError, match=r"got man_seg001\.tif without t001\.tif"):
        read_folder(str(folder))


def test_npe2_opens_it(folder: Path) -> None:
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager()
    manager.register(npe2.PluginManifest.from_file(Path(__file__).parents[2] / "biostyle/napari/napari.yaml"))
    manager.activate("biostyle")
    (reader,) = manager.iter_compatible_readers([str(folder)])
    read = reader.exec(kwargs={"path": [str(folder)], "stack": False, "_registry": manager.commands})
    assert [kind for _, _, kind in read([str(folder)], stack=False)] == ["image", "labels"]
