"""Steps that change how sharp an image is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from biostyle.matching.gaussian import gaussian_blur

if TYPE_CHECKING:
    from biostyle.types import ImageBatch


class Blur(BaseModel):
    """Blur with a Gaussian.

    Attributes
    ----------
    kind : {"blur"}
        Name of the step.
    sigma_px : float
        Standard deviation, in pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["blur"] = "blur"
    sigma_px: float = Field(gt=0)

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
        return gaussian_blur(images, self.sigma_px).clamp(0, 1)


class Sharpen(BaseModel):
    """Add what a Gaussian blur takes away (unsharp masking), and clip.

    Attributes
    ----------
    kind : {"sharpen"}
        Name of the step.
    amount : float
        How much of the difference is added.
    sigma_px : float
        Standard deviation of the blur, in pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sharpen"] = "sharpen"
    amount: float = Field(1.0, gt=0)
    sigma_px: float = Field(gt=0)

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
        fine = images - gaussian_blur(images, self.sigma_px)
        return (images + self.amount * fine).clamp(0, 1)
