"""Read and write photographs, 8-bit RGB, and the binary masks that belong to them.

JPEG, PNG, TIFF, BMP and GIF files are recognised by their first bytes. A photograph is always (H, W, 3): gray images
get three equal channels, palettes are expanded, CMYK and YCCK become RGB = (255 - CMY)(255 - K) / 255 without a
colour profile, and the EXIF orientation is applied, so that pixels and mask lie as a person saw them.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

from biostyle.errors import ImageError, MaskError
from biostyle.io.atomic import write_atomically
from biostyle.io.headers import DECODER_ERRORS, JPEG_MAGIC, damaged, file_format, jpeg_header, png_header
from biostyle.io.limits import byte_size, check_size
from biostyle.types import NDArray, check_image, check_mask

MAX_PHOTOGRAPH_BYTES = 256 * 1024**2  # 89 megapixels, Pillow's own limit
_EXPANSION = 24 * 1040.0  # one bit becomes three bytes, and deflate expands 1040 times at most
_BMP_MAGIC = b"BM"
_GIF_MAGIC = (b"GIF87a", b"GIF89a")
# A broken PNG, and a header that Pillow understands otherwise than it is understood here.
_PILLOW_ERRORS = (SyntaxError, Image.DecompressionBombError)


def read_photograph(path: Path | str, *, max_bytes: int = MAX_PHOTOGRAPH_BYTES) -> NDArray:
    """Read a photograph as RGB.

    Parameters
    ----------
    path : Path or str
        JPEG, PNG, TIFF, BMP or still GIF file of 8 bits a channel; opaque.
    max_bytes : int
        Largest decoded size, in bytes; checked against the header before memory is asked for.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Red, green and blue, upright.

    Raises
    ------
    ImageError
        If the file is missing, truncated, in another format, larger than `max_bytes`, deeper than 8 bits,
        transparent, an animation or a stack, or of one colour in every pixel.
    """
    path = Path(path)
    return check_image(_decode(path, max_bytes), "photograph", str(path), colour=True)


def write_photograph(path: Path | str, image: NDArray) -> None:
    """Write a photograph as a zlib-compressed RGB TIFF whose bytes depend on the array alone.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : Path or str
        File to write; its folder is made where it is missing.
    image : ndarray of shape (H, W, 3), uint8
        Red, green and blue.

    Raises
    ------
    ImageError
        If the array has another shape or dtype.
    OutputError
        If the file cannot be written, for example because the disk is full.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(
            f"photograph must be (H, W, 3) uint8, got shape {image.shape} {image.dtype} ({path}). "
            "Convert it to 8-bit RGB."
        )
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, photometric="rgb", compression="zlib", metadata=None, software="biostyle")
    write_atomically(path, buffer.getvalue())


def read_binary_mask(path: Path | str, shape: tuple[int, int]) -> NDArray:
    """Read a mask of one object, black and white.

    Parameters
    ----------
    path : Path or str
        PNG, TIFF, BMP or GIF file; of 1 bit, or with the values 0 and 255, or 0 and 1; a palette of black and white.
    shape : tuple of int
        Height and width, in pixels, of the photograph it belongs to.

    Returns
    -------
    ndarray of shape (H, W), uint8
        1 on the object, else 0.

    Raises
    ------
    MaskError
        If the file cannot be read, is a JPEG, is coloured, holds other values, or has another size than `shape`.
    """
    path = Path(path)
    try:
        pixels = _decode(path, MAX_PHOTOGRAPH_BYTES, lossless=True)
    except ImageError as error:
        said = str(error)
        for name in ("photograph", "frame"):
            said = said.replace(f"{name} must", "mask must", 1)
        raise MaskError(said) from error
    n_coloured = int((pixels != pixels[..., :1]).any(axis=-1).sum())
    if n_coloured:
        raise MaskError(
            f"mask must be black and white, got {n_coloured} coloured pixels ({path}). "
            "Fill the object with white and everything else with black."
        )
    values = np.unique(pixels[..., 0])
    if not (set(values.tolist()) <= {0, 255} or set(values.tolist()) <= {0, 1}):
        shown = ", ".join(map(str, values[:6])) + (", …" if len(values) > 6 else "")
        raise MaskError(
            f"mask must hold 0 and 255, or 0 and 1, got {len(values)} values {shown} ({path}). "
            "Export it without compression losses, smoothing or class numbers."
        )
    return check_mask((pixels[..., 0] > 0).astype(np.uint8), shape, "mask", str(path))


def _decode(path: Path, max_bytes: int, *, lossless: bool = False) -> NDArray:
    """Return any supported file as (H, W, 3) uint8, upright."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"photograph must be a readable file, got {error.strerror} ({path}). "
            "Check the path and its permissions."
        ) from error
    if lossless and content.startswith(JPEG_MAGIC):
        raise ImageError(
            f"photograph must be stored without loss, got a JPEG file ({path}). Compression changes the values "
            "along the outline; export it as PNG."
        )
    try:
        _check_header(path, content, max_bytes)
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "TIFF", "BMP", "GIF")) as image:
            n_images = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
            if n_images > 1:
                raise ImageError(
                    f"photograph must be one image, got {n_images} in a file ({path}). Save them one by one."
                )
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                _check_opaque(np.asarray(upright.convert("RGBA"))[..., 3], path)
            return np.array(upright.convert("RGB"))
    except (*DECODER_ERRORS, *_PILLOW_ERRORS) as error:
        raise _rename(damaged(path, error)) from error


def _check_header(path: Path, content: bytes, max_bytes: int) -> None:
    """Refuse what the header says cannot be read, before anything is decoded."""
    height, width, dtype = _claimed(path, content)
    shape = (height, width, 3)
    if dtype.itemsize != 1:
        raise ImageError(
            f"photograph must have 8 bits a channel, got {dtype} ({path}). Convert it to 8 bits; "
            "how to scale deeper values is yours to say."
        )
    check_size(shape, np.dtype("u1"), len(content) * _EXPANSION, path)
    n_bytes = height * width * 3
    if n_bytes > max_bytes:
        raise ImageError(
            f"photograph must need at most {byte_size(max_bytes)}, got {shape}, {byte_size(n_bytes)} ({path}). "
            "Make it smaller, or crop it."
        )


def _claimed(path: Path, content: bytes) -> tuple[int, int, np.dtype]:
    """Return height, width and sample type from a file's header."""
    if content.startswith(_BMP_MAGIC):
        width, height = struct.unpack_from("<ii", content, 18)
        return abs(height), width, np.dtype(np.uint8)
    if content.startswith(_GIF_MAGIC):
        width, height = struct.unpack_from("<HH", content, 6)
        return height, width, np.dtype(np.uint8)
    try:
        found = file_format(path)
    except ImageError as error:
        raise _rename(error) from error
    if found == "tiff":
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            page = tiff.pages.first
            return page.imagelength, page.imagewidth, np.dtype(page.dtype)
    shape, _, dtype = png_header(content) if found == "png" else jpeg_header(content)
    return shape[0], shape[1], dtype


def _check_opaque(alpha: NDArray, path: Path) -> None:
    """Refuse an image that can be seen through: what lies behind it is not known."""
    n_transparent = int((alpha < 255).sum())
    if n_transparent:
        raise ImageError(
            f"photograph must be opaque, got {n_transparent} transparent pixels ({path}). "
            "Flatten the image onto a background, or crop it."
        )


def _rename(error: ImageError) -> ImageError:
    """Call the frame of another module's error a photograph, which may be of two formats more."""
    said = str(error).replace("frame must", "photograph must", 1)
    return ImageError(said.replace("a TIFF, PNG or JPEG file", "a TIFF, PNG, JPEG, BMP or GIF file", 1))
