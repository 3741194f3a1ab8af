"""Divide frames into training and test parts by whole sequences or by blocks of time, never by tile.

Neighbouring frames of a movie show the same cells in almost the same place. Frames drawn at random, or tiles
of one frame, would therefore put near-copies of the test images into the training set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from biostyle.errors import SplitError

Part: TypeAlias = Literal["train", "validation", "test", "unused"]


class SplitSettings(BaseModel):
    """How to divide the frames of a data set.

    Attributes
    ----------
    mode : {"auto", "sequence", "block"}
        ``sequence`` takes whole sequences; ``block`` takes the end of every sequence as test; ``auto`` is
        ``sequence`` where all the sequences named below are there, else ``block``, with a gap so narrow that a frame
        is left to train on.
    train_sequences, test_sequences : tuple of str
        Sequences of each part; any other sequence stays unused.
    test_fraction : float
        Fraction of a sequence's frames in the test block, between 0 and 1.
    gap_frames : int
        Frames whose number is at most this far before the first test frame are not used at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["auto", "sequence", "block"] = "auto"
    train_sequences: tuple[str, ...] = Field(("01",), min_length=1)
    test_sequences: tuple[str, ...] = Field(("02",), min_length=1)
    test_fraction: float = Field(0.34, gt=0, lt=1)
    gap_frames: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _refuse_shared_sequences(self) -> SplitSettings:
        """Refuse a sequence that is in both parts."""
        shared = sorted(set(self.train_sequences) & set(self.test_sequences))
        if shared:
            raise ValueError(
                f"test_sequences must not hold a training sequence, got {shared} in both. Remove it from one."
            )
        return self


class SequenceFrame(Protocol):
    """What a split needs to know about a frame."""

    @property
    def frame_id(self) -> str:
        """Return the name that is unique in the data set."""
        ...

    @property
    def sequence(self) -> str:
        """Return the name of the sequence."""
        ...

    @property
    def number(self) -> int:
        """Return the number in time order."""
        ...


@dataclass(frozen=True)
class Split:
    """The part of every frame, and how it was decided.

    Attributes
    ----------
    mode : {"sequence", "block", "none"}
        The rule that was used; ``none`` where all frames are for the same thing.
    assignment : dict of str to {"train", "validation", "test", "unused"}
        The part of each frame, by frame id.
    narrowed_gap : int or None
        The gap in frames where ``auto`` had to narrow it.
    """

    mode: Literal["sequence", "block", "none"]
    assignment: dict[str, Part]
    narrowed_gap: int | None = None


def assign_splits(frames: Sequence[SequenceFrame], settings: SplitSettings, where: str = "") -> Split:
    """Assign every frame to training, to test, or to neither.

    Parameters
    ----------
    frames : sequence of Frame
        Anything with ``frame_id``, ``sequence`` and ``number``.
    settings : SplitSettings
        The rule to follow.
    where : str
        Folder the frames came from, for the error.

    Returns
    -------
    Split
        The rule that was used and the part of each frame.

    Raises
    ------
    SplitError
        If a wanted sequence is missing, or training or test would be empty.

    Examples
    --------
    >>> from pathlib import Path
    >>> from biostyle.data.sources.cell_tracking import Frame
    >>> frames = [Frame(f"01_t{n:03d}", "01", n, Path(f"t{n:03d}.tif"), None, None) for n in range(6)]
    >>> split = assign_splits(frames, SplitSettings(gap_frames=1))
    >>> split.mode, list(split.assignment.values())
    ('block', ['train', 'train', 'unused', 'test', 'test', 'test'])
    """
    at = f" ({where})" if where else ""
    present = {frame.sequence for frame in frames}
    wanted = {*settings.train_sequences, *settings.test_sequences}
    mode, gap = settings.mode, settings.gap_frames
    if mode == "auto":
        mode = "sequence" if wanted <= present else "block"
    if mode == "sequence":
        missing = sorted(wanted - present)
        if missing:
            raise SplitError(
                f"split.mode 'sequence' must find sequences {sorted(wanted)}, got {sorted(present)} "
                f"without {missing}{at}. "
                "Add the sequence, or set split.mode to 'block'."
            )
        assignment = _by_sequence(frames, settings)
    else:
        assignment = _by_block(frames, settings, gap)
        while settings.mode == "auto" and gap and "train" not in assignment.values():
            gap -= 1
            assignment = _by_block(frames, settings, gap)
    parts = list(assignment.values())
    if "train" not in parts or "test" not in parts:
        raise SplitError(
            f"split must leave at least one training and one test frame, got {parts.count('train')} and "
            f"{parts.count('test')} of {len(parts)} frames{at}. "
            "Add frames, lower split.gap_frames or split.test_fraction, or leave this data set out."
        )
    return Split(mode, assignment, None if gap == settings.gap_frames else gap)


def _by_sequence(frames: Sequence[SequenceFrame], settings: SplitSettings) -> dict[str, Part]:
    """Assign whole sequences."""
    parts: dict[str, Part] = dict.fromkeys(settings.train_sequences, "train")
    parts |= dict.fromkeys(settings.test_sequences, "test")
    return {frame.frame_id: parts.get(frame.sequence, "unused") for frame in frames}


def _by_block(frames: Sequence[SequenceFrame], settings: SplitSettings, gap_frames: int) -> dict[str, Part]:
    """Assign the end of each sequence to test and leave a gap before it."""
    assignment: dict[str, Part] = {}
    for sequence in sorted({frame.sequence for frame in frames}):
        ordered = sorted((f for f in frames if f.sequence == sequence), key=lambda f: f.number)
        # Rounding to 9 digits keeps .07 * 100 at 7, where binary fractions would make it 8.
        n_test = math.ceil(round(settings.test_fraction * len(ordered), 9))
        first_test = ordered[-n_test].number
        for frame in ordered:
            if frame.number >= first_test:
                assignment[frame.frame_id] = "test"
            elif frame.number >= first_test - gap_frames:
                assignment[frame.frame_id] = "unused"
            else:
                assignment[frame.frame_id] = "train"
    return assignment


def check_no_leak(train_ids: Iterable[str], test_ids: Iterable[str]) -> None:
    """Check that no test frame is in a training set.

    Parameters
    ----------
    train_ids, test_ids : iterable of str
        Frame ids of the two parts.

    Raises
    ------
    SplitError
        If they share a frame.

    Examples
    --------
    >>> check_no_leak(["01_t000"], ["02_t000"])
    """
    shared = sorted(set(train_ids) & set(test_ids))
    if shared:
        shown = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        raise SplitError(
            f"test frames must not be in the training set, got {len(shared)} shared: {shown}. "
            "Score on frames the model has not seen."
        )
