"""Give each frame the distribution of gray values, or of colours, of domain A."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from biostyle.errors import ImageError
from biostyle.matching.lab import lab_to_rgb, rgb_to_lab

if TYPE_CHECKING:
    from biostyle.types import ImageBatch


N_QUANTILES = 257
_LAB_ORIGIN, _LAB_SPAN = (0.0, -128.0, -128.0), (100.0, 256.0, 256.0)
Space: TypeAlias = Literal["rgb", "lab"]
Curve: TypeAlias = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=2)]


class Histogram(BaseModel):
    """Map each frame's quantiles to those of A.

    Attributes
    ----------
    kind : {"histogram"}
        Name of the step.
    quantiles : tuple of float, or three of them
        A's quantile function at evenly spaced probabilities from 0 to 1, ascending, in [0, 1]: one that all channels
        share, or one a channel for colour.
    space : {"rgb", "lab"}
        Whose channels the three are: red, green and blue, or L*, a* and b* scaled to [0, 1].

    Notes
    -----
    A piecewise linear map between two quantile functions sampled at the same probabilities; pixels of one gray value
    share the highest rank among them, as in :func:`skimage.exposure.match_histograms`. Gradients flow along the pieces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["histogram"] = "histogram"
    quantiles: Curve | tuple[Curve, Curve, Curve]
    space: Space = Field("rgb", exclude_if=lambda space: space == "rgb")

    @model_validator(mode="after")
    def _lab_has_three_curves(self) -> Histogram:
        """Refuse one curve for L*, a* and b* together."""
        if self.space == "lab" and not isinstance(self.quantiles[0], tuple):
            raise ValueError(
                f"quantiles must be three curves in space 'lab', got one of {len(self.quantiles)} values. "
                "Learn them with Histogram.of."
            )
        return self

    @classmethod
    def of(cls, images_a: Iterable[ImageBatch], space: Space = "rgb") -> Histogram:
        """Learn the step from images of A.

        Parameters
        ----------
        images_a : iterable of Tensor of shape (N, C, H, W)
            Batches of any sizes, at least one, in [0, 1], with one channel or three.
        space : {"rgb", "lab"}
            Whose channels are matched; "lab" for colour alone.

        Returns
        -------
        Histogram
            With the mean of the frames' quantile functions, for each channel.

        Raises
        ------
        ImageError
            If the space is "lab" and there are not three channels.
        """
        of_frames = [
            torch.stack([_quantiles(channel, N_QUANTILES) for channel in frame])
            for images in images_a
            for frame in (_to_lab(images) if space == "lab" else images)
        ]
        curves = [tuple(curve) for curve in torch.stack(of_frames).double().mean(dim=0).clamp(0, 1).tolist()]
        return cls(quantiles=curves[0] if len(curves) == 1 else tuple(curves), space=space)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1], each frame with A's distribution: its channels share one map, or each has its own.

        Raises
        ------
        ImageError
            If there are not as many channels as the step was learned from.
        """
        to = torch.tensor(self.quantiles, dtype=images.dtype, device=images.device)
        if to.ndim == 1:
            return torch.stack([_interpolate(frame, _quantiles(frame, len(to)), to) for frame in images])
        if images.shape[1] != len(to):
            raise ImageError(
                f"images must have {len(to)} channels for a histogram of as many curves, got {images.shape[1]}. "
                "Learn the step from images of the same kind."
            )
        channels = _to_lab(images) if self.space == "lab" else images
        matched = torch.stack(
            [
                torch.stack(
                    [_interpolate(c, _quantiles(c, len(t)), t) for c, t in zip(frame, to, strict=True)]
                )
                for frame in channels
            ]
        )
        return _from_lab(matched) if self.space == "lab" else matched


def _to_lab(images: torch.Tensor) -> torch.Tensor:
    """CIELAB scaled to [0, 1]."""
    origin, span = (images.new_tensor(values).view(1, 3, 1, 1) for values in (_LAB_ORIGIN, _LAB_SPAN))
    return (rgb_to_lab(images) - origin) / span


def _from_lab(scaled: torch.Tensor) -> torch.Tensor:
    """Undo :func:`_to_lab`."""
    origin, span = (scaled.new_tensor(values).view(1, 3, 1, 1) for values in (_LAB_ORIGIN, _LAB_SPAN))
    return lab_to_rgb(scaled * span + origin)


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
