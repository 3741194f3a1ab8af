"""Labels round-trip, become masks and come back; what is not a label image is refused."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from scipy import ndimage

from biostyle.errors import MaskError
from biostyle.io.frames import write_frame
from biostyle.io.labels import labels_to_mask, mask_to_labels, read_labels, write_labels

LABELS = np.zeros((20, 30), np.uint16)
LABELS[2:5, 2:6], LABELS[10:15, 10:20] = 255, 40_000


def test_round_trip(tmp_path: Path) -> None:
    write_labels(tmp_path / "mask000.tif", LABELS)
    read = read_labels(tmp_path / "mask000.tif", (20, 30))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, LABELS)


def test_an_empty_mask_is_fine(tmp_path: Path) -> None:
    write_labels(tmp_path / "mask000.tif", np.zeros((4, 4), bool))
    assert read_labels(tmp_path / "mask000.tif").max() == 0


def test_another_size_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "mask000.tif", LABELS)
    with pytest.raises(MaskError, match=r"\(30, 20\), got \(20, 30\) .*mask000.tif"):
        read_labels(tmp_path / "mask000.tif", (30, 20))


def test_floats_are_refused(tmp_path: Path) -> None:
    write_frame(tmp_path / "p.tif", LABELS.astype(np.float32))
    with pytest.raises(MaskError, match=r"float32 .*p.tif"):
        read_labels(tmp_path / "p.tif")
    with pytest.raises(MaskError, match=r"float64 .*q.tif"):
        write_labels(tmp_path / "q.tif", LABELS / 2)


def test_an_unreadable_file_is_a_mask_error(tmp_path: Path) -> None:
    (tmp_path / "m.tif").write_bytes(b"no TIFF")
    with pytest.raises(MaskError, match=r"labels must be .*b'no TIFF' .*m.tif"):
        read_labels(tmp_path / "m.tif")


def test_lossy_masks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jpg").write_bytes(imagecodecs.jpeg8_encode(LABELS.astype(np.uint8)))
    with pytest.raises(MaskError, match=r"\.jpg file .*m.jpg"):
        read_labels(tmp_path / "m.jpg")


@pytest.mark.parametrize("value", [-1, 65_536])
def test_labels_beyond_uint16_are_refused(tmp_path: Path, value: int) -> None:
    with pytest.raises(MaskError, match=f"{value}.*m.tif"):
        write_labels(tmp_path / "m.tif", np.array([[0, value]]))
    assert not (tmp_path / "m.tif").exists()


def test_identity_255_is_foreground() -> None:
    assert labels_to_mask(LABELS).sum() == 3 * 4 + 5 * 10


def test_components_agree_with_scipy() -> None:
    mask = np.random.default_rng(1).random((60, 60)) > 0.7
    labels = mask_to_labels(mask)
    reference, n_objects = ndimage.label(mask, structure=np.ones((3, 3)))
    assert labels.max() == n_objects
    np.testing.assert_array_equal(labels, reference)


def test_small_components_are_dropped_and_the_rest_renumbered() -> None:
    labels = mask_to_labels(LABELS, min_size_px=13)
    assert set(np.unique(labels)) == {0, 1}
    assert labels.sum() == 50


def test_too_many_objects_are_refused() -> None:
    mask = np.zeros((520, 520), np.uint8)
    mask[::2, ::2] = 1
    with pytest.raises(MaskError, match="got 67600"):
        mask_to_labels(mask)
