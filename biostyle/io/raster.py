"""Read PNG and JPEG images, and write PNG without losing the input's texts and scale."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np

from biostyle.errors import ImageError
from biostyle.io.axes import PlaneIndex, resolve_axes
from biostyle.io.headers import PNG_MAGIC, jpeg_header, png_header
from biostyle.io.limits import byte_size, check_size
from biostyle.io.volume_info import VolumeInfo
from biostyle.types import NDArray

_EXPANSION = {"png": 1040.0, "jpeg": 1024.0}
_KEPT_CHUNKS = (b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME")
_COLOURS = {0: "gray", 2: "RGB", 3: "a palette", 4: "gray with transparency", 6: "RGB with transparency"}


class RasterSource:
    """A PNG or JPEG file, decoded as a whole at the first reading.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"png", "jpeg"}
        Its format.
    axes : str or None
        What the user says the dimensions are.
    series : int or None
        Which image; only 0 exists.
    max_bytes : int
        Largest image, in bytes.

    Raises
    ------
    ImageError
        If it is a palette, transparent, animated, truncated, or larger than the limit.
    """

    def __init__(
        self,
        path: Path,
        kind: Literal["png", "jpeg"],
        axes: str | None,
        series: int | None,
        max_bytes: int,
    ) -> None:
        if series not in (None, 0):
            raise ImageError(
                f"series must be 0 in a {kind.upper()} file, got {series} ({path}). Leave it out."
            )
        content = path.read_bytes()
        shape, stored_axes, dtype = png_header(content) if kind == "png" else jpeg_header(content)
        check_size(shape, dtype, len(content) * _EXPANSION[kind], path)
        chunks = _check_png(content, path) if kind == "png" else _check_jpeg(content, shape[2], path)
        n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if n_bytes > max_bytes:
            raise ImageError(
                f"image must need at most {byte_size(max_bytes)}, got {shape} {dtype}, "
                f"{byte_size(n_bytes)} ({path}). Crop it, or convert it to a tiled TIFF."
            )
        if shape[2] == 1:
            shape, stored_axes = shape[:2], "YX"
        resolved = resolve_axes(shape, stored_axes, axes, str(path))
        if resolved not in ("YX", "YXS"):
            raise ImageError(
                f"axes must be {stored_axes} in a {kind.upper()} file, got {resolved} ({path}). Leave --axes out."
            )
        self.info = VolumeInfo(
            path=path,
            format=kind,
            shape=shape,
            axes=resolved,
            dtype=dtype,
            stored_dtype=dtype.name,
            photometric="rgb" if "S" in resolved else "minisblack",
            metadata={"chunks": chunks},
        )
        self._content = content
        self._pixels: NDArray | None = None

    def read(self, index: PlaneIndex, rows: range, columns: range) -> NDArray:
        """Return a region of a plane.

        Parameters
        ----------
        index : tuple of int
            The sample of an RGB image; empty for a gray one.
        rows, columns : range
            Region, in pixels.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Pixel values.
        """
        if self._pixels is None:
            decode = imagecodecs.png_decode if self.info.format == "png" else imagecodecs.jpeg8_decode
            pixels = decode(self._content)
            if pixels.shape != self.info.shape or pixels.dtype != self.info.dtype:
                raise ValueError(f"pixels decode to {pixels.shape} {pixels.dtype}")
            self._pixels = pixels
        region = self._pixels[rows.start : rows.stop, columns.start : columns.stop]
        return region[..., index[0]] if index else region

    def close(self) -> None:
        """Release the pixels."""
        self._pixels = None


def encode_png(pixels: NDArray, chunks: list[tuple[bytes, bytes]], description: str) -> bytes:
    """Encode an image as PNG.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        uint8 or uint16.
    chunks : list of tuple of bytes
        Types and contents of ancillary chunks to carry along.
    description : str
        Text of the chunk named Description; one of that name in `chunks` stays beside it.

    Returns
    -------
    bytes
        The file.
    """
    content = bytes(imagecodecs.png_encode(pixels))
    text = (b"iTXt", b"Description\0\0\0\0\0" + description.encode())
    extra = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in [*chunks, text]
    )
    return content[:33] + extra + content[33:]  # after the signature and IHDR


def _check_png(content: bytes, path: Path) -> list[tuple[bytes, bytes]]:
    """Refuse what is no opaque gray or RGB image of 8 or 16 bits; return the chunks worth keeping."""
    depth, colour = content[24], content[25]
    chunks = list(_png_chunks(content))
    names = {name for name, _ in chunks}
    if b"IEND" not in names:
        raise ValueError("the end of the file is missing")
    if b"acTL" in names:
        raise ImageError(f"PNG must hold one image, got an animation ({path}). Save its frames as TIFF.")
    if colour not in (0, 2) or b"tRNS" in names:
        kind = (
            _COLOURS.get(colour, f"colour type {colour}") if colour not in (0, 2) else "a transparent colour"
        )
        raise ImageError(
            f"pixels must be opaque gray or RGB values, got {kind} ({path}). "
            "Convert the image to gray or RGB without transparency."
        )
    if depth < 8:
        raise ImageError(
            f"pixels must have 8 or 16 bits, got {depth} ({path}). It is a mask or a drawing; "
            "convert it to 8-bit gray if it is an image."
        )
    return [(name, body) for name, body in chunks if name in _KEPT_CHUNKS]


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over a PNG's chunks, which must be intact (ISO/IEC 15948, section 5.3)."""
    position = len(PNG_MAGIC)
    while position < len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(name + body) != checksum:
            raise ValueError(f"chunk {name!r} has a wrong checksum")
        yield name, body if name in _KEPT_CHUNKS else b""
        if name == b"IEND":
            return
        position += 12 + length


def _check_jpeg(content: bytes, n_samples: int, path: Path) -> list[tuple[bytes, bytes]]:
    """Refuse a JPEG that is cut short (decoders fill it with gray) or has four colours."""
    if b"\xff\xd9" not in content[-64:]:
        raise ValueError("the end-of-image marker is missing")
    if n_samples not in (1, 3):
        raise ImageError(
            f"pixels must be gray or RGB values, got {n_samples} colours ({path}). Convert the image to RGB."
        )
    return []
