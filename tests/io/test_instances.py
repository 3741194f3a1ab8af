"""Masks become binary images or numbered objects."""

from __future__ import annotations

import numpy as np
import pytest

from biostyle.errors import ConfigError, MaskError
from biostyle.io.instances import binary_mask, mask_dtype, mask_to_instances
from biostyle.io.labels import renumber


def discs(distance: int) -> np.ndarray:
    """Two discs of radius 12, and a dot."""
    y, x = np.mgrid[:50, :90]
    mask = np.zeros((50, 90), bool)
    for centre in (30, 30 + distance):
        mask |= (y - 25) ** 2 + (x - centre) ** 2 <= 12**2
    mask[2, 2] = True
    return mask


def test_binary() -> None:
    assert np.unique(binary_mask(discs(40))).tolist() == [0, 255]
    assert binary_mask(discs(40), 1).max() == 1
    with pytest.raises(ConfigError, match="got 7"):
        binary_mask(discs(40), 7)


@pytest.mark.parametrize(("distance", "components", "split"), [(40, 3, 3), (20, 2, 3), (0, 2, 2)])
def test_touching_objects_are_cut_apart_by_watershed_alone(
    distance: int, components: int, split: int
) -> None:
    mask = discs(distance)
    assert mask_to_instances(mask).max() == components
    labels = mask_to_instances(mask, "watershed")
    assert labels.max() == split
    np.testing.assert_array_equal(labels > 0, mask)  # nothing is lost
    assert np.unique(labels).tolist() == list(range(split + 1))
    assert mask_to_instances(mask, "watershed", min_size_px=2).max() == split - 1


def test_empty_and_full_masks() -> None:
    for split in ("components", "watershed"):
        assert mask_to_instances(np.zeros((9, 9)), split).max() == 0  # type: ignore[arg-type]
        assert mask_to_instances(np.ones((9, 9)), split).max() == 1  # type: ignore[arg-type]


def test_more_objects_than_uint16_can_number() -> None:
    many = np.zeros((600, 600), bool)
    many[::2, ::2] = True
    with pytest.raises(MaskError, match=r"at most 65535 objects, got 90000.*uint32"):
        mask_to_instances(many)
    labels = mask_to_instances(many, dtype="uint32")
    assert (labels.max(), labels.dtype) == (90_000, np.uint32)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="got 'magic'"):
        mask_to_instances(np.zeros((9, 9)), "magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got 0 and -1"):
        mask_to_instances(np.zeros((9, 9)), min_distance_px=0, min_size_px=-1)


def test_renumbering_keeps_the_order() -> None:
    assert renumber(np.array([[9, 4, 4, 0]]), min_size_px=1).tolist() == [[2, 1, 1, 0]]


def test_mask_types() -> None:
    assert (mask_dtype(None, "uint32"), mask_dtype("watershed")) == (np.uint8, np.uint16)
    assert mask_dtype("components", "uint32") == np.uint32
