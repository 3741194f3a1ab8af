"""Enhance a fundus photograph without learning anything: even light, then sharper detail."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from biostyle.data.retina_square import normalise_illumination
from biostyle.types import NDArray


class EnhancementSettings(BaseModel):
    """How much to enhance.

    Attributes
    ----------
    illumination_width : float
        Standard deviation of the Gaussian that estimates the illumination, as a fraction of the photograph's side.
    sharpening : float
        How much of what a Gaussian takes away is added.
    sharpening_width : float
        Standard deviation of that Gaussian, as a fraction of the photograph's side.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    illumination_width: float = Field(0.15, gt=0, le=1)
    sharpening: float = Field(1.0, ge=0)
    sharpening_width: float = Field(0.01, gt=0, le=1)


def enhance(photograph: NDArray, inside: NDArray, settings: EnhancementSettings) -> NDArray:
    """Even out the light within the field of view and sharpen by unsharp masking.

    Parameters
    ----------
    photograph : ndarray of float32, shape (H, W, 3)
        In [0, 1].
    inside : ndarray of bool, shape (H, W)
        The field of view; nothing else counts or changes.
    settings : EnhancementSettings
        How much.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].

    Notes
    -----
    x' = y + a (y - y * G), with y the photograph divided by its illumination, a the amount of sharpening and * G a
    convolution with a Gaussian into which nothing leaks from outside.

    Examples
    --------
    >>> edge = np.where(np.arange(64) < 32, 0.4, 0.6)[None, :, None] * np.ones((64, 1, 3))
    >>> enhanced = enhance(edge, np.ones((64, 64), bool), EnhancementSettings(illumination_width=1.0))
    >>> bool(np.ptp(enhanced) > np.ptp(edge))
    True
    """
    even = normalise_illumination(
        photograph.astype(np.float32), inside, method="divide", width=settings.illumination_width
    )
    sigma_px = settings.sharpening_width * max(inside.shape)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma_px)
    blurred = ndimage.gaussian_filter(even * inside[..., None], (sigma_px, sigma_px, 0))
    blurred /= np.maximum(weight, 1e-6)[..., None]
    sharp = np.clip(even + settings.sharpening * (even - blurred), 0, 1)
    return np.where(inside[..., None], sharp, photograph).astype(np.float32)
