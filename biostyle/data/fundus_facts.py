"""The layout of prepared fundus photographs, and what is known about each beside its pixels.

It is that of :mod:`biostyle.data.prepare_photographs`; a patient is a sequence of ``frames.csv``. Beside that file
``fundus.csv`` says of each photograph what :class:`FundusFacts` holds.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from biostyle.data.degradation import QUALITIES, Quality
from biostyle.data.field_of_view import FieldOfView
from biostyle.data.prepare import write_tables
from biostyle.data.retina_square import square_inside
from biostyle.errors import ImageError
from biostyle.io.atomic import write_atomically
from biostyle.io.labels import write_labels
from biostyle.io.photographs import write_photograph
from biostyle.types import NDArray

_TABLE = "fundus.csv"
_CIRCLE = ("row", "column", "radius", "height", "width")
_COLUMNS = ("frame_id", "original", "quality", "grade", *_CIRCLE)


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
