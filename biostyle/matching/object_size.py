"""How large the objects of a domain are, with or without masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from biostyle.errors import ConfigError, MaskError
from biostyle.types import NDArray

_FINEST_SIGMA_PX = 2.0
_SCALES_PER_OCTAVE = 8
_SMALLEST_SIDE_PX = 32  # of an octave that is still looked at
_TEXTURE_SIGMA_PX = 4.0
_SMALLEST_TEXTURED_PX = 24.0  # noise alone looks like textured objects of 13 to 21 px
_NEAR_PEAK = 0.9  # energies above this fraction of the largest might as well be the largest
_AMBIGUOUS = 2.0  # a wider range of near-peak scales tells nothing
_SAME_SCALE = 2.0


@dataclass(frozen=True)
class SizeEstimate:
    """What an image without masks says about the size of its objects.

    Attributes
    ----------
    diameter_px : float or None
        The estimate; None where there is no telling.
    low_px, high_px : float
        Range of diameters that fit almost as well.
    detail_px : float
        Scale, as a diameter, of the strongest gray-value structure: that of whole objects where they are blobs, of
        their texture, rims or noise otherwise.
    cue : {"blob", "texture"}
        Whether objects stand out by their gray value or by being less smooth than the background.
    """

    diameter_px: float | None
    low_px: float
    high_px: float
    detail_px: float
    cue: str


def diameter_from_masks(masks: Iterable[NDArray]) -> float | None:
    """Measure the median equivalent diameter of annotated objects.

    Parameters
    ----------
    masks : iterable of ndarray of shape (H, W)
        Labels (each value but 0 one object) or, where there is one value only, masks, whose 8-connected components
        are the objects.

    Returns
    -------
    float or None
        Diameter of the circle with an object's area, in pixels; None without any object.

    Raises
    ------
    MaskError
        If a mask does not hold integers.

    Examples
    --------
    >>> round(diameter_from_masks([np.ones((10, 10), np.uint8)]), 2)
    11.28
    """
    areas: list[NDArray] = []
    for mask in masks:
        if mask.dtype.kind not in "iub":
            raise MaskError(f"masks must hold integers, got dtype {mask.dtype}. Save them as labels.")
        identities, counts = np.unique(mask[mask != 0], return_counts=True)
        if len(identities) == 1:
            labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
            counts = np.bincount(labels.ravel())[1:]
        areas.append(counts)
    found = np.concatenate(areas) if areas else np.empty(0)
    return float(np.median(2 * np.sqrt(found / np.pi))) if found.size else None


def diameter_from_image(image: NDArray) -> SizeEstimate:
    """Estimate the diameter of a frame's dominant objects without a mask.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        One frame, best scaled to [0, 1]; only ratios of gray values matter.

    Returns
    -------
    SizeEstimate
        Diameters in pixels.

    Notes
    -----
    The mean square of the scale-normalised Laplacian of Gaussian is largest, for a disc of diameter d, at
    σ = d / (2√2) [1]_. Taken on gray values it finds blobs, such as stained nuclei, but on phase contrast rims and
    texture. Taken on the local standard deviation it finds what is less smooth than the background, and
    overestimates. So the gray-value scale is the diameter where it is at least half the texture scale, and the
    texture scale is otherwise. Confluent cells have no background to be told from: the texture energy then has
    several peaks, and the answer is None, as it is for texture scales below 24 px, which noise has too.

    References
    ----------
    .. [1] Lindeberg, "Feature Detection with Automatic Scale Selection", IJCV 30, 1998, doi:10.1023/A:1008045108935.
    """
    return diameter_from_images([image])


def diameter_from_images(images: Iterable[NDArray]) -> SizeEstimate:
    """Estimate the diameter of the dominant objects of several frames of one domain.

    Parameters
    ----------
    images : iterable of ndarray of shape (H, W)
        At least one frame.

    Returns
    -------
    SizeEstimate
        From the mean of the frames' energies; see :func:`diameter_from_image`.
    """
    spectra = [(_blob_energy(image), _blob_energy(_local_deviation(image))) for image in images]
    n_scales = min(len(gray) for gray, _ in spectra)
    gray, texture = (np.mean([spectrum[i][:n_scales] for spectrum in spectra], axis=0) for i in (0, 1))
    octaves = np.arange(n_scales) / _SCALES_PER_OCTAVE
    diameters = 2 * np.sqrt(2) * _FINEST_SIGMA_PX * 2**octaves
    detail = float(diameters[gray.argmax()])
    is_blob = detail * _SAME_SCALE >= diameters[texture.argmax()]
    energy = gray if is_blob else texture
    near = diameters[energy >= _NEAR_PEAK * energy.max()]
    low, high = float(near[0]), float(near[-1])
    too_small = not is_blob and low < _SMALLEST_TEXTURED_PX
    unclear = high > _AMBIGUOUS * low or energy.argmax() in (0, n_scales - 1) or too_small
    diameter = None if unclear else float(np.sqrt(low * high))
    return SizeEstimate(diameter, low, high, detail, "blob" if is_blob else "texture")


def scale_factor(diameter_a_px: float, diameter_b_px: float) -> float:
    """Say by how much to resize B so that its objects are as large as A's.

    Parameters
    ----------
    diameter_a_px, diameter_b_px : float
        Object diameters, in pixels.

    Returns
    -------
    float
        Factor for B's working scale, relative to A's.

    Raises
    ------
    ConfigError
        If a diameter is not positive.

    Examples
    --------
    >>> scale_factor(65, 26)
    2.5
    """
    for name, value in (("diameter_a_px", diameter_a_px), ("diameter_b_px", diameter_b_px)):
        if not value > 0:
            raise ConfigError(f"{name} must be positive, got {value}. Give the diameter in pixels.")
    return diameter_a_px / diameter_b_px


def _blob_energy(image: NDArray) -> NDArray:
    """Mean square of the normalised Laplacian of Gaussian, from the finest scale on, in a pyramid."""
    image = np.asarray(image, np.float32)
    energies: list[float] = []
    while not energies or min(image.shape) >= _SMALLEST_SIDE_PX:
        for step in range(_SCALES_PER_OCTAVE):
            sigma = _FINEST_SIGMA_PX * 2 ** (step / _SCALES_PER_OCTAVE)
            response = sigma**2 * ndimage.gaussian_laplace(image, sigma)
            energies.append(float(np.mean(response**2)))
        image = ndimage.gaussian_filter(image, 1.0)[::2, ::2]
    return np.array(energies)


def _local_deviation(image: NDArray) -> NDArray:
    """Standard deviation of the gray values around each pixel."""
    image = np.asarray(image, np.float64)
    mean = ndimage.gaussian_filter(image, _TEXTURE_SIGMA_PX)
    square = ndimage.gaussian_filter(image**2, _TEXTURE_SIGMA_PX)
    return np.sqrt(np.clip(square - mean**2, 0, None))
