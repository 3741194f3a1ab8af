"""Even out the light across a photograph, judged by its border, where there is skin and seldom a lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from biostyle.types import ImageBatch

_SMALLEST = 1 / 255


class Shading(BaseModel):
    """Divide each image by a smooth surface of brightness that is fitted to its border.

    Attributes
    ----------
    kind : {"shading"}
        Name of the step.
    border : float
        Width of the border relative to the shorter side.

    Notes
    -----
    The logarithm of the brightest channel is fitted by a quadratic function of the position, in the least-squares sense
    over the border's pixels; every channel is divided by the surface relative to its geometric mean, so the image
    keeps its brightness. The method of [1]_, with the whole border instead of the four corners.

    References
    ----------
    .. [1] Cavalcanti, Scharcanski and Lopes, "Shading attenuation in human skin color images", ISVC 2010.
       https://doi.org/10.1007/978-3-642-17289-2_19
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["shading"] = "shading"
    border: float = Field(0.12, gt=0, le=0.5)

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
        >>> ramp = torch.linspace(-1, 0, 20).exp().expand(1, 3, 20, 20)
        >>> Shading()(ramp).std() < 1e-4
        tensor(True)
        """
        height, width = images.shape[-2:]
        rows = torch.linspace(-1, 1, height, device=images.device)[:, None].expand(height, width)
        columns = torch.linspace(-1, 1, width, device=images.device).expand(height, width)
        terms = torch.stack(
            [torch.ones_like(rows), rows, columns, rows * columns, rows.square(), columns.square()]
        )
        edge = max(1, round(self.border * min(height, width)))
        border = torch.ones(height, width, dtype=torch.bool, device=images.device)
        border[edge:-edge, edge:-edge] = False
        bright = images.float().amax(dim=1).clamp_min(_SMALLEST).log()
        with torch.autocast(images.device.type, enabled=False):  # it would round products of matrices
            weights = bright[:, border] @ torch.linalg.pinv(terms[:, border])
            surface = (weights @ terms.flatten(1)).view(-1, 1, height, width)
        even = (surface.mean(dim=(2, 3), keepdim=True) - surface).exp()
        return (images * even.to(images.dtype)).clamp(0, 1)
