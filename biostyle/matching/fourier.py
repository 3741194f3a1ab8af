"""Give each frame the low-frequency amplitudes of domain A and keep its own phase."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch.nn import functional as F

if TYPE_CHECKING:
    from biostyle.types import ImageBatch


GRID = (17, 9)  # vertical frequencies from -cutoff to cutoff, horizontal ones from 0 to cutoff


class Fourier(BaseModel):
    """Replace the amplitude of low frequencies by A's mean amplitude (Fourier domain adaptation, FDA).

    Attributes
    ----------
    kind : {"fourier"}
        Name of the step.
    cutoff : float
        Highest frequency replaced along each axis, in cycles per pixel: the paper's β, there .01 to .09.
    mean : float
        Mean gray value of A, in [0, 1]; replaces the frame's own.
    amplitude : tuple of tuple of float
        A's mean amplitude on a grid of 17 vertical by 9 horizontal frequencies.

    Notes
    -----
    Amplitudes are those of an orthonormal transform of the frame less its mean. In that norm the amplitude of a texture
    depends on the frequency in cycles per pixel and not on the size of the frame; so one grid, resampled bilinearly
    to the frequencies a frame has, serves frames of any size. The zero frequency is kept apart as ``mean``.

    References
    ----------
    .. [1] Yang & Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020,
       doi:10.1109/CVPR42600.2020.00414.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["fourier"] = "fourier"
    cutoff: float = Field(gt=0, lt=0.5)
    mean: float = Field(ge=0, le=1)
    amplitude: tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]

    @model_validator(mode="after")
    def _amplitude_fills_the_grid(self) -> Fourier:
        """Refuse a grid of another size."""
        lengths = [len(row) for row in self.amplitude]
        if lengths != [GRID[1]] * GRID[0]:
            raise ValueError(
                f"amplitude must be {GRID[0]} rows of {GRID[1]}, got rows of {lengths}. Learn it with Fourier.of."
            )
        return self

    @classmethod
    def of(cls, images_a: Iterable[ImageBatch], cutoff: float = 0.01) -> Fourier:
        """Learn the step from images of A.

        Parameters
        ----------
        images_a : iterable of Tensor of shape (N, C, H, W)
            Batches of any sizes, at least one, in [0, 1].
        cutoff : float
            Highest frequency to replace, in cycles per pixel.

        Returns
        -------
        Fourier
            With the mean over frames and channels.
        """
        grids, means = [], []
        for images in images_a:
            means += images.mean(dim=(1, 2, 3)).tolist()
            grids += list(_amplitude_grid(images, cutoff))
        amplitude = torch.stack(grids).double().mean(dim=0).tolist()
        return cls(cutoff=cutoff, mean=math.fsum(means) / len(means), amplitude=amplitude)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1], of any height and width.

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1].
        """
        size = images.shape[-2:]
        rows, n_columns = _low_frequencies(size, self.cutoff, images.device)
        spectrum = torch.fft.rfft2(images - images.mean(dim=(2, 3), keepdim=True), norm="ortho")
        grid = torch.tensor(self.amplitude, dtype=images.dtype, device=images.device)
        target = F.interpolate(grid[None, None], (len(rows), n_columns), mode="bilinear", align_corners=True)
        low = spectrum[..., rows, :n_columns]
        swapped = spectrum.clone()
        swapped[..., rows, :n_columns] = low * (target / low.abs().clamp_min(1e-8))
        swapped[..., 0, 0] = 0
        return (torch.fft.irfft2(swapped, s=size, norm="ortho") + self.mean).clamp(0, 1)


def _low_frequencies(size: torch.Size, cutoff: float, device: torch.device) -> tuple[torch.Tensor, int]:
    """Rows of a half spectrum from -cutoff to cutoff, and the number of its columns from 0 to cutoff."""
    height, width = size
    last_row, last_column = (min(math.floor(cutoff * n), (n - 1) // 2) for n in (height, width))
    return torch.arange(-last_row, last_row + 1, device=device) % height, last_column + 1


def _amplitude_grid(images: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Amplitude of each frame, averaged over channels, on the grid; shape (N, 17, 9)."""
    rows, n_columns = _low_frequencies(images.shape[-2:], cutoff, images.device)
    spectrum = torch.fft.rfft2(images - images.mean(dim=(2, 3), keepdim=True), norm="ortho")
    amplitude = spectrum[..., rows, :n_columns].abs().mean(dim=1, keepdim=True)
    centre = len(rows) // 2
    neighbours = [amplitude[..., centre - 1, 0], amplitude[..., centre, min(1, n_columns - 1)]]
    amplitude[..., centre, 0] = torch.stack(neighbours).mean(dim=0)
    return F.interpolate(amplitude, GRID, mode="bilinear", align_corners=True)[:, 0]
