"""Divide images into training, validation and test by patient or lesion, so that what belongs together stays together.

A group's part depends on its name and the seed alone: adding or removing images moves no other image, unless there are so
few groups that a part would be empty.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from biostyle.data.splits import Part
from biostyle.errors import SplitError


class GroupSplitSettings(BaseModel):
    """How to divide groups of images.

    Attributes
    ----------
    test_fraction : float
        Expected fraction of the groups in the test part, between 0 and 1.
    validation_fraction : float
        Expected fraction of the groups in the validation part; 0 for none.
    seed : int
        Another seed, another division.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    test_fraction: float = Field(0.3, gt=0, lt=1)
    validation_fraction: float = Field(0.15, ge=0, lt=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> GroupSplitSettings:
        """Refuse fractions that leave nothing to train on."""
        taken = self.test_fraction + self.validation_fraction
        if taken >= 1:
            raise ValueError(
                f"test_fraction and validation_fraction must be less than 1 together, got {taken:g}. "
                "Lower one of them."
            )
        return self


def group_part(group: str, settings: GroupSplitSettings) -> Part:
    """Decide on the part of one group.

    Parameters
    ----------
    group : str
        Name of a patient or lesion.
    settings : GroupSplitSettings
        Fractions and seed.

    Returns
    -------
    {"train", "validation", "test"}
        The part.

    Notes
    -----
    The first 8 bytes of SHA-256 of ``SEED:GROUP`` are a number u that is uniform in [0, 1): test where u is below
    ``test_fraction``, validation where it is below the sum of both fractions, else training.

    Examples
    --------
    >>> [group_part(f"lesion {number}", GroupSplitSettings()) for number in range(9, 12)]
    ['train', 'validation', 'test']
    """
    return _part_at(_position(group, settings), settings)


def divide_groups(
    groups: Collection[str], settings: GroupSplitSettings, decided: Mapping[str, Part] | None = None
) -> dict[str, Part]:
    """Decide on the part of every group, and leave no part empty that is needed, if there are enough groups.

    Parameters
    ----------
    groups : collection of str
        Names of patients or lesions; may repeat.
    settings : GroupSplitSettings
        Fractions and seed; no validation part is needed where its fraction is 0.
    decided : mapping of str to {"train", "validation", "test", "unused"}, optional
        Groups whose part is decided already.

    Returns
    -------
    dict of str to {"train", "validation", "test", "unused"}
        The part of each group: what :func:`group_part` says. An empty part gets the group of another part, one of at
        least two, whose number u is nearest to its range.

    Examples
    --------
    >>> divide_groups(["lesion 9", "lesion 12", "lesion 13"], GroupSplitSettings())
    {'lesion 9': 'train', 'lesion 12': 'test', 'lesion 13': 'validation'}
    """
    known = decided or {}
    positions = {group: _position(group, settings) for group in groups}
    parts = {group: known.get(group) or _part_at(position, settings) for group, position in positions.items()}
    test_end = settings.test_fraction
    validation_end = test_end + settings.validation_fraction
    ranges: dict[Part, tuple[float, float]] = {
        "train": (validation_end, 1.0),
        "test": (0.0, test_end),
        "validation": (test_end, validation_end),
    }
    for part, (low, high) in ranges.items():
        counts = Counter(parts.values())
        if low == high or counts[part]:
            continue
        movable = [group for group, given in parts.items() if group not in known and counts[given] > 1]
        distances = {group: max(low - positions[group], positions[group] - high) for group in movable}
        if distances:
            parts[min(distances, key=distances.__getitem__)] = part
    return parts


def _position(group: str, settings: GroupSplitSettings) -> float:
    """Return a group's number u, in [0, 1)."""
    digest = hashlib.sha256(f"{settings.seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _part_at(position: float, settings: GroupSplitSettings) -> Part:
    """Return the part that a number u falls into."""
    if position < settings.test_fraction:
        return "test"
    return "validation" if position < settings.test_fraction + settings.validation_fraction else "train"


def agreed_parts(found: Mapping[str, set[Part]]) -> dict[str, Part]:
    """Decide on groups that have a part elsewhere already, for :func:`divide_groups`.

    Parameters
    ----------
    found : mapping of str to set of {"train", "validation", "test", "unused"}
        The parts in which there is something of each group.

    Returns
    -------
    dict of str to {"train", "validation", "test", "unused"}
        That part, or ``"unused"`` where there are several; groups that are nowhere else are left out.

    Examples
    --------
    >>> agreed_parts({"a": {"test"}, "b": {"test", "train"}, "c": set()})
    {'a': 'test', 'b': 'unused'}
    """
    return {
        group: next(iter(parts)) if len(parts) == 1 else "unused" for group, parts in found.items() if parts
    }


def equal_positions(digests: Iterable[Hashable]) -> list[list[int]]:
    """Find images that are identical, for :func:`merge_groups`.

    Parameters
    ----------
    digests : iterable of hashable
        What tells each image from others.

    Returns
    -------
    list of list of int
        Positions of images that are identical, one list for each set of duplicates.

    Examples
    --------
    >>> equal_positions(["x", "y", "x"])
    [[0, 2]]
    """
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for position, digest in enumerate(digests):
        positions[digest].append(position)
    return [found for found in positions.values() if len(found) > 1]


def merge_groups(groups: Sequence[str], same: Iterable[Sequence[int]]) -> list[str]:
    """Make one group of all groups that share an image.

    Parameters
    ----------
    groups : sequence of str
        The group of each image.
    same : iterable of sequence of int
        Positions of images that are identical, one sequence for each set of duplicates.

    Returns
    -------
    list of str
        The group of each image; a merged group has the first of its names in the alphabet.

    Examples
    --------
    >>> merge_groups(["a", "b", "c", "b"], [(0, 1)])
    ['a', 'a', 'c', 'a']
    """
    merged = {group: group for group in groups}
    for positions in same:
        names = {merged[groups[position]] for position in positions}
        first = min(names)
        merged = {group: first if name in names else name for group, name in merged.items()}
    return [merged[group] for group in groups]


def check_parts(parts: Iterable[Part], settings: GroupSplitSettings, where: str) -> None:
    """Check that no part that is needed is empty.

    Parameters
    ----------
    parts : iterable of {"train", "validation", "test", "unused"}
        The part of each image.
    settings : GroupSplitSettings
        How they were decided; no validation part is needed where its fraction is 0.
    where : str
        What was divided, for the error.

    Raises
    ------
    SplitError
        If there is no image to train on, to validate on, or to test on.
    """
    parts = list(parts)
    needed = ["train", "test"] + (["validation"] if settings.validation_fraction else [])
    for part in needed:
        if cast(Part, part) not in parts:
            counts = ", ".join(f"{parts.count(cast(Part, name))} {name}" for name in needed)
            raise SplitError(
                f"split must leave at least one image in each part, got {counts} of {len(parts)} ({where}). "
                f"Add images, raise the fraction of {part}, or choose another split.seed than {settings.seed}."
            )
