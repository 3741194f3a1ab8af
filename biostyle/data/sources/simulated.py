"""Simulate two microscopes' movies of cells with exact masks, laid out as Cell Tracking Challenge data sets.

Microscope A is like phase contrast: a mid-gray uneven background, textured cells not much darker than it, a
dark ragged rim and a bright halo, stored as uint8. Microscope B inverts the contrast, blurs, magnifies less,
and stores uint16 on a pedestal of about 33 000 with a span of a few thousand, as some real sets do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from biostyle.errors import ConfigError
from biostyle.io.frames import write_frame
from biostyle.io.labels import write_labels
from biostyle.types import NDArray

_MIN_SIDE_PX = 64
_HARMONICS = np.array([2, 3, 4, 5, 9, 13])  # the low ones bend the outline, the high ones make it ragged
_HARMONIC_SD = np.array([0.16, 0.08, 0.05, 0.03, 0.015, 0.015])


@dataclass(frozen=True)
class _Microscope:
    """Optics and camera: cell size as a fraction of the frame's side, lengths as fractions of a cell."""

    folder: str
    cell_fraction: float
    n_cells: int
    blur: float
    dtype: type[np.unsignedinteger]
    background: float
    gain: float
    shading: float
    noise: float


_MICROSCOPE_A = _Microscope("SIM-A", 0.16, 6, 0.0, np.uint8, 82, 21, 7, 2.5)
_MICROSCOPE_B = _Microscope("SIM-B", 0.096, 12, 0.04, np.uint16, 34_500, -800, 260, 70)


def simulate_pair(
    root: Path, seed: int, n_frames: int = 24, shape: tuple[int, int] = (256, 256), sequences: int = 1
) -> tuple[Path, Path]:
    """Write two simulated domains of moving cells with exact masks.

    Parameters
    ----------
    root : Path
        Directory to write ``SIM-A`` and ``SIM-B`` into.
    seed : int
        Same seed, same bytes.
    n_frames : int
        Frames in each sequence.
    shape : tuple of int
        Height and width of a frame, in pixels; cells scale with the shorter side.
    sequences : int
        Sequences in each domain: 01, 02, ...

    Returns
    -------
    folder_a, folder_b : Path
        The two data sets, readable by :func:`biostyle.data.sources.cell_tracking.read_sequences`. The masks
        are complete and therefore stored as silver.

    Raises
    ------
    ConfigError
        If the frames would be too small to hold cells, or there would be none.
    """
    if min(shape) < _MIN_SIDE_PX:
        raise ConfigError(
            f"shape must be at least {_MIN_SIDE_PX} px a side, got {shape}. Simulate larger frames."
        )
    for name, count in (("n_frames", n_frames), ("sequences", sequences)):
        if count < 1:
            raise ConfigError(f"{name} must be at least 1, got {count}. Simulate something.")
    folders = []
    for index, microscope in enumerate((_MICROSCOPE_A, _MICROSCOPE_B)):
        folder = Path(root) / microscope.folder
        for sequence in range(1, sequences + 1):
            rng = np.random.default_rng([seed, index, sequence])
            _write_sequence(folder, f"{sequence:02d}", microscope, rng, n_frames, shape)
        folders.append(folder)
    return folders[0], folders[1]


def _write_sequence(
    folder: Path,
    sequence: str,
    microscope: _Microscope,
    rng: np.random.Generator,
    n_frames: int,
    shape: tuple[int, int],
) -> None:
    """Photograph one moving specimen."""
    masks = folder / f"{sequence}_ST" / "SEG"
    masks.mkdir(parents=True, exist_ok=True)
    (folder / sequence).mkdir(exist_ok=True)
    diameter = microscope.cell_fraction * min(shape)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    tilt = rng.uniform(-1, 1, 2)
    shading = microscope.shading * (tilt[0] * y + tilt[1] * x - 0.5 * (y**2 + x**2))
    limits = np.iinfo(microscope.dtype)
    for number, (contrast, labels) in enumerate(
        _move_cells(rng, n_frames, shape, diameter, microscope.n_cells)
    ):
        if microscope.blur > 0:
            contrast = ndimage.gaussian_filter(contrast, microscope.blur * diameter)
        gray = microscope.background + shading + microscope.gain * contrast
        gray += rng.normal(0, microscope.noise, shape)
        frame = np.clip(np.rint(gray), limits.min, limits.max).astype(microscope.dtype)
        write_frame(folder / sequence / f"t{number:03d}.tif", frame)
        write_labels(masks / f"man_seg{number:03d}.tif", labels)


def _move_cells(
    rng: np.random.Generator, n_frames: int, shape: tuple[int, int], diameter: float, n_cells: int
) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield contrast (background near 0, cell texture about 1) and labels of each frame."""
    centres = _place_cells(rng, shape, diameter, n_cells)
    velocity = rng.normal(0, 0.03 * diameter, (n_cells, 2))
    radius = diameter / 2 * rng.uniform(0.8, 1.2, n_cells)
    amplitude = rng.normal(0, _HARMONIC_SD, (n_cells, len(_HARMONICS)))
    phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
    spin = rng.normal(0, 0.08, amplitude.shape)
    textures = [_cell_texture(rng, diameter) for _ in range(n_cells)]
    background = 0.10 * _smooth_noise(rng, shape, 0.5 * diameter) + 0.12 * _smooth_noise(rng, shape, 1.0)
    background += _specks(rng, shape, diameter)
    unevenness = np.clip(1 + 0.5 * _smooth_noise(rng, shape, 0.5 * diameter), 0.15, 2)
    for _ in range(n_frames):
        labels = np.zeros(shape, np.uint16)
        contrast = background.copy()
        for cell in range(n_cells):
            window, inside = _cell_outline(shape, centres[cell], radius[cell], amplitude[cell], phase[cell])
            inside &= labels[window] == 0
            labels[window][inside] = cell + 1
            texture = _texture_window(textures[cell], centres[cell], window)
            contrast[window][inside] += texture[inside]
        depth = ndimage.distance_transform_edt(labels > 0)
        distance = ndimage.distance_transform_edt(labels == 0)
        contrast -= 1.5 * unevenness * np.exp(-((depth / (0.05 * diameter)) ** 2)) * (labels > 0)
        contrast += 1.3 * unevenness * np.exp(-distance / (0.07 * diameter)) * (labels == 0)
        yield contrast, labels
        phase += spin
        velocity = 0.9 * velocity + rng.normal(0, 0.012 * diameter, velocity.shape)
        velocity += _repulsion(centres, diameter, shape)
        centres = np.clip(centres + velocity, 0, np.array(shape) - 1.0)


def _place_cells(rng: np.random.Generator, shape: tuple[int, int], diameter: float, n_cells: int) -> NDArray:
    """Return centres (n, 2) that keep their distance: the best of many candidates, one after another."""
    margin = 0.4 * diameter
    candidates = rng.uniform(margin, np.array(shape) - margin, (n_cells, 40, 2))
    centres = [candidates[0, 0]]
    for options in candidates[1:]:
        gaps = np.linalg.norm(options[:, None] - np.array(centres)[None], axis=-1).min(axis=1)
        far_enough = np.flatnonzero(gaps > 1.5 * diameter)
        centres.append(options[far_enough[0] if far_enough.size else gaps.argmax()])
    return np.array(centres)


def _repulsion(centres: NDArray, diameter: float, shape: tuple[int, int]) -> NDArray:
    """Return a push (n, 2), in pixels a frame, away from close neighbours and from the border."""
    apart = centres[:, None] - centres[None]
    distance = np.linalg.norm(apart, axis=-1, keepdims=True) + 1e-9
    closeness = np.clip(1.4 * diameter - distance, 0, None) * (distance > 1e-6)
    push = 0.05 * (closeness * apart / distance).sum(axis=1)
    margin = 0.3 * diameter
    push += 0.05 * np.clip(margin - centres, 0, None)
    return push - 0.05 * np.clip(centres - (np.array(shape) - margin), 0, None)


def _cell_outline(
    shape: tuple[int, int], centre: NDArray, radius: float, amplitude: NDArray, phase: NDArray
) -> tuple[tuple[slice, slice], NDArray]:
    """Return the window around a cell and which of its pixels are inside the outline."""
    reach = 1.8 * radius
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, shape).astype(int)
    window = (slice(low[0], high[0]), slice(low[1], high[1]))
    y, x = np.mgrid[window] - centre[:, None, None]
    angle = np.arctan2(y, x)
    bend = (amplitude * np.cos(angle[..., None] * _HARMONICS + phase)).sum(axis=-1)
    return window, np.hypot(y, x) < radius * np.clip(1 + bend, 0.45, 1.7)


def _cell_texture(rng: np.random.Generator, diameter: float) -> NDArray:
    """Return a square of cytoplasm with granules and a nucleus, large enough for any cell."""
    side = 2 * int(np.ceil(1.3 * diameter)) + 1
    texture = 0.55 * _smooth_noise(rng, (side, side), max(0.8, 0.03 * diameter))
    texture += 0.25 * _smooth_noise(rng, (side, side), 0.15 * diameter)
    nucleus = side / 2 + rng.uniform(-0.12, 0.12, 2) * diameter
    y, x = np.mgrid[:side, :side] - nucleus[:, None, None]
    body = 1 / (1 + np.exp((np.hypot(y, x) - 0.2 * diameter) / (0.02 * diameter)))
    return texture * (1 + 0.4 * body) + rng.uniform(-1.2, -0.2) * body - 0.3


def _texture_window(texture: NDArray, centre: NDArray, window: tuple[slice, slice]) -> NDArray:
    """Return the part of a cell's texture that falls into a window, moving with the cell."""
    half = texture.shape[0] // 2
    corner = np.rint(centre).astype(int)
    rows = np.clip(np.arange(window[0].start, window[0].stop) - corner[0] + half, 0, 2 * half)
    columns = np.clip(np.arange(window[1].start, window[1].stop) - corner[1] + half, 0, 2 * half)
    return texture[np.ix_(rows, columns)]


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> NDArray:
    """Return Gaussian noise smoothed to a length in pixels, with mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _specks(rng: np.random.Generator, shape: tuple[int, int], diameter: float) -> NDArray:
    """Return a dozen bits of debris, dark or bright, much smaller than a cell."""
    specks = np.zeros(shape)
    rows, columns = (rng.integers(0, side, 12) for side in shape)
    specks[rows, columns] = rng.choice([-1.0, 1.0], 12)
    sigma = max(0.7, 0.03 * diameter)
    return 2.0 * 2 * np.pi * sigma**2 * ndimage.gaussian_filter(specks, sigma)
