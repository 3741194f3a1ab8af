"""Whether the directories and segments of a TIFF lie in the file and can hold what they claim.

tifffile logs such damage and goes on with the pages it found, or fills what is missing with zeros; here it is
an error.
"""

from __future__ import annotations

import logging
import math
import struct
from pathlib import Path
from typing import Any

import tifffile

from biostyle.errors import ImageError
from biostyle.io.limits import byte_size, check_size

# Most bytes that one byte can expand to. Deflate: 258 bytes a 2-bit pair; LZW: a 12-bit code for the longest
# string of its table; zstd: a 128 KiB block of one byte repeated, in 4 bytes.
_EXPANSION = {1: 1.0, 5: 4096.0, 8: 1040.0, 32946: 1040.0, 32773: 64.0, 7: 1024.0}
_MOST_EXPANSION = 2.0**16
_PRIVATE = 32768
# Bytes of one value of a tag's type; of the others, one.
_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

logging.getLogger("tifffile").addHandler(logging.NullHandler())


def count_directories(path: Path) -> int:
    """Follow the chain of image file directories (TIFF 6.0, section 2; BigTIFF).

    Parameters
    ----------
    path : Path
        TIFF or BigTIFF file.

    Returns
    -------
    int
        Number of directories.

    Raises
    ------
    ImageError
        If the chain leaves the file, returns to an earlier directory or is empty, or the value of a standard
        tag lies outside of the file.
    """
    n_bytes = path.stat().st_size
    found: set[int] = set()
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        layouts = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
        count, entry, link = (struct.Struct(order + layout) for layout in layouts)
        (offset,) = link.unpack_from(start, 8 if big else 4)
        while offset:
            if offset in found or offset >= n_bytes:
                where = "an earlier one" if offset in found else f"byte {offset} of {n_bytes}"
                raise ImageError(
                    f"pages must follow one another within the file, got page {len(found)} at {where} ({path}). "
                    "The file is truncated or damaged; obtain it again."
                )
            file.seek(offset)
            (n_entries,) = count.unpack(file.read(count.size))
            body = file.read(min(n_entries * entry.size, n_bytes))
            standard = (tag for tag in entry.iter_unpack(body) if tag[0] < _PRIVATE)
            end = max((_value_end(kind, n, value, link) for _, kind, n, value in standard), default=0)
            if end > n_bytes:
                raise ImageError(
                    f"tags must lie within the file, got page {len(found)} with one up to byte {end} of {n_bytes} "
                    f"({path}). The file is truncated or damaged; obtain it again."
                )
            found.add(offset)
            (offset,) = link.unpack(file.read(link.size))
    if not found:
        raise ImageError(
            f"file must hold at least one page, got none ({path}). Its writing was cut short; obtain it again."
        )
    return len(found)


def check_segments(
    series: tifffile.TiffPageSeries,
    n_planes: int,
    n_directories: int,
    path: Path,
    max_bytes: int,
) -> None:
    """Check that every strip and tile of a series lies in the file and is large enough.

    Parameters
    ----------
    series : TiffPageSeries
        The image.
    n_planes : int
        Number of pages it has to have.
    n_directories : int
        Number of pages in the file, from :func:`count_directories`.
    path : Path
        The file, for errors.
    max_bytes : int
        Largest strip or tile that may be decoded, in bytes.

    Raises
    ------
    ImageError
        If pages are missing or differ, a segment is outside of the file or empty, or the header claims more than the
        segments can hold.
    """
    page: Any = series.keyframe
    file_bytes = path.stat().st_size
    plane_shape = tuple(page.shape)
    if is_virtual(series, n_planes):
        offset = page.dataoffsets[0]
        check_size((n_planes, *plane_shape), page.dtype, file_bytes - offset, path)
        return
    if len(series) != n_planes or n_planes > n_directories:
        raise ImageError(
            f"file must hold the {n_planes} pages its metadata claim, got {min(len(series), n_directories)} ({path}). "
            "The file is truncated or damaged; obtain it again."
        )
    expansion = _EXPANSION.get(page.compression, _MOST_EXPANSION)
    bits = page.bitspersample / (8 * page.dtype.itemsize)  # below 1 where pixels are packed
    n_segments = math.prod(page.chunked)
    chunk_bytes = math.prod(page.chunks) * page.dtype.itemsize
    if page.compression != 1 and chunk_bytes > max_bytes:
        check_size(plane_shape, page.dtype, file_bytes * expansion, path)
        raise ImageError(
            f"strips and tiles must need at most {byte_size(max_bytes)}, got {byte_size(chunk_bytes)} "
            f" ({path}). Save the file without compression or in smaller tiles."
        )
    for number in range(n_planes):
        frame = series[number]
        if frame is None:
            raise ImageError(
                f"file must hold every plane its metadata claim, got none for plane {number} ({path}). "
                "The acquisition was cut short or lies in several files; export it as one complete file."
            )
        segments = list(zip(frame.dataoffsets, frame.databytecounts, strict=True))
        end = max((sum(segment) for segment in segments), default=0)
        if end > file_bytes or len(segments) != n_segments or not all(map(all, segments)):
            check_size(plane_shape, page.dtype, file_bytes * expansion, path)
            raise ImageError(
                f"page {number} must have {n_segments} strips or tiles within the file, got {len(segments)} "
                f"up to byte {end} of {file_bytes} ({path}). The file is truncated or damaged; obtain it again."
            )
        capacity = sum(frame.databytecounts) * expansion / min(bits, 1)
        check_size(plane_shape, page.dtype, capacity, path)


def is_virtual(series: tifffile.TiffPageSeries, n_planes: int) -> bool:
    """Tell whether one directory stands for all planes, which follow one another in the file.

    Parameters
    ----------
    series : TiffPageSeries
        The image.
    n_planes : int
        Number of planes it has to have.

    Returns
    -------
    bool
        True for ImageJ stacks above 4 GiB and files truncated to one directory.
    """
    one_directory = series.is_truncated and series.parent is not None and len(series.parent.pages) == 1
    return n_planes > 1 and one_directory and bool(series.keyframe.is_contiguous)


def _value_end(kind: int, n_values: int, value: bytes, link: struct.Struct) -> int:
    """Return where a tag's value ends in the file; 0 where it is in the entry itself."""
    n_bytes = _TYPE_BYTES.get(kind, 1) * n_values
    return 0 if n_bytes <= len(value) else int(link.unpack(value)[0]) + n_bytes
