import numpy as np
import pytest

from biostyle.data.field_of_view import FieldOfView, find_field_of_view
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import ImageError
from biostyle.types import NDArray


def photograph_of(
    row: float, column: float, radius: float, shape: tuple[int, int], light: float = 1.0
) -> NDArray:
    """A textured orange disc on black."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(rows - row, columns - column) <= radius
    texture = np.random.default_rng(0).uniform(0.7, 1, (*shape, 1))
    return np.rint(light * inside[..., None] * texture * np.array([180, 90, 40])).astype(np.uint8)


@pytest.mark.parametrize(
    ("row", "column", "radius", "shape", "light"),
    [
        (150, 150, 140, (300, 300), 1.0),
        (212, 295, 256, (425, 640), 1.0),  # cut above and below, off-centre
        (110, 330, 95, (300, 480), 1.0),  # far off-centre, small
        (150, 200, 130, (300, 400), 0.08),  # almost black: at most 14 of 255
        (60, 50, 45, (120, 100), 1.0),  # smaller than the copy that is searched
        (210, 150, 140, (420, 300), 1.0),  # upright
    ],
)
def test_finds_the_circle(
    row: float, column: float, radius: float, shape: tuple[int, int], light: float
) -> None:
    fov = find_field_of_view(photograph_of(row, column, radius, shape, light))
    tolerance = 0.015 * max(shape)
    assert (fov.row, fov.column, fov.radius) == pytest.approx((row, column, radius), abs=tolerance)
    assert (fov.height, fov.width) == shape


def test_a_tab_at_the_edge_and_a_bright_background_change_little() -> None:
    photograph = photograph_of(150, 200, 120, (300, 400))
    photograph[60:80, 290:305] = (150, 80, 40)  # the notch of many cameras
    photograph = np.maximum(photograph, 12)
    fov = find_field_of_view(photograph)
    assert (fov.row, fov.column, fov.radius) == pytest.approx((150, 200, 120), abs=4)


def test_half_of_the_disc_in_the_dark() -> None:
    photograph = photograph_of(150, 200, 120, (300, 400)).astype(float)
    photograph *= np.linspace(1, 0.12, 400)[None, :, None]
    fov = find_field_of_view(photograph.astype(np.uint8))
    assert (fov.row, fov.column, fov.radius) == pytest.approx((150, 200, 120), abs=4)


def test_agrees_with_the_simulated_field_of_view() -> None:
    retina = simulate_retina(3)
    found = find_field_of_view(retina.photograph).inside()
    assert (found & retina.inside).sum() / (found | retina.inside).sum() > 0.97


def test_the_square_around_the_circle_may_reach_over_the_frame() -> None:
    assert FieldOfView(row=20, column=30, radius=25, height=40, width=60).box == (-5, 5, 50)


@pytest.mark.parametrize(
    "photograph",
    [
        np.zeros((80, 100, 3), np.uint8),
        np.random.default_rng(0).integers(0, 255, (80, 100, 3)).astype(np.uint8),
        np.full((80, 100, 3), 120, np.uint8),
        np.repeat(np.tile(np.uint8([0, 200]), 50)[None, :, None], 80, 0).repeat(3, 2),
    ],
    ids=["black", "noise", "gray", "stripes"],
)
def test_refuses_a_photograph_without_a_lit_disc(photograph: NDArray) -> None:
    with pytest.raises(
        ImageError, match=r"best overlap with a disc of 0\.\d\d.*\(eye\.jpg\).*no fundus is visible"
    ):
        find_field_of_view(photograph, "eye.jpg")


def test_refuses_a_disc_without_a_retina() -> None:
    rows, columns = np.mgrid[:200, :200]
    lamp = (np.hypot(rows - 100, columns - 100) < 80)[..., None] * np.full(3, 200, np.uint8)
    with pytest.raises(ImageError, match=r"a texture of 0\.00\d\d .*\(lamp\.png\)"):
        find_field_of_view(lamp.astype(np.uint8), "lamp.png")


@pytest.mark.parametrize("shape", [(80, 100), (0, 100, 3), (80, 100, 4)])
def test_refuses_what_is_no_photograph(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=rf"got uint8 \({shape[0]}, {shape[1]}"):
        find_field_of_view(np.zeros(shape, np.uint8))
