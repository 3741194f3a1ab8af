"""Save a labels layer as a Cell Tracking Challenge result."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from biostyle.errors import MaskError, OutputError
from biostyle.io.labels import write_labels
from biostyle.napari.reading import METADATA

_RESULT = re.compile(r"\d{2}_RES")


def write_result(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write ``NN_RES/maskTTT.tif``, all of them or none.

    Parameters
    ----------
    path : str
        Folder named ``NN_RES``; any other name is the folder to put it into, with the layer's own sequence as
        NN, or 01 for a layer that came from elsewhere.
    data : array of shape (T, H, W) or (H, W)
        Labels, 0 to 65535; read one plane at a time.
    attributes : dict
        The layer's attributes. ``metadata`` says which number each plane has in a challenge sequence; without
        that, they are counted from 0.

    Returns
    -------
    list of str
        The files.

    Raises
    ------
    MaskError
        If there are more dimensions, or labels that do not fit into uint16.
    OutputError
        If the folder holds masks already, or cannot be written.
    """
    origin = attributes.get("metadata", {}).get(METADATA, {})
    folder = Path(path)
    if not _RESULT.fullmatch(folder.name):
        folder = folder / f"{origin.get('sequence', '01')}_RES"
    if data.ndim not in (2, 3):
        raise MaskError(
            f"labels must be (T, H, W) or (H, W), got shape {tuple(data.shape)} ({attributes.get('name')}). "
            "Save one channel or depth at a time."
        )
    planes = data if data.ndim == 3 else data[None]
    numbers = origin.get("numbers", [])
    if len(numbers) != len(planes):
        numbers = range(len(planes))
    n_digits = 3 if max(numbers) < 1000 else 4
    names = [f"mask{number:0{n_digits}d}.tif" for number in numbers]
    try:
        older = sorted(file.name for file in folder.glob("mask*.tif"))
        if older:
            raise OutputError(
                f"result folder must hold no masks, got {len(older)}, such as {older[0]} ({folder}). "
                "Choose another folder, or delete them."
            )
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".") as partial:
            for name, plane in zip(names, planes, strict=True):
                write_labels(Path(partial, name), np.asarray(plane))
            for name in names:
                Path(partial, name).replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"result folder must be writable, got {error.strerror} ({folder}). Choose another folder."
        ) from error
    return [str(folder / name) for name in names]
