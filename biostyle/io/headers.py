"""What a file's first bytes say: its format, and the size and type of a PNG or JPEG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from biostyle.errors import ImageError

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
# What the decoders raise when the bytes are damaged.
DECODER_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)
Header = tuple[tuple[int, ...], str, np.dtype]


def file_format(path: Path) -> Literal["tiff", "png", "jpeg"]:
    """Tell a file's format from its first bytes; its name does not count.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    {"tiff", "png", "jpeg"}
        The format.

    Raises
    ------
    ImageError
        If the file cannot be opened or is none of these.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ImageError(
            f"frame must be a readable file, got {error.strerror} ({path}). "
            "Check the path and its permissions."
        ) from error
    if start.startswith(TIFF_MAGIC):
        return "tiff"
    if start == PNG_MAGIC:
        return "png"
    if start.startswith(JPEG_MAGIC):
        return "jpeg"
    raise ImageError(
        f"frame must be a TIFF, PNG or JPEG file, got one starting with {start!r} ({path}). "
        "Obtain the file again, or export it as TIFF."
    )


def damaged(path: Path, error: Exception) -> ImageError:
    """Say that a file's bytes do not decode.

    Parameters
    ----------
    path : Path
        The file.
    error : Exception
        What the decoder raised.

    Returns
    -------
    ImageError
        To be raised from `error`.
    """
    return ImageError(
        f"frame must decode completely, got {type(error).__name__}: {error} ({path}). "
        "The file is truncated or damaged; obtain it again."
    )


def png_header(content: bytes) -> Header:
    """Read shape, axes and dtype from a PNG's IHDR chunk (ISO/IEC 15948).

    Parameters
    ----------
    content : bytes
        The file, or its first 26 bytes.

    Returns
    -------
    shape : tuple of int
        Height, width and samples a pixel; a palette index counts as three.
    axes : str
        Always "YXS".
    dtype : numpy.dtype
        Type of one sample.
    """
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    n_samples = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[colour]
    return (height, width, n_samples), "YXS", np.dtype("u2" if depth == 16 else "u1")


def jpeg_header(content: bytes) -> Header:
    """Read shape, axes and dtype from a JPEG's start-of-frame segment (ITU-T T.81).

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    shape : tuple of int
        Height, width and samples a pixel.
    axes : str
        Always "YXS".
    dtype : numpy.dtype
        Always uint8.
    """
    position = 2
    while True:
        marker, length = struct.unpack(">xBH", content[position : position + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, n_samples = struct.unpack(">HHB", content[position + 5 : position + 10])
            return (height, width, n_samples), "YXS", np.dtype("u1")
        position += 2 + length
