"""Give each frame the gray-value distribution of domain A."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from biostyle.types import ImageBatch


N_QUANTILES = 257


class Histogram(BaseModel):
    """Map each frame's quantiles to those of A.

    Attributes
    ----------
    kind : {"histogram"}
        Name of the step.
    quantiles : tuple of float
        A's quantile function at evenly spaced probabilities from 0 to 1, ascending, in [0, 1].

    Notes
    -----
    A piecewise linear map between two quantile functions sampled at the same probabilities; pixels of one gray value
    share the highest rank among them, as in :func:`skimage.exposure.match_histograms`. Gradients flow along the pieces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["histogram"] = "histogram"
    quantiles: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=2)

    @classmethod
    def of(cls, images_a: Iterable[ImageBatch]) -> Histogram:
        """Learn the step from images of A.

        Parameters
        ----------
        images_a : iterable of Tensor of shape (N, C, H, W)
            Batches of any sizes, at least one, in [0, 1].

        Returns
        -------
        Histogram
            With the mean of the frames' quantile functions.
        """
        of_frames = [_quantiles(frame, N_QUANTILES) for images in images_a for frame in images]
        return cls(quantiles=tuple(torch.stack(of_frames).double().mean(dim=0).tolist()))

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1], each frame with A's distribution; all channels of a frame share one map.
        """
        to = torch.tensor(self.quantiles, dtype=images.dtype, device=images.device)
        return torch.stack([_interpolate(frame, _quantiles(frame, len(to)), to) for frame in images])


def _quantiles(frame: torch.Tensor, n: int) -> torch.Tensor:
    """Evenly spaced quantiles of one frame's pixels."""
    ordered = frame.detach().flatten().sort().values
    position = torch.linspace(0, len(ordered) - 1, n, dtype=torch.float64, device=frame.device)
    below = position.floor().long()
    above = (below + 1).clamp_max(len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], (position - below).to(frame.dtype))


def _interpolate(values: torch.Tensor, knots: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    """Evaluate the piecewise linear function that takes each knot to its counterpart."""
    right = torch.searchsorted(knots, values.detach().contiguous(), right=True).clamp(1, len(knots) - 1)
    width = knots[right] - knots[right - 1]
    fraction = ((values - knots[right - 1]) / torch.where(width > 0, width, 1)).clamp(0, 1)
    return torch.lerp(to[right - 1], to[right], fraction)
