"""Find the disc in which a fundus camera shows the retina.

Cameras differ in where it lies, how much of the frame it fills and whether the frame cuts it above and below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from biostyle.errors import ImageError
from biostyle.types import NDArray

_SEARCH_SIDE_PX = 256  # the circle is sought in a copy of this size
_LEVELS = (4, 6, 9, 13, 19, 28, 40)  # gray levels above the dark surroundings at which it is tried
_MIN_RADIUS = 0.2  # of the shorter side
_MIN_OVERLAP = 0.94  # of the lit region with the disc, as a Jaccard index
_MIN_STRUCTURE = 0.005  # of the disc's own texture, relative to its brightness
_N_TRIPLETS = 300


@dataclass(frozen=True)
class FieldOfView:
    """A circle in a photograph, and the square around it.

    Attributes
    ----------
    row, column : float
        Centre, in px; it may lie off the frame's centre.
    radius : float
        In px; the circle may reach over the frame's borders.
    height, width : int
        Of the photograph, in px.
    """

    row: float
    column: float
    radius: float
    height: int
    width: int

    @property
    def box(self) -> tuple[int, int, int]:
        """First row and first column of the square, which may be negative, and its side, in px."""
        side = 2 * int(np.ceil(self.radius))
        return round(self.row - side / 2), round(self.column - side / 2), side

    def inside(self) -> NDArray:
        """Tell the pixels within the circle.

        Returns
        -------
        ndarray of bool, shape (height, width)
            True inside.
        """
        rows, columns = np.ogrid[: self.height, : self.width]
        return np.hypot(rows - self.row, columns - self.column) <= self.radius


def find_field_of_view(photograph: NDArray, where: str = "") -> FieldOfView:
    """Find the circle that the camera lit.

    Parameters
    ----------
    photograph : ndarray of uint8, shape (H, W, 3)
        A fundus photograph.
    where : str
        File it came from, for errors.

    Returns
    -------
    FieldOfView
        The circle.

    Raises
    ------
    ImageError
        If no fundus is visible: nothing is lit, what is lit is no disc, or the disc is empty.

    Notes
    -----
    Several gray levels are tried, because some frames are almost black. At each, the largest lit region's outline
    votes for a circle: many circles through three of its points, of which the one near most points wins and is then
    fitted to these by least squares. Points on the frame's border do not vote, since a cut disc is straight there.
    The level whose region overlaps most with its disc is taken.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:80, :100]
    >>> disc = (np.hypot(y - 40, x - 45) < 35)[..., None] * np.array([160, 80, 40])
    >>> texture = np.random.default_rng(0).integers(0, 20, (80, 100, 3))
    >>> fov = find_field_of_view((disc + texture * (disc > 0)).astype(np.uint8))
    >>> round(fov.row), round(fov.column), round(fov.radius)
    (40, 45, 35)
    """
    at = f" ({where})" if where else ""
    if (
        photograph.ndim != 3
        or photograph.shape[2] != 3
        or photograph.dtype != np.uint8
        or 0 in photograph.shape
    ):
        raise ImageError(
            f"fundus photograph must be uint8 of shape (H, W, 3), got {photograph.dtype} {photograph.shape}{at}. "
            "Save it as an RGB image."
        )
    height, width = photograph.shape[:2]
    factor = max(1.0, max(height, width) / _SEARCH_SIDE_PX)
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    brightness = resize(photograph.max(axis=2).astype(np.float32), size, order=1, anti_aliasing=True)
    brightness = ndimage.median_filter(brightness, 3)
    floor = np.percentile(brightness, 1)
    found = max((_disc_at(brightness > floor + level) for level in _LEVELS), key=lambda disc: disc[0])
    overlap, row, column, radius = found
    scale = np.array([height / size[0], width / size[1]])
    row, column = (np.array([row, column]) + 0.5) * scale - 0.5
    radius *= float(scale.mean())
    if overlap < _MIN_OVERLAP:
        raise ImageError(
            f"photograph must show a fundus in a lit disc, got a best overlap with a disc of {overlap:.2f} "
            f"(at least {_MIN_OVERLAP}){at}. Remove it, or photograph again: no fundus is visible."
        )
    fov = FieldOfView(float(row), float(column), float(radius), height, width)
    structure = _structure(photograph, fov)
    if structure < _MIN_STRUCTURE:
        raise ImageError(
            f"photograph must show a retina in its disc, got a texture of {structure:.4f} "
            f"(at least {_MIN_STRUCTURE}){at}. Remove it: no fundus is visible."
        )
    return fov


def _disc_at(lit: NDArray) -> tuple[float, float, float, float]:
    """Overlap, centre and radius of the disc that fits the largest lit region best; zeros if there is none."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    regions, n_regions = ndimage.label(ndimage.binary_opening(lit, iterations=2))
    if n_regions == 0:
        return nothing
    sizes = np.bincount(regions.ravel())[1:]
    region = ndimage.binary_fill_holes(regions == sizes.argmax() + 1)
    outline = region & ~ndimage.binary_erosion(region, border_value=1)
    outline[:2] = outline[-2:] = False
    outline[:, :2] = outline[:, -2:] = False
    points = np.argwhere(outline).astype(float)
    if len(points) < 20:
        return nothing
    row, column, radius = _fit_circle(points, max(lit.shape))
    if not _MIN_RADIUS * min(lit.shape) <= radius <= max(lit.shape):
        return nothing
    rows, columns = np.ogrid[: lit.shape[0], : lit.shape[1]]
    disc = np.hypot(rows - row, columns - column) <= radius
    overlap = float((disc & region).sum() / (disc | region).sum())
    return overlap, row, column, radius


def _fit_circle(points: NDArray, largest: int) -> tuple[float, float, float]:
    """Centre and radius, by votes of circles through three points and least squares over those near the winner."""
    rng = np.random.default_rng(0)
    corners = points[rng.integers(len(points), size=(_N_TRIPLETS, 3))]
    circles = _circles_through(corners)
    usable = np.isfinite(circles).all(axis=1) & (circles[:, 2] < largest)
    if not usable.any():
        return 0.0, 0.0, 0.0
    circles = circles[usable]
    distance = np.abs(
        np.hypot(points[:, 0, None] - circles[:, 0], points[:, 1, None] - circles[:, 1]) - circles[:, 2]
    )
    circle = circles[(distance < 1.5).sum(axis=0).argmax()]
    for _ in range(3):
        near = np.abs(np.hypot(*(points - circle[:2]).T) - circle[2]) < 2.5
        system = np.c_[2 * points[near], np.ones(near.sum())]
        centre_and_offset = np.linalg.lstsq(system, (points[near] ** 2).sum(axis=1), rcond=None)[0]
        radius = np.sqrt(max(centre_and_offset[2] + (centre_and_offset[:2] ** 2).sum(), 0))
        circle = np.array([*centre_and_offset[:2], radius])
    # the outline's pixels are half a pixel within the edge
    return float(circle[0]), float(circle[1]), float(circle[2] + 0.5)


def _circles_through(corners: NDArray) -> NDArray:
    """Row, column and radius of the circle through each three points, shape (n, 3); not finite if on a line."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    cross = 2 * (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        to_b, to_c = (ab**2).sum(axis=1) / cross, (ac**2).sum(axis=1) / cross
        offset = np.c_[ac[:, 1] * to_b - ab[:, 1] * to_c, ab[:, 0] * to_c - ac[:, 0] * to_b]
        return np.c_[a + offset, np.hypot(*offset.T)]


def _structure(photograph: NDArray, fov: FieldOfView) -> float:
    """Standard deviation of the inner disc without its slow change of brightness, relative to its mean."""
    rows, columns = np.ogrid[: fov.height, : fov.width]
    inner = np.hypot(rows - fov.row, columns - fov.column) <= 0.6 * fov.radius
    if not inner.any():
        return 0.0
    gray = photograph.astype(np.float32).mean(axis=2)
    fine = gray - ndimage.gaussian_filter(gray, 0.1 * fov.radius, mode="nearest")
    return float(fine[inner].std() / max(gray[inner].mean(), 1.0))
