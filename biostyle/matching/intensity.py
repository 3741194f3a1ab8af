"""Steps that change gray values pixel by pixel or against their surroundings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from biostyle.matching.gaussian import gaussian_blur

if TYPE_CHECKING:
    from biostyle.types import ImageBatch

_LOG_GAIN = 99.0
_SMALLEST = 1e-6  # keeps the slope of a power finite at black


class Polarity(BaseModel):
    """Exchange bright and dark: 1 - x.

    Attributes
    ----------
    kind : {"polarity"}
        Name of the step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["polarity"] = "polarity"

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1].

        Examples
        --------
        >>> Polarity()(torch.tensor([[[[0.25]]]])).item()
        0.75
        """
        return 1 - images


class Tone(BaseModel):
    """Bend the gray scale; 0 stays 0 and 1 stays 1.

    Attributes
    ----------
    kind : {"tone"}
        Name of the step.
    name : {"linear", "square_root", "logarithm", "gamma"}
        The curve: x, √x, log(1 + 99 x) / log(100), or x to the power of ``exponent``.
    exponent : float or None
        Of ``gamma``, and only of it; below 1 brightens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["tone"] = "tone"
    name: Literal["linear", "square_root", "logarithm", "gamma"]
    exponent: float | None = Field(None, gt=0, le=10)

    @model_validator(mode="after")
    def _exponent_belongs_to_gamma(self) -> Tone:
        """Refuse gamma without exponent, and an exponent that nothing would use."""
        if (self.name == "gamma") != (self.exponent is not None):
            raise ValueError(
                f"exponent must be given for gamma and for nothing else, got {self.exponent} for {self.name}. "
                "Correct it."
            )
        return self

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1].

        Examples
        --------
        >>> Tone(name="square_root")(torch.tensor([[[[0.25]]]])).item()
        0.5
        """
        if self.name == "linear":
            return images
        if self.name == "logarithm":
            return (_LOG_GAIN * images).log1p_().div_(math.log1p(_LOG_GAIN))
        return images.clamp_min(_SMALLEST).pow_(0.5 if self.exponent is None else self.exponent)


class Stretch(BaseModel):
    """Map two percentiles of each frame to 0 and 1, and clip.

    Attributes
    ----------
    kind : {"stretch"}
        Name of the step.
    low_percentile, high_percentile : float
        The percentiles, in [0, 100].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["stretch"] = "stretch"
    low_percentile: float = Field(0.5, ge=0, lt=50)
    high_percentile: float = Field(99.5, gt=50, le=100)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Any floating values.

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1].
        """
        return stretch(images, self.low_percentile, self.high_percentile)


class Background(BaseModel):
    """Subtract each pixel's wide surroundings, then stretch between two percentiles of the frame.

    Attributes
    ----------
    kind : {"background"}
        Name of the step.
    sigma_px : float
        Standard deviation of the Gaussian that is the background, in pixels; wider than an object.
    low_percentile, high_percentile : float
        The percentiles that become 0 and 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["background"] = "background"
    sigma_px: float = Field(gt=0)
    low_percentile: float = Field(0.5, ge=0, lt=50)
    high_percentile: float = Field(99.5, gt=50, le=100)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1].
        """
        flat = gaussian_blur(images, self.sigma_px).neg_().add_(images)
        return stretch(flat, self.low_percentile, self.high_percentile)


def stretch(images: torch.Tensor, low_percentile: float, high_percentile: float) -> ImageBatch:
    """Map two percentiles of each frame and channel to 0 and 1, and clip.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        Any floating values.
    low_percentile, high_percentile : float
        In [0, 100], ascending.

    Returns
    -------
    Tensor of shape (N, C, H, W)
        In [0, 1]; a constant frame becomes 0. Where both percentiles are equal, minimum and maximum replace them. No
        gradient flows through the percentiles.

    Examples
    --------
    >>> stretch(torch.tensor([[[[2.0, 3.0, 6.0]]]]), 0, 100)
    tensor([[[[0.0000, 0.2500, 1.0000]]]])
    """
    n_pixels = images.shape[2] * images.shape[3]
    positions = [percentile / 100 * (n_pixels - 1) for percentile in (low_percentile, high_percentile)]
    below = [math.floor(position) for position in positions]
    above = [min(rank + 1, n_pixels - 1) for rank in below]
    *around, lowest, highest = _at_ranks(images.detach().flatten(2), [*below, *above, 0, n_pixels - 1])
    low, high = (
        torch.lerp(around[i], around[i + 2], position - below[i]) for i, position in enumerate(positions)
    )
    equal = low == high
    low, high = torch.where(equal, lowest, low), torch.where(equal, highest, high)
    span = torch.where(low == high, 1, high - low)
    return (images - low[..., None, None]).div_(span[..., None, None]).clamp_(0, 1)


def _at_ranks(values: torch.Tensor, ranks: list[int]) -> list[torch.Tensor]:
    """Values at some ranks of the last axis; on a CPU without sorting, which would take three times the memory."""
    in_numpy = values.device.type == "cpu" and values.dtype != torch.bfloat16
    if in_numpy and not torch.compiler.is_exporting():
        ordered = torch.from_numpy(np.partition(values.numpy(), sorted(set(ranks)), axis=-1))
    else:
        ordered = values.sort(dim=-1).values
    return [ordered[..., rank] for rank in ranks]
