"""Prepare a domain of photographs: read every image and mask, divide them by lesion, and write the common layout.

The layout is that of :mod:`biostyle.data.prepare`: ``images/<frame_id>.tif`` are RGB, ``gold/<frame_id>.tif`` hold 1
on the lesion and 0 elsewhere, a lesion is a sequence of ``frames.csv``, and ``domain.json`` also lists the duplicates.

Photographs with the same pixels are of one lesion, whatever their names. One that is in the other domain as well
goes to the part it has there, so that nothing that was learned from is ever scored. Photographs with one id from two
collections of one layout are of one lesion as well; where pixels and mask are the same too, the later one is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from filecmp import cmp
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from biostyle.data.group_split import (
    GroupSplitSettings,
    agreed_parts,
    check_parts,
    divide_groups,
    equal_positions,
    merge_groups,
)
from biostyle.data.prepare import write_tables
from biostyle.data.prepared import PreparedDomain, PreparedFrame
from biostyle.data.sources.dermoscopy import Photograph, PhotographReader, list_photographs
from biostyle.data.splits import Part
from biostyle.errors import PairingError
from biostyle.io.integrity import sha256
from biostyle.io.labels import write_labels
from biostyle.io.photographs import read_binary_mask, read_photograph, write_photograph

_Row: TypeAlias = dict[str, str | int]
_FOLDER = "photographs"  # what they are known by across domains; their ids name the source


class PhotographFolder(BaseModel):
    """A collection of photographs.

    Attributes
    ----------
    reader : {"isic", "ph2", "waterloo", "dermofit", "smartskins", "folder"}
        Whose layout it has.
    folder : str
        Its place below the data root.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader: PhotographReader
    folder: str = Field(min_length=1)


class PhotographDomainSettings(BaseModel):
    """Which collections make up a domain, and what to call it.

    Attributes
    ----------
    folders : tuple of PhotographFolder
        The collections.
    title : str
        Name in tables and figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folders: tuple[PhotographFolder, ...] = Field(min_length=1)
    title: str = Field(min_length=1)


def collect_photographs(
    data_root: Path, settings: PhotographDomainSettings, *, needs_masks: bool
) -> list[Photograph]:
    """List the photographs of all collections of a domain.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    settings : PhotographDomainSettings
        Which collections.
    needs_masks : bool
        Whether every photograph must have a mask.

    Returns
    -------
    list of Photograph
        In the order of the collections, then of the names. One whose id an earlier collection has taken gets its
        folder into its id, and the lesion of its namesake; all others are called as if their collection were alone.

    Raises
    ------
    ImageError
        If a folder is missing or holds no photograph.
    PairingError
        If photographs and masks do not belong together, or a photograph is there twice.
    """
    found: dict[str, Photograph] = {}
    for source in settings.folders:
        for photograph in list_photographs(
            Path(data_root) / source.folder, source.reader, needs_masks=needs_masks
        ):
            taken = found.get(photograph.frame_id.casefold())
            if taken and taken.image != photograph.image:
                photograph = _rename(photograph, source, taken)
            other = found.setdefault(photograph.frame_id.casefold(), photograph)
            if other is not photograph:
                raise PairingError(
                    f"each photograph must be there once, got {photograph.frame_id} from {other.image} and "
                    f"{photograph.image}. Leave out one of the folders."
                )
    return list(found.values())


def prepare_photographs(
    data_root: Path,
    settings: PhotographDomainSettings,
    split: GroupSplitSettings,
    out: Path,
    *,
    needs_masks: bool,
    beside: PreparedDomain | None = None,
) -> None:
    """Check photographs and write them in the layout every later stage reads.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered; only read.
    settings : PhotographDomainSettings
        Which collections.
    split : GroupSplitSettings
        How to divide the lesions.
    out : Path
        Directory to write to; created if it is missing.
    needs_masks : bool
        Whether every photograph must have a mask, as in domain A.
    beside : PreparedDomain, optional
        The other domain, which is divided already. A lesion of which it has a photograph goes to the same part, and
        to none where it has photographs in several.

    Raises
    ------
    ImageError
        If a folder or a photograph cannot be used.
    MaskError
        If a mask cannot be used.
    PairingError
        If photographs and masks do not belong together, or a photograph is there twice.
    SplitError
        If a part would be empty.
    OutputError
        If the directory cannot be written.
    """
    out = Path(out)
    listed = collect_photographs(data_root, settings, needs_masks=needs_masks)
    rows, repeats = _write_photographs(listed, out)
    photographs = [photograph for photograph in listed if photograph.frame_id not in repeats]
    digests = [sha256(out / str(row["image"])) for row in rows]
    elsewhere: dict[str, list[PreparedFrame]] = defaultdict(list)
    for frame in beside.rows if beside else ():
        elsewhere[sha256(frame.image)].append(frame)

    same = equal_positions(digests)
    groups = merge_groups([photograph.group for photograph in photographs], same)
    parts = _assign_parts(groups, digests, elsewhere, split)
    check_parts([parts[group] for group in groups], split, settings.title)

    n_members: dict[str, int] = defaultdict(int)
    for row, group in zip(rows, groups, strict=True):
        row |= {"sequence": group, "number": n_members[group], "split": parts[group]}
        n_members[group] += 1
    ids = [photograph.frame_id for photograph in photographs]
    summary = _summarise(rows, settings.title) | {
        "duplicates": [[ids[position] for position in found] for found in same],
        "also_beside": {
            name: [frame.frame_id for frame in elsewhere[digest]]
            for name, digest in zip(ids, digests, strict=True)
            if digest in elsewhere
        },
    }
    write_tables(out, rows, summary | ({"repeats": repeats} if repeats else {}))


def _rename(photograph: Photograph, source: PhotographFolder, taken: Photograph) -> Photograph:
    """Tell a photograph from one of the same id in an earlier collection; it shows the same lesion."""
    name = photograph.frame_id.removeprefix(f"{source.reader}_")
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", source.folder).strip("-")
    return replace(
        photograph,
        frame_id=f"{source.reader}_{folder}_{name}",
        group=taken.group,
        namesake=taken.frame_id,
    )


def _write_photographs(photographs: Sequence[Photograph], out: Path) -> tuple[list[_Row], dict[str, str]]:
    """Write photographs but those that only repeat a namesake; return rows, and ids left out with those they repeat."""
    rows: list[_Row] = []
    repeats: dict[str, str] = {}
    namesakes: dict[str, list[_Row]] = defaultdict(list)
    for photograph in photographs:
        row = _write_photograph(photograph, out)
        others = namesakes[photograph.namesake or photograph.frame_id]
        repeated = next((other for other in others if _says_nothing_new(row, other, out)), None)
        if repeated is None:
            others.append(row)
            rows.append(row)
        else:
            repeats[photograph.frame_id] = str(repeated["frame_id"])
            for name in filter(None, (row["image"], row["gold"])):
                (out / str(name)).unlink()
    return rows, repeats


def _says_nothing_new(row: _Row, other: _Row, out: Path) -> bool:
    """Whether the pixels are the same, and the mask too, unless there is none."""

    def same(column: str) -> bool:
        return bool(other[column]) and cmp(out / str(row[column]), out / str(other[column]), shallow=False)

    return same("image") and (not row["gold"] or same("gold"))


def _write_photograph(photograph: Photograph, out: Path) -> _Row:
    """Check and copy one photograph with its mask; return its row, whose part is not known yet."""
    image = read_photograph(photograph.image)
    height, width = image.shape[:2]
    name = f"{photograph.frame_id}.tif"
    write_photograph(out / "images" / name, image)
    if photograph.mask is not None:
        write_labels(out / "gold" / name, read_binary_mask(photograph.mask, (height, width)))
    return {
        "frame_id": photograph.frame_id,
        "image": f"images/{name}",
        "gold": f"gold/{name}" if photograph.mask else "",
        "silver": "",
        "height": height,
        "width": width,
        "dtype": str(image.dtype),
    }


def _assign_parts(
    groups: list[str],
    digests: list[str],
    elsewhere: Mapping[str, list[PreparedFrame]],
    split: GroupSplitSettings,
) -> dict[str, Part]:
    """Return the part of each group; what the other domain has decided counts."""
    decided: dict[str, set[Part]] = {group: set() for group in groups}
    for group, digest in zip(groups, digests, strict=True):
        if digest in elsewhere:
            decided[group] |= {frame.split for frame in elsewhere[digest]}
    return divide_groups(groups, split, agreed_parts(decided))


def _summarise(rows: list[_Row], title: str) -> dict[str, object]:
    """Count what ``domain.json`` says about every domain."""
    parts = [row["split"] for row in rows]
    return {
        "title": title,
        "folder": _FOLDER,
        "colour": True,
        "split_mode": "group",
        "n_frames": len(rows),
        "n_groups": len({row["sequence"] for row in rows}),
        "n_train": parts.count("train"),
        "n_validation": parts.count("validation"),
        "n_test": parts.count("test"),
        "n_gold": len([row for row in rows if row["gold"]]),
        "n_silver": 0,
        "derive": None,
        "without_mask": [row["frame_id"] for row in rows if row["split"] == "train" and not row["gold"]],
    }
