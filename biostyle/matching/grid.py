"""Every sensible chain of a few steps: the same wide search for every domain, because a search costs seconds."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from biostyle.matching.chain import MatchingChain, Step
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone

ToneName = Literal["linear", "square_root", "background", "contrast", "strong_contrast"]
_CLIPPED_PERCENT = {"contrast": 2.0, "strong_contrast": 5.0}  # at either end
Scale = Annotated[float, Field(gt=0)]


class GridSettings(BaseModel):
    """The chains to try and the frames to try them on.

    Attributes
    ----------
    scales : tuple of float
        Sizes of B's frames relative to the segmenter's working scale.
    tones : tuple of str
        Tone curves: ``linear``, ``square_root``, ``background`` for subtracting a wide blur, ``contrast`` and
        ``strong_contrast`` for clipping 2 or 5 % of the pixels at either end.
    background_sigma_px : float
        Width of that blur, in pixels at the scaled size.
    n_frames : int
        Training frames of B, evenly spaced, on which the finalists are judged; their masks are not looked at.
    n_finalists : int
        How many chains are judged on all these frames; the first round looks at every chain on one of them.
    largest_side_px : int
        Scales that would make a frame larger than this are left out.
    """

    model_config = ConfigDict(extra="forbid")

    scales: tuple[Scale, ...] = Field((0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8), min_length=1)
    tones: tuple[ToneName, ...] = Field(
        ("linear", "square_root", "background", "contrast", "strong_contrast"), min_length=1
    )
    background_sigma_px: float = Field(25.0, gt=0)
    n_frames: int = Field(3, ge=1)
    n_finalists: int = Field(12, ge=1)
    largest_side_px: int = Field(1600, ge=32)


@dataclass(frozen=True)
class GridChain:
    """One point of the grid.

    Attributes
    ----------
    scale : float
        Factor to the segmenter's working scale.
    inverted : bool
        Whether bright and dark are exchanged.
    tone : str
        Name of the tone curve.
    """

    scale: float
    inverted: bool
    tone: ToneName

    @property
    def name(self) -> str:
        """Name for tables, such as ``x0.5 inverted square_root``."""
        return f"x{self.scale:g}{' inverted' if self.inverted else ''} {self.tone}"

    def build(self, settings: GridSettings) -> MatchingChain:
        """Build the steps; the scale is not one of them, because frames are resized once, on reading.

        Parameters
        ----------
        settings : GridSettings
            Gives the width of the background blur.

        Returns
        -------
        MatchingChain
            A Stylizer.
        """
        steps: list[Step] = [Polarity()] if self.inverted else []
        if self.tone == "background":
            steps.append(Background(sigma_px=settings.background_sigma_px))
        elif self.tone in _CLIPPED_PERCENT:
            clipped = _CLIPPED_PERCENT[self.tone]
            steps.append(Stretch(low_percentile=clipped, high_percentile=100 - clipped))
        elif self.tone == "square_root":
            steps.append(Tone(name=self.tone))
        return MatchingChain(steps)


def grid_chains(settings: GridSettings) -> list[GridChain]:
    """List the chains of a grid, the ones that change least first.

    Parameters
    ----------
    settings : GridSettings
        The grid.

    Returns
    -------
    list of GridChain
        Every combination but the one that changes nothing.

    Examples
    --------
    >>> [chain.name for chain in grid_chains(GridSettings(scales=(1.0, 2.0), tones=("linear",)))]
    ['x1 inverted linear', 'x2 linear', 'x2 inverted linear']
    """
    chains = [
        GridChain(scale, inverted, tone)
        for scale, inverted, tone in itertools.product(settings.scales, (False, True), settings.tones)
    ]
    changes = sorted(
        chains, key=lambda chain: (abs(math.log(chain.scale)), chain.inverted, chain.tone != "linear")
    )
    return [chain for chain in changes if (chain.scale, chain.inverted, chain.tone) != (1.0, False, "linear")]
