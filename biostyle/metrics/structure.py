"""What a mask's objects look like beside another mask's, without truth: what vanished, what appeared, what is implausible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from biostyle.errors import MaskError
from biostyle.types import NDArray


class FlagSettings(BaseModel):
    """When a mask is worth a look.

    Attributes
    ----------
    min_object_px : int
        Area, in pixels of the frame, below which a connected component is a speck and no object.
    min_coverage : float
        Share of an object's pixels, in [0, 1], that the other mask has to cover; below it the object has vanished, or
        has appeared.
    max_changed : float
        Share of the objects, in [0, 1], that may vanish, or appear, without a flag.
    max_growth : float
        How many times larger or smaller than the reference mask's the foreground may be without a flag.
    fraction_factor : float
        How many times smaller than the smallest foreground fraction in A's masks, or larger than the largest, a
        fraction may be: two domains need not be equally dense.
    min_fraction, max_fraction : float
        Foreground fractions, in [0, 1], below which a mask is all but empty and above which it is all but full,
        whatever A's masks show.
    """

    model_config = ConfigDict(extra="forbid")

    min_object_px: int = Field(30, ge=1)
    min_coverage: float = Field(0.1, gt=0, le=1)
    max_changed: float = Field(0.1, ge=0, le=1)
    max_growth: float = Field(1.5, ge=1)
    fraction_factor: float = Field(5.0, ge=1)
    min_fraction: float = Field(0.001, ge=0, le=1)
    max_fraction: float = Field(0.9, ge=0, le=1)


@dataclass(frozen=True)
class StructureChange:
    """Objects of two masks of one frame.

    Attributes
    ----------
    n_before : int
        Objects of the reference mask.
    n_after : int
        Objects of the mask.
    vanished : int
        Objects of the reference mask that the mask does not cover.
    appeared : int
        Objects of the mask that the reference mask does not cover.
    fraction_before : float
        Foreground fraction of the reference mask, in [0, 1].
    fraction_after : float
        Foreground fraction of the mask, in [0, 1].
    """

    n_before: int
    n_after: int
    vanished: int
    appeared: int
    fraction_before: float
    fraction_after: float


def structure_change(reference: NDArray, mask: NDArray, settings: FlagSettings) -> StructureChange:
    """Count the objects of a mask that have no counterpart in a reference mask, and the other way round.

    Parameters
    ----------
    reference : ndarray of bool or integer, shape (H, W)
        Mask to compare with; everything but 0 is foreground.
    mask : ndarray of bool or integer, shape (H, W)
        Mask to judge; everything but 0 is foreground.
    settings : FlagSettings
        What counts as an object, and as covered.

    Returns
    -------
    StructureChange
        Counts of 8-connected components, and how much is foreground.

    Raises
    ------
    MaskError
        If the sizes differ.

    Examples
    --------
    >>> import numpy as np
    >>> reference, mask = np.array([[1, 1, 0, 1]]), np.array([[1, 1, 0, 0]])
    >>> change = structure_change(reference, mask, FlagSettings(min_object_px=1))
    >>> change.n_before, change.n_after, change.vanished, change.appeared
    (2, 1, 1, 0)
    """
    if reference.shape != mask.shape:
        raise MaskError(
            f"mask must have the reference mask's size {reference.shape}, got {mask.shape}. "
            "Check that both are of the same frame."
        )
    n_before, vanished = _uncovered(reference, mask, settings)
    n_after, appeared = _uncovered(mask, reference, settings)
    fractions = foreground_fraction(reference), foreground_fraction(mask)
    return StructureChange(n_before, n_after, vanished, appeared, *fractions)


def foreground_fraction(mask: NDArray) -> float:
    """Return the share of a mask's pixels that are foreground.

    Parameters
    ----------
    mask : ndarray of bool or integer, shape (H, W)
        Mask; everything but 0 is foreground.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> foreground_fraction(np.array([[1, 0, 0, 0]]))
    0.25
    """
    return int(np.count_nonzero(mask)) / mask.size


def plausible_fractions(fractions_a: Iterable[float], settings: FlagSettings) -> tuple[float, float]:
    """Widen the range of A's foreground fractions to what another domain may show.

    Parameters
    ----------
    fractions_a : iterable of float
        Foreground fraction of each of A's masks; those of 0 say nothing. May be empty.
    settings : FlagSettings
        How far to widen, and the limits that hold in any case.

    Returns
    -------
    low, high : float
        Bounds of a plausible fraction.

    Examples
    --------
    >>> plausible_fractions([0.05, 0.08], FlagSettings(fraction_factor=4))
    (0.0125, 0.32)
    >>> plausible_fractions([], FlagSettings())
    (0.001, 0.9)
    """
    known = [fraction for fraction in fractions_a if fraction > 0]
    if not known:
        return settings.min_fraction, settings.max_fraction
    low, high = min(known) / settings.fraction_factor, max(known) * settings.fraction_factor
    return max(low, settings.min_fraction), min(high, settings.max_fraction)


def change_reasons(change: StructureChange, settings: FlagSettings) -> list[str]:
    """Say in what a mask differs from a reference mask by more than is tolerated.

    Parameters
    ----------
    change : StructureChange
        Counts of objects, and foreground fractions.
    settings : FlagSettings
        What is tolerated.

    Returns
    -------
    list of str
        Reasons to look; empty where there is none.

    Examples
    --------
    >>> change = StructureChange(4, 3, vanished=1, appeared=0, fraction_before=0.2, fraction_after=0.15)
    >>> change_reasons(change, FlagSettings())
    ['1 of 4 objects vanished']
    """
    reasons = []
    if change.vanished > settings.max_changed * change.n_before:
        reasons.append(f"{change.vanished} of {change.n_before} objects vanished")
    if change.appeared > settings.max_changed * change.n_after:
        reasons.append(f"{change.appeared} of {change.n_after} objects appeared")
    smaller, larger = sorted((change.fraction_before, change.fraction_after))
    if larger > settings.max_growth * smaller:
        reasons.append(
            f"foreground fraction {change.fraction_after:.3f} instead of {change.fraction_before:.3f}"
        )
    return reasons


def fraction_reasons(fraction: float, plausible: tuple[float, float], settings: FlagSettings) -> list[str]:
    """Say why a foreground fraction is hard to believe.

    Parameters
    ----------
    fraction : float
        Foreground fraction of a mask.
    plausible : tuple of float
        What :func:`plausible_fractions` returns.
    settings : FlagSettings
        When a mask is all but empty or full.

    Returns
    -------
    list of str
        At most one reason to look.

    Examples
    --------
    >>> fraction_reasons(0.4, (0.0125, 0.32), FlagSettings())
    ['foreground fraction 0.400 is outside the plausible 0.013 to 0.320']
    >>> fraction_reasons(0.0, (0.0125, 0.32), FlagSettings())
    ['the mask is all but empty (foreground fraction 0.000)']
    """
    low, high = plausible
    if fraction < settings.min_fraction:
        return [f"the mask is all but empty (foreground fraction {fraction:.3f})"]
    if fraction > settings.max_fraction:
        return [f"the mask is all but full (foreground fraction {fraction:.3f})"]
    if not low <= fraction <= high:
        return [f"foreground fraction {fraction:.3f} is outside the plausible {low:.3f} to {high:.3f}"]
    return []


def _uncovered(objects: NDArray, other: NDArray, settings: FlagSettings) -> tuple[int, int]:
    """Count a mask's objects, and those of them that another mask does not cover."""
    from skimage.measure import label

    labels = label(objects != 0, connectivity=2)
    areas = np.bincount(labels.ravel())
    covered = np.bincount(labels[other != 0], minlength=len(areas))
    areas[0] = 0
    kept = areas >= settings.min_object_px
    return int(kept.sum()), int((covered[kept] < settings.min_coverage * areas[kept]).sum())
