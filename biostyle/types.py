"""The arrays and callables that cross function boundaries, and the checks made at stage boundaries.

================  =========================  ====================================================
name              array                      meaning
================  =========================  ====================================================
``ImageBatch``    float32 (N, C, H, W)       in [0, 1], the only range that crosses a boundary
``LogitBatch``    float32 (N, K, H, W)       unnormalised; class 0 is background
``MaskBatch``     uint8 (N, H, W)            class index; 255 is "not annotated"
================  =========================  ====================================================

Domains are called A (annotated) and B (new). Labels are instance identities, masks are class indices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from biostyle.errors import ImageError, MaskError

if TYPE_CHECKING:
    import torch

    ImageBatch: TypeAlias = torch.Tensor
    LogitBatch: TypeAlias = torch.Tensor
    MaskBatch: TypeAlias = torch.Tensor

NDArray: TypeAlias = npt.NDArray[Any]
NOT_ANNOTATED = 255


class Stylizer(Protocol):
    """Anything that maps an :data:`ImageBatch` of one domain to an :data:`ImageBatch` of another."""

    def __call__(self, images: ImageBatch, /) -> ImageBatch:
        """Return the images in the other domain's style."""
        ...


class Segmenter(Protocol):
    """Anything that maps an :data:`ImageBatch` to a :data:`LogitBatch` of the same height and width."""

    def __call__(self, images: ImageBatch, /) -> LogitBatch:
        """Return unnormalised class scores."""
        ...


def check_image(image: NDArray, name: str = "image", where: str = "", *, colour: bool = False) -> NDArray:
    """Check that an array is one frame that can be used.

    Parameters
    ----------
    image : ndarray
        Candidate frame of any numeric dtype.
    name : str
        What to call it in the error.
    where : str
        File it came from, for the error.
    colour : bool
        Whether an RGB frame (H, W, 3) may be used beside a grayscale one.

    Returns
    -------
    ndarray of shape (H, W), or (H, W, 3) in colour
        The same array.

    Raises
    ------
    ImageError
        If it has another shape, is empty, holds NaN or infinity, or is constant.

    Examples
    --------
    >>> import numpy as np
    >>> check_image(np.eye(2)).shape
    (2, 2)
    """
    at = f" ({where})" if where else ""
    rgb = colour and image.ndim == 3 and image.shape[2] == 3
    if colour and image.ndim != 2 and not rgb:
        raise ImageError(
            f"{name} must be one frame (H, W) or (H, W, 3), got shape {image.shape}{at}. "
            "Convert it to gray or RGB, or split the stack into frames."
        )
    if image.ndim != 2 and not rgb:
        raise ImageError(
            f"{name} must be one grayscale frame (H, W), got shape {image.shape}{at}. "
            "Convert RGB to gray, or split the stack into frames."
        )
    if image.size == 0:
        raise ImageError(f"{name} must not be empty, got shape {image.shape}{at}. Remove the file.")
    if image.dtype.kind not in "buif":
        raise ImageError(f"{name} must be integer or float, got dtype {image.dtype}{at}. Convert it.")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        n_bad = int((~np.isfinite(image)).sum())
        raise ImageError(
            f"{name} must be finite, got {n_bad} NaN or infinite pixels{at}. Replace them before use."
        )
    if (image == image[:1, :1]).all() if rgb else image.min() == image.max():
        value = tuple(image[0, 0].tolist()) if rgb else image.flat[0]
        raise ImageError(
            f"{name} must not be constant, got {value} in every pixel{at}. "
            "Remove the frame; it carries no information."
        )
    return image


def check_mask(mask: NDArray, shape: tuple[int, int], name: str = "mask", where: str = "") -> NDArray:
    """Check that an array is a label or mask image of a given size.

    Parameters
    ----------
    mask : ndarray
        Candidate mask.
    shape : tuple of int
        Height and width, in pixels, of the frame it belongs to.
    name : str
        What to call it in the error.
    where : str
        File it came from, for the error.

    Returns
    -------
    ndarray of shape (H, W)
        The same array.

    Raises
    ------
    MaskError
        If its dtype is not integer or its size is not that of the frame.

    Examples
    --------
    >>> import numpy as np
    >>> check_mask(np.zeros((2, 3), np.uint8), (2, 3)).shape
    (2, 3)
    """
    at = f" ({where})" if where else ""
    if mask.dtype.kind not in ("b", "u", "i"):
        raise MaskError(f"{name} must hold integers, got dtype {mask.dtype}{at}. Save it as labels.")
    if mask.shape != tuple(shape):
        raise MaskError(
            f"{name} must have its frame's size {tuple(shape)}, got {mask.shape}{at}. "
            "Check that the mask belongs to this frame."
        )
    return mask
