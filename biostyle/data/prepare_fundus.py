"""Prepare fundus photographs: find the retina in each, crop it to a square, and divide the photographs by patient.

The layout is that of :mod:`biostyle.data.fundus_facts`; vessel masks hold 255, not annotated, outside of the field of view.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from biostyle.data.field_of_view import FieldOfView, find_field_of_view
from biostyle.data.fundus_facts import FundusFacts, write_fundus_tables, write_square
from biostyle.data.group_split import (
    GroupSplitSettings,
    agreed_parts,
    check_parts,
    divide_groups,
    equal_positions,
    merge_groups,
)
from biostyle.data.prepared import load_prepared
from biostyle.data.retina_square import crop_mask, crop_photograph
from biostyle.data.sources.fundus import FundusPhotograph, FundusReader, list_fundus
from biostyle.data.splits import Part
from biostyle.errors import ImageError, PairingError
from biostyle.io.photographs import read_binary_mask, read_photograph
from biostyle.types import NDArray


class FundusFolder(BaseModel):
    """A collection of fundus photographs.

    Attributes
    ----------
    reader : {"eyepacs", "idrid", "drive", "chasedb1", "hrf", "fives", "folder"}
        Whose layout it has.
    folder : str
        Its place below the data root, or anywhere.
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


class _Cropped(NamedTuple):
    """A square, uint8 of shape (S, S, 3), its vessel mask if there is one, where it comes from, and its digest."""

    square: NDArray
    mask: NDArray | None
    fov: FieldOfView
    digest: bytes


class _Entry(NamedTuple):
    """A photograph that was written: its row of ``frames.csv``, and what tells it from others."""

    photograph: FundusPhotograph
    row: dict[str, str | int]
    fov: FieldOfView
    digest: bytes


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
    # everyday photographs of EyePACS: what nobody rated may be poor
    good = [
        photograph
        for photograph, reader in found
        if photograph.quality == "good" or (photograph.quality is None and reader != "eyepacs")
    ]
    if not good:
        raise ImageError(
            f"collections must hold good photographs, got {len(found)} that are poor or were not rated ({data_root}). "
            "Add a collection of good ones, or EyeQ's tables for EyePACS."
        )
    return good


def collect_real(data_root: Path, folders: Sequence[FundusFolder]) -> list[FundusPhotograph]:
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
    out, title = Path(out), "Good photographs"
    entries = [
        _write(out, photograph, _crop(photograph, settings.size_px))
        for photograph in collect_fundus(data_root, settings)
    ]
    groups = _merged([(entry.photograph.group, entry.digest) for entry in entries])
    parts = divide_groups(groups, split)
    check_parts([parts[group] for group in groups], split, title.lower())
    _write_tables(out, entries, groups, parts, title)


def prepare_real(
    data_root: Path,
    settings: FundusSettings,
    folders: Sequence[FundusFolder],
    split: GroupSplitSettings,
    clean: Path,
    out: Path,
    *,
    tell: Callable[[str], None],
) -> dict[str, str]:
    """Crop real photographs that nobody calls good.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered; only read.
    settings : FundusSettings
        What the good photographs were prepared with.
    folders : sequence of FundusFolder
        The collections; what a table calls good is left out.
    split : GroupSplitSettings
        How to divide the patients; one of whom there is a good photograph stays in its part.
    clean : Path
        Prepared good photographs; only read.
    out : Path
        Directory to write to; created if it is missing.
    tell : callable
        Called with a sentence about each photograph that is left out.

    Returns
    -------
    dict of str to str
        Why each of these was left out, by its id: it cannot be read, shows no fundus, or is among the good ones.

    Raises
    ------
    ImageError
        If a folder cannot be used, or no photograph is left.
    MaskError
        If a vessel mask cannot be used.
    PairingError
        If tables, photographs and masks do not belong together.
    SplitError
        If a part would be empty.
    OutputError
        If the directory cannot be written.
    """
    domain, out = load_prepared(clean), Path(out)
    rows = {row.frame_id: row for row in domain.rows}
    good = [
        (photograph.group, rows[photograph.frame_id]) for photograph in collect_fundus(data_root, settings)
    ]
    seen = [(patient, _digest(domain.read_image(row))) for patient, row in good]
    taken = {digest for _, digest in seen}
    left_out: dict[str, str] = {}
    entries: list[_Entry] = []
    photographs = collect_real(data_root, folders)
    for photograph in photographs:
        try:
            cropped = _crop(photograph, settings.size_px)
        except ImageError as error:
            left_out[photograph.frame_id] = str(error)
        else:
            seen.append((photograph.group, cropped.digest))
            if cropped.digest in taken:
                left_out[photograph.frame_id] = f"photograph is among the good ones ({photograph.image})."
            else:
                entries.append(_write(out, photograph, cropped))
        if photograph.frame_id in left_out:
            tell(f"left out: {left_out[photograph.frame_id]}")
    title = f"Real photographs ({len(left_out)} left out)" if left_out else "Real photographs"
    if not entries:
        places = ", ".join(folder.folder for folder in folders)
        raise ImageError(
            f"real photographs must show a fundus and not be among the good ones, got {len(left_out)} that were all left "
            f"out, the last because {left_out.popitem()[1]} ({places}). Add others, or leave real empty."
        )
    merged = _merged(seen)
    known: dict[str, set[Part]] = defaultdict(set)
    for group, (_, row) in zip(merged, good, strict=False):
        known[group].add(row.split)
    group_of = {patient: group for (patient, _), group in zip(seen, merged, strict=True)}
    groups = [group_of[entry.photograph.group] for entry in entries]
    parts = divide_groups(groups, split, agreed_parts(known))
    check_parts([parts[group] for group in groups], split, title.lower())
    _write_tables(out, entries, groups, parts, title)
    return left_out


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
                    f"{photograph.image}. Leave out one of the folders, or rename one of the reader folder."
                )
    return list(found.values())


def _crop(photograph: FundusPhotograph, size_px: int) -> _Cropped:
    """Read a photograph, find its field of view and crop it."""
    image = read_photograph(photograph.image)
    fov = find_field_of_view(image, str(photograph.image))
    mask = None
    if photograph.mask is not None:
        mask = crop_mask(read_binary_mask(photograph.mask, image.shape[:2]), fov, size_px)
    square = crop_photograph(image, fov, size_px)
    return _Cropped(square, mask, fov, _digest(square))


def _write(out: Path, photograph: FundusPhotograph, cropped: _Cropped) -> _Entry:
    """Write a cropped photograph, and keep what the tables need of it."""
    row = write_square(out, photograph.frame_id, cropped.square, cropped.mask)
    return _Entry(photograph, row, cropped.fov, cropped.digest)


def _write_tables(
    out: Path, entries: Sequence[_Entry], groups: Sequence[str], parts: Mapping[str, Part], title: str
) -> None:
    """Write the tables of photographs whose patients were divided."""
    n_members: dict[str, int] = defaultdict(int)
    for entry, group in zip(entries, groups, strict=True):
        entry.row.update({"sequence": group, "number": n_members[group], "split": parts[group]})
        n_members[group] += 1
    facts = {
        photograph.frame_id: FundusFacts(photograph.frame_id, photograph.quality, photograph.grade, fov)
        for photograph, _, fov, _ in entries
    }
    write_fundus_tables(out, [entry.row for entry in entries], facts, title)


def _digest(square: NDArray) -> bytes:
    """Tell squares apart by their pixels."""
    return hashlib.sha256(square.tobytes()).digest()


def _merged(seen: Sequence[tuple[str, bytes]]) -> list[str]:
    """Put patients that share a photograph, whatever its name, into one group."""
    return merge_groups([patient for patient, _ in seen], equal_positions(digest for _, digest in seen))
