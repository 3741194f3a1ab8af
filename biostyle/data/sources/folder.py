"""Read anybody's folder of images, with a folder of masks beside it or without.

::

    images/a.png b.png …              any names; a tree counts too, and so does a challenge folder as delivered
    masks/a.png b.tif …               the same names, for all images or for some of them

Nothing is decoded here; files are only paired.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from biostyle.data.sources.cell_tracking import Frame
from biostyle.io.pairing import files_by_id, pair_by_id

SEQUENCE = "01"


def read_folder(images: Path, masks: Path | None = None) -> list[Frame]:
    """List the frames of a folder with their masks.

    Parameters
    ----------
    images : Path
        A flat folder, a tree, or a data set of the Cell Tracking Challenge.
    masks : Path or None
        A folder of masks or labels with the images' names, or such a data set. Not every image needs one.

    Returns
    -------
    list of Frame
        In order of their names, numbers inside a name counting as numbers. They form one sequence and are numbered
        from 0. Masks are called gold, unless they are the challenge's silver ones.

    Raises
    ------
    PairingError
        If there is no image, a name occurs twice, or a mask has no image.
    """
    files = files_by_id(images, "image")
    found = {} if masks is None else dict(pair_masks(images, masks))
    silver = masks is not None and find_reference(masks) == "silver"
    return [
        Frame(
            frame_id=name,
            sequence=SEQUENCE,
            number=number,
            image=file,
            gold=None if silver else found.get(file),
            silver=found.get(file) if silver else None,
        )
        for number, (name, file) in enumerate(files.items())
    ]


def pair_masks(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair images with masks, where there are any.

    Parameters
    ----------
    images, masks : Path
        As for :func:`read_folder`.

    Returns
    -------
    list of tuple of Path
        Image and mask, in order. The silver reference is complete and therefore preferred.

    Raises
    ------
    PairingError
        If a mask has no image.
    """
    reference = find_reference(masks)
    pairs = pair_by_id(images, masks, sparse_truth=True, reference=reference, role="image")
    return [(pair.prediction, pair.truth) for pair in pairs]


def find_reference(folder: Path) -> Literal["silver", "gold"] | None:
    """Name the better of the references that a challenge tree holds.

    Parameters
    ----------
    folder : Path
        Any folder.

    Returns
    -------
    {"silver", "gold"} or None
        None where it is no challenge tree with masks.
    """
    if any(folder.rglob("*_ST/SEG/*.tif")):
        return "silver"
    return "gold" if any(folder.rglob("*_GT/SEG/*.tif")) else None
