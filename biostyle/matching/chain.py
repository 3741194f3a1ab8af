"""Steps one after the other: a stylizer without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from biostyle.errors import ConfigError
from biostyle.matching.colour import Reinhard, ShadesOfGrey
from biostyle.matching.fourier import Fourier
from biostyle.matching.histogram import Histogram
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone
from biostyle.matching.resolution import Blur, Sharpen
from biostyle.matching.shading import Shading
from biostyle.validation import explain

if TYPE_CHECKING:
    from biostyle.types import ImageBatch

Step: TypeAlias = Annotated[
    Polarity
    | Tone
    | Background
    | Stretch
    | Blur
    | Sharpen
    | Histogram
    | Fourier
    | ShadesOfGrey
    | Reinhard
    | Shading,
    Field(discriminator="kind"),
]


class _Arguments(BaseModel):
    """What a chain is made of."""

    model_config = ConfigDict(extra="forbid")

    steps: tuple[Step, ...]


class MatchingChain(nn.Module):
    """A chain of matching steps; it is a Stylizer.

    Parameters
    ----------
    steps : sequence of step or dict
        The steps in order, as models or as the dicts they serialise to. None at all is the identity.

    Attributes
    ----------
    arguments : dict
        ``{"steps": [...]}``, fit for JSON; building from it gives the same chain.

    Raises
    ------
    ConfigError
        If a step is unknown or its settings are wrong.

    Examples
    --------
    >>> import torch
    >>> chain = MatchingChain([{"kind": "polarity"}, {"kind": "tone", "name": "square_root"}])
    >>> chain(torch.full((1, 1, 1, 1), 0.75)).item()
    0.5
    >>> chain.arguments["steps"][0]
    {'kind': 'polarity'}
    """

    def __init__(self, steps: Sequence[Step | dict[str, Any]]) -> None:
        super().__init__()
        try:
            self.steps = _Arguments.model_validate({"steps": steps}).steps
        except ValidationError as error:
            raise ConfigError(explain(error, _Arguments, "matching chain")) from error
        self.arguments = {"steps": [step.model_dump(mode="json", exclude_none=True) for step in self.steps]}

    def forward(self, images: ImageBatch) -> ImageBatch:
        """Apply every step.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images of B in [0, 1].

        Returns
        -------
        Tensor of shape (N, C, H, W)
            In the look of A, in [0, 1].
        """
        for step in self.steps:
            images = step(images)
        return images
