"""Open Cell Tracking Challenge folders as layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from biostyle.errors import ImageError, PairingError
from biostyle.io.frames import frame_header, read_pixels
from biostyle.io.labels import read_labels
from biostyle.io.pairing import files_by_id
from biostyle.types import NDArray

LayerData = tuple[Any, dict[str, Any], str]
METADATA = "biostyle"  # key of a layer's metadata: its sequence, and the number of each frame
_SEQUENCE = re.compile(r"\d{2}")
_FRAME = re.compile(r"t\d{3,4}\.tiff?", re.IGNORECASE)
_ID = re.compile(r"\d{2}_t(\d+)")
_MASKS: tuple[tuple[str, str, Literal["truth", "prediction"]], ...] = (
    ("GT", "SEG", "truth"),
    ("ST", "SEG", "truth"),
    ("RES", "", "prediction"),
)
_LABELS = np.dtype(np.int32)


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Offer to open a path.

    Parameters
    ----------
    path : str or sequence of str
        What the user opens.

    Returns
    -------
    callable or None
        :func:`read_folder`, if the path is a sequence ``NN`` with frames ``tNNN.tif``, or holds one.
    """
    return read_folder if isinstance(path, str) and _sequences(Path(path)) else None


def read_folder(path: str) -> list[LayerData]:
    """Open a sequence, or all sequences of a data set; pixels are read when they are looked at.

    Parameters
    ----------
    path : str
        Folder ``NN``, or the folder around it.

    Returns
    -------
    list of (data, attributes, type)
        For each sequence an image (T, Y, X), and labels of the same shape for each of ``NN_GT/SEG``,
        ``NN_ST/SEG`` and ``NN_RES`` that holds masks; 0 in frames without a mask.

    Raises
    ------
    ImageError, MaskError
        If the first frame cannot be read; later ones are read when they are shown, and may raise then.
    PairingError
        If two files carry one number, or a mask has no frame.
    """
    return [layer for sequence in _sequences(Path(path)) for layer in _read_sequence(sequence)]


def _sequences(folder: Path) -> list[Path]:
    """Return the folders of frames that a folder is or holds."""
    if not folder.is_dir():
        return []
    candidates = [folder] if _SEQUENCE.fullmatch(folder.name) else sorted(folder.iterdir())
    return [
        candidate
        for candidate in candidates
        if _SEQUENCE.fullmatch(candidate.name)
        and candidate.is_dir()
        and any(_FRAME.fullmatch(file.name) for file in candidate.iterdir())
    ]


def _read_sequence(folder: Path) -> list[LayerData]:
    """Return the layers of a sequence."""
    frames = _numbered(folder, "image")
    shape, dtype = frame_header(next(iter(frames.values())))
    name = f"{folder.absolute().parent.name} {folder.name}"
    metadata = {METADATA: {"sequence": folder.name, "numbers": list(frames)}}
    movie = _stack(list(frames.values()), partial(_read_frame, shape=shape, dtype=dtype), shape, dtype)
    layers: list[LayerData] = [(movie, {"name": name, "metadata": metadata}, "image")]
    for suffix, inner, role in _MASKS:
        masks = _numbered(folder.with_name(f"{folder.name}_{suffix}") / inner, role)
        for number in masks.keys() - frames.keys():
            raise PairingError(
                f"mask must have a frame, got {masks[number].name} without t{number:03d}.tif in {folder} "
                f"({masks[number]}). Add the frame or delete the mask."
            )
        if masks:
            read = partial(_read_mask, shape=shape)
            labels = _stack([masks.get(number) for number in frames], read, shape, _LABELS)
            layers.append((labels, {"name": f"{name}_{suffix}", "metadata": metadata}, "labels"))
    return layers


def _numbered(folder: Path, role: Literal["image", "truth", "prediction"]) -> dict[int, Path]:
    """Return the challenge's files of a folder by their number; none, if it is missing or empty."""
    if not folder.is_dir() or not any(folder.glob("*.[tT][iI][fF]*")):
        return {}
    found = ((_ID.fullmatch(name), file) for name, file in files_by_id(folder, role).items())
    return {int(match[1]): file for match, file in found if match}


def _stack(
    paths: Sequence[Path | None], read: Callable[[Path], NDArray], shape: tuple[int, int], dtype: np.dtype
) -> Any:
    """Return a dask array (T, H, W) of files, with 0 where there is none."""
    import dask
    import dask.array as da

    empty = da.zeros(shape, dtype=dtype)
    delayed = dask.delayed(read)
    return da.stack([da.from_delayed(delayed(path), shape, dtype=dtype) if path else empty for path in paths])


def _read_frame(path: Path, shape: tuple[int, int], dtype: np.dtype) -> NDArray:
    """Read a frame that must be like the first one."""
    frame = read_pixels(path)
    if (frame.shape, frame.dtype) != (shape, dtype):
        raise ImageError(
            f"frame must have the size and type {shape} {dtype} of the first one, got {frame.shape} {frame.dtype} "
            f"({path}). Keep frames of one movie in a folder."
        )
    return frame


def _read_mask(path: Path, shape: tuple[int, int]) -> NDArray:
    """Read the labels of a frame."""
    return read_labels(path, shape).astype(_LABELS)
