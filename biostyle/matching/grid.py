"""Every sensible chain of a few steps: the same wide search for every domain, because a search costs seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from biostyle.matching.chain import MatchingChain, Step
from biostyle.matching.colour import Reinhard, ShadesOfGrey
from biostyle.matching.fourier import Fourier
from biostyle.matching.histogram import Histogram
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone
from biostyle.matching.shading import Shading

if TYPE_CHECKING:
    from biostyle.types import ImageBatch

LearnedTone = Literal["reinhard", "histogram", "lab_histogram", "fourier"]
ToneName = Literal[
    "linear",
    "square_root",
    "background",
    "contrast",
    "strong_contrast",
    "shades_of_grey",
    "even_light",
    LearnedTone,
]
PolarityName = Literal["upright", "inverted"]
_BOTH: tuple[PolarityName, ...] = ("upright", "inverted")
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
        ``strong_contrast`` for clipping 2 or 5 % of the pixels at either end. For photographs also ``shades_of_grey``
        for taking out the colour of the light, ``even_light`` for taking out its unevenness as well and, learned from A's
        images, ``reinhard``, ``histogram`` (of each channel), ``lab_histogram`` (in CIELAB) and ``fourier``.
    polarities : tuple of {"upright", "inverted"}
        Whether chains keep bright and dark, exchange them, or both are tried; photographs are better kept.
    background_sigma_px : float
        Width of that blur, in pixels at the scaled size.
    n_frames : int
        Training frames of B, evenly spaced, on which the finalists are judged; their masks are not looked at.
    n_finalists : int
        How many chains are judged on all these frames; the first round looks at every chain on one of them.
    largest_side_px : int
        Scales that would make a frame larger than this are left out.
    single_object : bool
        Whether each image shows one object, as A's masks do; of what is found in B one object is kept then, and candidates
        that find more score less.
    """

    model_config = ConfigDict(extra="forbid")

    scales: tuple[Scale, ...] = Field((0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8), min_length=1)
    tones: tuple[ToneName, ...] = Field(
        ("linear", "square_root", "background", "contrast", "strong_contrast"), min_length=1
    )
    polarities: tuple[PolarityName, ...] = Field(_BOTH, min_length=1, exclude_if=lambda names: names == _BOTH)
    background_sigma_px: float = Field(25.0, gt=0)
    n_frames: int = Field(8, ge=1)
    n_finalists: int = Field(12, ge=1)
    largest_side_px: int = Field(1600, ge=32)
    single_object: bool = Field(False, exclude_if=lambda wanted: not wanted)

    @property
    def learned_tones(self) -> tuple[str, ...]:
        """Those of the tones that are learned from A's images."""
        return tuple(tone for tone in self.tones if tone in get_args(LearnedTone))


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

    def build(self, settings: GridSettings, learned: Mapping[str, Step] | None = None) -> MatchingChain:
        """Build the steps; the scale is not one of them, because frames are resized once, on reading.

        Parameters
        ----------
        settings : GridSettings
            Gives the width of the background blur.
        learned : mapping of str to step, optional
            What :func:`learn_tones` returned, for chains with such a tone.

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
        elif self.tone == "shades_of_grey":
            steps.append(ShadesOfGrey())
        elif self.tone == "even_light":
            steps += [Shading(), ShadesOfGrey()]
        elif self.tone != "linear":
            steps.append((learned or {})[self.tone])
        return MatchingChain(steps)


UNCHANGED = GridChain(1.0, inverted=False, tone="linear")


def learn_tones(names: Iterable[str], images_a: list[ImageBatch]) -> dict[str, Step]:
    """Learn the steps that give images the look of A.

    Parameters
    ----------
    names : iterable of str
        Of ``reinhard``, ``histogram``, ``lab_histogram`` and ``fourier``.
    images_a : list of Tensor of shape (N, C, H, W)
        Images of A in [0, 1], at the working resolution; ``reinhard`` and ``lab_histogram`` need colour.

    Returns
    -------
    dict of str to step
        One a name.

    Raises
    ------
    ImageError
        If a tone needs colour and the images are gray.
    """
    makers: dict[str, Any] = {
        "reinhard": Reinhard.of,
        "histogram": Histogram.of,
        "lab_histogram": lambda images: Histogram.of(images, space="lab"),
        "fourier": Fourier.of,
    }
    return {name: makers[name](images_a) for name in names}


def grid_chains(settings: GridSettings) -> list[GridChain]:
    """List the chains of a grid, the ones that change least first.

    Parameters
    ----------
    settings : GridSettings
        The grid.

    Returns
    -------
    list of GridChain
        Every combination but the one that changes nothing; that one as well where one object is kept, which changes masks.

    Examples
    --------
    >>> [chain.name for chain in grid_chains(GridSettings(scales=(1.0, 2.0), tones=("linear",)))]
    ['x1 inverted linear', 'x2 linear', 'x2 inverted linear']
    """
    inverted_too = [polarity == "inverted" for polarity in settings.polarities]
    chains = [
        GridChain(scale, inverted, tone)
        for scale, inverted, tone in itertools.product(settings.scales, inverted_too, settings.tones)
    ]
    changes = sorted(
        chains, key=lambda chain: (abs(math.log(chain.scale)), chain.inverted, chain.tone != "linear")
    )
    if settings.single_object:
        return changes
    return [chain for chain in changes if chain != UNCHANGED]
