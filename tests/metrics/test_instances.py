"""Overlaps of instances against scikit-image, and SEG by hand."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import contingency_table

from biostyle.errors import MaskError
from biostyle.metrics.instances import overlap_matrix, seg_score


@pytest.mark.parametrize(
    ("dtype", "density"), [(np.uint8, 0.1), (np.uint16, 0.9), (np.int32, 0.5), (np.uint8, 0.0)]
)
def test_overlaps_are_those_of_scikit_image(dtype: type, density: float) -> None:
    rng = np.random.default_rng(0)
    pred, target = (
        np.where(rng.random((60, 70)) < density, rng.integers(0, n, (60, 70)), 0).astype(dtype)
        for n in (9, 14)
    )
    ours = overlap_matrix(pred, target)
    np.testing.assert_array_equal(ours, contingency_table(pred, target, sparse_type="array").toarray())
    assert ours.sum() == pred.size


def test_seg_by_hand() -> None:
    target = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 3]])
    pred = np.array([[5, 5, 5, 0, 0, 7, 0, 0, 9, 9]])
    assert seg_score(overlap_matrix(pred, target)) == pytest.approx(
        (3 / 4 + 0 + 1) / 3
    )  # half of 2 is not enough
    assert seg_score(overlap_matrix(target, target)) == 1
    assert seg_score(overlap_matrix(np.zeros_like(target), target)) == 0
    assert np.isnan(seg_score(overlap_matrix(pred, np.zeros_like(target))))


def test_what_is_no_pair_of_labels() -> None:
    with pytest.raises(MaskError, match=r"pred must have the truth's size \(3, 3\), got \(2, 3\)"):
        overlap_matrix(np.zeros((2, 3), int), np.zeros((3, 3), int))
    with pytest.raises(MaskError, match="pred must hold integers from 0, got float64"):
        overlap_matrix(np.zeros((2, 3)), np.zeros((2, 3), int))
    with pytest.raises(MaskError, match="target must hold integers from 0, got int64 from -4"):
        overlap_matrix(np.zeros((1, 1), int), np.full((1, 1), -4))
    with pytest.raises(MaskError, match="got identities up to 65535 in pred and 60000 in target"):
        overlap_matrix(np.full((1, 1), 65535, np.uint16), np.full((1, 1), 60000, np.uint16))
