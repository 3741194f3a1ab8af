"""Groups stay together, and nobody moves because somebody else came."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from biostyle.data.group_split import (
    GroupSplitSettings,
    check_parts,
    divide_groups,
    group_part,
    merge_groups,
)
from biostyle.errors import SplitError

SETTINGS = GroupSplitSettings(test_fraction=0.3, validation_fraction=0.2)
NAMES = [f"lesion {number}" for number in range(3000)]


def test_the_fractions_are_kept_on_average() -> None:
    counts = Counter(group_part(name, SETTINGS) for name in NAMES)
    assert counts["test"] / 3000 == pytest.approx(0.3, abs=0.03)
    assert counts["validation"] / 3000 == pytest.approx(0.2, abs=0.03)


def test_the_seed_decides() -> None:
    other = SETTINGS.model_copy(update={"seed": 1})
    assert [group_part(name, SETTINGS) for name in NAMES] == [group_part(name, SETTINGS) for name in NAMES]
    same = sum(group_part(name, SETTINGS) == group_part(name, other) for name in NAMES)
    assert same / 3000 == pytest.approx(0.3**2 + 0.2**2 + 0.5**2, abs=0.03)


def test_a_larger_test_part_keeps_its_members() -> None:
    larger = SETTINGS.model_copy(update={"test_fraction": 0.4})
    assert all(group_part(name, larger) == "test" for name in NAMES if group_part(name, SETTINGS) == "test")


def test_no_validation_part_where_none_is_wanted() -> None:
    none = GroupSplitSettings(validation_fraction=0)
    assert "validation" not in {group_part(name, none) for name in NAMES}
    check_parts(["train", "test"], none, "here")


@pytest.mark.parametrize("first", range(0, 300, 3))
def test_no_part_is_empty_where_there_are_three_groups(first: int) -> None:
    names = NAMES[first : first + 3]
    assert set(divide_groups(names, SETTINGS).values()) == {"train", "validation", "test"}
    none = GroupSplitSettings(validation_fraction=0)
    assert set(divide_groups(names, none).values()) == {"train", "test"}


def test_groups_move_only_where_a_part_would_be_empty_and_only_if_nobody_decided() -> None:
    assert divide_groups(NAMES, SETTINGS) == {name: group_part(name, SETTINGS) for name in NAMES}
    known: dict = {"a": "train", "b": "train", "c": "unused"}
    assert divide_groups("abc", SETTINGS, known) == known
    names = [name for name in NAMES if group_part(name, SETTINGS) == "train"][:5]
    divided = divide_groups([*names, "a", "b"], SETTINGS, known)
    assert sorted(divided.values()) == ["test", *["train"] * 5, "validation"]
    assert (divided["a"], divided["b"]) == ("train", "train")


def test_groups_that_share_an_image_are_one() -> None:
    assert merge_groups(["c", "b", "a", "d"], [(0, 1), (1, 2)]) == ["a", "a", "a", "d"]
    assert merge_groups(["c", "b", "b", "a"], [(0, 1), (2, 3)]) == ["a", "a", "a", "a"]
    assert merge_groups(["b", "a"], []) == ["b", "a"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train", "train"], r"got 2 train, 0 test, 0 validation of 2 \(A, here\)\. .* fraction of test"),
        (["train", "test", "test"], "got 1 train, 2 test, 0 validation of 3 .* fraction of validation"),
        (["unused", "test"], "got 0 train, 1 test, 0 validation of 2 .*split.seed than 0"),
    ],
)
def test_an_empty_part_is_named(parts: list, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        check_parts(parts, SETTINGS, "A, here")


def test_something_is_left_for_training() -> None:
    with pytest.raises(ValidationError, match=r"less than 1 together, got 1\.1"):
        GroupSplitSettings(test_fraction=0.6, validation_fraction=0.5)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        GroupSplitSettings.model_validate({"train_fraction": 0.5})
