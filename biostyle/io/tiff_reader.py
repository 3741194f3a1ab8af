"""Read regions of TIFF, BigTIFF, ImageJ and OME-TIFF files, decoding only the strips and tiles they touch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biostyle.errors import ImageError
from biostyle.io.axes import PlaneIndex
from biostyle.io.tiff_metadata import check_photometric, tiff_info
from biostyle.io.tiff_structure import check_segments, count_directories, is_virtual
from biostyle.types import NDArray

_JPEG = (6, 7, 33007, 34892)
_BLOCK_BYTES = 64 * 1024**2


class TiffSource:
    """An open TIFF file.

    Parameters
    ----------
    path : Path
        The file.
    axes : str or None
        What the user says the dimensions are.
    series : int or None
        Which image of the file.
    max_bytes : int
        Largest strip or tile to decode, in bytes.
    labels : bool
        Whether uint32 is accepted.

    Raises
    ------
    ImageError
        If the file is damaged, or its image is of no supported kind.
    """

    def __init__(
        self, path: Path, axes: str | None, series: int | None, max_bytes: int, *, labels: bool = False
    ) -> None:
        n_directories = count_directories(path)
        self._tiff = tifffile.TiffFile(path)
        try:
            if len(self._tiff.pages) != n_directories:
                raise ImageError(
                    f"pages must be readable, got {len(self._tiff.pages)} of {n_directories} ({path}). "
                    "The file is damaged; obtain it again."
                )
            self._series, number = _choose_series(self._tiff, series, path)
            check_photometric(self._series, path)
            self._page: Any = self._series.keyframe
            # Pages lie along the leading dimensions; what is left is one page.
            self._grid = self._series.shape[: len(self._series.shape) - len(self._page.axes)]
            n_pages = math.prod(self._grid)
            check_segments(self._series, n_pages, n_directories, path, max_bytes)
            self._virtual = is_virtual(self._series, n_pages)
            self.info = tiff_info(self._tiff, self._series, number, path, axes, labels=labels)
        except BaseException:
            self._tiff.close()
            raise
        self._decoded: tuple[tuple[int, int], tuple[NDArray, tuple[int, int]]] | None = None

    def read(self, index: PlaneIndex, rows: range, columns: range) -> NDArray:
        """Return a region of a plane as stored.

        Parameters
        ----------
        index : tuple of int
            Plane.
        rows, columns : range
            Region, in pixels.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Pixel values.

        Raises
        ------
        ImageError
            If a strip or tile decodes to another size than the header says.
        """
        page = self._page
        outer = index[: len(self._grid)]
        sample = index[-1] if len(index) > len(outer) else 0  # samples of a page run fastest
        number = int(np.ravel_multi_index(outer, self._grid)) if self._grid else 0
        if self._virtual:
            return self._read_rows(page.dataoffsets[0] + number * page.nbytes, sample, rows, columns)
        frame = self._series[number]
        assert frame is not None  # check_segments has seen it
        if page.is_contiguous and frame.is_contiguous:
            return self._read_rows(frame.dataoffsets[0], sample, rows, columns)
        return self._decode(frame, number, sample, rows, columns)

    def close(self) -> None:
        """Release the file."""
        self._tiff.close()

    def _read_rows(self, offset: int, sample: int, rows: range, columns: range) -> NDArray:
        """Read part of an uncompressed plane without the rest of it."""
        page = self._page
        stored = page.dtype.newbyteorder(self._tiff.byteorder)
        height, width = self.info.plane_shape
        n_interleaved = page.shape[-1] if page.axes == "YXS" else 1
        if page.axes == "SYX":
            offset += sample * height * width * stored.itemsize
        row_items = width * n_interleaved
        region = np.empty((len(rows), len(columns)), page.dtype.newbyteorder("="))
        step = max(1, _BLOCK_BYTES // (row_items * stored.itemsize))
        for first in range(0, len(rows), step):
            block = rows[first : first + step]
            start = offset + block.start * row_items * stored.itemsize
            values = self._tiff.filehandle.read_array(stored, len(block) * row_items, start)
            pixels = values.reshape(len(block), width, n_interleaved)
            region[first : first + len(block)] = pixels[
                :, columns.start : columns.stop, sample if page.axes == "YXS" else 0
            ]
        return region

    def _decode(self, frame: Any, number: int, sample: int, rows: range, columns: range) -> NDArray:
        """Decode the strips or tiles that a region touches."""
        page = self._page
        region = np.zeros((len(rows), len(columns)), page.dtype.newbyteorder("="))
        n_done = 0
        for segment in self._segments_of(sample, rows, columns):
            pixels, (y, x) = self._segment(frame, number, segment)
            y0, y1 = max(y, rows.start), min(y + pixels.shape[0], rows.stop)
            x0, x1 = max(x, columns.start), min(x + pixels.shape[1], columns.stop)
            part = pixels[y0 - y : y1 - y, x0 - x : x1 - x, sample if page.axes == "YXS" else 0]
            region[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = part
            n_done += part.size
        if n_done != region.size:
            raise ValueError(f"strips hold {n_done} of {region.size} pixels")
        return region

    def _segments_of(self, sample: int, rows: range, columns: range) -> list[int]:
        """Numbers of the segments that a region touches."""
        page = self._page
        height, width = self.info.plane_shape
        tiled = page.is_tiled
        chunk_height, chunk_width = (page.tilelength, page.tilewidth) if tiled else (page.rowsperstrip, width)
        n_across = math.ceil(width / chunk_width)
        first = sample * math.ceil(height / chunk_height) * n_across if page.axes == "SYX" else 0
        return [
            first + down * n_across + across
            for down in range(rows.start // chunk_height, (rows.stop - 1) // chunk_height + 1)
            for across in range(columns.start // chunk_width, (columns.stop - 1) // chunk_width + 1)
        ]

    def _segment(self, frame: Any, number: int, segment: int) -> tuple[NDArray, tuple[int, int]]:
        """Decode one strip or tile (H, W, S), and say where it begins; the last one is kept."""
        if self._decoded is None or self._decoded[0] != (number, segment):
            page, handle = self._page, self._tiff.filehandle
            handle.seek(frame.dataoffsets[segment])
            content = handle.read(frame.databytecounts[segment])
            tables = {}
            if page.compression in _JPEG:
                tables = {"jpegtables": frame.jpegtables, "jpegheader": page.jpegheader}
            pixels, (_, _, y, x, _), _ = page.decode(content, segment, **tables)
            if pixels is None:
                raise ValueError(f"strip or tile {segment} is empty")
            self._decoded = ((number, segment), (pixels[0], (y, x)))
        return self._decoded[1]


def _choose_series(
    tiff: tifffile.TiffFile, series: int | None, path: Path
) -> tuple[tifffile.TiffPageSeries, int]:
    """Return the image the user means."""
    found = tiff.series
    if series is None and len(found) == 1:
        return found[0], 0
    shapes = ", ".join(str(one.shape) for one in found[:5]) + (", …" if len(found) > 5 else "")
    if series is None:
        raise ImageError(
            f"file must hold one image, got {len(found)} of shapes {shapes} ({path}). "
            f"Choose one with --series 0 to {len(found) - 1}."
        )
    if not 0 <= series < len(found):
        raise ImageError(
            f"series must be 0 to {len(found) - 1}, got {series} ({path}). Images are counted from 0."
        )
    return found[series], series
