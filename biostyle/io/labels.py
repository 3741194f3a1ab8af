"""Labels (instance identities) and masks (class indices) in files and as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from biostyle.errors import ImageError, MaskError
from biostyle.io.frames import read_pixels, write_frame
from biostyle.types import NDArray, check_mask


def read_labels(path: Path | str, shape: tuple[int, int] | None = None) -> NDArray:
    """Read a label image: 0 is background, every other value one object.

    Parameters
    ----------
    path : Path or str
        TIFF or PNG file of integers.
    shape : tuple of int, optional
        Height and width, in pixels, of the frame it belongs to; not checked when left out.

    Returns
    -------
    ndarray of shape (H, W)
        Instance identities with the file's own integer dtype.

    Raises
    ------
    MaskError
        If the file cannot be read, is a JPEG (lossy), holds no integers, or has another size than `shape`.
    """
    path = Path(path)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise MaskError(
            f"labels must be stored without loss, got a {path.suffix} file ({path}). "
            "Export them as TIFF or PNG."
        )
    try:
        labels = read_pixels(path)
    except ImageError as error:
        raise MaskError(str(error).replace("frame must", "labels must", 1)) from error
    return check_mask(labels, labels.shape if shape is None else shape, "labels", str(path))


def write_labels(path: Path | str, labels: NDArray) -> None:
    """Write a label image as uint16 TIFF, the Cell Tracking Challenge's result format.

    Parameters
    ----------
    path : Path or str
        File to write.
    labels : ndarray of shape (H, W)
        Instance identities or class indices, 0 to 65535; boolean becomes 0 and 1.

    Raises
    ------
    MaskError
        If the labels are not integers, are negative or exceed 65535.
    OutputError
        If the file cannot be written.
    """
    check_mask(labels, labels.shape, "labels", str(path))
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise MaskError(
            f"labels must be 0 to 65535, got {low} to {high} ({path}). "
            "Relabel the objects consecutively from 1."
        )
    write_frame(path, labels.astype(np.uint16))


def labels_to_mask(labels: NDArray) -> NDArray:
    """Turn labels into a binary mask.

    Parameters
    ----------
    labels : ndarray of shape (H, W)
        Instance identities, 0 is background.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        1 where there is an object, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> labels_to_mask(np.array([[0, 7], [255, 0]]))
    array([[0, 1],
           [1, 0]], dtype=uint8)
    """
    return (labels != 0).astype(np.uint8)


def mask_to_labels(mask: NDArray, min_size_px: int = 0, dtype: np.dtype | str = "uint16") -> NDArray:
    """Label the 8-connected components of a mask's foreground, in reading order.

    Parameters
    ----------
    mask : ndarray of shape (H, W)
        Binary mask; everything but 0 is foreground.
    min_size_px : int
        Components with fewer pixels are dropped.
    dtype : {"uint16", "uint32"}
        Type of the labels.

    Returns
    -------
    ndarray of shape (H, W)
        Instance identities counted from 1.

    Raises
    ------
    MaskError
        If more components remain than the dtype can number.

    Examples
    --------
    >>> import numpy as np
    >>> mask_to_labels(np.array([[1, 0, 1], [1, 0, 0]]), min_size_px=2)
    array([[1, 0, 0],
           [1, 0, 0]], dtype=uint16)
    """
    from skimage.measure import label

    return renumber(label(mask != 0, connectivity=2), min_size_px, dtype)


def renumber(labels: NDArray, min_size_px: int = 0, dtype: np.dtype | str = "uint16") -> NDArray:
    """Drop small objects and number the rest consecutively, in the order of their old numbers.

    Parameters
    ----------
    labels : ndarray of shape (H, W)
        Instance identities, 0 is background.
    min_size_px : int
        Objects with fewer pixels are dropped.
    dtype : {"uint16", "uint32"}
        Type of the new labels.

    Returns
    -------
    ndarray of shape (H, W)
        Instance identities counted from 1.

    Raises
    ------
    MaskError
        If more objects remain than the dtype can number.

    Examples
    --------
    >>> import numpy as np
    >>> renumber(np.array([[3, 0, 9]]))
    array([[1, 0, 2]], dtype=uint16)
    """
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(min_size_px, 1)
    kept[:1] = False
    n_kept, most = int(kept.sum()), np.iinfo(dtype).max
    if n_kept > most:
        raise MaskError(
            f"mask must hold at most {most} objects, got {n_kept}. "
            f"Choose the dtype uint32, or raise min_size_px above {min_size_px}."
        )
    return np.where(kept, kept.cumsum(), 0).astype(dtype)[labels]
