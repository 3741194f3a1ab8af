"""Read and write one grayscale frame, dtype-true and bounded by what the header claims."""

from __future__ import annotations

import io
import math
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from biostyle.errors import ImageError
from biostyle.io.atomic import write_atomically
from biostyle.io.headers import (
    DECODER_ERRORS,
    JPEG_MAGIC,
    PNG_MAGIC,
    damaged,
    file_format,
    jpeg_header,
    png_header,
)
from biostyle.types import NDArray, check_image

MAX_BYTES = 4 * 1024**3


def read_frame(path: Path | str, *, max_bytes: int = MAX_BYTES) -> NDArray:
    """Read one grayscale frame with the file's own dtype.

    Parameters
    ----------
    path : Path or str
        TIFF, PNG (8 or 16 bit) or 8-bit JPEG file, recognised by its first bytes.
    max_bytes : int
        Largest decoded size, in bytes; checked against the header before memory is asked for.

    Returns
    -------
    ndarray of shape (H, W)
        Pixel values as stored, in native byte order.

    Raises
    ------
    ImageError
        If the file is missing, truncated, in another format, larger than `max_bytes`, in colour or a stack,
        or if the frame breaks the contract of :func:`biostyle.types.check_image`.
    """
    return check_image(read_pixels(path, max_bytes=max_bytes), "frame", str(path))


def read_pixels(path: Path | str, *, max_bytes: int = MAX_BYTES) -> NDArray:
    """Read one single-channel image without judging its content.

    Parameters
    ----------
    path : Path or str
        TIFF, PNG or 8-bit JPEG file.
    max_bytes : int
        Largest decoded size, in bytes.

    Returns
    -------
    ndarray of shape (H, W)
        Pixel values as stored; a mask may be constant, which :func:`read_frame` refuses.

    Raises
    ------
    ImageError
        As :func:`read_frame`, the content check excepted.
    """
    path = Path(path)
    shape, dtype = frame_header(path)
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > max_bytes:
        raise ImageError(
            f"frame must need at most {max_bytes / 1024**3:.3g} GiB, got a header claiming {shape} {dtype}, "
            f"{n_bytes / 1024**3:.3g} GiB ({path}). Obtain the file again, or crop the frame."
        )
    try:
        content = path.read_bytes()
        if content.startswith(PNG_MAGIC):
            pixels = imagecodecs.png_decode(content)
        elif content.startswith(JPEG_MAGIC):
            pixels = imagecodecs.jpeg8_decode(content)
        else:
            with tifffile.TiffFile(io.BytesIO(content)) as tiff:
                pixels = tiff.series[0].asarray()
    except DECODER_ERRORS as error:
        raise damaged(path, error) from error
    return np.asarray(pixels, dtype=dtype).reshape(shape)


def frame_header(path: Path | str) -> tuple[tuple[int, int], np.dtype]:
    """Return a frame's size and dtype without reading its pixels.

    Parameters
    ----------
    path : Path or str
        TIFF, PNG or 8-bit JPEG file.

    Returns
    -------
    shape : tuple of int
        Height and width, in pixels.
    dtype : numpy.dtype
        Type of one pixel, in native byte order.

    Raises
    ------
    ImageError
        If the file is missing, in another format, in colour, a stack, or shorter than its header says.
    """
    path = Path(path)
    found = file_format(path)
    try:
        if found == "tiff":
            shape, axes, dtype = _tiff_header(path)
        elif found == "png":
            shape, axes, dtype = png_header(path.read_bytes())
        else:
            shape, axes, dtype = jpeg_header(path.read_bytes())
    except DECODER_ERRORS as error:
        raise damaged(path, error) from error
    kept = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size != 1 or axis in "YX"]
    if len(kept) != 2:
        kind = "a colour image" if axes.endswith("S") or axes.startswith("S") else "a stack"
        raise ImageError(
            f"frame must be one grayscale image (H, W), got {kind} of shape {shape} ({path}). "
            "Convert RGB to gray, or split the stack into frames."
        )
    return (kept[0][1], kept[1][1]), np.dtype(dtype).newbyteorder("=")


def write_frame(path: Path | str, array: NDArray) -> None:
    """Write a frame as a zlib-compressed TIFF whose bytes depend on the array alone.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : Path or str
        File to write; its folder is made where it is missing.
    array : ndarray of shape (H, W)
        Frame of any real dtype; boolean is stored as uint8.

    Raises
    ------
    ImageError
        If the array is not two-dimensional.
    OutputError
        If the file cannot be written, for example because the disk is full.
    """
    if array.ndim != 2:
        raise ImageError(f"frame must be (H, W), got shape {array.shape} ({path}). Write one frame a file.")
    pixels = array.astype(np.uint8) if array.dtype == bool else array
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels, photometric="minisblack", compression="zlib", metadata=None, software="biostyle"
    )
    write_atomically(path, buffer.getvalue())


def _tiff_header(path: Path) -> tuple[tuple[int, ...], str, np.dtype]:
    """Return shape, axes and dtype of a TIFF's only image, which must lie inside the file."""
    with tifffile.TiffFile(path) as tiff:
        if len(tiff.series) != 1:
            return (len(tiff.series), *tiff.series[0].shape), "Q" + tiff.series[0].axes, np.dtype("u1")
        series = tiff.series[0]
        if series.dtype is None:
            raise ValueError("unknown pixel type")
        segments = [
            (offset, count)
            for page in series.pages
            if page is not None
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        size, end = path.stat().st_size, max((sum(segment) for segment in segments), default=0)
        if end > size or not all(count for _, count in segments):
            n_gib = math.prod(series.shape) * series.dtype.itemsize / 1024**3
            raise ValueError(
                f"header claims {series.shape} {series.dtype}, {n_gib:.3g} GiB, up to byte {end} of {size}"
            )
        return series.shape, series.axes, series.dtype
