"""Between sRGB and CIELAB, in torch, so that gradients flow."""

from __future__ import annotations

import torch

from biostyle.errors import ImageError

_XYZ_OF_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2° observer
_EPSILON, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116
_SMALLEST = 1e-8  # keeps the slope of a power finite at black


def rgb_to_lab(images: torch.Tensor) -> torch.Tensor:
    """Convert sRGB to CIELAB.

    Parameters
    ----------
    images : Tensor of shape (N, 3, H, W)
        sRGB in [0, 1].

    Returns
    -------
    Tensor of shape (N, 3, H, W)
        L* in [0, 100], a* and b* about in [-100, 100]; of the white point D65.

    Raises
    ------
    ImageError
        If there are not three channels.

    Examples
    --------
    >>> [round(float(value)) for value in rgb_to_lab(torch.ones(1, 3, 1, 1)).flatten()]
    [100, 0, 0]
    """
    if images.shape[1] != 3:
        raise ImageError(
            f"images must have 3 channels to be matched in colour, got {images.shape[1]}. "
            "Leave the colour steps out for gray images."
        )
    linear = torch.where(
        images > 0.04045, ((images.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, images / 12.92
    )
    relative = _mix(_scaled_matrix(images), linear)
    root = relative.clamp_min(_EPSILON) ** (1 / 3)
    x, y, z = torch.where(relative > _EPSILON, root, _SLOPE * relative + _OFFSET).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(lab: torch.Tensor) -> torch.Tensor:
    """Convert CIELAB to sRGB.

    Parameters
    ----------
    lab : Tensor of shape (N, 3, H, W)
        What :func:`rgb_to_lab` gives; other values may be colours that no screen shows.

    Returns
    -------
    Tensor of shape (N, 3, H, W)
        sRGB, clipped to [0, 1].

    Examples
    --------
    >>> gray = torch.full((1, 3, 1, 1), 0.5)
    >>> torch.allclose(lab_to_rgb(rgb_to_lab(gray)), gray, atol=1e-3)
    True
    """
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, (y - b / 200).clamp_min(0)], dim=1)
    relative = torch.where(roots > _EPSILON ** (1 / 3), roots**3, (roots - _OFFSET) / _SLOPE)
    inverse = torch.linalg.inv(_scaled_matrix(lab).double()).to(lab)
    linear = _mix(inverse, relative)
    power = 1.055 * linear.clamp_min(_SMALLEST) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, power, 12.92 * linear).clamp(0, 1)


def _mix(matrix: torch.Tensor, channels: torch.Tensor) -> torch.Tensor:
    """Multiply each pixel by a matrix; as sums, which automatic mixed precision leaves in float32."""
    mixed = torch.zeros_like(channels)
    for weights, channel in zip(matrix.unbind(1), channels.split(1, dim=1), strict=True):
        mixed = mixed + weights.view(1, 3, 1, 1) * channel
    return mixed


def _scaled_matrix(like: torch.Tensor) -> torch.Tensor:
    """From linear RGB to XYZ relative to white."""
    matrix = (
        torch.tensor(_XYZ_OF_RGB, dtype=torch.float64) / torch.tensor(_WHITE, dtype=torch.float64)[:, None]
    )
    return matrix.to(like)
