"""Every dtype lands in [0, 1] as float32, never NaN."""

from __future__ import annotations

import numpy as np
import pytest

from biostyle.errors import ConfigError, ImageError
from biostyle.io.scaling import percentile_range, to_unit_range

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_percentile_fills_the_range(dtype: type) -> None:
    scaled = to_unit_range(RNG.integers(0, 200, (64, 64)).astype(dtype))
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_a_pedestal_does_not_squash_the_contrast() -> None:
    frame = RNG.integers(33_001, 36_864, (64, 64)).astype(np.uint16)
    assert to_unit_range(frame).std() > 0.25
    assert to_unit_range(frame, mode="dtype").std() < 0.02


def test_scaling_is_invariant_to_gain_and_offset() -> None:
    frame = RNG.random((32, 32))
    np.testing.assert_allclose(to_unit_range(frame), to_unit_range(50 * frame - 7), atol=1e-6)


def test_equal_percentiles_fall_back_to_the_extremes() -> None:
    frame = np.zeros((100, 100), np.uint8)
    frame[0, :3] = 9, 18, 9
    scaled = to_unit_range(frame)
    assert scaled[0, :3].tolist() == [0.5, 1, 0.5]


def test_a_constant_frame_becomes_zero() -> None:
    assert not to_unit_range(np.full((4, 4), 7.0)).any()


@pytest.mark.parametrize(("dtype", "maximum"), [(np.uint8, 255), (np.uint16, 65_535), (np.int16, 32_767)])
def test_dtype_divides_by_the_maximum(dtype: type, maximum: int) -> None:
    scaled = to_unit_range(np.array([[0, maximum]], dtype), mode="dtype")
    assert scaled.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.array([[0.0, 1.5]]), "float64, got 0 to 1.5"),
        (np.array([[-3, 1]], np.int16), "int16, got -3 to 1"),
    ],
)
def test_values_outside_the_dtype_range_are_refused(frame: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        to_unit_range(frame, mode="dtype")


def test_nan_is_refused() -> None:
    with pytest.raises(ImageError, match="got 2 NaN"):
        to_unit_range(np.array([[np.nan, np.inf, 0]]))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="'zscore'"):
        to_unit_range(np.eye(3), mode="zscore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got 99 and 1"):
        to_unit_range(np.eye(3), low_percentile=99, high_percentile=1)


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int8, np.int16, np.uint16, np.int32, np.float32, np.float64]
)
@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (1500, 2)])
def test_percentiles_and_scaling_are_numpys_to_the_bit(dtype: type, shape: tuple[int, int]) -> None:
    frame = (
        (RNG.normal(0, 40, shape) + 50).clip(-100 if np.dtype(dtype).kind != "u" else 0, 120).astype(dtype)
    )
    for percentiles in ((0.5, 99.5), (0, 100), (12.345, 67.89)):
        low, high = np.percentile(frame.astype(np.float64), percentiles)
        if low == high:
            low, high = float(frame.min()), float(frame.max())
        assert percentile_range(frame, *percentiles) == (low, high)
        expected = np.clip((frame.astype(np.float64) - low) / (high - low or 1), 0, 1).astype(np.float32)
        scaled = to_unit_range(frame, low_percentile=percentiles[0], high_percentile=percentiles[1])
        np.testing.assert_array_equal(scaled, expected)
