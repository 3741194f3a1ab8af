"""Values in [0, 1] become a dtype, and the record says how."""

from __future__ import annotations

import numpy as np
import pytest

from biostyle.errors import ConfigError, ImageError
from biostyle.io.scaling import to_unit_range
from biostyle.io.value_range import RangeMapping, output_dtype


def test_dtype_option() -> None:
    assert output_dtype("same", np.dtype("uint8")) == np.uint8
    assert output_dtype("float32", np.dtype("uint8")) == np.float32
    with pytest.raises(ConfigError, match="got 'int7'"):
        output_dtype("int7", np.dtype("uint8"))


@pytest.mark.parametrize(("dtype", "high"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_full_range(dtype: str, high: float) -> None:
    mapping = RangeMapping(np.dtype(dtype))
    mapped = mapping.apply(np.array([[-0.1, 0, 1, 1.1]]))
    assert mapped.dtype == dtype
    assert mapped.tolist() == [[0, 0, high, high]]
    assert mapping.record == {"from": [0, 1], "mode": "dtype", "dtype": dtype, "ranges": [[0.0, float(high)]]}
    assert f"[0, {high:g}]" in mapping.text


def test_the_frames_own_range_comes_back() -> None:
    frame = np.random.default_rng(0).integers(33_000, 37_000, (64, 64)).astype(np.uint16)
    mapping = RangeMapping(np.dtype("uint16"), "frame", 0, 100)
    np.testing.assert_array_equal(
        mapping.apply(to_unit_range(frame, low_percentile=0, high_percentile=100), frame), frame
    )
    mapping.apply(np.ones((2, 2)), frame + 1)
    assert mapping.record["ranges"] == [
        [float(frame.min()), float(frame.max())],
        [float(frame.min()) + 1, float(frame.max()) + 1],
    ]
    assert mapping.record["percentiles"] == [0, 100]
    assert "percentiles 0 and 100 of each input frame" in mapping.text


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match="got int16"):
        RangeMapping(np.dtype("int16"))
    with pytest.raises(ConfigError, match="got 'full'"):
        RangeMapping(np.dtype("uint8"), "full")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="got None"):
        RangeMapping(np.dtype("uint8"), "frame").apply(np.zeros((2, 2)))
    with pytest.raises(ImageError, match="got 2 NaN"):
        RangeMapping(np.dtype("uint8")).apply(np.array([[np.nan, np.inf, 0]]))
