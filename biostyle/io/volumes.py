"""Open an image file of any supported format and read it plane by plane or region by region."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from biostyle.errors import ImageError
from biostyle.io import integrity
from biostyle.io.axes import PlaneIndex
from biostyle.io.headers import DECODER_ERRORS, damaged, file_format
from biostyle.io.limits import MAX_BYTES, byte_size
from biostyle.io.ngff import NgffSource, metadata_file
from biostyle.io.raster import RasterSource
from biostyle.io.tiff_reader import TiffSource
from biostyle.io.volume_info import VolumeInfo
from biostyle.types import NDArray


class PixelSource(Protocol):
    """One format's way to get pixels; what it returns is checked by :class:`Volume`."""

    info: VolumeInfo

    def read(self, index: PlaneIndex, rows: range, columns: range) -> NDArray:
        """Return a region of a plane as stored."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Volume:
    """An open image file.

    Reads are bounded: no more than the region asked for and the strips, tiles or chunks it touches is in
    memory. One thread may use it at a time.

    Parameters
    ----------
    source : PixelSource
        The format's reader.
    max_bytes : int
        Largest region to return, in bytes.
    watched : Path
        File whose change makes a reading worthless.
    before : tuple of int
        State of that file before its header was read.
    """

    def __init__(
        self, source: PixelSource, max_bytes: int, watched: Path, before: integrity.Fingerprint
    ) -> None:
        self.info = source.info
        self._source = source
        self._max_bytes = max_bytes
        self._watched = watched
        self._before = before

    def read_plane(self, index: PlaneIndex) -> NDArray:
        """Read one plane.

        Parameters
        ----------
        index : tuple of int
            One of ``info.planes()``.

        Returns
        -------
        ndarray of shape (H, W)
            Pixel values as stored, in native byte order.

        Raises
        ------
        ImageError
            As :meth:`read_region`.
        """
        height, width = self.info.plane_shape
        return self.read_region(index, slice(0, height), slice(0, width))

    def read_region(self, index: PlaneIndex, rows: slice, columns: slice) -> NDArray:
        """Read a rectangle of one plane.

        Parameters
        ----------
        index : tuple of int
            One of ``info.planes()``.
        rows, columns : slice
            Part of the plane, in pixels, within it; without steps.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Pixel values as stored, in native byte order.

        Raises
        ------
        ImageError
            If the region is outside, is larger than the limit, cannot be decoded or holds NaN or infinity, or
            if the file was changed since it was opened.
        """
        path, (height, width) = self.info.path, self.info.plane_shape
        row_range, column_range = range(height)[rows], range(width)[columns]
        self._check_region(index, row_range, column_range)
        try:
            pixels = self._source.read(index, row_range, column_range)
        except ImageError:
            raise
        except DECODER_ERRORS as error:
            integrity.check_unchanged(self._watched, self._before)
            raise damaged(path, error) from error
        integrity.check_unchanged(self._watched, self._before)
        if pixels.shape != (len(row_range), len(column_range)):
            raise ImageError(
                f"frame must decode to {len(row_range)} × {len(column_range)} pixels, got {pixels.shape} "
                f"({path}). The file is damaged; obtain it again."
            )
        if pixels.dtype.kind != "f":
            return np.ascontiguousarray(pixels, dtype=self.info.dtype)
        with np.errstate(over="ignore"):  # what overflows float32 is counted below
            pixels = np.ascontiguousarray(pixels, dtype=self.info.dtype)
        if not np.isfinite(pixels).all():
            n_bad = int((~np.isfinite(pixels)).sum())
            raise ImageError(
                f"frame must be finite, got {n_bad} NaN or infinite pixels in plane {index} ({path}). "
                "Replace them before use."
            )
        return pixels

    def source_sha256(self) -> str:
        """Hash the file.

        Returns
        -------
        str
            SHA-256 of the file, or of all files of an OME-Zarr store.

        Raises
        ------
        ImageError
            If the file was changed since it was opened.
        """
        digest = integrity.sha256(self.info.path)
        integrity.check_unchanged(self._watched, self._before)
        return digest

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def __enter__(self) -> Volume:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check_region(self, index: PlaneIndex, rows: range, columns: range) -> None:
        """Refuse a region that is empty, too large or not in the image."""
        info = self.info
        outer = [size for axis, size in zip(info.axes, info.shape, strict=True) if axis not in "YX"]
        inside = len(index) == len(outer) and all(0 <= i < size for i, size in zip(index, outer, strict=True))
        if not inside or not rows or not columns or rows.step != 1 or columns.step != 1:
            raise ImageError(
                f"region must lie in {info.axes} {info.shape}, got plane {index}, rows {rows}, "
                f"columns {columns} ({info.path}). Take the index from info.planes()."
            )
        n_bytes = len(rows) * len(columns) * info.dtype.itemsize
        if n_bytes > self._max_bytes:
            raise ImageError(
                f"region must need at most {byte_size(self._max_bytes)}, got {len(rows)} × "
                f"{len(columns)} {info.dtype}, {byte_size(n_bytes)} ({info.path}). "
                "Read it in strips, or crop the frame."
            )


def open_volume(
    path: Path | str,
    axes: str | None = None,
    series: int | None = None,
    *,
    labels: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Volume:
    """Open an image file; its header is checked, its pixels are not read.

    Parameters
    ----------
    path : Path or str
        TIFF, PNG or 8-bit JPEG file, recognised by its first bytes, or an OME-Zarr folder.
    axes : str, optional
        What the dimensions are, such as "TYX"; wins over the file's own metadata and is needed where they do
        not say it.
    series : int, optional
        Which image, counted from 0, of a file that holds several.
    labels : bool
        Whether the file holds labels, which may be uint32.
    max_bytes : int
        Largest region, strip or tile to have in memory, in bytes; compared with the header before memory is
        asked for.

    Returns
    -------
    Volume
        To be closed, or used in a ``with`` statement.

    Raises
    ------
    ImageError
        If the file is missing, truncated or in another format; claims more than its size can hold; holds no
        image, or several and none was chosen; has unclear axes; is a palette image or transparent; or has a
        pixel type other than uint8, uint16 and float.
    """
    path = Path(path)
    source: PixelSource
    watched = metadata_file(path) if path.is_dir() else path
    kind = "zarr" if path.is_dir() else file_format(path)
    before = integrity.fingerprint(watched)
    try:
        if kind == "zarr":
            source = NgffSource(path, axes, series, max_bytes, labels=labels)
        elif kind == "tiff":
            source = TiffSource(path, axes, series, max_bytes, labels=labels)
        else:
            source = RasterSource(path, kind, axes, series, max_bytes)
    except DECODER_ERRORS as error:
        raise damaged(path, error) from error
    return Volume(source, max_bytes, watched, before)
