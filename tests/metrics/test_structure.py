from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from biostyle.errors import MaskError
from biostyle.metrics.structure import (
    FlagSettings,
    StructureChange,
    change_reasons,
    foreground_fraction,
    fraction_reasons,
    plausible_fractions,
    structure_change,
)
from biostyle.types import NDArray

SETTINGS = FlagSettings(min_object_px=4)


def objects(change: StructureChange) -> tuple[int, int, int, int]:
    """Counts of a comparison."""
    return change.n_before, change.n_after, change.vanished, change.appeared


def squares(*corners: tuple[int, int], side: int = 10) -> NDArray:
    """A mask of 40 x 60 px with squares."""
    mask = np.zeros((40, 60), np.uint8)
    for row, column in corners:
        mask[row : row + side, column : column + side] = 1
    return mask


def test_counts_what_vanished_and_what_appeared() -> None:
    before, after = squares((0, 0), (0, 20), (20, 0)), squares((0, 0), (20, 40))
    assert objects(structure_change(before, after, SETTINGS)) == (3, 2, 2, 1)
    assert objects(structure_change(after, before, SETTINGS)) == (2, 3, 1, 2)
    assert objects(structure_change(before, before, SETTINGS)) == (3, 3, 0, 0)


@pytest.mark.parametrize(("n_columns", "vanished"), [(0, 1), (1, 0), (5, 0)])
def test_an_object_that_is_covered_a_little_has_not_vanished(n_columns: int, vanished: int) -> None:
    after = squares((0, 0))
    after[:, n_columns:] = 0
    assert structure_change(squares((0, 0)), after, SETTINGS).vanished == vanished


def test_merged_and_split_objects_neither_vanish_nor_appear() -> None:
    apart = squares((0, 0), (0, 11))
    merged = apart.copy()
    merged[:10, 10] = 1
    assert objects(structure_change(apart, merged, SETTINGS)) == (2, 1, 0, 0)


def test_specks_are_no_objects_but_cover_what_they_cover() -> None:
    specks = squares((0, 0), (0, 30), side=1)
    assert objects(structure_change(specks, squares(), SETTINGS)) == (0, 0, 0, 0)
    assert objects(structure_change(squares((0, 0)), specks, SETTINGS)) == (1, 0, 1, 0)


def test_empty_and_full_masks() -> None:
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    assert objects(structure_change(empty, full, SETTINGS)) == (0, 1, 0, 1)
    assert objects(structure_change(full, empty, SETTINGS)) == (1, 0, 1, 0)
    grown = structure_change(empty, full, SETTINGS)
    assert (grown.fraction_before, grown.fraction_after) == (0, 1)
    assert (foreground_fraction(empty), foreground_fraction(full)) == (0, 1)


def test_agrees_with_a_loop_over_objects() -> None:
    rng = np.random.default_rng(0)
    masks = [ndimage.gaussian_filter(rng.standard_normal((80, 90)), 3) > 0.1 for _ in range(2)]
    for reference, mask in (masks, masks[::-1]):
        labels, n = ndimage.label(reference, np.ones((3, 3)))
        found_objects = [labels == number for number in range(1, n + 1)]
        found_objects = [found for found in found_objects if found.sum() >= 30]
        vanished = sum(mask[found].mean() < 0.1 for found in found_objects)
        change = structure_change(reference, mask, FlagSettings())
        assert (change.n_before, change.vanished) == (len(found_objects), vanished)
        assert vanished > 0


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(MaskError, match=r"size \(40, 60\), got \(40, 59\)"):
        structure_change(squares(), squares()[:, 1:], SETTINGS)


def test_a_flag_says_how_many_of_how_many() -> None:
    settings = FlagSettings(max_changed=0.25)
    assert change_reasons(StructureChange(8, 8, 2, 2, 0.2, 0.3), settings) == []
    assert change_reasons(StructureChange(8, 4, 3, 2, 0.2, 0.2), settings) == [
        "3 of 8 objects vanished",
        "2 of 4 objects appeared",
    ]


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.25), (0.25, 0.1), (0.0, 0.1), (0.1, 0.0)])
def test_more_or_less_foreground_is_flagged_where_no_object_appears(before: float, after: float) -> None:
    reasons = change_reasons(StructureChange(1, 1, 0, 0, before, after), SETTINGS)
    assert reasons == [f"foreground fraction {after:.3f} instead of {before:.3f}"]
    assert change_reasons(StructureChange(1, 1, 0, 0, after, after), SETTINGS) == []


@pytest.mark.parametrize(
    ("fraction", "reason"),
    [(0.0, "all but empty"), (0.005, "0.005 is outside"), (0.01, ""), (0.6, ""), (0.7, "0.700 is"), (0.95, "full")],
)  # fmt: skip
def test_fractions_are_compared_with_those_of_a(fraction: float, reason: str) -> None:
    plausible = plausible_fractions([0.06, 0.0, 0.1], FlagSettings(fraction_factor=6))
    assert plausible == pytest.approx((0.01, 0.6))
    reasons = fraction_reasons(fraction, plausible, FlagSettings())
    assert reason in "".join(reasons)
    assert bool(reasons) == bool(reason)


def test_the_range_never_widens_beyond_empty_and_full() -> None:
    assert plausible_fractions([0.001, 0.5], FlagSettings()) == (0.001, 0.9)
