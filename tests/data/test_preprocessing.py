import numpy as np
import pytest
import torch
from pydantic import ValidationError

from biostyle.data.preprocessing import Preprocessing, resize


def test_intensities_fill_the_unit_range_whatever_the_dtype() -> None:
    ramp = np.arange(256 * 4).reshape(32, 32)
    sixteen_bit = (33_000 + ramp).astype(np.uint16)
    as_float = ramp.astype(np.float32)
    batch = Preprocessing().image_batch(sixteen_bit)
    assert batch.shape == (1, 1, 32, 32)
    assert batch.dtype == torch.float32
    assert batch.min() == 0
    assert batch.max() == 1
    torch.testing.assert_close(batch, Preprocessing().image_batch(as_float), rtol=0, atol=1e-5)


def test_dtype_scaling_divides_by_the_largest_value() -> None:
    image = np.array([[0, 51], [102, 255]], np.uint8)
    batch = Preprocessing(scaling="dtype").image_batch(image)
    torch.testing.assert_close(batch[0, 0], torch.tensor([[0, 0.2], [0.4, 1]]))


@pytest.mark.parametrize(
    ("scale", "expected"), [(0.5, (16, 20)), (1.0, (32, 40)), (2.0, (64, 80)), (1e-6, (1, 1))]
)
def test_image_and_mask_share_the_working_size(scale: float, expected: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    preprocessing = Preprocessing(working_scale=scale)
    image = rng.integers(0, 255, (32, 40), dtype=np.uint8)
    mask = rng.choice(np.array([0, 1, 255], np.uint8), (32, 40))
    assert preprocessing.image_batch(image).shape == (1, 1, *expected)
    small = preprocessing.mask_at_working_size(mask)
    assert small.shape == expected
    assert small.dtype == torch.uint8
    assert set(small.unique().tolist()) <= {0, 1, 255}


def test_a_mask_stays_where_the_image_is() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 8:40] = 1
    preprocessing = Preprocessing(scaling="dtype", working_scale=0.5)
    bright = preprocessing.image_batch(mask * 255)[0, 0] > 0.5
    assert torch.equal(bright, preprocessing.mask_at_working_size(mask) == 1)


def test_resize_leaves_the_right_size_alone_and_averages_when_it_shrinks() -> None:
    checkerboard = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float()[None, None]
    assert resize(checkerboard, (16, 16)) is checkerboard
    small = resize(checkerboard, (4, 4))
    assert (small - 0.5).abs().max() < 0.1  # without antialiasing it would be 0 or 1


@pytest.mark.parametrize(
    "wrong", [{"low_percentile": 60}, {"high_percentile": 101}, {"working_scale": 0}, {"scaling": "minmax"}]
)
def test_refuses_amounts_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Preprocessing.model_validate(wrong)


def test_scaling_changes_the_working_scale_alone_and_within_bounds() -> None:
    preprocessing = Preprocessing(scaling="dtype", low_percentile=2.0, working_scale=0.5)
    assert preprocessing.scaled(2.0) == Preprocessing(scaling="dtype", low_percentile=2.0)
    assert preprocessing.scaled(1.0) == preprocessing
    with pytest.raises(ValidationError, match=r"working_scale\n.*input_value=4\.5"):
        preprocessing.scaled(9.0)


def test_photographs_come_as_three_channels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    batch = Preprocessing(scaling="dtype").image_batch(image)
    assert batch.shape == (1, 3, 30, 40)
    np.testing.assert_allclose(batch[0].movedim(0, -1).numpy(), image / 255, atol=1e-6)
    together = Preprocessing(low_percentile=0, high_percentile=100).image_batch(image)
    assert (together.min(), together.max()) == (0, 1)  # of all channels, so that colours stay


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [
        ((300, 400, 3), 1.0, (144, 192)),
        ((1000, 500, 3), 1.0, (192, 96)),
        ((96, 48), 0.5, (96, 48)),
        ((40, 4000, 3), 2.0, (4, 384)),
    ],
)
def test_longest_side_is_brought_to_the_working_side(
    shape: tuple[int, ...], scale: float, expected: tuple[int, int]
) -> None:
    preprocessing = Preprocessing(working_side_px=192, working_scale=scale)
    assert preprocessing.working_size(shape) == expected
    assert preprocessing.image_batch(np.zeros(shape, np.uint8)).shape[2:] == expected
    assert preprocessing.mask_at_working_size(np.zeros(shape[:2], np.uint8)).shape == expected


def test_a_working_side_is_stored_only_where_there_is_one() -> None:
    assert "working_side_px" not in Preprocessing().model_dump()
    preprocessing = Preprocessing(working_side_px=192)
    assert Preprocessing.model_validate(preprocessing.model_dump(mode="json")) == preprocessing
    assert preprocessing.scaled(0.5) == Preprocessing(working_side_px=192, working_scale=0.5)
    with pytest.raises(ValidationError, match=r"working_side_px\n.*input_value=3"):
        Preprocessing(working_side_px=3)
