"""What is refused before memory is asked for: impossible sizes and pixel types that are no images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from biostyle.errors import ImageError

MAX_BYTES = 4 * 1024**3
_FLOATS = ("float16", "float32", "float64")


def readable_dtype(stored: np.dtype, where: Path, *, labels: bool = False) -> np.dtype:
    """Decide on the dtype in which a file's pixels are read.

    Parameters
    ----------
    stored : numpy.dtype
        Type in the file.
    where : Path
        The file, for the error.
    labels : bool
        Whether the file holds labels, which may be uint32.

    Returns
    -------
    numpy.dtype
        uint8 and uint16 as they are; float32 for floats of any size.

    Raises
    ------
    ImageError
        If the file holds anything else.
    """
    name = stored.newbyteorder("=").name
    if name in ("uint8", "uint16") or (labels and name == "uint32"):
        return np.dtype(name)
    if name in _FLOATS:
        return np.dtype(np.float32)
    reason = {
        "bool": "It is a mask, not an image.",
        "uint32": "Such files mostly hold labels; an image has to be converted to uint16 or float32.",
    }.get(name, "Convert it to uint16, or to float32 where values are negative.")
    raise ImageError(f"pixels must be uint8, uint16 or float, got {name} ({where}). {reason}")


def check_size(shape: tuple[int, ...], dtype: np.dtype, capacity: float, where: Path) -> None:
    """Refuse a header that claims no pixels, or more than the file's bytes can hold.

    Parameters
    ----------
    shape : tuple of int
        Shape of the whole array.
    dtype : numpy.dtype
        Type in the file.
    capacity : float
        Most bytes that the file can expand to.
    where : Path
        The file, for the error.

    Raises
    ------
    ImageError
        If the size is impossible.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if not n_bytes:
        raise ImageError(f"image must have pixels, got shape {shape} ({where}). Obtain the file again.")
    if n_bytes > capacity:
        raise ImageError(
            f"header must claim what the file can hold, got {shape} {dtype}, {byte_size(n_bytes)}, in "
            f"{byte_size(where.stat().st_size)} ({where}). The file is truncated or damaged; obtain it again."
        )


def byte_size(n_bytes: float) -> str:
    """Write a number of bytes the way people read it.

    Parameters
    ----------
    n_bytes : float
        Size, in bytes.

    Returns
    -------
    str
        In bytes, MiB or GiB.

    Examples
    --------
    >>> byte_size(300), byte_size(70 * 1024**3)
    ('300 bytes', '70 GiB')
    """
    if n_bytes < 1024**2:
        return f"{n_bytes:.0f} bytes"
    unit, name = (1024**3, "GiB") if n_bytes >= 1024**3 else (1024**2, "MiB")
    return f"{n_bytes / unit:.3g} {name}"
