"""Values in [0, 1] become a dtype, and the record says how."""

from __future__ import annotations

import numpy as np
import pytest

from biostyle.errors import ConfigError, ImageError
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
    assert mapping.record == {"from": [0, 1], "to": [0, high], "dtype": dtype}
    assert f"[0, {high:g}]" in mapping.text


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match="got int16"):
        RangeMapping(np.dtype("int16"))
    with pytest.raises(ImageError, match="got 2 NaN"):
        RangeMapping(np.dtype("uint8")).apply(np.array([[np.nan, np.inf, 0]]))
