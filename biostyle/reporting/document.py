"""What a report says, before anybody decides what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from biostyle.types import NDArray

BEFORE = "before"
AFTER = "after"
CEILING = "ceiling"
BASELINES = ("all_foreground", "all_background", "otsu")


@dataclass(frozen=True)
class Panel:
    """One frame to look at, with what was predicted on it.

    Attributes
    ----------
    image_id : str
        Frame, as named in the score tables.
    image : ndarray of shape (H, W)
        Frame of domain B, any numeric dtype; stretched for display only.
    stylized : ndarray of shape (H, W) or None
        The same frame in the style of A.
    before : ndarray of shape (H, W)
        Mask predicted on the frame as it is, 0 or 1.
    after : ndarray of shape (H, W) or None
        Mask of the chosen candidate, 0 or 1.
    truth : ndarray of shape (H, W)
        Reference mask, 0 or 1; 255 where nobody annotated.
    """

    image_id: str
    image: NDArray
    stylized: NDArray | None
    before: NDArray
    after: NDArray | None
    truth: NDArray


@dataclass(frozen=True)
class DomainResult:
    """Everything measured on one domain.

    Attributes
    ----------
    name : str
        Key in ``summary.json`` and in ``scores.csv``.
    title : str
        Name for people.
    reference : str
        Annotation that was scored against, for example ``"gold"``.
    n_scored : int
        Frames that were scored.
    n_frames : int
        Frames there are.
    tables : mapping of str to DataFrame
        Per-image score tables by row name. ``"before"`` is required; ``"after"``, the trivial baselines
        ``"all_foreground"``, ``"all_background"``, ``"otsu"``, the supervised ``"ceiling"``, which saw B's labels and
        is never a candidate, and any other candidate are optional.
    panels : sequence of Panel
        Frames to show.
    losses : DataFrame or None
        Training history: a column ``step`` and one column a loss.
    notes : sequence of str
        What was not scored and why, and anything a reader has to know.
    secondary : mapping of str to mapping of str to DataFrame
        The same kind of tables against further references, by reference and then by row name.
    choice : mapping or None
        How ``"after"`` was chosen without labels: ``chosen``, ``verdict``, ``reason``, and by candidate its
        ``label_free`` score beside the measures it is made of; ``left_out``, if there, gives by candidate the reason
        why it did not take part.
    flags : sequence of mapping
        One a frame: ``frame``, ``n_objects_before``, ``n_objects_after``, ``vanished``, ``appeared``,
        ``fraction_before``, ``fraction`` and ``flagged``, the reasons to look at it, of which there may be none.
    """

    name: str
    title: str
    reference: str
    n_scored: int
    n_frames: int
    tables: Mapping[str, pd.DataFrame]
    panels: Sequence[Panel] = ()
    losses: pd.DataFrame | None = None
    notes: Sequence[str] = ()
    secondary: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)
    choice: Mapping[str, Any] | None = None
    flags: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Report:
    """A whole report: results, and where they came from.

    Attributes
    ----------
    title : str
        Heading.
    pipeline : str
        What made the predictions, for example ``"cell-tracking"``.
    domains : sequence of DomainResult
        One a column of the overview table, in this order.
    settings : mapping
        Resolved configuration; may be nested.
    versions : mapping of str to str
        Software and its versions.
    fingerprints : mapping of str to str
        Data and their digests.
    command : str
        Command line that makes this report again.
    machine : str
        Processor, memory and accelerator in words.
    created : str
        Time in ISO 8601.
    published : mapping of str to mapping of str to float, or None
        F-scores somebody published, by domain and then by row; shown beside this run's.
    block_length : int
        Consecutive images drawn together by the bootstrap.
    n_resamples : int
        Bootstrap resamples.
    seed : int
        Seed of the bootstrap.
    published_measures : mapping of str to mapping of str to float, or None
        Where the objects are skin lesions: what somebody published, by a title and then by measure, in per cent. Rows
        then have the same measures beside their F-scores.
    supervised : sequence of str
        Rows that saw B's labels and are never candidates, beside ``"ceiling"``.
    """

    title: str
    pipeline: str
    domains: Sequence[DomainResult]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str]
    command: str
    machine: str
    created: str
    published: Mapping[str, Mapping[str, float]] | None = None
    block_length: int = 5
    n_resamples: int = 2000
    seed: int = 0
    published_measures: Mapping[str, Mapping[str, float]] | None = None
    supervised: Sequence[str] = ()
