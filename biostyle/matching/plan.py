"""From two fingerprints to a first chain of matching steps, with reasons.

Size and polarity are acted on. Tone, noise and fine detail are only pointed out, as things worth trying: acting on them
by rule (a square root on a dark background, a blur of a noisy B, a smaller scale for a blurred B) lowered the F-score
of three real domains about as often as it raised it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from biostyle.matching.chain import Step
from biostyle.matching.fingerprint import DomainFingerprint
from biostyle.matching.intensity import Background, Polarity, Tone
from biostyle.matching.object_size import scale_factor

ToneName: TypeAlias = Literal["linear", "square_root", "logarithm", "background"]

_ALIKE = 1.15  # diameters within this ratio are left as they are
_COARSER = 1.1
_DARK_BACKGROUND, _GRAY_BACKGROUND = 0.15, 0.25
_NOISIER = 3.0
_BACKGROUND_IN_DIAMETERS = 1.5


class PlanOverrides(BaseModel):
    """What the user knows better.

    Attributes
    ----------
    object_diameter_a_px, object_diameter_b_px : float or None
        Object diameters, in pixels of the frames as stored.
    polarity : {"same", "inverted"} or None
        Of B compared with A.
    tone : {"linear", "square_root", "logarithm", "background"} or None
        Tone curve of B, or background subtraction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    object_diameter_a_px: float | None = Field(None, gt=0)
    object_diameter_b_px: float | None = Field(None, gt=0)
    polarity: Literal["same", "inverted"] | None = None
    tone: ToneName | None = None


class Reason(BaseModel):
    """One decision of a plan.

    Attributes
    ----------
    about : str
        What was decided: object size, polarity, tone, detail or noise.
    text : str
        Finding and consequence.
    confidence : {"given", "good", "weak", "cannot tell"}
        How far to trust it; where there is no telling, nothing is changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    text: str
    confidence: Literal["given", "good", "weak", "cannot tell"]


class Plan(BaseModel):
    """A starting point for matching B to A; trying candidates decides.

    Attributes
    ----------
    working_scale_factor : float
        Multiplies A's working scale to give that of B.
    steps : tuple of step
        Chain to apply at that scale, after each frame was scaled to [0, 1] by its percentiles.
    reasons : tuple of Reason
        One a decision, also where nothing is to be done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    working_scale_factor: float = Field(gt=0)
    steps: tuple[Step, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class _Diameters:
    """Diameters of both domains that may be compared with each other."""

    a: float
    b: float
    source: str
    confidence: Literal["given", "good", "weak"]


def plan_matching(
    a: DomainFingerprint,
    b: DomainFingerprint,
    overrides: PlanOverrides | None = None,
    working_scale_a: float = 1.0,
) -> Plan:
    """Propose how to bring B to the look of A.

    Parameters
    ----------
    a, b : DomainFingerprint
        The annotated and the new domain.
    overrides : PlanOverrides, optional
        What the user knows better.
    working_scale_a : float
        Working scale of the segmenter of A; lengths in the steps are in pixels of the working resolution.

    Returns
    -------
    Plan
        Working-scale factor, steps and reasons.
    """
    overrides = overrides or PlanOverrides()
    factor, size_reason = _match_size(a, b, overrides)
    invert, polarity_reason = _match_polarity(a, b, overrides)
    tone, tone_reason = _match_tone(a, b, overrides, factor * working_scale_a)
    hints = (_detail_hint(a, b, factor), _noise_hint(a, b, factor))
    return Plan(
        working_scale_factor=factor,
        steps=(*tone, *((Polarity(),) if invert else ())),
        reasons=(size_reason, polarity_reason, tone_reason, *(hint for hint in hints if hint is not None)),
    )


def _match_size(a: DomainFingerprint, b: DomainFingerprint, overrides: PlanOverrides) -> tuple[float, Reason]:
    """Decide the scale from diameters that were found in the same way, where possible."""
    diameters = _comparable_diameters(a, b, overrides)
    if diameters is None:
        unknown = " and ".join(name for name, f in (("A", a), ("B", b)) if f.image_diameter_px is None)
        low, high = (b if b.image_diameter_px is None else a).image_diameter_range_px
        text = (
            f"{unknown}'s objects have no clear size ({low:.0f} to {high:.0f} px): keep the scale, try several, "
            "or give --object-diameter-a and --object-diameter-b."
        )
        return 1.0, Reason(about="object size", text=text, confidence="cannot tell")
    factor = scale_factor(diameters.a, diameters.b)
    found = f"{diameters.b:.0f} px against {diameters.a:.0f} px, {diameters.source}"
    if 1 / _ALIKE <= factor <= _ALIKE:
        text, factor = f"B's objects are as large as A's ({found}): keep the scale.", 1.0
    elif factor < 1:
        text = f"B's objects are {1 / factor:.1f}x larger ({found}): rescale by {factor:.2f}."
    else:
        text = f"B's objects are {factor:.1f}x smaller ({found}): rescale by {factor:.2f}."
    return factor, Reason(about="object size", text=text, confidence=diameters.confidence)


def _comparable_diameters(
    a: DomainFingerprint, b: DomainFingerprint, overrides: PlanOverrides
) -> _Diameters | None:
    """Choose given diameters, else both from masks, else both from images, else what there is."""
    given_a, given_b = overrides.object_diameter_a_px, overrides.object_diameter_b_px
    masks_a, masks_b = a.object_diameter_px, b.object_diameter_px
    image_a, image_b = a.image_diameter_px, b.image_diameter_px
    exact_a, exact_b = given_a or masks_a, given_b or masks_b
    if given_a and given_b:
        return _Diameters(given_a, given_b, "as given", "given")
    if exact_a and exact_b:
        return _Diameters(exact_a, exact_b, "from masks" if not (given_a or given_b) else "one given", "good")
    if image_a and image_b and not (given_a or given_b):
        blobs = a.object_cue == b.object_cue == "blob"
        return _Diameters(image_a, image_b, "estimated without masks", "good" if blobs else "weak")
    either_a, either_b = exact_a or image_a, exact_b or image_b
    if either_a and either_b:
        return _Diameters(either_a, either_b, "one estimated without masks", "weak")
    return None


def _match_polarity(
    a: DomainFingerprint, b: DomainFingerprint, overrides: PlanOverrides
) -> tuple[bool, Reason]:
    """Invert where bright objects meet dark ones."""
    if overrides.polarity is not None:
        invert = overrides.polarity == "inverted"
        text = "B is inverted, as given: invert." if invert else "B has A's polarity, as given: keep it."
        return invert, Reason(about="polarity", text=text, confidence="given")
    both_masked = a.object_diameter_px is not None and b.object_diameter_px is not None
    of_a, of_b = (f.polarity if both_masked else f.polarity_from_image for f in (a, b))
    found = f"A has {of_a}, B has {of_b}"
    if "mixed" in (of_a, of_b):
        text = f"{found}: keep it, and try both."
        return False, Reason(about="polarity", text=text, confidence="cannot tell")
    invert = of_a != of_b
    text = f"{found}: {'invert' if invert else 'keep it'}."
    return invert, Reason(about="polarity", text=text, confidence="good" if both_masked else "weak")


def _match_tone(
    a: DomainFingerprint, b: DomainFingerprint, overrides: PlanOverrides, factor: float
) -> tuple[list[Step], Reason]:
    """Take the given tone, or say that a background lies at black, unlike A's."""
    if overrides.tone is not None:
        diameter = overrides.object_diameter_b_px or b.object_diameter_px or b.image_diameter_px
        width = diameter or b.image_diameter_range_px[1]
        text = f"{overrides.tone.replace('_', ' ')}, as given."
        return _tone_steps(overrides.tone, width * factor), Reason(
            about="tone", text=text, confidence="given"
        )
    found = f"B's median gray is at {b.background_level:.2f} of its range, A's at {a.background_level:.2f}"
    if b.background_level < _DARK_BACKGROUND and a.background_level > _GRAY_BACKGROUND:
        text = f"{found}: keep it, and try a square root or --tone background."
        return [], Reason(about="tone", text=text, confidence="cannot tell")
    return [], Reason(about="tone", text=f"{found}: keep it.", confidence="weak")


def _tone_steps(name: ToneName, diameter_px: float) -> list[Step]:
    """Write a tone as steps; the background is wider than an object."""
    if name == "linear":
        return []
    if name == "background":
        return [Background(sigma_px=_BACKGROUND_IN_DIAMETERS * diameter_px)]
    return [Tone(name=name)]


def _detail_hint(a: DomainFingerprint, b: DomainFingerprint, factor: float) -> Reason | None:
    """Point at a blurred B; only textures can be compared, and only where B is not enlarged."""
    if not a.object_cue == b.object_cue == "texture" or b.image_diameter_px is None or factor > 1:
        return None
    ratio = b.detail_px * factor / a.detail_px
    if ratio < _COARSER or b.sharpness > a.sharpness:
        return None
    text = (
        f"B's fine structure is {ratio:.1f}x coarser ({b.detail_px * factor:.0f} px against {a.detail_px:.0f} px at "
        f"equal object size), as by blur: try to shrink by a further {1 / ratio:.2f}, or to sharpen."
    )
    return Reason(about="detail", text=text, confidence="cannot tell")


def _noise_hint(a: DomainFingerprint, b: DomainFingerprint, factor: float) -> Reason | None:
    """Point at a B that is much noisier than A; shrinking averages noise away."""
    remaining = b.noise * min(factor, 1)
    if a.noise == 0 or remaining < _NOISIER * a.noise:
        return None
    text = (
        f"B's noise is {remaining / a.noise:.1f}x A's at the planned scale ({remaining:.3f} against {a.noise:.3f} of "
        "the contrast): try a blur of 1 px."
    )
    return Reason(about="noise", text=text, confidence="cannot tell")
