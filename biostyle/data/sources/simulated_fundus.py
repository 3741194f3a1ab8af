"""Simulate fundus photographs with exact vessel masks, laid out as IDRiD and DRIVE are.

A retina is an orange disc on black with a bright optic disc, a dark fovea, vessels that leave the optic disc in four arcs
and branch, and, with higher grades of diabetic retinopathy, more dark dots and bright exudates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from biostyle.errors import ConfigError
from biostyle.types import NDArray

_MIN_SIDE_PX = 64
_MAX_GRADE = 4
_OVERSAMPLING = 4


@dataclass(frozen=True)
class SimulatedRetina:
    """One photograph and its truth.

    Attributes
    ----------
    photograph : ndarray of uint8, shape (H, W, 3)
        What the camera saw.
    vessels : ndarray of bool, shape (H, W)
        Where the vessels are.
    inside : ndarray of bool, shape (H, W)
        The field of view.
    """

    photograph: NDArray
    vessels: NDArray
    inside: NDArray


def simulate_retina(seed: int, grade: int = 0, shape: tuple[int, int] = (192, 256)) -> SimulatedRetina:
    """Simulate one photograph.

    Parameters
    ----------
    seed : int
        Same seed, same retina; another grade adds lesions to it.
    grade : int
        Of diabetic retinopathy, 0 to 4.
    shape : tuple of int
        Height and width, in px. The circle is a little wider than the frame is high, as in many cameras.

    Returns
    -------
    SimulatedRetina
        Photograph and truth.

    Raises
    ------
    ConfigError
        If the frame is too small, or the grade unknown.

    Examples
    --------
    >>> retina = simulate_retina(seed=0)
    >>> retina.photograph.shape, bool((retina.vessels & ~retina.inside).any())
    ((192, 256, 3), False)
    """
    if min(shape) < _MIN_SIDE_PX:
        raise ConfigError(
            f"shape must be at least {_MIN_SIDE_PX} px a side, got {shape}. Simulate larger frames."
        )
    if not 0 <= grade <= _MAX_GRADE:
        raise ConfigError(f"grade must be between 0 and {_MAX_GRADE}, got {grade}. Choose a grade.")
    rng = np.random.default_rng(seed)
    height, width = shape
    radius = min(0.55 * height, 0.49 * width)
    y, x = (
        np.mgrid[:height, :width]
        - np.array([height / 2, width / 2 + rng.uniform(-0.02, 0.02) * width])[:, None, None]
    ) / radius
    inside = np.hypot(y, x) <= 1
    side = rng.choice([-1, 1])
    disc, fovea = np.array([rng.uniform(-0.1, 0.1), 0.5 * side]), np.array([0.05, -0.1 * side])
    vessels = _draw_vessels(rng, shape, disc, (y, x))
    light = 1 - 0.25 * (y**2 + x**2) + 0.05 * _smooth_noise(rng, shape, 0.2 * radius)
    light += 0.05 * _smooth_noise(rng, shape, 0.02 * radius)
    light *= 1 - 0.35 * _bump(y - fovea[0], x - fovea[1], 0.18)
    colour = np.array([0.78, 0.38, 0.16]) * rng.uniform(0.85, 1.1, 3)
    image = light[..., None] * colour
    image += 0.45 * _bump(y - disc[0], x - disc[1], 0.13)[..., None] * np.array([0.6, 1.0, 0.6])
    image *= 1 - vessels[..., None] * np.array([0.25, 0.5, 0.35])
    image = _add_lesions(np.random.default_rng([seed, grade]), image, grade, y, x)
    image += rng.normal(0, 0.008, image.shape)
    photograph = np.where(inside[..., None], np.clip(image, 0.02, 1), 0)
    return SimulatedRetina(np.rint(photograph * 255).astype(np.uint8), (vessels >= 0.5) & inside, inside)


def simulate_fundus(
    root: Path, seed: int, n_images: int = 12, shape: tuple[int, int] = (192, 256)
) -> tuple[Path, Path]:
    """Write simulated collections of graded photographs and of photographs with vessel masks.

    Parameters
    ----------
    root : Path
        Directory to write ``idrid`` and ``drive`` into.
    seed : int
        Same seed, same bytes.
    n_images : int
        Photographs in each; grades 0 to 4 follow one another.
    shape : tuple of int
        Height and width, in px.

    Returns
    -------
    idrid, drive : Path
        The collections, readable by :func:`biostyle.data.sources.fundus.list_fundus`.

    Raises
    ------
    ConfigError
        If there would be no photograph, or the frames would be too small.
    """
    if n_images < 1:
        raise ConfigError(f"n_images must be at least 1, got {n_images}. Simulate something.")
    idrid, drive = Path(root) / "idrid", Path(root) / "drive"
    folders = (idrid / "images", drive / "training" / "images", drive / "training" / "1st_manual")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    grades, lines = (
        [index % (_MAX_GRADE + 1) for index in range(n_images)],
        ["Image name,Retinopathy grade,Risk of macular edema"],
    )
    for index, grade in enumerate(grades):
        name = f"IDRiD_{index + 1:03d}"
        graded = simulate_retina(seed * 10_000 + index, grade, shape)
        Image.fromarray(graded.photograph).save(folders[0] / f"{name}.png")
        lines.append(f"{name},{grade},{min(grade, 2)}")
        traced = simulate_retina(seed * 10_000 + 5_000 + index, 0, shape)
        Image.fromarray(traced.photograph).save(folders[1] / f"{index + 21}_training.png")
        Image.fromarray(traced.vessels.astype(np.uint8) * 255).save(folders[2] / f"{index + 21}_manual1.png")
    (idrid / "grades.csv").write_text("\n".join(lines) + "\n")
    return idrid, drive


def _draw_vessels(
    rng: np.random.Generator, shape: tuple[int, int], disc: NDArray, axes: tuple[NDArray, NDArray]
) -> NDArray:
    """Share of each pixel that vessels cover: arcs from the optic disc that thin out and branch."""
    y, x = axes
    per_px = float(y[1, 0] - y[0, 0])  # radii a px
    canvas = Image.new("L", (shape[1] * _OVERSAMPLING, shape[0] * _OVERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    towards_fovea = -np.sign(disc[1])
    for up in (-1, 1):
        for angle, bend in ((0.35, 0.06), (-0.6, 0.03)):  # temporal arcs are long and bent, nasal ones short
            heading = np.arctan2(up * np.cos(angle), towards_fovea * np.sin(angle))
            pending = [(disc, heading, 0.03, up * towards_fovea * bend * np.sign(angle))]
            while pending:
                start, direction, thickness, curl = pending.pop()
                pending += _draw_branch(
                    rng, draw, start, direction, thickness, curl, (float(y[0, 0]), float(x[0, 0]), per_px)
                )
    fine = np.asarray(canvas, dtype=np.float32) / 255
    return fine.reshape(shape[0], _OVERSAMPLING, shape[1], _OVERSAMPLING).mean(axis=(1, 3))


def _draw_branch(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    start: NDArray,
    direction: float,
    thickness: float,
    curl: float,
    grid: tuple[float, float, float],
) -> list[tuple[NDArray, float, float, float]]:
    """Draw one vessel until it is too thin or leaves; return the branches that spring from it."""
    top, left, per_px = grid
    point, branches = start.copy(), []
    while thickness > 0.009 and np.hypot(*point) < 1.05:
        direction -= curl + rng.normal(0, 0.06)
        following = point + 0.05 * np.array([np.sin(direction), np.cos(direction)])
        line = [
            tuple(((end - np.array([top, left])) / per_px * _OVERSAMPLING)[::-1].tolist())
            for end in (point, following)
        ]
        draw.line(line, fill=255, width=max(2, round(thickness / per_px * _OVERSAMPLING)), joint="curve")
        if rng.random() < 0.22:
            fork = direction + rng.choice([-1, 1]) * rng.uniform(0.4, 0.8)
            branches.append((following, float(fork), 0.7 * thickness, 0.0))
            thickness *= 0.9
        point, thickness = following, 0.975 * thickness
    return branches


def _add_lesions(rng: np.random.Generator, image: NDArray, grade: int, y: NDArray, x: NDArray) -> NDArray:
    """Add dark dots from grade 1 on, exudates from 2 on; more and larger ones with each grade."""
    for index in range(6 * grade**2):
        bright = grade >= 2 and index % 3 == 0
        place, size = rng.uniform(-0.75, 0.75, 2), rng.uniform(0.012, 0.015 + 0.008 * grade)
        spot = _bump(y - place[0], x - place[1], size)[..., None]
        image = image + spot * np.array([0.35, 0.45, 0.2]) if bright else image * (1 - 0.55 * spot)
    return image


def _bump(y: NDArray, x: NDArray, radius: float) -> NDArray:
    """1 within a radius, with a soft edge."""
    return 1 / (1 + np.exp(np.clip((np.hypot(y, x) - radius) / (0.15 * radius), -30, 30)))


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> NDArray:
    """Gaussian noise smoothed to a length in pixels, with mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()
