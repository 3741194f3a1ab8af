"""Open a prepared domain: which frames there are, which part each belongs to, and what is true of them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np

from biostyle.data.splits import Part
from biostyle.errors import ImageError, MaskError, SplitError
from biostyle.io.frames import read_frame
from biostyle.io.labels import labels_to_mask, read_labels
from biostyle.io.photographs import read_photograph
from biostyle.types import NDArray

Reference: TypeAlias = Literal["gold", "silver"]
Row = TypeVar("Row")
_REFERENCES: dict[str, Reference] = {"gold": "gold", "silver": "silver"}
_PARTS: dict[str, Part] = {part: part for part in get_args(Part)}


@dataclass(frozen=True)
class PreparedFrame:
    """One row of ``frames.csv``, with its paths made absolute.

    Attributes
    ----------
    frame_id : str
        Sequence and number, such as ``"01_t000"``; a photograph's source and name, such as ``"ph2_IMD002"``.
    sequence : str
        Two digits; a photograph's patient or lesion. Images of one sequence are not independent.
    number : int
        Number in the sequence; time order where there is one.
    split : {"train", "validation", "test", "unused"}
        The frame's part.
    image : Path
        The frame's file.
    gold, silver : Path or None
        The label files, where there are any.
    height, width : int
        Size, in pixels.
    dtype : str
        Name of the stored dtype.
    """

    frame_id: str
    sequence: str
    number: int
    split: Part
    image: Path
    gold: Path | None
    silver: Path | None
    height: int
    width: int
    dtype: str


@dataclass(frozen=True)
class PreparedDomain:
    """A prepared directory, ready to be read frame by frame.

    Attributes
    ----------
    directory : Path
        Where it is.
    title : str
        Name in tables and figures.
    folder : str
        What its frames are known by across domains: the name of the challenge folder, or another.
    split_mode : str
        ``"sequence"``, ``"block"``, ``"group"`` (patients or lesions), or ``"none"`` where all frames are for the
        same thing.
    rows : tuple of PreparedFrame
        Every frame, in a stable order.
    colour : bool
        Whether the frames are RGB photographs.
    class_masks : bool
        Whether masks hold class indices, with 255 where nobody annotated, instead of one number for each object.
    narrowed_gap : int or None
        Frames left out before the first test frame, where there were too few for the gap that was asked for.
    """

    directory: Path
    title: str
    folder: str
    split_mode: str
    rows: tuple[PreparedFrame, ...]
    colour: bool = False
    class_masks: bool = False
    narrowed_gap: int | None = None

    def frames(self, split: Part) -> list[PreparedFrame]:
        """Return the frames of one part, in order.

        Parameters
        ----------
        split : {"train", "validation", "test", "unused"}
            The part.

        Returns
        -------
        list of PreparedFrame
            Its rows; may be empty.
        """
        return [row for row in self.rows if row.split == split]

    def reference(self, choice: str = "auto", split: Part = "test") -> Reference:
        """Name the reference that a part's masks come from.

        Parameters
        ----------
        choice : {"auto", "gold", "silver"}
            ``auto`` is silver, which is complete, if any frame of the part has it, else gold.
        split : {"train", "validation", "test", "unused"}
            The part. One part is never scored against two references.

        Returns
        -------
        {"gold", "silver"}
            The reference.

        Raises
        ------
        MaskError
            If no such choice exists.
        """
        if choice == "auto":
            return "silver" if any(row.silver for row in self.frames(split)) else "gold"
        if choice not in _REFERENCES:
            raise MaskError(f"reference must be auto, gold or silver, got {choice!r}. Choose one of them.")
        return _REFERENCES[choice]

    def with_truth(self, split: Part, reference: str = "auto") -> list[PreparedFrame]:
        """Return the frames of one part that have a mask in the reference.

        Parameters
        ----------
        split : {"train", "validation", "test", "unused"}
            The part.
        reference : {"auto", "gold", "silver"}
            See :meth:`reference`.

        Returns
        -------
        list of PreparedFrame
            Its rows that :meth:`read_truth` can read; may be empty.
        """
        name = self.reference(reference, split)
        return [row for row in self.frames(split) if getattr(row, name)]

    def global_ids(self, rows: list[PreparedFrame]) -> list[str]:
        """Name frames so that they can be told apart across domains.

        Parameters
        ----------
        rows : list of PreparedFrame
            Rows of this domain.

        Returns
        -------
        list of str
            Challenge folder and frame id; a derived frame is called like the one it came from.
        """
        return [f"{self.folder}/{row.frame_id}" for row in rows]

    def read_image(self, row: PreparedFrame) -> NDArray:
        """Read a frame.

        Parameters
        ----------
        row : PreparedFrame
            A row of this domain.

        Returns
        -------
        ndarray of shape (H, W), or (H, W, 3) in colour
            The pixels as stored, in their own dtype and range.
        """
        return read_photograph(row.image) if self.colour else read_frame(row.image)

    def read_truth(self, row: PreparedFrame, reference: str = "auto") -> tuple[NDArray, Reference]:
        """Read the foreground of a frame.

        Parameters
        ----------
        row : PreparedFrame
            A row of this domain.
        reference : {"auto", "gold", "silver"}
            See :meth:`reference`.

        Returns
        -------
        mask : ndarray of shape (H, W), uint8
            1 on objects, 0 elsewhere; 255 where nobody annotated.
        name : {"gold", "silver"}
            The reference the mask is from.

        Raises
        ------
        MaskError
            If the frame has no mask in that reference.
        """
        name = self.reference(reference, row.split)
        path = row.gold if name == "gold" else row.silver
        if path is None:
            raise MaskError(
                f"frame must have a {name} mask, got none for {row.frame_id} ({row.image}). "
                "Choose the frames with `with_truth`, or another reference."
            )
        labels = read_labels(path, (row.height, row.width))
        return labels.astype(np.uint8) if self.class_masks else labels_to_mask(labels), name


def spread(rows: list[Row], n: int) -> list[Row]:
    """Choose frames, or whatever is in order, evenly over the whole.

    Parameters
    ----------
    rows : list
        In order.
    n : int
        How many at most.

    Returns
    -------
    list
        Some or all of them.

    Examples
    --------
    >>> spread(["t0", "t1", "t2", "t3", "t4", "t5"], 2)
    ['t1', 't4']
    """
    n = min(n, len(rows))
    return [rows[(2 * position + 1) * len(rows) // (2 * n)] for position in range(n)]


def check_unseen(scored: PreparedDomain, annotated: PreparedDomain) -> None:
    """Check that no frame to be scored is one whose mask may have been learned from.

    Parameters
    ----------
    scored : PreparedDomain
        Frames to be scored.
    annotated : PreparedDomain
        Frames with masks to learn from, in any folder and under any name.

    Raises
    ------
    SplitError
        If a frame with the same pixels is in both.
    """
    seen = {row.image.read_bytes() for row in annotated.rows if row.gold or row.silver}
    shared = [row.frame_id for row in scored.rows if row.image.read_bytes() in seen]
    if shared:
        shown = ", ".join(shared[:5]) + (", …" if len(shared) > 5 else "")
        raise SplitError(
            f"frames to be scored must not be among the annotated ones, got {len(shared)} in both: {shown} "
            f"({scored.title}, {annotated.title}). Leave out the masks of these frames, or take other frames."
        )


def load_prepared(directory: Path) -> PreparedDomain:
    """Open a directory that one of the functions that prepare a domain wrote.

    Parameters
    ----------
    directory : Path
        The directory.

    Returns
    -------
    PreparedDomain
        Its frames; pixels are read on demand.

    Raises
    ------
    ImageError
        If the directory is not a prepared domain.
    """
    directory = Path(directory)
    try:
        summary = json.loads((directory / "domain.json").read_text(encoding="utf-8"))
        with (directory / "frames.csv").open(newline="", encoding="utf-8") as file:
            rows = tuple(_parse_row(row, directory) for row in csv.DictReader(file))
        return PreparedDomain(
            directory,
            summary["title"],
            summary["folder"],
            summary["split_mode"],
            rows,
            colour=summary.get("colour", False),
            class_masks=summary.get("class_masks", False),
            narrowed_gap=summary.get("narrowed_gap"),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(
            f"prepared domain must hold domain.json and frames.csv, got {error!r} ({directory}). "
            "Run the prepare stage again."
        ) from error


def _parse_row(row: dict[str, str], directory: Path) -> PreparedFrame:
    """Turn one row of text into a frame."""
    return PreparedFrame(
        frame_id=row["frame_id"],
        sequence=row["sequence"],
        number=int(row["number"]),
        split=_PARTS[row["split"]],
        image=directory / row["image"],
        gold=directory / row["gold"] if row["gold"] else None,
        silver=directory / row["silver"] if row["silver"] else None,
        height=int(row["height"]),
        width=int(row["width"]),
        dtype=row["dtype"],
    )
