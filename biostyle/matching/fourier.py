"""Give each frame the low-frequency amplitudes of domain A and keep its own phase."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch.nn import functional as F

from biostyle.errors import ImageError

if TYPE_CHECKING:
    from biostyle.types import ImageBatch


GRID = (17, 9)  # vertical frequencies from -cutoff to cutoff, horizontal ones from 0 to cutoff
Unit: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Grid: TypeAlias = tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]


class Fourier(BaseModel):
    """Replace the amplitude of low frequencies by A's mean amplitude (Fourier domain adaptation, FDA).

    Attributes
    ----------
    kind : {"fourier"}
        Name of the step.
    cutoff : float
        Highest frequency replaced along each axis, in cycles per pixel: the paper's β, there .01 to .09.
    mean : float, or three
        Mean gray value of A, or of each of its colours, in [0, 1]; replaces the frame's own.
    amplitude : tuple of tuple of float, or three of them
        A's mean amplitude on a grid of 17 vertical by 9 horizontal frequencies; one a channel for colour.

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
    mean: Unit | tuple[Unit, Unit, Unit]
    amplitude: Grid | tuple[Grid, Grid, Grid]

    @model_validator(mode="after")
    def _amplitude_fills_the_grid(self) -> Fourier:
        """Refuse a grid of another size, and another number of means than of grids."""
        is_gray = isinstance(self.mean, float)
        for grid in (self.amplitude,) if is_gray else self.amplitude:
            lengths = [len(row) if isinstance(row, tuple) else 1 for row in grid]
            if lengths != [GRID[1]] * GRID[0]:
                raise ValueError(
                    f"amplitude must be {GRID[0]} rows of {GRID[1]} for each mean, got rows of {lengths}. "
                    "Learn it with Fourier.of."
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
            With the mean over frames, for each channel.
        """
        grids, means = [], []
        for images in images_a:
            means += images.mean(dim=(2, 3)).tolist()
            grids += list(_amplitude_grid(images, cutoff))
        amplitude = torch.stack(grids).double().mean(dim=0).tolist()
        mean = [math.fsum(channel) / len(channel) for channel in zip(*means, strict=True)]
        if len(mean) == 1:
            return cls(cutoff=cutoff, mean=mean[0], amplitude=amplitude[0])
        return cls(cutoff=cutoff, mean=tuple(mean), amplitude=amplitude)

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

        Raises
        ------
        ImageError
            If there are not as many channels as the step was learned from; one serves any number.
        """
        size = images.shape[-2:]
        rows, n_columns = _low_frequencies(size, self.cutoff, images.device)
        grid = images.new_tensor(self.amplitude).view(1, -1, *GRID)
        if grid.shape[1] not in (1, images.shape[1]):
            raise ImageError(
                f"images must have {grid.shape[1]} channels for as many amplitudes, got {images.shape[1]}. "
                "Learn the step from images of the same kind."
            )
        spectrum = torch.fft.rfft2(images - images.mean(dim=(2, 3), keepdim=True), norm="ortho")
        if len(rows) == 1:  # the row of frequency 0, where interpolation would take the first
            grid = grid[:, :, GRID[0] // 2 : GRID[0] // 2 + 1]
        target = F.interpolate(grid, (len(rows), n_columns), mode="bilinear", align_corners=True)
        low = spectrum[..., rows, :n_columns]
        swapped = spectrum.clone()
        swapped[..., rows, :n_columns] = low * (target / low.abs().clamp_min(1e-8))
        swapped[..., 0, 0] = 0
        mean = images.new_tensor(self.mean).view(1, -1, 1, 1)
        return (torch.fft.irfft2(swapped, s=size, norm="ortho") + mean).clamp(0, 1)


def _low_frequencies(size: torch.Size, cutoff: float, device: torch.device) -> tuple[torch.Tensor, int]:
    """Rows of a half spectrum from -cutoff to cutoff, and the number of its columns from 0 to cutoff."""
    height, width = size
    last_row, last_column = (min(math.floor(cutoff * n), (n - 1) // 2) for n in (height, width))
    return torch.arange(-last_row, last_row + 1, device=device) % height, last_column + 1


def _amplitude_grid(images: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Amplitude of each frame and channel on the grid; shape (N, C, 17, 9)."""
    rows, n_columns = _low_frequencies(images.shape[-2:], cutoff, images.device)
    spectrum = torch.fft.rfft2(images - images.mean(dim=(2, 3), keepdim=True), norm="ortho")
    amplitude = spectrum[..., rows, :n_columns].abs()
    centre = len(rows) // 2
    neighbours = [amplitude[..., centre - 1, 0]] if centre else []
    neighbours += [amplitude[..., centre, 1]] if n_columns > 1 else []
    if neighbours:  # a small frame has no such frequency along one axis, or along both
        amplitude[..., centre, 0] = torch.stack(neighbours).mean(dim=0)
    return F.interpolate(amplitude, GRID, mode="bilinear", align_corners=True)
