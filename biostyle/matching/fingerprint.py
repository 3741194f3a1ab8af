"""What can be measured about a domain before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

from biostyle.errors import ImageError
from biostyle.matching.object_size import diameter_from_images, diameter_from_masks
from biostyle.types import NDArray, check_image, check_mask

PolarityName = Literal["bright objects", "dark objects", "mixed"]
_PERCENTILES = (0.1, 99.9)
_SKEWED = 1.0
_SEPARATED = 0.5
_FINE_CYCLES_PER_PX = 0.1
_COARSE_CYCLES_PER_PX = 0.01
_MAD_OF_NORMAL = 0.6745


class DomainFingerprint(BaseModel):
    """Numbers that describe a domain; medians over frames unless said otherwise.

    Attributes
    ----------
    n_frames : int
        Frames looked at.
    shapes : tuple of tuple of int
        Distinct heights and widths, in pixels.
    dtypes : tuple of str
        Distinct stored dtypes.
    minimum, maximum : float
        Smallest and largest stored value of all frames.
    pedestal : float
        0.1st percentile as a fraction of the largest value of the dtype (of 1 for floats).
    saturated_low, saturated_high : float
        Fraction of pixels that share the frame's smallest and largest value: clipped black and white.
    contrast : float
        99.9th less 0.1st percentile, as a fraction of the largest value of the dtype.
    background_level : float
        Where the median lies between these percentiles, in [0, 1]; near 0 for a dark background.
    skewness : float
        Third standardised moment of the gray values.
    polarity : {"bright objects", "dark objects", "mixed"}
        From the masks where there are any, else :attr:`polarity_from_image`.
    polarity_from_image : {"bright objects", "dark objects", "mixed"}
        From the side of the longer tail; "mixed" is "cannot tell".
    noise : float
        Standard deviation of white noise as a fraction of the contrast; 0 where gray levels are too coarse to tell.
    sharpness : float
        Fraction of the spectral power above .01 cycles per pixel that lies above .1 cycles per pixel.
    detail_px : float
        Scale of the strongest gray-value structure, as a diameter in pixels.
    object_cue : {"blob", "texture"}
        Whether objects stand out by gray value or by texture.
    object_diameter_px : float or None
        Median equivalent diameter of the annotated objects; None without masks.
    image_diameter_px : float or None
        Diameter estimated without masks; None where there is no telling.
    image_diameter_range_px : tuple of float
        Diameters that fit almost as well.
    foreground_fraction : float or None
        Of the pixels of annotated frames, or as the segmenter predicts it.
    foreground_source : {"masks", "segmenter"} or None
        Where that is from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_frames: int
    shapes: tuple[tuple[int, int], ...]
    dtypes: tuple[str, ...]
    minimum: float
    maximum: float
    pedestal: float
    saturated_low: float
    saturated_high: float
    contrast: float
    background_level: float
    skewness: float
    polarity: PolarityName
    polarity_from_image: PolarityName
    noise: float
    sharpness: float
    detail_px: float
    object_cue: Literal["blob", "texture"]
    object_diameter_px: float | None
    image_diameter_px: float | None
    image_diameter_range_px: tuple[float, float]
    foreground_fraction: float | None
    foreground_source: Literal["masks", "segmenter"] | None


@dataclass(frozen=True)
class _FrameNumbers:
    """The numbers of one frame that are summarised by their median."""

    pedestal: float
    saturated_low: float
    saturated_high: float
    contrast: float
    background_level: float
    skewness: float
    noise: float
    sharpness: float


def fingerprint_domain(
    frames: Iterable[NDArray], masks: Iterable[NDArray | None] | None = None
) -> DomainFingerprint:
    """Measure a domain.

    Parameters
    ----------
    frames : iterable of ndarray of shape (H, W)
        Raw frames of any dtype, at least one.
    masks : iterable of ndarray of shape (H, W), optional
        Labels or masks, one a frame; None where a frame has none.

    Returns
    -------
    DomainFingerprint
        What was found.

    Raises
    ------
    ImageError
        If there is no frame, or a frame cannot be used.
    MaskError
        If a mask does not have the size of its frame.

    Notes
    -----
    Noise is the median absolute diagonal Haar coefficient over .6745 [1]_. The polarity of an image is the sign of the
    skewness of its gray values where that exceeds 1 in size, since objects cover less than the background;
    with masks it is the sign of the difference between the medians of foreground and background where that
    exceeds half the standard deviation of the background.

    References
    ----------
    .. [1] Donoho & Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994,
       doi:10.1093/biomet/81.3.425.
    """
    raw = [check_image(np.asarray(frame), "frame", f"frame {i}") for i, frame in enumerate(frames)]
    if not raw:
        raise ImageError("frames must hold at least one frame, got 0. Check the folder.")
    annotated = [
        (image, check_mask(np.asarray(mask), image.shape, "mask", f"frame {i}"))
        for i, (image, mask) in enumerate(zip(raw, [] if masks is None else masks, strict=masks is not None))
        if mask is not None
    ]
    units = [_unit(image) for image in raw]
    numbers = [_measure(image, unit) for image, unit in zip(raw, units, strict=True)]
    medians = {
        name: float(np.median([getattr(of_frame, name) for of_frame in numbers]))
        for name in _FrameNumbers.__dataclass_fields__
    }
    size = diameter_from_images(units)
    from_image = _polarity(medians["skewness"], _SKEWED)
    difference = _foreground_difference(annotated)
    return DomainFingerprint(
        n_frames=len(raw),
        shapes=tuple(sorted({(image.shape[0], image.shape[1]) for image in raw})),
        dtypes=tuple(sorted({image.dtype.name for image in raw})),
        minimum=float(min(image.min() for image in raw)),
        maximum=float(max(image.max() for image in raw)),
        **medians,
        polarity=from_image if difference is None else _polarity(difference, _SEPARATED),
        polarity_from_image=from_image,
        detail_px=size.detail_px,
        object_cue="blob" if size.cue == "blob" else "texture",
        object_diameter_px=diameter_from_masks([mask for _, mask in annotated]),
        image_diameter_px=size.diameter_px,
        image_diameter_range_px=(size.low_px, size.high_px),
        foreground_fraction=float(np.mean([(m != 0).mean() for _, m in annotated])) if annotated else None,
        foreground_source="masks" if annotated else None,
    )


def _measure(image: NDArray, unit: NDArray) -> _FrameNumbers:
    """Measure one frame, given also in units of its contrast."""
    largest = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1
    low, high = np.percentile(image.view(np.uint8) if image.dtype == bool else image, _PERCENTILES)
    return _FrameNumbers(
        pedestal=float(low / largest),
        saturated_low=float((image == image.min()).mean()),
        saturated_high=float((image == image.max()).mean()),
        contrast=float((high - low) / largest),
        background_level=float(np.median(unit)),
        skewness=float(stats.skew(unit, axis=None)),
        noise=_noise(unit),
        sharpness=_sharpness(unit),
    )


def _unit(image: NDArray) -> NDArray:
    """Map two percentiles, or the extremes where these are equal, to 0 and 1, and clip."""
    values = image.astype(np.float64)
    low, high = np.percentile(values, _PERCENTILES)
    if low == high:
        low, high = values.min(), values.max()
    return np.clip((values - low) / (high - low), 0, 1)


def _noise(unit: NDArray) -> float:
    """Standard deviation of white noise, from the diagonal Haar coefficients."""
    even = unit[: unit.shape[0] // 2 * 2, : unit.shape[1] // 2 * 2]
    diagonal = (even[::2, ::2] - even[1::2, ::2] - even[::2, 1::2] + even[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / _MAD_OF_NORMAL) if diagonal.size else 0.0


def _sharpness(unit: NDArray) -> float:
    """Share of fine structure in the power spectrum of the windowed frame."""
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in unit.shape))
    power = np.abs(np.fft.rfft2((unit - unit.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(unit.shape[0])[:, None], np.fft.rfftfreq(unit.shape[1])[None, :])
    everything = power[frequency > _COARSE_CYCLES_PER_PX].sum()
    return float(power[frequency > _FINE_CYCLES_PER_PX].sum() / everything) if everything > 0 else 0.0


def _foreground_difference(annotated: list[tuple[NDArray, NDArray]]) -> float | None:
    """Median over frames of the foreground's median less the background's, in deviations of the background."""
    differences = []
    for image, mask in annotated:
        inside, outside = image[mask != 0], image[mask == 0]
        if inside.size and outside.size:
            spread = float(outside.std()) or 1.0
            differences.append((float(np.median(inside)) - float(np.median(outside))) / spread)
    return float(np.median(differences)) if differences else None


def _polarity(value: float, threshold: float) -> PolarityName:
    """Name the sign of a value that is large enough."""
    if abs(value) < threshold:
        return "mixed"
    return "bright objects" if value > 0 else "dark objects"
