"""Prepare fundus photographs: find the retina in each, crop it to a square, and divide the photographs by patient.

The layout is that of :mod:`biostyle.data.fundus_facts`; vessel masks hold 255, not annotated, outside of the field of view.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from biostyle.data.field_of_view import find_field_of_view
from biostyle.data.fundus_facts import FundusFacts, write_fundus_tables, write_square
from biostyle.data.group_split import GroupSplitSettings, check_parts, divide_groups, merge_groups
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.retina_square import crop_mask, crop_photograph
from biostyle.data.sources.fundus import FundusPhotograph, FundusReader, list_fundus
from biostyle.errors import ImageError, PairingError
from biostyle.io.integrity import sha256
from biostyle.io.photographs import read_binary_mask, read_photograph
from biostyle.types import NDArray


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
    found = _list_all(data_root, settings.folders)
    good = [
        photograph
        for photograph, reader in found
        # everyday photographs of EyePACS: what nobody rated may be poor
        if photograph.quality == "good" or (photograph.quality is None and reader != "eyepacs")
    ]
    if not good:
        raise ImageError(
            f"collections must hold good photographs, got {len(found)} that are poor or were not rated ({data_root}). "
            "Add a collection of good ones, or EyeQ's tables for EyePACS."
        )
    return good


def collect_poor(data_root: Path, folders: Sequence[FundusFolder]) -> list[FundusPhotograph]:
    """List the photographs of all collections that no table calls good.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    folders : sequence of FundusFolder
        The collections.

    Returns
    -------
    list of FundusPhotograph
        In the order of the collections, then of the names.

    Raises
    ------
    ImageError
        If a folder is missing, or holds no photograph, or all are good.
    PairingError
        If a table is wrong, photographs and masks do not belong together, or two photographs have the same id.
    """
    found = _list_all(data_root, folders)
    poor = [photograph for photograph, _ in found if photograph.quality != "good"]
    if not poor:
        raise ImageError(
            f"collections of real photographs must hold poor ones, got {len(found)} that are called good ({data_root}). "
            "Add a collection with poor ones, or leave real empty."
        )
    return poor


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
    _prepare(
        collect_fundus(data_root, settings), settings.size_px, split, Path(out), title="Good photographs"
    )


def prepare_poor(
    data_root: Path, folders: Sequence[FundusFolder], split: GroupSplitSettings, clean: Path, out: Path
) -> dict[str, str]:
    """Crop real poor photographs to squares as large as those of the good ones.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered; only read.
    folders : sequence of FundusFolder
        The collections; what a table calls good is left out, and so is what is among the good photographs.
    split : GroupSplitSettings
        How to divide the patients; one of whom there is a good photograph is in the same part with both.
    clean : Path
        Prepared good photographs; only read.
    out : Path
        Directory to write to; created if it is missing.

    Returns
    -------
    dict of str to str
        Why a photograph was left out that cannot be read or shows no fundus, by its id.

    Raises
    ------
    ImageError
        If a folder cannot be used, or there is no poor photograph.
    MaskError
        If a vessel mask cannot be used.
    PairingError
        If tables, photographs and masks do not belong together.
    SplitError
        If a part would be empty.
    OutputError
        If the directory cannot be written.
    """
    good, photographs = load_prepared(clean), collect_poor(data_root, folders)
    return _prepare(photographs, good.rows[0].height, split, Path(out), title="Real photographs", good=good)


def _list_all(
    data_root: Path, folders: Sequence[FundusFolder]
) -> list[tuple[FundusPhotograph, FundusReader]]:
    """List the photographs of collections, each with the reader it came by."""
    root = Path(data_root)
    found: dict[str, tuple[FundusPhotograph, FundusReader]] = {}
    for source in folders:
        tables = [root / table for table in source.tables]
        for photograph in list_fundus(root / source.folder, source.reader, tables, partial=source.partial):
            other, _ = found.setdefault(photograph.frame_id, (photograph, source.reader))
            if other is not photograph:
                raise PairingError(
                    f"each photograph must be there once, got {photograph.frame_id} from {other.image} and "
                    f"{photograph.image}. Leave out one of the folders."
                )
    return list(found.values())


def _prepare(
    photographs: Sequence[FundusPhotograph],
    size_px: int,
    split: GroupSplitSettings,
    out: Path,
    *,
    title: str,
    good: PreparedDomain | None = None,
) -> dict[str, str]:
    """Crop photographs, divide them by patient and write them.

    Beside good ones, leave out these and what shows no fundus, and keep their patients' parts.
    """
    facts, rows, patients, problems = {}, [], [], {}
    known = good.rows if good else ()
    taken = {_digest(good.read_image(row)) for row in known} if good else set()
    decided = {row.sequence: row.split for row in known}
    for photograph in photographs:
        try:
            image = read_photograph(photograph.image)
            fov = find_field_of_view(image, str(photograph.image))
        except ImageError as error:
            if good is None:
                raise
            problems[photograph.frame_id] = str(error)
            continue
        square, mask = crop_photograph(image, fov, size_px), None
        if _digest(square) in taken:
            continue
        if photograph.mask is not None:
            mask = crop_mask(read_binary_mask(photograph.mask, image.shape[:2]), fov, size_px)
        rows.append(write_square(out, photograph.frame_id, square, mask))
        patients.append(photograph.group)
        facts[photograph.frame_id] = FundusFacts(
            photograph.frame_id, photograph.quality, photograph.grade, fov
        )
    groups = _merge_duplicates(out, rows, patients)
    parts = divide_groups(groups, split, decided)
    check_parts([parts[group] for group in groups], split, title.lower())
    n_members: dict[str, int] = defaultdict(int)
    for row, group in zip(rows, groups, strict=True):
        row |= {"sequence": group, "number": n_members[group], "split": parts[group]}
        n_members[group] += 1
    write_fundus_tables(out, rows, facts, title)
    return problems


def _digest(square: NDArray) -> bytes:
    """Tell squares apart by their pixels."""
    return hashlib.sha256(square.tobytes()).digest()


def _merge_duplicates(out: Path, rows: list[dict[str, str | int]], groups: list[str]) -> list[str]:
    """Put patients that share a photograph, whatever its name, into one group."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        positions[sha256(out / str(row["image"]))].append(position)
    return merge_groups(groups, [found for found in positions.values() if len(found) > 1])
