import numpy as np
import pytest

from biostyle.data.field_of_view import find_field_of_view
from biostyle.data.retina_square import (
    crop_mask,
    crop_photograph,
    normalise_illumination,
    restore_mask,
    restore_photograph,
    square_inside,
)
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.types import NOT_ANNOTATED

RETINA = simulate_retina(1)
FOV = find_field_of_view(RETINA.photograph)


def test_the_circle_fills_the_square_and_nothing_is_left_outside() -> None:
    square, inside = crop_photograph(RETINA.photograph, FOV, 96), square_inside(FOV, 96)
    assert square.shape == (96, 96, 3)
    assert inside[48].mean() > 0.95
    assert (square[~inside] == 0).all()
    assert not inside[0].any()  # the frame cuts the circle there
    assert (square[inside].mean(axis=0) > 20).all()


def test_a_mask_travels_with_its_photograph_and_comes_back() -> None:
    mask = RETINA.vessels.astype(np.uint8)
    square = crop_mask(mask, FOV, FOV.box[2])
    inside = square_inside(FOV, FOV.box[2])
    assert (square[~inside] == NOT_ANNOTATED).all()
    assert set(np.unique(square[inside])) == {0, 1}
    back = restore_mask(square, FOV)
    assert (back[~FOV.inside()] == NOT_ANNOTATED).all()
    np.testing.assert_array_equal(back[FOV.inside()], mask[FOV.inside()])


def test_a_mask_comes_back_from_another_size() -> None:
    mask = (RETINA.photograph[..., 0] > 150).astype(np.uint8)
    back = restore_mask(crop_mask(mask, FOV, 256), FOV)
    assert (back == mask)[FOV.inside()].mean() > 0.97


@pytest.mark.parametrize("size_px", [64, 96, FOV.box[2]])
def test_an_unchanged_square_gives_back_the_photograph(size_px: int) -> None:
    square = crop_photograph(RETINA.photograph, FOV, size_px)
    restored = restore_photograph(square, square, FOV, RETINA.photograph)
    np.testing.assert_array_equal(restored, RETINA.photograph)


def test_only_the_retina_changes_and_keeps_its_detail() -> None:
    square = np.full((64, 64, 3), 70, np.uint8)
    restored = restore_photograph(square, square - 20, FOV, RETINA.photograph // 2)
    inside = FOV.inside()
    np.testing.assert_array_equal(restored[inside], RETINA.photograph[inside] // 2 + 20)
    np.testing.assert_array_equal(restored[~inside], RETINA.photograph[~inside] // 2)


@pytest.mark.parametrize("method", ["subtract", "divide"])
def test_evens_out_the_light_and_keeps_vessels(method: str) -> None:
    inside = FOV.inside()
    ramp = np.linspace(0.3, 1, RETINA.photograph.shape[1], dtype=np.float32)[None, :, None]
    uneven = RETINA.photograph.astype(np.float32) / 255 * ramp
    even = normalise_illumination(uneven, inside, method=method)  # type: ignore[arg-type]
    left, right = inside.copy(), inside.copy()
    left[:, 128:] = right[:, :128] = False

    def imbalance(image: np.ndarray) -> float:
        return float(image[right].mean() / image[left].mean())

    assert imbalance(uneven) > 1.5
    assert imbalance(even) < 1.15
    assert even[RETINA.vessels & inside, 1].mean() < even[~RETINA.vessels & inside, 1].mean()
    np.testing.assert_array_equal(even[~inside], uneven[~inside])
    assert even.min() >= 0
    assert even.max() <= 1


def test_nothing_to_even_out() -> None:
    image = np.full((8, 8, 3), 0.5, np.float32)
    np.testing.assert_array_equal(normalise_illumination(image, np.zeros((8, 8), bool)), image)
