"""Arrays in memory, or lazy ones of dask, plane by plane as files are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from biostyle.errors import ImageError
from biostyle.io.axes import PlaneIndex, resolve_axes
from biostyle.types import NDArray


def check_array(array: Any, axes: str | None) -> str:
    """Find the axes of an array; ask for them where they are unclear.

    Parameters
    ----------
    array : ndarray or dask array of shape (..., H, W)
        Gray values.
    axes : str or None
        What the user says the dimensions are.

    Returns
    -------
    str
        Axes in upper case, ending with YX.

    Raises
    ------
    ImageError
        If the axes are needed or do not fit, one is a colour, or the array is empty or not numeric.

    Examples
    --------
    >>> check_array(np.zeros((5, 64, 64)), "tyx")
    'TYX'
    """
    if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "buif":
        raise ImageError(
            f"array must hold planes (..., H, W) of real numbers, got shape {array.shape} of {array.dtype}. "
            "Pass an image, or a stack of images."
        )
    axes = resolve_axes(array.shape, "", axes, "array")
    if "S" in axes:
        raise ImageError(
            f"array must hold gray values, got axes {axes} of shape {array.shape}. Pass one colour of it."
        )
    return axes


def array_plane(array: Any, index: PlaneIndex) -> NDArray:
    """Read one plane as it would be read from a file.

    Parameters
    ----------
    array : ndarray or dask array of shape (..., H, W)
        Where it is.
    index : tuple of int
        Its place; a dask array is computed there.

    Returns
    -------
    ndarray of shape (H, W)
        The plane; floats as float32.
    """
    plane: NDArray = np.asarray(array[index])
    if plane.dtype.kind != "f":
        return plane
    with np.errstate(over="ignore"):  # infinity is refused where the plane is scaled
        return plane.astype(np.float32, copy=False)


def map_planes(array: Any, work: Callable[[NDArray, PlaneIndex], NDArray], dtype: np.dtype) -> Any:
    """Apply something to every plane.

    Parameters
    ----------
    array : ndarray or dask array of shape (..., H, W)
        What is known to :func:`check_array`.
    work : callable
        From a plane and its index to a plane of the same size.
    dtype : numpy.dtype
        Type of the results.

    Returns
    -------
    ndarray or dask array of shape (..., H, W)
        Lazy, one block a plane, where `array` is lazy.
    """
    if type(array).__module__.partition(".")[0] == "dask":
        return _lazily(array, work, dtype)
    result = np.empty(array.shape, dtype)
    for index in np.ndindex(array.shape[:-2]):
        result[index] = work(array_plane(array, index), index)
    return result


def _lazily(array: Any, work: Callable[[NDArray, PlaneIndex], NDArray], dtype: np.dtype) -> Any:
    """Apply something to every plane of a dask array when it is computed."""
    n_outer = array.ndim - 2

    def block(planes: NDArray, block_info: Any) -> NDArray:
        index = tuple(block_info[0]["chunk-location"][:n_outer])
        return work(array_plane(planes, (0,) * n_outer), index)[(None,) * n_outer]

    planes = array.rechunk((1,) * n_outer + array.shape[-2:])
    return planes.map_blocks(block, dtype=dtype, meta=np.empty((0,) * array.ndim, dtype))
