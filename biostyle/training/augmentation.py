"""Random changes of shape and intensity for training a segmenter."""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional as F


def _is_off(amount: float) -> bool:
    """Whether a change that not everybody needs is left out, of the training and of its request."""
    return amount == 0


class AugmentationSettings(BaseModel):
    """How strongly crops are changed; every amount is drawn anew for each crop.

    Attributes
    ----------
    rotation_deg : float
        Largest rotation either way.
    zoom : float
        Largest change of size either way, as a factor: 0.25 draws from [1/1.25, 1.25].
    elastic_px : float
        Standard deviation of the smooth random displacement.
    elastic_grid_px : int
        Distance of the points at which the displacement is drawn.
    brightness : float
        Largest shift of intensity either way.
    contrast : float
        Largest change of contrast either way, as a factor like ``zoom``.
    gamma : float
        Largest exponent either way, as a factor like ``zoom``.
    noise : float
        Largest standard deviation of added Gaussian noise.
    channel_gain : float
        Largest change of each channel's brightness on its own, as a factor like ``zoom``: the colour of the light.
    saturation : float
        Largest change of the distance of colours from gray, as a factor like ``zoom``.
    hue_deg : float
        Largest rotation of colours about the gray axis either way.
    illumination : float
        Largest ratio of brightness from the middle to an edge of the crop, as a factor like ``zoom``, in any direction.
    """

    model_config = ConfigDict(extra="forbid")

    rotation_deg: float = Field(20.0, ge=0)
    zoom: float = Field(0.2, ge=0)
    elastic_px: float = Field(2.0, ge=0)
    elastic_grid_px: int = Field(32, ge=4)
    brightness: float = Field(0.15, ge=0)
    contrast: float = Field(0.5, ge=0)
    gamma: float = Field(0.5, ge=0)
    noise: float = Field(0.03, ge=0)
    channel_gain: float = Field(0.0, ge=0, exclude_if=_is_off)
    saturation: float = Field(0.0, ge=0, exclude_if=_is_off)
    hue_deg: float = Field(0.0, ge=0, le=180, exclude_if=_is_off)
    illumination: float = Field(0.0, ge=0, exclude_if=_is_off)


def augment(
    images: torch.Tensor, masks: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Deform images and masks alike, then change the images' intensities.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        Crops in [0, 1]; saturation and hue need three channels and leave others as they are.
    masks : Tensor of shape (N, H, W)
        Class indices, uint8.
    settings : AugmentationSettings
        Amounts.
    generator : Generator
        Source of the random choices, on the CPU.

    Returns
    -------
    images : Tensor of shape (N, C, H, W)
        Still in [0, 1].
    masks : Tensor of shape (N, H, W)
        Class indices, uint8.
    """
    grid = _sampling_grid(images, settings, generator)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    deformed = F.grid_sample(
        masks[:, None].to(images.dtype), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    images = _change_light(_change_intensity(images, settings, generator), settings, generator)
    return images, deformed[:, 0].to(torch.uint8)


def _factor(n: int, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Draw factors in [1 / (1 + amount), 1 + amount], log-uniformly."""
    exponent = torch.rand(n, generator=generator) * 2 - 1
    return (1 + amount) ** exponent


def _sampling_grid(
    images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> torch.Tensor:
    """Positions, in [-1, 1], from which a rotated, zoomed and elastically deformed image takes its pixels."""
    n, _, height, width = images.shape
    angle = (torch.rand(n, generator=generator) * 2 - 1) * torch.pi / 180 * settings.rotation_deg
    scale = 1 / _factor(n, settings.zoom, generator)
    cos, sin, zero = scale * angle.cos(), scale * angle.sin(), torch.zeros(n)
    ratio = height / width
    rows = [torch.stack([cos, -sin * ratio, zero], 1), torch.stack([sin / ratio, cos, zero], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [n, 1, height, width], align_corners=False)
    coarse_size = [2 + length // settings.elastic_grid_px for length in (height, width)]
    coarse = torch.randn(n, 2, *coarse_size, generator=generator) * settings.elastic_px
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    per_px = torch.tensor([2 / width, 2 / height])
    return (grid + smooth.movedim(1, -1) * per_px).to(images.device)


def _change_intensity(
    images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> torch.Tensor:
    """Change gamma, contrast, brightness and noise."""
    n = len(images)

    def spread(amounts: torch.Tensor) -> torch.Tensor:
        return amounts.view(n, 1, 1, 1).to(images.device)

    gamma = spread(_factor(n, settings.gamma, generator))
    contrast = spread(_factor(n, settings.contrast, generator))
    shift = spread((torch.rand(n, generator=generator) * 2 - 1) * settings.brightness)
    sigma = spread(torch.rand(n, generator=generator) * settings.noise)
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    images = images.clamp(1e-6, 1) ** gamma
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + shift + sigma * noise).clamp(0, 1)


def _change_light(
    images: torch.Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> torch.Tensor:
    """Change colour and evenness of the light; what is off draws no random numbers."""
    n, n_channels, height, width = images.shape
    if settings.illumination:
        slope = math.log1p(settings.illumination) * (torch.rand(n, generator=generator) * 2 - 1)
        angle = torch.rand(n, generator=generator) * torch.pi
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        ramp = angle.sin()[:, None, None] * rows[:, None] + angle.cos()[:, None, None] * columns
        images = images * (slope[:, None, None] * ramp).exp()[:, None].to(images.device)
    if settings.channel_gain:
        gains = _factor(n * n_channels, settings.channel_gain, generator)
        images = images * gains.view(n, n_channels, 1, 1).to(images.device)
    if n_channels == 3 and (settings.saturation or settings.hue_deg):
        saturation = _factor(n, settings.saturation, generator)
        angle = (torch.rand(n, generator=generator) * 2 - 1) * torch.pi / 180 * settings.hue_deg
        images = torch.einsum("nij,njhw->nihw", _colour_matrix(saturation, angle).to(images), images)
    return images.clamp(0, 1)


def _colour_matrix(saturation: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Rotate RGB about the gray axis and scale the distance from it, shape (N, 3, 3)."""
    gray = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return gray + saturation[:, None, None] * (cos * (torch.eye(3) - gray) + sin * across)
