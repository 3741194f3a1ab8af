"""Turn a predicted mask into what a segmentation file holds: a binary image, or one number an object."""

from __future__ import annotations

from typing import Literal

import numpy as np

from biostyle.errors import ConfigError
from biostyle.io.labels import labels_to_mask, mask_to_labels, renumber
from biostyle.types import NDArray

Split = Literal["components", "watershed"]
LabelType = Literal["uint16", "uint32"]
_SMOOTHING_PX = 1.0


def mask_dtype(labels: Split | None, dtype: LabelType = "uint16") -> np.dtype:
    """Return the type of masks.

    Parameters
    ----------
    labels : {"components", "watershed"} or None
        Whether objects are numbered.
    dtype : {"uint16", "uint32"}
        Type of the numbers.

    Returns
    -------
    numpy.dtype
        `dtype` for numbers, uint8 for a mask.

    Examples
    --------
    >>> mask_dtype(None)
    dtype('uint8')
    """
    return np.dtype(np.uint8 if labels is None else dtype)


def binary_mask(mask: NDArray, foreground: int = 255) -> NDArray:
    """Give the foreground one value.

    Parameters
    ----------
    mask : ndarray of shape (H, W)
        Everything but 0 is foreground.
    foreground : {255, 1}
        Its value: 255 is white in every viewer, 1 is a class index.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        0 and `foreground`.

    Raises
    ------
    ConfigError
        If `foreground` is neither.

    Examples
    --------
    >>> import numpy as np
    >>> binary_mask(np.array([[0, 1]]))
    array([[  0, 255]], dtype=uint8)
    """
    if foreground not in (1, 255):
        raise ConfigError(f"foreground must be 255 or 1, got {foreground}. Correct the setting.")
    return labels_to_mask(mask) * np.uint8(foreground)


def mask_to_instances(
    mask: NDArray,
    split: Split = "components",
    *,
    min_size_px: int = 0,
    min_distance_px: int = 5,
    dtype: LabelType = "uint16",
) -> NDArray:
    """Number the objects of a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W)
        Everything but 0 is foreground.
    split : {"components", "watershed"}
        "components" numbers what is 8-connected. "watershed" also cuts touching objects apart at necks of the
        foreground, by a watershed of the distance to the background.
    min_size_px : int
        Objects with fewer pixels are dropped.
    min_distance_px : int
        Smallest distance between the centres of two objects, in pixels; used by "watershed" alone.
    dtype : {"uint16", "uint32"}
        Type of the labels; the Cell Tracking Challenge wants uint16.

    Returns
    -------
    ndarray of shape (H, W)
        Identities counted from 1.

    Raises
    ------
    ConfigError
        If `split` is unknown or a length is out of range.
    MaskError
        If there are more objects than the dtype can number.

    References
    ----------
    Beucher, S. and Lantuejoul, C. (1979). Use of watersheds in contour detection. International Workshop on
    Image Processing.

    Examples
    --------
    >>> import numpy as np
    >>> mask_to_instances(np.array([[1, 0, 1], [1, 0, 0]]))
    array([[1, 0, 2],
           [1, 0, 0]], dtype=uint16)
    """
    if split not in ("components", "watershed"):
        raise ConfigError(f"split must be 'components' or 'watershed', got {split!r}. Correct the setting.")
    if min_distance_px < 1 or min_size_px < 0:
        raise ConfigError(
            "min_distance_px must be at least 1 and min_size_px at least 0, "
            f"got {min_distance_px} and {min_size_px}. Correct the settings."
        )
    if split == "components":
        return mask_to_labels(mask, min_size_px, dtype)
    return renumber(_watershed(mask != 0, min_distance_px), min_size_px, dtype)


def _watershed(foreground: NDArray, min_distance_px: int) -> NDArray:
    """Flood the distance transform from its peaks; each component keeps at least one."""
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(foreground), _SMOOTHING_PX)
    components = label(foreground, connectivity=2)
    peaks = peak_local_max(
        distance, min_distance=min_distance_px, labels=components, exclude_border=False, threshold_abs=0
    )
    numbers, first = np.unique(components, return_index=True)
    alone = first[(numbers > 0) & ~np.isin(numbers, components[tuple(peaks.T)])]
    places = np.concatenate([np.ravel_multi_index(tuple(peaks.T), foreground.shape), alone])
    markers = np.zeros(foreground.shape, np.int32)
    markers.flat[places] = np.arange(1, len(places) + 1)
    labels: NDArray = watershed(-distance, markers, mask=foreground, connectivity=2)
    return labels
