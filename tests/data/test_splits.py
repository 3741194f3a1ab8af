"""Tests of biostyle.data.splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from biostyle.data.sources.cell_tracking import Frame
from biostyle.data.splits import SplitSettings, assign_splits, check_no_leak
from biostyle.errors import SplitError


def _frames(**numbers: range | list[int]) -> list[Frame]:
    return [
        Frame(f"{name[1:]}_t{n:03d}", name[1:], n, Path(f"t{n:03d}.tif"), None, None)
        for name, sequence in numbers.items()
        for n in sequence
    ]


def _ids(split, part: str) -> list[str]:
    return [frame_id for frame_id, given in split.assignment.items() if given == part]


def test_auto_splits_by_sequence_where_both_are_there() -> None:
    split = assign_splits(_frames(s01=range(3), s02=range(2), s03=range(1)), SplitSettings())
    assert split.mode == "sequence"
    assert _ids(split, "train") == ["01_t000", "01_t001", "01_t002"]
    assert _ids(split, "test") == ["02_t000", "02_t001"]
    assert _ids(split, "unused") == ["03_t000"]


def test_auto_splits_by_block_where_only_one_sequence_is_there() -> None:
    split = assign_splits(_frames(s01=range(10)), SplitSettings(test_fraction=0.31, gap_frames=2))
    assert split.mode == "block"
    assert _ids(split, "test") == ["01_t006", "01_t007", "01_t008", "01_t009"]
    assert _ids(split, "unused") == ["01_t004", "01_t005"]


def test_gap_counts_frame_numbers_not_files() -> None:
    split = assign_splits(_frames(s01=[0, 10, 19, 20, 40]), SplitSettings(test_fraction=0.4))
    assert _ids(split, "test") == ["01_t020", "01_t040"]
    assert _ids(split, "unused") == ["01_t019"]


def test_every_sequence_gives_its_own_block() -> None:
    frames = _frames(s01=range(4), s02=range(4))
    split = assign_splits(frames[::-1], SplitSettings(mode="block", test_fraction=0.25, gap_frames=0))
    assert sorted(_ids(split, "test")) == ["01_t003", "02_t003"]
    assert len(_ids(split, "train")) == 6


@pytest.mark.parametrize(("fraction", "n", "n_test"), [(0.07, 100, 7), (0.34, 3, 2), (0.5, 7, 4)])
def test_block_length_is_the_ceiling(fraction: float, n: int, n_test: int) -> None:
    split = assign_splits(_frames(s01=range(n)), SplitSettings(test_fraction=fraction, gap_frames=0))
    assert len(_ids(split, "test")) == n_test


def test_a_missing_sequence_is_named() -> None:
    with pytest.raises(SplitError, match=r"got \['01'\] without \['02'\] \(data/U373\)"):
        assign_splits(_frames(s01=range(4)), SplitSettings(mode="sequence"), "data/U373")


@pytest.mark.parametrize(("n", "gap", "counts"), [(1, 0, "0 and 1 of 1"), (4, 9, "0 and 2 of 4")])
def test_an_empty_part_is_refused(n: int, gap: int, counts: str) -> None:
    with pytest.raises(SplitError, match=rf"got {counts} frames \(data/U373\)"):
        assign_splits(_frames(s01=range(n)), SplitSettings(mode="block", gap_frames=gap), "data/U373")


def test_auto_narrows_a_gap_that_leaves_nothing_to_train_on() -> None:
    split = assign_splits(_frames(s02=[0, 2, 4]), SplitSettings(gap_frames=2))
    assert split.narrowed_gap == 1
    assert _ids(split, "train") == ["02_t000"]
    assert _ids(split, "test") == ["02_t002", "02_t004"]
    assert assign_splits(_frames(s02=[0, 9, 18]), SplitSettings(gap_frames=2)).narrowed_gap is None


def test_one_frame_cannot_be_divided() -> None:
    with pytest.raises(SplitError, match=r"got 0 and 1 of 1 frames \(data/U373\)"):
        assign_splits(_frames(s01=range(1)), SplitSettings(), "data/U373")


def test_a_sequence_in_both_parts_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"got \['01'\] in both"):
        SplitSettings(train_sequences=("01", "03"), test_sequences=("01",))


@pytest.mark.parametrize("wrong", [{"test_fraction": 1.0}, {"gap_frames": -1}, {"by_tile": True}])
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SplitSettings.model_validate(wrong)


def test_a_leak_is_named() -> None:
    check_no_leak(["01_t000"], ["01_t001"])
    with pytest.raises(SplitError, match=r"got 2 shared: 01_t001, 01_t002\."):
        check_no_leak(["01_t001", "01_t000", "01_t002"], ["01_t002", "01_t001"])
    many = [f"01_t{n:03d}" for n in range(9)]
    with pytest.raises(SplitError, match=r"got 9 shared: .*01_t004, \.\.\.\."):
        check_no_leak(many, many)
