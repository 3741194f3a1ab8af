"""Read a two-dimensional Cell Tracking Challenge data set, laid out as it is delivered.

::

    PhC-C2DH-U373/
    ├── 01/tNNN.tif                    frames: three or four digits, gaps allowed
    ├── 01_GT/SEG/man_segNNN.tif       gold: drawn by people, on some frames only
    ├── 01_ST/SEG/man_segNNN.tif       silver: fused from the best challenge entries, complete
    └── 02/ 02_GT/ 02_ST/              the second sequence

Masks hold labels: one integer per cell, 0 is background. Nothing is decoded here; files are only paired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from biostyle.errors import ImageError, MaskError, PairingError

_SEQUENCE = re.compile(r"\d{2}")
_FRAME = re.compile(r"t(\d{3,4})\.tiff?", re.IGNORECASE)
_MASK = re.compile(r"man_seg(\d{3,4})\.tiff?", re.IGNORECASE)
_MASK_3D = re.compile(r"man_seg_?\d{3,4}_\d+\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence and the masks that belong to it.

    Attributes
    ----------
    frame_id : str
        Sequence and number, such as ``"01_t000"``; unique within a data set.
    sequence : str
        Two digits.
    number : int
        The frame's number in its sequence; time order.
    image : Path
        The frame's file.
    gold, silver : Path or None
        The label files, where there are any.
    """

    frame_id: str
    sequence: str
    number: int
    image: Path
    gold: Path | None
    silver: Path | None


def read_sequences(folder: Path) -> list[Frame]:
    """List the frames of a data set with their masks.

    Parameters
    ----------
    folder : Path
        The data set's folder, or the folder of the same name around it that unpacking leaves behind.

    Returns
    -------
    list of Frame
        In order of sequence, then of number.

    Raises
    ------
    ImageError
        If the folder is missing, or holds no sequence or no frame.
    MaskError
        If the masks are those of a three-dimensional data set.
    PairingError
        If a mask has no frame, or two files carry the same number.
    """
    root = _find_root(Path(folder))
    names = _sequence_names(root)
    frames: list[Frame] = []
    for name in names:
        images = _numbered_files(root / name, _FRAME)
        if not images:
            raise ImageError(
                f"sequence must hold frames tNNN.tif, got none ({root / name}). "
                "Download the data set again, or delete the empty folder."
            )
        gold = _read_masks(root, name, "GT", images)
        silver = _read_masks(root, name, "ST", images)
        frames += [
            Frame(f"{name}_t{number:03d}", name, number, image, gold.get(number), silver.get(number))
            for number, image in images.items()
        ]
    _check_masks_have_sequences(root, names)
    return frames


def _find_root(folder: Path) -> Path:
    """Return the folder that holds the sequences: this one, or the one of the same name inside it."""
    if not folder.is_dir():
        raise ImageError(
            f"data set folder must exist, got {'a file' if folder.exists() else 'nothing'} ({folder}). "
            "Check --data-root, fetch the data set with `biostyle data fetch`, or leave it out with --domains."
        )
    nested = folder / folder.name
    for root in (folder, nested):
        if root.is_dir() and _sequence_names(root):
            return root
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder"
    raise ImageError(
        f"data set folder must hold sequences named 01, 02, ..., got {found} ({folder}). "
        "Unpack the data set as it was delivered."
    )


def _sequence_names(root: Path) -> list[str]:
    """Return the names of the sequence folders in order."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and _SEQUENCE.fullmatch(path.name))


def _numbered_files(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """Return the matching files of a folder by their number, in numeric order."""
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in files:
            raise PairingError(
                f"frame number must be unique in a folder, got {number} from both {files[number].name} "
                f"and {path.name} ({folder}). Delete the one that does not belong."
            )
        files[number] = path
    return dict(sorted(files.items()))


def _read_masks(root: Path, sequence: str, kind: str, images: dict[int, Path]) -> dict[int, Path]:
    """Return a sequence's masks of one kind (GT or ST) by number, each checked to have its frame."""
    folder = root / f"{sequence}_{kind}" / "SEG"
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if _MASK_3D.fullmatch(path.name):
                raise MaskError(
                    f"mask must be named man_segNNN.tif, got {path.name}, a slice of a volume ({path}). "
                    "Three-dimensional data sets are not supported; choose one with 2D in its name."
                )
    masks = _numbered_files(folder, _MASK)
    for number, path in masks.items():
        if number not in images:
            raise PairingError(
                f"mask must have a frame, got {path.name} without t{number:03d}.tif in {root / sequence} "
                f"({path}). "
                "Add the frame or delete the mask."
            )
    return masks


def _check_masks_have_sequences(root: Path, names: list[str]) -> None:
    """Refuse masks whose whole sequence is missing."""
    for kind in ("GT", "ST"):
        for folder in sorted(root.glob(f"[0-9][0-9]_{kind}/SEG")):
            sequence = folder.parent.name[:2]
            if sequence not in names and any(folder.iterdir()):
                raise PairingError(
                    f"mask folder must have a sequence, got {folder.parent.name} without {sequence} "
                    f"({folder}). "
                    "Add the sequence's frames or delete its masks."
                )
