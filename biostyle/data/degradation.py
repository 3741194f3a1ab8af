"""Spoil good fundus photographs as cameras, patients and dust do, with a known severity.

Three defects, each with a severity in [0, 1]: uneven illumination, defocus blur, and spots. Their physical form is that
of Shen et al. [1]_; lengths are relative to the field of view and light is relative to the photograph's own, so that one
severity looks alike in every camera's images.

Strengths begin with the published ones. The authors' program [2]_ blurs a photograph of 512 px with kernels of 3 to 7 px
(its Gaussians of 5 to 15 px are cut off there, so that standard deviations are .0016 to .0039 of the field of view), adds
5 to 10 discs .01 to .05 wide and .06 to .09 bright, and takes .26 to .29 of white from a disc .4 to .7 wide. Blur of
about .45, spots of about .3 and illumination of about .7 are as strong as its strongest; 1 is beyond, as what graders
reject is.

How bad a photograph is, is the root of the sum of the squared severities, at most 1. Up to .20 it is called good, up to
.60 usable, above that reject. Severities are drawn from inside these ranges and not near their limits, where graders
disagree as well.

References
----------
.. [1] Shen, Fu, Shen and Shao, "Modeling and Enhancing Low-Quality Retinal Fundus Images", IEEE Transactions on Medical
   Imaging 40, 2021. :doi:`10.1109/TMI.2020.3043495`
.. [2] https://github.com/HzFu/EyeQ_Enhancement, ``degradation_code``, read in 2026-11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from scipy import ndimage

from biostyle.errors import ConfigError
from biostyle.types import NDArray

Defect: TypeAlias = Literal["illumination", "blur", "spots"]
Quality: TypeAlias = Literal["good", "usable", "reject"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)
QUALITIES: tuple[Quality, ...] = get_args(Quality)  # in EyeQ's order: 0, 1, 2

_GOOD_UP_TO, _USABLE_UP_TO = 0.2, 0.6
_DRAWN: dict[Quality, tuple[float, float]] = {
    "good": (0.0, 0.1),
    "usable": (0.42, 0.56),
    "reject": (0.8, 1.0),
}
_GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
# colours of light that leaks past the iris or the eyecup: white, greenish blue, yellowish
_LEAK_COLOURS = np.array([[1.0, 0.98, 0.96], [0.6, 0.95, 0.95], [0.75, 0.8, 0.6]], np.float32)


@dataclass(frozen=True)
class Degradation:
    """How badly to spoil a photograph.

    Attributes
    ----------
    illumination, blur, spots : float
        Severity of each defect, in [0, 1]; 0 leaves it out.
    seed : int
        Source of places, directions, colours and noise.

    Raises
    ------
    ConfigError
        If a severity is out of its range.
    """

    illumination: float = 0.0
    blur: float = 0.0
    spots: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for defect in DEFECTS:
            if not 0 <= getattr(self, defect) <= 1:
                raise ConfigError(
                    f"{defect} must be a severity in [0, 1], got {getattr(self, defect)}. Choose one in between."
                )

    @property
    def severity(self) -> float:
        """Severity of all defects together, in [0, 1]."""
        return min(1.0, math.hypot(self.illumination, self.blur, self.spots))

    @property
    def quality(self) -> Quality:
        """What a grader would call the result of spoiling a good photograph."""
        return quality_of(self.severity)


def quality_of(severity: float) -> Quality:
    """Name the quality that a severity leaves.

    Parameters
    ----------
    severity : float
        Of all defects together, in [0, 1].

    Returns
    -------
    {"good", "usable", "reject"}
        Good up to .20, usable up to .60.

    Examples
    --------
    >>> [quality_of(severity) for severity in (0, 0.4, 0.8)]
    ['good', 'usable', 'reject']
    """
    if severity <= _GOOD_UP_TO:
        return "good"
    return "usable" if severity <= _USABLE_UP_TO else "reject"


def draw_degradation(quality: Quality, seed: int, defects: Sequence[Defect] = DEFECTS) -> Degradation:
    """Draw severities that lead to a wanted quality.

    Parameters
    ----------
    quality : {"good", "usable", "reject"}
        What the result is to be called.
    seed : int
        Same seed, same severities.
    defects : sequence of {"illumination", "blur", "spots"}
        One for that defect alone, several for a mixture, in which each has a random share.

    Returns
    -------
    Degradation
        With ``quality`` as wanted.

    Raises
    ------
    ConfigError
        If there is no defect, or one that is unknown.

    Examples
    --------
    >>> degradation = draw_degradation("reject", seed=3, defects=["blur"])
    >>> degradation.illumination, degradation.quality
    (0.0, 'reject')
    """
    if not defects or not set(defects) <= set(DEFECTS):
        raise ConfigError(f"defects must be some of {list(DEFECTS)}, got {list(defects)}. Name at least one.")
    rng = np.random.default_rng([seed, QUALITIES.index(quality)])
    severity = rng.uniform(*_DRAWN[quality])
    shares = np.sqrt(rng.dirichlet(np.full(len(defects), 0.5)))
    drawn = {name: min(1.0, severity * float(share)) for name, share in zip(defects, shares, strict=True)}
    return Degradation(**drawn, seed=seed)


def degrade(
    photograph: NDArray, inside: NDArray, degradation: Degradation
) -> tuple[NDArray, dict[Defect, dict[str, Any]]]:
    """Spoil a photograph within its field of view.

    Parameters
    ----------
    photograph : ndarray of float32, shape (H, W, 3)
        In [0, 1].
    inside : ndarray of bool, shape (H, W)
        The field of view; nothing else changes.
    degradation : Degradation
        What to do to it.

    Returns
    -------
    spoiled : ndarray of float32, shape (H, W, 3)
        In [0, 1].
    parameters : dict
        What was done, by defect, as JSON holds it: lengths in px, added light relative to white, light taken away
        (negative) as a fraction.

    Notes
    -----
    With x the photograph and * a convolution with a Gaussian [1]_:

    - illumination: x' = clip(a (x + J * G_L) + b, s) with contrast a, brightness b and saturation s; J is light that
      leaks in at the rim, or a disc of shadow
    - blur: x' = x * G_B + n with noise n
    - spots: x' = x + sum over k of o_k G_R, discs with soft edges

    Two things differ from the paper: added light is in proportion to the mean within the field of view, and what is
    dark takes light away in proportion to x, as a shadow does, instead of a constant. The light falls first, then dust
    spots it, then the lens blurs.

    References
    ----------
    .. [1] Shen, Fu, Shen and Shao, "Modeling and Enhancing Low-Quality Retinal Fundus Images", IEEE Transactions on
       Medical Imaging 40, 2021. :doi:`10.1109/TMI.2020.3043495`

    Examples
    --------
    >>> import numpy as np
    >>> inside = np.hypot(*(np.mgrid[:32, :32] - 15.5)) < 16
    >>> photograph = 0.5 * inside[..., None] * np.ones(3, np.float32)
    >>> spoiled, parameters = degrade(photograph, inside, Degradation(blur=0.5))
    >>> list(parameters), bool((spoiled[~inside] == 0).all())
    (['blur'], True)
    """
    parameters: dict[Defect, dict[str, Any]] = {}
    if not inside.any():
        return photograph.astype(np.float32), parameters
    image = photograph.astype(np.float32)
    steps = {"illumination": _light, "spots": _spot, "blur": _blur}
    for index, (defect, step) in enumerate(steps.items()):
        severity = getattr(degradation, defect)
        if severity > 0:
            rng = np.random.default_rng([degradation.seed, index])
            image, parameters[defect] = step(image, inside, severity, rng)  # type: ignore[index]
            image = np.clip(image, 0, 1)
    return np.where(inside[..., None], image, photograph).astype(np.float32), parameters


def _diameter(inside: NDArray) -> float:
    """Diameter of the field of view, in px: its longest extent along an axis."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return float(max(np.ptp(rows), np.ptp(columns)) + 1)


def _polar(inside: NDArray, rng: np.random.Generator, low: float, high: float) -> tuple[NDArray, list[float]]:
    """Distance of every pixel, in diameters, from a random point so many radii from the middle; and that point."""
    rows, columns = np.nonzero(inside)
    middle = np.array([rows.min() + rows.max(), columns.min() + columns.max()]) / 2
    diameter, angle = _diameter(inside), rng.uniform(0, 2 * np.pi)
    point = middle + rng.uniform(low, high) * diameter / 2 * np.array([np.sin(angle), np.cos(angle)])
    y, x = np.ogrid[: inside.shape[0], : inside.shape[1]]
    return np.hypot(y - point[0], x - point[1]) / diameter, [round(float(length), 2) for length in point]


def _soft_disc(distance: NDArray, radius: float, edge: float) -> NDArray:
    """1 within a radius, 0 outside, with an edge as blurred as by a Gaussian of that width."""
    return (1 / (1 + np.exp(np.clip(1.7 * (distance - radius) / edge, -30, 30)))).astype(np.float32)


def _light(
    image: NDArray, inside: NDArray, severity: float, rng: np.random.Generator
) -> tuple[NDArray, dict[str, Any]]:
    """Shade a part, or let light leak in at the rim; then change contrast, brightness and saturation."""
    mean, amount = float(image[inside].mean()), severity**0.75
    leak = bool(rng.random() < 0.5)
    if leak:
        distance, point = _polar(inside, rng, 0.9, 1.1)
        radius = rng.uniform(0.35, 0.5)
        strength = 1.1 * amount * max(mean, 0.25)
        light = strength * _LEAK_COLOURS[rng.integers(len(_LEAK_COLOURS))]
    else:
        distance, point = _polar(inside, rng, 0.2, 0.8)
        radius = rng.uniform(0.3, 0.45)
        strength = -0.95 * amount
        light = strength * image
    light = light * _soft_disc(distance, radius, 0.12)[..., None]
    contrast = 1 - amount * rng.uniform(0.15, 0.45)
    brightness = mean * amount * rng.uniform(-0.25, 0.1)
    saturation = 1 - amount * rng.uniform(0.0, 0.5)
    lit = contrast * (image + light) + (1 - contrast) * mean + brightness
    gray = (lit @ _GRAY_WEIGHTS)[..., None]
    parameters = {
        "kind": "leak" if leak else "shadow",
        "point_px": point,
        "radius_px": radius * _diameter(inside),
        "strength": strength,
        "contrast": contrast,
        "brightness": brightness,
        "saturation": saturation,
    }
    return gray + saturation * (lit - gray), parameters


def _spot(
    image: NDArray, inside: NDArray, severity: float, rng: np.random.Generator
) -> tuple[NDArray, dict[str, Any]]:
    """Add discs of light or shadow with soft edges, more, larger and stronger ones with more severity."""
    mean, diameter = float(image[inside].mean()), _diameter(inside)
    n_spots = round(4 + 14 * severity)
    spots = []
    image = image.copy()
    for _ in range(n_spots):
        distance, point = _polar(inside, rng, 0.0, 0.95)
        radius = rng.uniform(0.01, 0.015 + 0.035 * severity)
        bright = bool(rng.random() < 0.6)
        strength = severity * float(rng.uniform(0.6, 1.0) * mean if bright else -rng.uniform(0.6, 0.9))
        image += strength * _soft_disc(distance, radius, radius / 4)[..., None] * (1 if bright else image)
        spots.append({"point_px": point, "radius_px": radius * diameter, "strength": strength})
    return image, {"spots": spots}


def _blur(
    image: NDArray, inside: NDArray, severity: float, rng: np.random.Generator
) -> tuple[NDArray, dict[str, Any]]:
    """Defocus, with nothing leaking in from outside, and add noise."""
    sigma_px = 0.0085 * severity * _diameter(inside)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma_px)
    blurred = ndimage.gaussian_filter(image * inside[..., None], (sigma_px, sigma_px, 0))
    blurred /= np.maximum(weight, 1e-6)[..., None]
    noise = 0.01 * severity
    return blurred + rng.normal(0, noise, image.shape), {"sigma_px": sigma_px, "noise": noise}
