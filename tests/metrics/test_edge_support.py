"""Contours on edges, beside them, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from biostyle.metrics.edge_support import NEAR_PX, SIGMA_PX, edge_support
from biostyle.types import NDArray


def scene(contrast: float = 0.6, noise: float = 0.03, blur: float = 1.0) -> tuple[NDArray, NDArray]:
    """Bright discs on dark ground, a little noise, and their mask."""
    rows, columns = np.mgrid[:128, :160]
    mask = np.zeros((128, 160), bool)
    for row, column, radius in ((30, 30, 12), (80, 50, 16), (50, 110, 20), (105, 130, 10)):
        mask |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    image = 0.2 + contrast * gaussian_filter(mask.astype(float), blur)
    image += noise * np.random.default_rng(0).standard_normal(image.shape)
    return image.clip(0, 1).astype(np.float32)[None], mask


@pytest.mark.parametrize("n_px", [2, 4, 6, 8])
def test_a_mask_that_outgrew_its_objects_or_shrank_has_less(n_px: int) -> None:
    image, mask = scene()
    right = edge_support(image, mask)
    grown, shrunk = binary_dilation(mask, iterations=n_px), binary_erosion(mask, iterations=n_px)
    assert right > 2
    assert edge_support(image, grown) < right
    assert edge_support(image, shrunk) < right


def test_it_does_not_matter_whether_objects_are_brighter() -> None:
    """But for the square root, which spreads dark grays."""
    image, mask = scene()
    assert edge_support(1 - image, mask) == pytest.approx(edge_support(image, mask), rel=0.15)
    assert edge_support(image, ~mask) == pytest.approx(edge_support(image, mask))


def test_contours_anywhere_in_noise_have_about_1() -> None:
    _, mask = scene()
    noise = np.random.default_rng(0).random((1, 128, 160))
    assert edge_support(noise, mask) == pytest.approx(1, abs=0.05)


def test_it_is_the_steepness_on_either_side_of_a_contour_over_that_around_it() -> None:
    """A ramp is equally steep everywhere, and a step is steep where it is: both by hand, far from the frame's edge."""
    mask = np.zeros((60, 60), bool)
    mask[:, 30:] = True
    ramp = np.broadcast_to(np.linspace(0, 1, 60) ** 2, (1, 60, 60))
    assert edge_support(ramp, mask) == pytest.approx(1, abs=0.01)
    step = mask.astype(np.float32)[None]
    # Of the middles of the near pixels from the step: contour pixels lie half a pixel beside it, near ones up to 9 px on.
    offsets = np.arange(-NEAR_PX - 1, NEAR_PX + 1) + 0.5
    slope = np.exp(-0.5 * (offsets / SIGMA_PX) ** 2)
    assert edge_support(step, mask) == pytest.approx(slope.max() / slope.mean(), rel=0.05)


@pytest.mark.parametrize("value", [False, True])
def test_where_there_is_no_contour_there_is_no_edge_support(value: bool) -> None:
    image, mask = scene()
    assert edge_support(image, np.full_like(mask, value)) == 0


def test_where_there_is_no_gradient_there_is_no_edge_support() -> None:
    _, mask = scene()
    assert edge_support(np.full((1, 128, 160), 0.4), mask) == 0


def test_colour_counts_as_the_mean_over_channels() -> None:
    image, mask = scene()
    assert edge_support(image.repeat(3, axis=0), mask) == pytest.approx(edge_support(image, mask), rel=1e-5)
