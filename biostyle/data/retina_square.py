"""Bring the retina into the middle of a square, come back to the photograph, and even out the light.

Networks see squares in which the circle that the camera lit is centred and always has the same diameter.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from biostyle.data.field_of_view import FieldOfView
from biostyle.types import NOT_ANNOTATED, NDArray


def crop_photograph(photograph: NDArray, fov: FieldOfView, size_px: int) -> NDArray:
    """Bring the circle into the middle of a square, black outside.

    Parameters
    ----------
    photograph : ndarray of uint8, shape (H, W, 3)
        The photograph.
    fov : FieldOfView
        Its circle.
    size_px : int
        Side of the square, the diameter of the circle.

    Returns
    -------
    ndarray of uint8, shape (size_px, size_px, 3)
        The retina; what the camera wrote outside of the circle is gone.

    Examples
    --------
    >>> import numpy as np
    >>> fov = FieldOfView(row=20, column=30, radius=25, height=40, width=60)
    >>> crop_photograph(np.full((40, 60, 3), 90, np.uint8), fov, 16).shape
    (16, 16, 3)
    """
    square = _cut(photograph, fov, 0).astype(np.float32)
    resized = _resize(square, size_px, order=1)
    resized[~square_inside(fov, size_px)] = 0
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


def crop_mask(mask: NDArray, fov: FieldOfView, size_px: int) -> NDArray:
    """Bring a mask onto the square of :func:`crop_photograph`.

    Parameters
    ----------
    mask : ndarray of uint8, shape (H, W)
        Class indices.
    fov : FieldOfView
        The photograph's circle.
    size_px : int
        Side of the square.

    Returns
    -------
    ndarray of uint8, shape (size_px, size_px)
        Class indices; 255, not annotated, outside of the circle and of the frame.
    """
    resized = _resize(_cut(mask, fov, NOT_ANNOTATED), size_px, order=0)
    resized[~square_inside(fov, size_px)] = NOT_ANNOTATED
    return resized


def square_inside(fov: FieldOfView, size_px: int) -> NDArray:
    """Tell which pixels of the square show retina.

    Parameters
    ----------
    fov : FieldOfView
        A circle.
    size_px : int
        Side of the square.

    Returns
    -------
    ndarray of bool, shape (size_px, size_px)
        True within both the circle and the frame.
    """
    return _resize(_cut(fov.inside(), fov, 0).astype(np.uint8), size_px, order=0).astype(bool)


def restore_photograph(square: NDArray, before: NDArray, fov: FieldOfView, original: NDArray) -> NDArray:
    """Put what changed in a square back into its photograph.

    The *change* is enlarged and added, so that detail which the square was too small to hold stays.

    Parameters
    ----------
    square, before : ndarray of uint8, shape (S, S, 3)
        The square, at any size, after and before it was changed.
    fov : FieldOfView
        The circle it was cropped by.
    original : ndarray of uint8, shape (H, W, 3)
        The photograph, kept outside of the circle.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        On the photograph's own grid; the photograph itself where nothing changed.
    """
    change = _resize(square.astype(np.float32) - before, fov.box[2], order=1)
    changed = np.clip(np.rint(original + _place(change, fov, 0)), 0, 255).astype(np.uint8)
    return np.where(fov.inside()[..., None], changed, original)


def restore_mask(square: NDArray, fov: FieldOfView) -> NDArray:
    """Put a mask of the square back onto its photograph's grid.

    Parameters
    ----------
    square : ndarray of uint8, shape (S, S)
        Class indices, at any size.
    fov : FieldOfView
        The circle the square was cropped by.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Class indices; 255, not annotated, outside of the circle.
    """
    placed = _place(_resize(square, fov.box[2], order=0), fov, NOT_ANNOTATED)
    return np.where(fov.inside(), placed, NOT_ANNOTATED).astype(np.uint8)


def normalise_illumination(
    photograph: NDArray,
    inside: NDArray,
    *,
    method: Literal["subtract", "divide"] = "divide",
    width: float = 0.15,
) -> NDArray:
    """Even out slow changes of brightness.

    It also takes away what tells an unevenly lit photograph from a good one: judge quality before, not after.

    Parameters
    ----------
    photograph : ndarray of float32, shape (H, W, 3)
        In [0, 1].
    inside : ndarray of bool, shape (H, W)
        The pixels that show retina; the others neither count nor change.
    method : {"subtract", "divide"}
        Subtract the illumination and add its mean, or divide by it and multiply by its mean.
    width : float
        Standard deviation of the Gaussian that estimates the illumination, as a fraction of the longer side.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.linspace(0.2, 0.6, 64, dtype=np.float32)[None, :, None] * np.ones((64, 1, 3), np.float32)
    >>> even = normalise_illumination(ramp, np.ones((64, 64), bool))
    >>> bool(even.std() < 0.4 * ramp.std())
    True
    """
    if not inside.any():
        return photograph.copy()
    sigma = width * max(inside.shape)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    lit = ndimage.gaussian_filter(photograph * inside[..., None], (sigma, sigma, 0))
    illumination = lit / np.maximum(weight, 1e-6)[..., None]
    mean = illumination[inside].mean(axis=0)
    subtracted = method == "subtract"
    even = photograph - illumination if subtracted else photograph / np.maximum(illumination, 1e-3)
    even = even + mean if subtracted else even * mean
    return np.where(inside[..., None], np.clip(even, 0, 1), photograph).astype(np.float32)


def _windows(fov: FieldOfView) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the square and the frame overlap: rows and columns in the frame, and in the square."""
    top, left, side = fov.box
    frame, square = [], []
    for start, length in ((top, fov.height), (left, fov.width)):
        low, high = max(start, 0), min(start + side, length)
        frame.append(slice(low, high))
        square.append(slice(low - start, high - start))
    return (frame[0], frame[1]), (square[0], square[1])


def _cut(array: NDArray, fov: FieldOfView, fill: int) -> NDArray:
    """Cut the square out of a frame, filled where the frame ends."""
    in_frame, in_square = _windows(fov)
    side = fov.box[2]
    square = np.full((side, side, *array.shape[2:]), fill, array.dtype)
    square[in_square] = array[in_frame]
    return square


def _place(square: NDArray, fov: FieldOfView, fill: int) -> NDArray:
    """Put a square of the circle's own size into an empty frame."""
    in_frame, in_square = _windows(fov)
    frame = np.full((fov.height, fov.width, *square.shape[2:]), fill, square.dtype)
    frame[in_frame] = square[in_square]
    return frame


def _resize(square: NDArray, size_px: int, order: Literal[0, 1]) -> NDArray:
    """Resize a square; order 0 takes the nearest pixel, order 1 averages when it shrinks."""
    if square.shape[0] == size_px:
        return square.copy()
    shape = (size_px, size_px, *square.shape[2:])
    return resize(square, shape, order=order, anti_aliasing=bool(order), preserve_range=True).astype(
        square.dtype
    )
