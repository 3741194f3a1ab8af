"""Prepare fundus photographs: find the retina in each, crop it to a square, and divide the photographs by patient.

The layout is that of :mod:`biostyle.data.prepare_photographs`; a patient is a sequence of ``frames.csv``. Vessel masks hold
255, not annotated, outside of the field of view. Beside them ``fundus.csv`` says of each photograph what
:class:`FundusFacts` holds.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from biostyle.data.degradation import QUALITIES, Quality
from biostyle.data.field_of_view import FieldOfView, find_field_of_view
from biostyle.data.group_split import GroupSplitSettings, check_parts, divide_groups, merge_groups
from biostyle.data.prepare import write_tables
from biostyle.data.retina_square import crop_mask, crop_photograph, square_inside
from biostyle.data.sources.fundus import FundusPhotograph, FundusReader, list_fundus
from biostyle.errors import ImageError, PairingError
from biostyle.io.atomic import write_atomically
from biostyle.io.integrity import sha256
from biostyle.io.labels import write_labels
from biostyle.io.photographs import read_binary_mask, read_photograph, write_photograph
from biostyle.types import NDArray

_TABLE = "fundus.csv"
_CIRCLE = ("row", "column", "radius", "height", "width")
_COLUMNS = ("frame_id", "original", "quality", "grade", *_CIRCLE)


class FundusFolder(BaseModel):
    """A collection of fundus photographs.

    Attributes
    ----------
    reader : {"eyepacs", "idrid", "drive", "chasedb1", "hrf", "fives", "folder"}
        Whose layout it has.
    folder : str
        Its place below the data root.
    tables : tuple of str
        Places of its tables of qualities or grades below the data root.
    partial : bool
        Whether a table may name photographs that the folder does not hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader: FundusReader
    folder: str = Field(min_length=1)
    tables: tuple[str, ...] = ()
    partial: bool = False


class FundusSettings(BaseModel):
    """Which collections to take, and how large to make the photographs.

    Attributes
    ----------
    folders : tuple of FundusFolder
        The collections.
    size_px : int
        Side of the squares: the diameter of the field of view.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folders: tuple[FundusFolder, ...] = Field(min_length=1)
    size_px: int = Field(192, ge=32)


@dataclass(frozen=True)
class FundusFacts:
    """What is known about a prepared photograph beside its pixels.

    Attributes
    ----------
    original : str
        Id of the photograph it was made from; its own where nothing was done to it.
    quality : {"good", "usable", "reject"} or None
        What a grader called it, or what it was degraded to.
    grade : int or None
        Of diabetic retinopathy, 0 to 4.
    fov : FieldOfView
        Circle in the photograph as delivered, which leads back to it.
    """

    original: str
    quality: Quality | None
    grade: int | None
    fov: FieldOfView

    def inside(self, size_px: int) -> NDArray:
        """Tell which pixels of the prepared square show retina.

        Parameters
        ----------
        size_px : int
            Side of the square.

        Returns
        -------
        ndarray of bool, shape (size_px, size_px)
            True within both the circle and the frame.
        """
        return square_inside(self.fov, size_px)


def collect_fundus(data_root: Path, settings: FundusSettings) -> list[FundusPhotograph]:
    """List the photographs of all collections that are good.

    Those of EyePACS must be called so by EyeQ's tables. Other collections are taken as good unless a table says
    otherwise.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    settings : FundusSettings
        Which collections.

    Returns
    -------
    list of FundusPhotograph
        In the order of the collections, then of the names.

    Raises
    ------
    ImageError
        If a folder is missing, or holds no photograph, or none is good.
    PairingError
        If a table is wrong, photographs and masks do not belong together, or two photographs have the same id.
    """
    root, rated = Path(data_root), set()
    found: dict[str, FundusPhotograph] = {}
    for source in settings.folders:
        tables = [root / table for table in source.tables]
        for photograph in list_fundus(root / source.folder, source.reader, tables, partial=source.partial):
            if source.reader == "eyepacs":  # everyday photographs: what nobody rated may be poor
                rated.add(photograph.frame_id)
            other = found.setdefault(photograph.frame_id, photograph)
            if other is not photograph:
                raise PairingError(
                    f"each photograph must be there once, got {photograph.frame_id} from {other.image} and "
                    f"{photograph.image}. Leave out one of the folders."
                )
    good = [
        photograph
        for name, photograph in found.items()
        if photograph.quality == "good" or (photograph.quality is None and name not in rated)
    ]
    if not good:
        raise ImageError(
            f"collections must hold good photographs, got {len(found)} that are poor or were not rated ({root}). "
            "Add a collection of good ones, or EyeQ's tables for EyePACS."
        )
    return good


def prepare_fundus(data_root: Path, settings: FundusSettings, split: GroupSplitSettings, out: Path) -> None:
    """Crop the good photographs and write them in the layout every later stage reads.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered; only read.
    settings : FundusSettings
        Which collections, and which size.
    split : GroupSplitSettings
        How to divide the patients.
    out : Path
        Directory to write to; created if it is missing.

    Raises
    ------
    ImageError
        If a folder or a photograph cannot be used, for instance because no fundus is visible.
    MaskError
        If a vessel mask cannot be used.
    PairingError
        If tables, photographs and masks do not belong together.
    SplitError
        If a part would be empty.
    OutputError
        If the directory cannot be written.
    """
    out = Path(out)
    photographs = collect_fundus(data_root, settings)
    facts, rows = {}, []
    for photograph in photographs:
        image = read_photograph(photograph.image)
        fov = find_field_of_view(image, str(photograph.image))
        square, mask = crop_photograph(image, fov, settings.size_px), None
        if photograph.mask is not None:
            mask = crop_mask(read_binary_mask(photograph.mask, image.shape[:2]), fov, settings.size_px)
        rows.append(write_square(out, photograph.frame_id, square, mask))
        facts[photograph.frame_id] = FundusFacts(
            photograph.frame_id, photograph.quality, photograph.grade, fov
        )
    groups = _merge_duplicates(out, rows, [photograph.group for photograph in photographs])
    parts = divide_groups(groups, split)
    check_parts([parts[group] for group in groups], split, "fundus photographs")
    n_members: dict[str, int] = defaultdict(int)
    for row, group in zip(rows, groups, strict=True):
        row |= {"sequence": group, "number": n_members[group], "split": parts[group]}
        n_members[group] += 1
    write_fundus_tables(out, rows, facts, "Good photographs")


def write_square(out: Path, frame_id: str, square: NDArray, mask: NDArray | None) -> dict[str, str | int]:
    """Write a prepared photograph and its vessel mask.

    Parameters
    ----------
    out : Path
        Directory of the domain.
    frame_id : str
        Name of the photograph.
    square : ndarray of uint8, shape (S, S, 3)
        The photograph.
    mask : ndarray of uint8, shape (S, S), or None
        Its vessels: 0, 1, and 255 where nobody annotated.

    Returns
    -------
    dict
        Its row of ``frames.csv``, without patient and part.
    """
    name = f"{frame_id}.tif"
    write_photograph(out / "images" / name, square)
    if mask is not None:
        write_labels(out / "gold" / name, mask)
    return {
        "frame_id": frame_id,
        "image": f"images/{name}",
        "gold": "" if mask is None else f"gold/{name}",
        "silver": "",
        "height": square.shape[0],
        "width": square.shape[1],
        "dtype": "uint8",
    }


def write_fundus_tables(
    out: Path, rows: list[dict[str, str | int]], facts: dict[str, FundusFacts], title: str
) -> None:
    """Write ``frames.csv``, ``domain.json`` and ``fundus.csv``.

    Parameters
    ----------
    out : Path
        Directory of the domain; it exists.
    rows : list of dict
        One row a photograph, with the columns of ``frames.csv``.
    facts : dict of str to FundusFacts
        What is known of each, by its id.
    title : str
        Name of the domain in tables and figures.

    Raises
    ------
    OutputError
        If the directory cannot be written.
    """
    parts = [row["split"] for row in rows]
    summary = {
        "title": title,
        "folder": "fundus",
        "colour": True,
        "class_masks": True,
        "split_mode": "group",
        "n_frames": len(rows),
        "n_groups": len({row["sequence"] for row in rows}),
        "n_train": parts.count("train"),
        "n_validation": parts.count("validation"),
        "n_test": parts.count("test"),
        "n_gold": len([row for row in rows if row["gold"]]),
    }
    write_tables(out, rows, summary)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for frame_id, known in facts.items():
        circle = [repr(getattr(known.fov, name)) for name in _CIRCLE]
        grade = "" if known.grade is None else known.grade
        writer.writerow([frame_id, known.original, known.quality or "", grade, *circle])
    write_atomically(out / _TABLE, table.getvalue().encode())


def read_fundus_facts(directory: Path) -> dict[str, FundusFacts]:
    """Read what is known about the photographs of a prepared directory.

    Parameters
    ----------
    directory : Path
        What one of the functions that prepare fundus photographs wrote.

    Returns
    -------
    dict of str to FundusFacts
        By the photograph's id.

    Raises
    ------
    ImageError
        If it is no directory of prepared fundus photographs.
    """
    try:
        with (Path(directory) / _TABLE).open(newline="", encoding="utf-8") as file:
            return {row["frame_id"]: _parse(row) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(
            f"prepared fundus photographs must have {_TABLE}, got {error!r} ({directory}). "
            "Run the prepare stage again."
        ) from error


def _parse(row: dict[str, str]) -> FundusFacts:
    """Turn one row of text into facts."""
    row_px, column_px, radius_px = (float(row[name]) for name in _CIRCLE[:3])
    fov = FieldOfView(row_px, column_px, radius_px, int(row["height"]), int(row["width"]))
    qualities = {str(name): name for name in QUALITIES}
    quality = qualities[row["quality"]] if row["quality"] else None
    return FundusFacts(row["original"], quality, int(row["grade"]) if row["grade"] else None, fov)


def _merge_duplicates(out: Path, rows: list[dict[str, str | int]], groups: list[str]) -> list[str]:
    """Put patients that share a photograph, whatever its name, into one group."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        positions[sha256(out / str(row["image"]))].append(position)
    return merge_groups(groups, [found for found in positions.values() if len(found) > 1])
