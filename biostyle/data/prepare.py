"""Prepare a domain: check every frame and mask, decide the split, and copy them under one naming scheme.

::

    OUT/
    ├── images/<frame_id>.tif      the delivered pixels, same dtype and values (unless the domain is derived)
    ├── gold/<frame_id>.tif        labels, uint16
    ├── silver/<frame_id>.tif      labels, uint16
    ├── frames.csv                 one row a frame; paths relative to OUT, empty where there is no mask
    └── domain.json                title, folder, split mode, counts, derivation, training frames without mask

Challenge folders are divided into training and test; a plain folder is all training or all test.

Every later stage reads this layout, so bad input is met here and nowhere else.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from biostyle.data.sources.cell_tracking import Frame, read_sequences
from biostyle.data.sources.folder import read_folder
from biostyle.data.splits import Part, Split, SplitSettings, assign_splits
from biostyle.errors import ImageError, MaskError, OutputError
from biostyle.io.frames import read_frame, write_frame
from biostyle.io.labels import read_labels, write_labels
from biostyle.types import NDArray, check_image

_COLUMNS = (
    "frame_id", "sequence", "number", "split", "image", "gold", "silver", "height", "width", "dtype",
)  # fmt: skip


class DeriveSettings(BaseModel):
    """Make an artificial domain from the frames of a real one.

    Attributes
    ----------
    invert : bool
        Mirror the gray values over the dtype's range: 255 - x for uint8, 65535 - x for uint16.
    blur_sigma_px : float
        Standard deviation, in pixels, of the Gaussian blur applied after the inversion.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    invert: bool = False
    blur_sigma_px: float = Field(0.0, ge=0)


class DomainSettings(BaseModel):
    """Where a domain's frames are, and what to call it.

    Attributes
    ----------
    folder : str
        Name of the challenge folder below the data root.
    title : str
        Name in tables and figures.
    derive : DeriveSettings or None
        Set for an artificial domain; the masks stay those of the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(min_length=1)
    title: str = Field(min_length=1)
    derive: DeriveSettings | None = None


def derive_image(image: NDArray, settings: DeriveSettings, where: str = "") -> NDArray:
    """Invert and blur a frame to imitate another microscope.

    Parameters
    ----------
    image : ndarray of shape (H, W), integer
        Gray values.
    settings : DeriveSettings
        What to do; the inversion comes first.
    where : str
        File the frame came from, for the error.

    Returns
    -------
    ndarray of shape (H, W)
        The same dtype, rounded to the nearest value.

    Raises
    ------
    ImageError
        If the dtype is not integer, so that it has no range to invert over.

    Examples
    --------
    >>> import numpy as np
    >>> derive_image(np.array([[0, 100], [200, 255]], np.uint8), DeriveSettings(invert=True))
    array([[255, 155],
           [ 55,   0]], dtype=uint8)
    """
    if image.dtype.kind not in "ui":
        at = f" ({where})" if where else ""
        raise ImageError(
            f"image to derive from must be integer, got dtype {image.dtype}{at}. Convert it to uint8 or uint16."
        )
    derived = np.invert(image) if settings.invert else image
    if settings.blur_sigma_px > 0:
        blurred = ndimage.gaussian_filter(derived.astype(np.float64), settings.blur_sigma_px)
        derived = np.rint(blurred).astype(image.dtype)
    return derived


def prepare_domain(
    data_root: Path, settings: DomainSettings, split: SplitSettings, out: Path, require_train_masks: bool
) -> None:
    """Check a challenge folder and write it in the layout every later stage reads.

    Parameters
    ----------
    data_root : Path
        Folder that holds the challenge's folders as delivered; only read.
    settings : DomainSettings
        Which folder, and what to make of it.
    split : SplitSettings
        How to divide the frames.
    out : Path
        Directory to write to; created if it is missing.
    require_train_masks : bool
        Whether at least one training frame must have a mask, as in domain A.

    Raises
    ------
    ImageError
        If the folder or a frame cannot be used.
    MaskError
        If a mask cannot be used, or no training frame has one where they are required.
    PairingError
        If a mask has no frame, or a number occurs twice.
    SplitError
        If training or test would be empty.
    OutputError
        If the directory cannot be written.
    """
    folder = Path(data_root) / settings.folder
    frames = read_sequences(folder)
    decided = assign_splits(frames, split, str(folder))
    train = [frame for frame in frames if decided.assignment[frame.frame_id] == "train"]
    if require_train_masks and not any(frame.gold or frame.silver for frame in train):
        masked = sorted({frame.sequence for frame in frames if frame.gold or frame.silver})
        remedy = f"Add {train[0].sequence}_ST/SEG or {train[0].sequence}_GT/SEG"
        if masked:
            remedy += f", or divide the frames otherwise with [split]: sequence {', '.join(masked)} has masks"
        raise MaskError(
            f"training frames must have masks, got none for {len(train)} frames ({folder}). {remedy}."
        )
    _write_domain(Path(out), frames, decided, settings)


def prepare_folder(images: Path, masks: Path | None, out: Path, *, name: str, part: Part) -> None:
    """Check a plain folder and write it in the layout every later stage reads; its frames are not divided.

    Parameters
    ----------
    images : Path
        Folder of images; only read.
    masks : Path or None
        Folder of their masks, for all or some of them.
    out : Path
        Directory to write to; created if it is missing.
    name : str
        What its frames are known by across domains.
    part : {"train", "test"}
        What all of them are for.

    Raises
    ------
    ImageError
        If a frame cannot be used, for example because it is in colour.
    MaskError
        If a mask cannot be used.
    PairingError
        If there is no image, a name occurs twice, or a mask has no image.
    OutputError
        If the directory cannot be written.
    """
    frames = read_folder(images, masks)
    undivided = Split("none", {frame.frame_id: part for frame in frames})
    title = "/".join(images.resolve().parts[-2:])
    _write_domain(Path(out), frames, undivided, DomainSettings(folder=name, title=title))


def _write_domain(out: Path, frames: list[Frame], split: Split, settings: DomainSettings) -> None:
    """Copy the frames and write the tables."""
    parts = split.assignment
    rows = [_prepare_frame(frame, parts[frame.frame_id], settings.derive, out) for frame in frames]
    train = [frame for frame in frames if parts[frame.frame_id] == "train"]
    summary = {
        "title": settings.title,
        "folder": settings.folder,
        "split_mode": split.mode,
        "n_frames": len(frames),
        "n_train": len(train),
        "n_test": len([part for part in parts.values() if part == "test"]),
        "n_gold": len([frame for frame in frames if frame.gold]),
        "n_silver": len([frame for frame in frames if frame.silver]),
        "derive": settings.derive.model_dump() if settings.derive else None,
        "without_mask": [frame.frame_id for frame in train if frame.gold is None and frame.silver is None],
    }
    if split.narrowed_gap is not None:
        summary["narrowed_gap"] = split.narrowed_gap
    write_tables(out, rows, summary)


def write_tables(out: Path, rows: list[dict[str, str | int]], summary: dict[str, object]) -> None:
    """Write ``frames.csv`` and ``domain.json``.

    Parameters
    ----------
    out : Path
        Directory of the domain; it exists.
    rows : list of dict
        One row a frame, with the columns of ``frames.csv``.
    summary : dict
        What is true of the whole domain.

    Raises
    ------
    OutputError
        If the directory cannot be written.
    """
    try:
        with (out / "frames.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        (out / "domain.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"output must be writable, got {error.strerror} ({out}). "
            "Free disk space or check the folder's permissions."
        ) from error


def _prepare_frame(
    frame: Frame, part: Part, derive: DeriveSettings | None, out: Path
) -> dict[str, str | int]:
    """Check and copy one frame with its masks; return its row."""
    image = read_frame(frame.image)
    if derive is not None:
        image = check_image(derive_image(image, derive, str(frame.image)), "derived frame", str(frame.image))
    height, width = image.shape
    row: dict[str, str | int] = {
        "frame_id": frame.frame_id,
        "sequence": frame.sequence,
        "number": frame.number,
        "split": part,
        "image": f"images/{frame.frame_id}.tif",
        "gold": "",
        "silver": "",
        "height": height,
        "width": width,
        "dtype": str(image.dtype),
    }
    write_frame(out / "images" / f"{frame.frame_id}.tif", image)
    for name, path in (("gold", frame.gold), ("silver", frame.silver)):
        if path is not None:
            row[name] = f"{name}/{frame.frame_id}.tif"
            target = out / name / f"{frame.frame_id}.tif"
            labels = read_labels(path, (height, width))
            try:
                write_labels(target, labels)
            except MaskError as error:  # labels that do not fit uint16: name the file they came from
                raise MaskError(str(error).replace(str(target), str(path))) from error
    return row
