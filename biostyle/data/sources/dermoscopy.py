"""Read collections of skin photographs, dermoscopic and macroscopic, each in its publisher's layout.

=============  ===================================  =====================================  ========================
reader         image                                mask of the lesion                     left out
=============  ===================================  =====================================  ========================
``isic``       ``ISIC_0000000.jpg``                 ``ISIC_0000000_Segmentation.png``      superpixels, attributes
``ph2``        ``IMD002.bmp``                       ``IMD002_lesion.bmp``                  ``IMD002_R1_Label3.bmp``
``waterloo``   ``melanoma/dermIS/SSM1_2_orig.jpg``  ``…/SSM1_2_contour.png``, filled       nothing
``dermofit``   ``AK/B12/B12.png``                   ``AK/B12/B12mask.png``                 nothing
``smartskins`` ``NAME.jpg``                         ``NAME_mask.png``                      nothing
``folder``     ``NAME.jpg``                         ``NAME_mask.png``                      nothing
=============  ===================================  =====================================  ========================

Folders may be nested in any way; names are compared without regard to case, and any image suffix will do. Instead
of ``_mask``, the last two readers take ``_segmentation`` and ``_gt`` too. Tables, texts and hidden
files are not looked at. Nothing is decoded here; files are only paired.

Photographs of one lesion form a group. Waterloo's names say so (``SSM1`` and ``SSM1_2``); the others' do not, and
each image is its own group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from biostyle.errors import ImageError, PairingError

PhotographReader: TypeAlias = Literal["isic", "ph2", "waterloo", "dermofit", "smartskins", "folder"]
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
_NOT_MACOS = "__MACOSX"


@dataclass(frozen=True)
class Photograph:
    """One photograph and the mask that belongs to it.

    Attributes
    ----------
    frame_id : str
        Reader and name, such as ``"ph2_IMD002"``; unique within a data set.
    group : str
        What it shows, such as ``"waterloo_melanoma_dermis_SSM1"``; photographs of one lesion have the same.
    image : Path
        The photograph's file.
    mask : Path or None
        The file of its lesion's mask, if there is one.
    namesake : str or None
        The id it would have, where a photograph of another collection has it already.
    """

    frame_id: str
    group: str
    image: Path
    mask: Path | None
    namesake: str | None = None


@dataclass(frozen=True)
class _Layout:
    """Patterns of file names without suffix; the first group of ``image`` and ``mask`` is the name they share."""

    image: str
    mask: str
    left_out: str = r"(?!)"  # nothing
    n_folders: int = 0  # how many folders around a file belong to its name
    numbered_lesions: bool = False  # whether NAME_2 shows the lesion of NAME


_ANY = _Layout(r"(.+)", r"(.+)_(?:mask|segmentation|gt)")
_LAYOUTS: dict[PhotographReader, _Layout] = {
    "isic": _Layout(r"(ISIC_\d+)", r"(ISIC_\d+)_segmentation", r"ISIC_\d+_(?:superpixels|attribute_\w+)"),
    "ph2": _Layout(r"(IMD\d+)", r"(IMD\d+)_lesion", r"IMD\d+_R\d+_Label\d+"),
    "waterloo": _Layout(r"(.+)_orig", r"(.+)_contour", n_folders=2, numbered_lesions=True),
    "dermofit": _Layout(r"(.+)", r"(.+?)_?mask"),
    "smartskins": _ANY,
    "folder": _ANY,
}


def list_photographs(folder: Path, reader: PhotographReader, *, needs_masks: bool) -> list[Photograph]:
    """List the photographs of a collection with their masks.

    Parameters
    ----------
    folder : Path
        Folder that holds the collection as delivered.
    reader : {"isic", "ph2", "waterloo", "dermofit", "smartskins", "folder"}
        Whose collection it is.
    needs_masks : bool
        Whether every photograph must have a mask.

    Returns
    -------
    list of Photograph
        In order of their names, numbers inside a name counting as numbers.

    Raises
    ------
    ImageError
        If the folder is missing or holds no photograph.
    PairingError
        If a name occurs twice, a mask has no photograph, a photograph has no mask where one is needed, or an image
        file is neither.
    """
    folder = Path(folder)
    layout = _LAYOUTS[reader]
    images, masks = _sort_files(folder, reader, layout)
    _refuse("mask must have a photograph", [masks[key] for key in masks.keys() - images.keys()], folder)
    if needs_masks:
        missing = [images[key] for key in images.keys() - masks.keys()]
        _refuse("photograph must have a mask", missing, folder)
    named = {_name(path, folder, layout): (path, masks.get(key)) for key, path in images.items()}
    return [
        Photograph(
            frame_id=f"{reader}_{name}",
            group=f"{reader}_{re.sub(r'(?<=[0-9])_[0-9]+$', '', name) if layout.numbered_lesions else name}",
            image=image,
            mask=mask,
        )
        for name, (image, mask) in sorted(named.items(), key=lambda item: _natural(item[0]))
    ]


def _sort_files(folder: Path, reader: str, layout: _Layout) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the photographs and the masks below a folder by the name they share."""
    if not folder.is_dir():
        raise ImageError(
            f"folder of photographs must exist, got {'a file' if folder.exists() else 'nothing'} ({folder}). "
            "Check --data-root, or fetch the data set with `biostyle data fetch`."
        )
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    unknown = []
    for path in _image_files(folder):
        if _match(layout.left_out, path):
            continue
        found = masks if _match(layout.mask, path) else images if _match(layout.image, path) else None
        if found is None:
            unknown.append(path)
            continue
        key = _name(path, folder, layout).casefold()
        if key in found:
            raise PairingError(
                f"each photograph and mask must be there once, got {found[key]} and {path}. Remove one of them."
            )
        found[key] = path
    _refuse(f"image must be named as in the collection {reader}", unknown, folder)
    if not images:
        raise ImageError(
            f"folder must hold photographs of the collection {reader}, got {len(masks)} masks and no photograph "
            f"({folder}). Check the folder and the reader."
        )
    return images, masks


def _image_files(folder: Path) -> Iterable[Path]:
    """Iterate over everything with an image's suffix, hidden files and macOS's litter excepted."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part == _NOT_MACOS for part in path.relative_to(folder).parts)
        if path.suffix.lower() in _SUFFIXES and not hidden and path.is_file():
            yield path


def _match(pattern: str, path: Path) -> re.Match[str] | None:
    """Match a file's name without its suffix."""
    return re.fullmatch(pattern, path.stem, re.IGNORECASE)


def _name(path: Path, folder: Path, layout: _Layout) -> str:
    """Return what a photograph and its mask are both called, as part of a file name."""
    match = _match(layout.mask, path) or _match(layout.image, path)
    stem = match[1] if match else path.stem
    around = [part.lower() for part in path.relative_to(folder).parts[:-1]]
    parts = [*around[len(around) - min(layout.n_folders, len(around)) :], stem]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort numbers inside a name as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _refuse(rule: str, paths: list[Path], folder: Path) -> None:
    """Raise when there are files that break a rule, naming up to five."""
    if paths:
        names = sorted(path.name for path in paths)
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise PairingError(
            f"every {rule}, got {len(names)} that break this: {shown} ({folder}). "
            "Add what is missing, or remove these files."
        )
