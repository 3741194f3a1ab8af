"""Steps that change the colours of photographs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field

from biostyle.matching.lab import lab_to_rgb, rgb_to_lab

if TYPE_CHECKING:
    from biostyle.types import ImageBatch

Lab: TypeAlias = tuple[float, float, float]
_SMALLEST = 1e-6
_SMALLEST_MEAN = 1e-37  # of powers, which float32 rounds to zero in a dark channel; zero would give 0 · inf


class ShadesOfGrey(BaseModel):
    """Take the colour of the light out of each image: its Minkowski mean becomes gray.

    Attributes
    ----------
    kind : {"shades_of_grey"}
        Name of the step.
    norm : float
        Exponent p of the Minkowski mean: 1 is "gray world", a large one "the brightest is white".

    Notes
    -----
    With e_c = (mean of I_c^p)^(1/p) for each channel c, I_c becomes I_c · ē / e_c, where ē is the root mean square of the
    e_c; so the image keeps its brightness.

    References
    ----------
    .. [1] Finlayson and Trezzi, "Shades of Gray and Colour Constancy", 12th Color Imaging Conference, 2004, 37-41.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["shades_of_grey"] = "shades_of_grey"
    norm: float = Field(6.0, ge=1, le=20)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In [0, 1]; the same where there is one channel.

        Examples
        --------
        >>> reddish = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1)
        >>> [round(float(value), 3) for value in ShadesOfGrey()(reddish).flatten()]
        [0.424, 0.424, 0.424]
        """
        powers = images.clamp_min(_SMALLEST) ** self.norm
        light = powers.mean(dim=(2, 3), keepdim=True).clamp_min(_SMALLEST_MEAN) ** (1 / self.norm)
        gray = light.square().mean(dim=1, keepdim=True).sqrt()
        return (images * (gray / light)).clamp(0, 1)


class Reinhard(BaseModel):
    """Give each image the means and standard deviations of A's colours in CIELAB.

    Attributes
    ----------
    kind : {"reinhard"}
        Name of the step.
    mean, deviation : tuple of float
        Of L*, a* and b* in A.

    Notes
    -----
    The paper takes another space of opponent colours, lαβ; CIELAB is the usual one today.

    References
    ----------
    .. [1] Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between Images", IEEE Computer Graphics and
       Applications 21, 2001. :doi:`10.1109/38.946629`
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["reinhard"] = "reinhard"
    mean: Lab
    deviation: Lab

    @classmethod
    def of(cls, images_a: Iterable[ImageBatch]) -> Reinhard:
        """Learn the step from images of A.

        Parameters
        ----------
        images_a : iterable of Tensor of shape (N, 3, H, W)
            Batches of any sizes, at least one, in [0, 1].

        Returns
        -------
        Reinhard
            With the averages of the images' means and standard deviations.

        Raises
        ------
        ImageError
            If there are not three channels.
        """
        of_images = [_moments(rgb_to_lab(images)) for images in images_a]
        mean, deviation = (
            torch.cat(moments).double().mean(dim=0).flatten().tolist()
            for moments in zip(*of_images, strict=True)
        )
        return cls(mean=tuple(mean), deviation=tuple(deviation))

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Apply the step.

        Parameters
        ----------
        images : Tensor of shape (N, 3, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, 3, H, W)
            In [0, 1].

        Raises
        ------
        ImageError
            If there are not three channels.
        """
        lab = rgb_to_lab(images)
        mean_b, deviation_b = _moments(lab)
        mean_a, deviation_a = (
            lab.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.deviation)
        )
        return lab_to_rgb((lab - mean_b) / deviation_b.clamp_min(_SMALLEST) * deviation_a + mean_a)


def _moments(lab: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each image and channel, shape (N, 3, 1, 1)."""
    deviation, mean = torch.std_mean(lab, dim=(2, 3), correction=0, keepdim=True)
    return mean, deviation
