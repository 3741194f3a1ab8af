import numpy as np
import pytest

from biostyle.errors import ImageError, MaskError
from biostyle.types import check_image, check_mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.bool_])
def test_a_usable_frame_is_returned_as_it_is(dtype: type) -> None:
    image = np.eye(3, 5).astype(dtype)
    assert check_image(image) is image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((4, 5, 3), np.uint8),
            r"frame must be one grayscale frame \(H, W\), got shape \(4, 5, 3\) \(t\.tif\)",
        ),
        (np.zeros((0, 5), np.uint8), r"frame must not be empty, got shape \(0, 5\) \(t\.tif\)"),
        (np.eye(2, dtype=np.complex64), r"frame must be integer or float, got dtype complex64 \(t\.tif\)"),
        (
            np.array([[0, np.nan], [np.inf, 1]]),
            r"frame must be finite, got 2 NaN or infinite pixels \(t\.tif\)",
        ),
        (np.full((2, 2), 7, np.uint8), r"frame must not be constant, got 7 in every pixel \(t\.tif\)"),
    ],
)
def test_refuses_a_frame_that_cannot_be_used(image: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_image(image, "frame", "t.tif")


def test_colour_is_taken_where_it_is_asked_for() -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert check_image(image, colour=True) is image
    assert check_image(image[..., 0], colour=True).shape == (4, 5)
    with pytest.raises(ImageError, match=r"\(H, W\) or \(H, W, 3\), got shape \(4, 5, 2\)"):
        check_image(image[..., :2], colour=True)
    with pytest.raises(ImageError, match=r"constant, got \(1, 2, 3\) in every pixel"):
        check_image(np.full((4, 5, 3), (1, 2, 3), np.uint8), colour=True)


def test_a_file_that_is_not_known_is_not_named() -> None:
    with pytest.raises(ImageError, match=r"image must not be constant, got 0 in every pixel\. Remove"):
        check_image(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.bool_])
def test_a_fitting_mask_is_returned_as_it_is(dtype: type) -> None:
    mask = np.zeros((3, 5), dtype)
    assert check_mask(mask, (3, 5)) is mask


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((3, 5)), r"truth must hold integers, got dtype float64 \(m\.tif\)"),
        (np.zeros((5, 3), np.uint8), r"truth must have its frame's size \(3, 5\), got \(5, 3\) \(m\.tif\)"),
        (
            np.zeros((3, 5, 1), np.uint8),
            r"truth must have its frame's size \(3, 5\), got \(3, 5, 1\) \(m\.tif\)",
        ),
    ],
)
def test_refuses_a_mask_that_does_not_fit(mask: np.ndarray, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        check_mask(mask, (3, 5), "truth", "m.tif")
