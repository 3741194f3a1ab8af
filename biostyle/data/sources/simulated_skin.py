"""Simulate skin lesions with exact masks: dermoscopic images laid out as ISIC 2016's, photographs laid out as Waterloo's.

A dermoscopic image shows pale skin in the round field of a dermatoscope, dark hairs and a lesion that fills much of
the field. A macroscopic photograph shows darker skin under uneven light, without the round field, softer, noisier,
and with a smaller lesion. The difference is what a segmenter of the one meets in the other.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from biostyle.errors import ConfigError
from biostyle.io.atomic import write_atomically
from biostyle.types import NDArray

_MIN_SIDE_PX = 48
_HARMONICS = np.array([2, 3, 4, 5])
_HARMONIC_SD = np.array([0.12, 0.08, 0.05, 0.03])


@dataclass(frozen=True)
class _Camera:
    """What the two kinds of image differ in; lengths are fractions of the shorter side."""

    skin: tuple[float, float, float]  # RGB, 0 to 255
    lesion: tuple[float, float, float]  # RGB, added at the lesion's darkest
    radius: tuple[float, float]
    n_hairs: int
    is_round: bool
    gradient: float
    blur: float
    noise: float
    quality: int


_DERMATOSCOPE = _Camera((205, 150, 135), (-95, -85, -75), (0.17, 0.30), 6, True, 0.03, 0.004, 2.0, 92)
_PHONE = _Camera((165, 115, 85), (-75, -60, -45), (0.08, 0.16), 1, False, 0.25, 0.010, 5.0, 75)


def simulate_skin_pair(
    root: Path, seed: int, n_images: int = 12, shape: tuple[int, int] = (96, 128)
) -> tuple[Path, Path]:
    """Write a simulated dermoscopic and a simulated macroscopic collection.

    Parameters
    ----------
    root : Path
        Directory to write ``SIM-ISIC`` and ``SIM-WATERLOO`` into.
    seed : int
        Same seed, same pixels.
    n_images : int
        Images in each collection. Every fourth photograph is named as a second one of an earlier lesion.
    shape : tuple of int
        Height and width, in pixels.

    Returns
    -------
    folder_a, folder_b : Path
        The two collections, readable by :func:`biostyle.data.sources.dermoscopy.list_photographs` as ``isic`` and
        ``waterloo``.

    Raises
    ------
    ConfigError
        If the images would be too small to show a lesion, or there would be none.
    """
    if min(shape) < _MIN_SIDE_PX:
        raise ConfigError(
            f"shape must be at least {_MIN_SIDE_PX} px a side, got {shape}. Simulate larger images."
        )
    if n_images < 1:
        raise ConfigError(f"n_images must be at least 1, got {n_images}. Simulate something.")
    folder_a, folder_b = Path(root) / "SIM-ISIC", Path(root) / "SIM-WATERLOO"
    images_a, masks_a = (
        folder_a / f"ISBI2016_ISIC_Part1_Training_{kind}" for kind in ("Data", "GroundTruth")
    )
    for number in range(n_images):
        image, mask = _photograph(_DERMATOSCOPE, np.random.default_rng([seed, 0, number]), shape)
        _write(images_a / f"ISIC_{number:07d}.jpg", image, _DERMATOSCOPE.quality)
        _write(masks_a / f"ISIC_{number:07d}_Segmentation.png", mask)
        image, mask = _photograph(_PHONE, np.random.default_rng([seed, 1, number]), shape)
        name = f"{'notmelanoma' if number % 2 else 'melanoma'}/dermquest/{_lesion_name(number)}"
        _write(folder_b / f"{name}_orig.jpg", image, _PHONE.quality)
        _write(folder_b / f"{name}_contour.png", mask)
    return folder_a, folder_b


def _lesion_name(number: int) -> str:
    """Name a photograph as Waterloo does: letters for the diagnosis, the lesion's number, _2 for a second one."""
    second = number % 4 == 3
    return f"{'D' if number % 2 else 'SSM'}{number - 2 if second else number}{'_2' if second else ''}"


def _photograph(camera: _Camera, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Return an image (H, W, 3) uint8 and its lesion's mask (H, W) of 0 and 255."""
    side = min(shape)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    inside, depth = _lesion(rng, y, x, side, camera)
    tone = np.array(camera.skin) * rng.uniform(0.88, 1.08)
    pixels = np.ones((*shape, 3)) * tone + 6 * _smooth_noise(rng, shape, 0.06 * side)[..., None]
    pixels += depth[..., None] * np.array(camera.lesion) * rng.uniform(0.75, 1.1)
    pixels += inside[..., None] * 12 * _smooth_noise(rng, shape, 0.03 * side)[..., None]
    for _ in range(rng.poisson(camera.n_hairs)):
        pixels -= _hair(rng, y, x, side)[..., None] * np.array([110, 95, 85])
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (y / shape[0] - 0.5) + np.sin(angle) * (x / shape[1] - 0.5)
    pixels *= 1 + camera.gradient * 2 * along[..., None]
    if camera.is_round:
        distance = np.hypot(y - shape[0] / 2, x - shape[1] / 2) / side
        pixels *= 1 / (1 + np.exp((distance - 0.62) / 0.012))[..., None]
    pixels = ndimage.gaussian_filter(pixels, (camera.blur * side, camera.blur * side, 0))
    pixels += rng.normal(0, camera.noise, pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), inside.astype(np.uint8) * 255


def _lesion(
    rng: np.random.Generator, y: NDArray, x: NDArray, side: int, camera: _Camera
) -> tuple[NDArray, NDArray]:
    """Return which pixels are lesion and how dark each pixel is, from 0 on skin to 1."""
    radius = rng.uniform(*camera.radius) * side
    centre = np.array(y.shape) / 2 + rng.uniform(-0.1, 0.1, 2) * side
    angle = np.arctan2(y - centre[0], x - centre[1])
    phase = rng.uniform(0, 2 * np.pi, len(_HARMONICS))
    outline = 1 + (rng.normal(0, _HARMONIC_SD) * np.cos(angle[..., None] * _HARMONICS + phase)).sum(axis=-1)
    distance = np.hypot(y - centre[0], x - centre[1]) - radius * np.clip(outline, 0.5, 1.5)
    return distance < 0, 1 / (1 + np.exp(distance / (0.012 * side)))


def _hair(rng: np.random.Generator, y: NDArray, x: NDArray, side: int) -> NDArray:
    """Return how much of a thin, bent hair covers each pixel, 0 to 1."""
    angle, offset, bend = rng.uniform(0, np.pi), rng.uniform(-0.45, 0.45) * side, rng.normal(0, 0.4) / side
    rows, columns = y - y.shape[0] / 2, x - x.shape[1] / 2
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns - offset - bend * along**2
    return np.exp(-((across / (0.007 * side)) ** 2))


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> NDArray:
    """Return Gaussian noise smoothed to a length in pixels, with mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _write(path: Path, pixels: NDArray, quality: int = 0) -> None:
    """Write a JPEG of a quality from 1 to 100, or a PNG."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG" if path.suffix == ".jpg" else "PNG", quality=quality)
    write_atomically(path, out.getvalue())
