"""Read collections of fundus photographs, each in its publisher's layout.

============  ====================================  ===============================================  =====================
reader        image                                 beside it                                        patient
============  ====================================  ===============================================  =====================
``eyepacs``   ``10_left.jpeg``                      EyeQ's tables, where there are any               before ``_``
``idrid``     ``IDRiD_001.jpg``                     a table of grades                                each image
``drive``     ``training/images/21_training.tif``   ``training/1st_manual/21_manual1.gif``           each image
``chasedb1``  ``Image_01L.jpg``                     ``Image_01L_1stHO.png``                          the number
``hrf``       ``…/01_h.jpg``                        ``…/01_h.tif``, in another folder                each image
``fives``     ``train/Original/1_A.png``            ``train/Ground truth/1_A.png``                   each image
``folder``    ``NAME.jpg``                          nothing                                          each image
============  ====================================  ===============================================  =====================

Any image suffix will do. Vessel masks are those of the first observer. Patients matter for splits: where a publisher does
not say which photographs show one patient, each is its own. Nothing is decoded here; files are only paired.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from biostyle.data.degradation import QUALITIES, Quality
from biostyle.errors import ImageError, PairingError

FundusReader: TypeAlias = Literal["eyepacs", "idrid", "drive", "chasedb1", "hrf", "fives", "folder"]
Eye: TypeAlias = Literal["left", "right"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif")
_EYEQ_COLUMNS = ["", "image", "quality", "DR_grade"]
_IDRID_COLUMNS = ["Image name", "Retinopathy grade"]
_GRADES = range(5)


@dataclass(frozen=True)
class FundusPhotograph:
    """One photograph and what is known about it.

    Attributes
    ----------
    frame_id : str
        Reader (or folder) and name, such as ``"eyepacs_10_left"``; unique within a collection.
    group : str
        The patient, such as ``"eyepacs_10"``; both eyes have the same.
    image : Path
        The photograph's file.
    mask : Path or None
        The file of its vessel mask.
    eye : {"left", "right"} or None
        Which eye, where the name says so.
    quality : {"good", "usable", "reject"} or None
        What a grader called it.
    grade : int or None
        Of diabetic retinopathy, 0 to 4.
    """

    frame_id: str
    group: str
    image: Path
    mask: Path | None = None
    eye: Eye | None = None
    quality: Quality | None = None
    grade: int | None = None


def list_fundus(
    folder: Path, reader: FundusReader, tables: Iterable[Path] = (), *, partial: bool = False
) -> list[FundusPhotograph]:
    """List the photographs of a collection with what is known about them.

    Parameters
    ----------
    folder : Path
        Folder that holds the collection as delivered.
    reader : {"eyepacs", "idrid", "drive", "chasedb1", "hrf", "fives", "folder"}
        Whose collection it is.
    tables : iterable of Path
        EyeQ's tables for ``eyepacs``; the table of grades for ``idrid``, if it is not ``grades.csv`` in the folder.
    partial : bool
        Whether a table may name photographs that the folder does not hold.

    Returns
    -------
    list of FundusPhotograph
        In order of their names, numbers inside a name counting as numbers. A photograph that no table names has neither
        quality nor grade.

    Raises
    ------
    ImageError
        If the folder is missing or holds no photograph.
    PairingError
        If a name occurs twice, a mask has no photograph, a table is not as published, names a photograph twice, or
        names one that is missing, or no table names any photograph.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(
            f"folder of photographs must exist, got {'a file' if folder.exists() else 'nothing'} ({folder}). "
            "Check the path, or import the data set with `biostyle data import`."
        )
    rows = _READERS[reader](folder, [Path(table) for table in tables], partial)
    if not rows:
        raise ImageError(
            f"folder must hold photographs of the collection {reader}, got none ({folder}). "
            "Check the folder and the reader."
        )
    return sorted(rows, key=lambda row: _natural(row.frame_id))


def read_eyeq(path: Path) -> dict[str, tuple[Quality, int]]:
    """Read a table of EyeQ as it is published.

    Parameters
    ----------
    path : Path
        CSV file with the columns ``,image,quality,DR_grade``; quality is 0 good, 1 usable, 2 reject.

    Returns
    -------
    dict
        Quality and grade by the photograph's name without suffix.

    Raises
    ------
    PairingError
        If the columns are others, a photograph occurs twice, or a quality or grade is unknown.
    """
    rated: dict[str, tuple[Quality, int]] = {}
    for line, row in _table(path, _EYEQ_COLUMNS):
        name = Path(row["image"]).stem
        quality = _number(row["quality"], range(len(QUALITIES)), "quality", path, line)
        grade = _number(row["DR_grade"], _GRADES, "DR_grade", path, line)
        _add(rated, name, (QUALITIES[quality], grade), path)
    return rated


def read_idrid_grades(path: Path) -> dict[str, int]:
    """Read IDRiD's table of grades as it is published.

    Parameters
    ----------
    path : Path
        CSV file that begins with the columns ``Image name,Retinopathy grade``.

    Returns
    -------
    dict
        Grade of diabetic retinopathy by the photograph's name.

    Raises
    ------
    PairingError
        If the columns are others, a photograph occurs twice, or a grade is unknown.
    """
    graded: dict[str, int] = {}
    for line, row in _table(path, _IDRID_COLUMNS):
        grade = _number(row["Retinopathy grade"], _GRADES, "Retinopathy grade", path, line)
        _add(graded, row["Image name"].strip(), grade, path)
    return graded


def _table(path: Path, columns: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row of a table that has at least these columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            found = list(reader.fieldnames or [])
            rows = [(reader.line_num, row) for row in reader if any(row.get(name) for name in columns)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairingError(
            f"table must be a readable CSV file, got {error} ({path}). Check the path."
        ) from error
    if found[: len(columns)] != columns:
        raise PairingError(
            f"table must begin with the columns {columns}, got {found[:6]} ({path}). Use the table as it is published."
        )
    return rows


def _number(text: str, allowed: range, name: str, path: Path, line: int) -> int:
    """Read one of the numbers that are allowed."""
    if not re.fullmatch(r"\s*\d+\s*", text) or int(text) not in allowed:
        raise PairingError(
            f"{name} must be one of {list(allowed)}, got {text!r} in line {line} ({path}). Correct that line."
        )
    return int(text)


def _add(known: dict, name: str, value: object, path: Path) -> None:
    """Enter a row of a table, once."""
    if name in known:
        raise PairingError(
            f"each photograph must be there once, got {name} twice ({path}). Remove one of its lines."
        )
    known[name] = value


def _eyepacs(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """EyePACS, with EyeQ's qualities."""
    images = _by_name(_files(folder))
    known: dict[str, tuple[Quality, int]] = {}
    for table in tables:
        for name, rating in read_eyeq(table).items():
            _add(known, name, rating, table)
    if tables:
        _match_table(images, known, tables[0], partial)
    rows = []
    for name, image in images.items():
        quality, grade = known.get(name, (None, None))
        patient, _, side = name.partition("_")
        eye: Eye | None = side if side in get_args(Eye) else None  # type: ignore[assignment]
        rows.append(
            FundusPhotograph(
                f"eyepacs_{name}", f"eyepacs_{patient}", image, eye=eye, quality=quality, grade=grade
            )
        )
    return rows


def _idrid(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """IDRiD's disease grading: one folder of images and one table; the published parts are two such folders."""
    images = _by_name([path for path in _files(folder) if path.stem.lower().startswith("idrid_")])
    tables = tables or [folder / "grades.csv"]
    known: dict[str, int] = {}
    for table in tables:
        for name, grade in read_idrid_grades(table).items():
            _add(known, name, grade, table)
    _match_table(images, known, tables[0], partial)
    return [
        FundusPhotograph(f"idrid_{name}", f"idrid_{name}", image, grade=known.get(name))
        for name, image in images.items()
    ]


def _drive(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """DRIVE: images, and manual vessels in folders of that name."""
    return _with_vessels(
        folder,
        "drive",
        r"(\d+)_(?:training|test)",
        r"(\d+)_manual1",
        image_folder="images",
        mask_folder="1st_manual",
    )


def _chasedb1(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """CHASE_DB1: both eyes of each child in one folder."""
    rows = _with_vessels(folder, "chasedb1", r"Image_(\d+[LR])", r"Image_(\d+[LR])_1stHO")
    eyes: dict[str, Eye] = {"L": "left", "R": "right"}
    return [
        FundusPhotograph(row.frame_id, row.group[:-1], row.image, row.mask, eyes[row.group[-1].upper()])
        for row in rows
    ]


def _hrf(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """HRF: manual vessels have the images' names and lie in folders whose names contain ``manual``."""
    name = r"(\d+_(?:h|dr|g))"
    return _with_vessels(folder, "hrf", name, name, mask_folder=r".*manual.*")


def _fives(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """FIVES: numbers are given twice, in train and in test; the folder of masks is misspelt by the publisher."""
    name = r"(\d+_[ADGN])"
    rows = []
    for part in ("train", "test"):
        if (folder / part).is_dir():
            rows += _with_vessels(
                folder / part,
                f"fives_{part}",
                name,
                name,
                image_folder="original",
                mask_folder=r"grou(?:nd|d) truth",
            )
    return rows


def _folder(folder: Path, tables: list[Path], partial: bool) -> list[FundusPhotograph]:
    """Anybody's photographs; the folder's name tells those of two cameras apart."""
    camera = folder.resolve().name
    return [
        FundusPhotograph(f"{camera}_{name}", f"{camera}_{name}", image)
        for name, image in _by_name(_files(folder)).items()
    ]


_READERS: dict[FundusReader, Callable[[Path, list[Path], bool], list[FundusPhotograph]]] = {
    "eyepacs": _eyepacs,
    "idrid": _idrid,
    "drive": _drive,
    "chasedb1": _chasedb1,
    "hrf": _hrf,
    "fives": _fives,
    "folder": _folder,
}


def _with_vessels(
    folder: Path,
    reader: str,
    image: str,
    mask: str,
    *,
    image_folder: str = r"(?!.*manual|.*mask).*",
    mask_folder: str = ".*",
) -> list[FundusPhotograph]:
    """Pair images and masks by the first group of their patterns, each in folders of a pattern of its own."""
    files = list(_files(folder))
    images = _by_name(_chosen(files, image, image_folder), image)
    masks = _by_name(_chosen(files, mask, mask_folder), mask)
    lonely = sorted(str(path) for name, path in masks.items() if name not in images)
    if lonely:
        raise PairingError(
            f"each vessel mask must have a photograph, got {len(lonely)} without, first {lonely[0]} ({folder}). "
            "Add the photographs, or remove the masks."
        )
    return [
        FundusPhotograph(f"{reader}_{name}", f"{reader}_{name}", path, masks.get(name))
        for name, path in images.items()
    ]


def _chosen(files: list[Path], name: str, folder: str) -> list[Path]:
    """Files whose name and whose folder's name match."""
    return [
        path
        for path in files
        if re.fullmatch(name, path.stem, re.IGNORECASE)
        and re.fullmatch(folder, path.parent.name, re.IGNORECASE)
    ]


def _by_name(files: Iterable[Path], pattern: str = "(.*)") -> dict[str, Path]:
    """Files by what a pattern finds in their names; twice is refused."""
    found: dict[str, Path] = {}
    for path in files:
        match = re.fullmatch(pattern, path.stem, re.IGNORECASE)
        name = match[1] if match else path.stem
        if name in found:
            raise PairingError(
                f"each photograph and mask must be there once, got {found[name]} and {path}. Remove one of them."
            )
        found[name] = path
    return found


def _match_table(images: dict[str, Path], known: dict, table: Path, partial: bool) -> None:
    """Refuse a table of other photographs, or, unless it may be, of more than there are."""
    missing = sorted(known.keys() - images.keys(), key=_natural)
    if len(missing) == len(known):
        raise PairingError(
            f"table must name photographs of its folder, got none of {len(images)} ({table}). Check that they belong "
            "together."
        )
    if missing and not partial:
        shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise PairingError(
            f"every photograph in the table must be there, got {len(missing)} missing: {shown} ({table}). "
            "Add them, or set partial = true beside this folder in the configuration."
        )


def _files(folder: Path) -> list[Path]:
    """Everything below a folder with an image's suffix, hidden files and macOS's litter excepted."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort numbers inside a name as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
