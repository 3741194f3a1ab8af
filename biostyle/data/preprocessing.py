"""From a raw frame to a network's input: intensity to [0, 1], size to the working resolution."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional as F

from biostyle.io.scaling import to_unit_range
from biostyle.types import NDArray

LARGEST_SCALE = 4.0


class Preprocessing(BaseModel):
    """How a raw frame becomes a network's input; stored with every model.

    Attributes
    ----------
    scaling : {"percentile", "dtype"}
        ``percentile`` clips each frame at two of its own percentiles; ``dtype`` divides by the largest value the
        dtype can hold, which leaves nothing of 16-bit data with a pedestal.
    low_percentile, high_percentile : float
        The two percentiles.
    working_scale : float
        Size of the network's input relative to the frame.
    working_side_px : int or None
        Where frames differ in size: what their longest side becomes, in pixels, before the working scale applies.
    """

    model_config = ConfigDict(extra="forbid")

    scaling: Literal["percentile", "dtype"] = "percentile"
    low_percentile: float = Field(0.5, ge=0, lt=50)
    high_percentile: float = Field(99.5, gt=50, le=100)
    working_scale: float = Field(1.0, gt=0, le=LARGEST_SCALE)
    working_side_px: int | None = Field(None, ge=16, exclude_if=lambda side: side is None)

    def scaled(self, factor: float) -> Preprocessing:
        """Return the same preprocessing at another working scale.

        Parameters
        ----------
        factor : float
            What to multiply the working scale by.

        Returns
        -------
        Preprocessing
            A checked copy.

        Examples
        --------
        >>> Preprocessing(working_scale=0.5).scaled(1.4).working_scale
        0.7
        """
        return Preprocessing.model_validate(
            {**self.model_dump(), "working_scale": self.working_scale * factor}
        )

    def image_batch(self, image: NDArray) -> torch.Tensor:
        """Turn one raw frame into a batch of one.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3)
            Raw frame of any dtype.

        Returns
        -------
        Tensor of shape (1, C, H', W')
            In [0, 1], at the working resolution; C is 1 for gray frames and 3 for colour.
        """
        unit = to_unit_range(
            image,
            mode=self.scaling,
            low_percentile=self.low_percentile,
            high_percentile=self.high_percentile,
        )
        frame = torch.from_numpy(unit)
        batch = (frame[None] if frame.ndim == 2 else frame.movedim(-1, 0))[None]
        return resize(batch, self.working_size(image.shape)).clamp(0, 1)

    def mask_at_working_size(self, mask: NDArray) -> torch.Tensor:
        """Bring a mask to the working resolution.

        Parameters
        ----------
        mask : ndarray of shape (H, W)
            Class indices, uint8.

        Returns
        -------
        Tensor of shape (H', W')
            Class indices, uint8, of the nearest pixels.
        """
        size = self.working_size(mask.shape)
        batch = torch.from_numpy(mask)[None, None].float()
        return F.interpolate(batch, size=size, mode="nearest-exact")[0, 0].to(torch.uint8)

    def working_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return height and width at the working resolution.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the frame, in pixels; what follows is not looked at.

        Returns
        -------
        tuple of int
            Height and width, in pixels, at least 1.

        Examples
        --------
        >>> Preprocessing(working_scale=0.5).working_size((520, 696))
        (260, 348)
        >>> Preprocessing(working_side_px=192).working_size((300, 400, 3))
        (144, 192)
        """
        factor = self.factor(shape)
        height, width = (max(1, round(length * factor)) for length in shape[:2])
        return height, width

    def factor(self, shape: tuple[int, ...]) -> float:
        """Return by how much a frame is resized.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the frame, in pixels; what follows is not looked at.

        Returns
        -------
        float
            The working scale, times what brings the longest side to ``working_side_px``.

        Examples
        --------
        >>> Preprocessing(working_side_px=200, working_scale=2.0).factor((300, 400))
        1.0
        """
        if self.working_side_px is None:
            return self.working_scale
        return self.working_scale * self.working_side_px / max(shape[:2])


def resize(batch: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize smoothly, without aliasing.

    Parameters
    ----------
    batch : Tensor of shape (N, C, H, W)
        Images or logits.
    size : tuple of int
        New height and width, in pixels.

    Returns
    -------
    Tensor of shape (N, C, *size)
        Resized by bilinear interpolation; the same tensor where nothing is to be done.
    """
    if tuple(batch.shape[-2:]) == tuple(size):
        return batch
    return F.interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)
