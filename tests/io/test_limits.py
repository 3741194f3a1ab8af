"""Impossible sizes and pixel types are refused before memory is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biostyle.errors import ImageError
from biostyle.io.limits import byte_size, check_size, readable_dtype

HERE = Path(__file__)


def test_images_are_8_or_16_bits_or_float() -> None:
    assert readable_dtype(np.dtype(">u2"), HERE) == np.dtype("=u2")
    assert readable_dtype(np.dtype("f8"), HERE) == np.dtype("f4")
    assert readable_dtype(np.dtype("u4"), HERE, labels=True) == np.dtype("u4")


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [("bool", "mask"), ("uint32", "labels"), ("int16", "Convert"), ("complex64", "Convert")],
)
def test_the_rest_is_refused_with_a_reason(dtype: str, reason: str) -> None:
    with pytest.raises(ImageError, match=rf"got {dtype} \(.*test_limits.*{reason}"):
        readable_dtype(np.dtype(dtype), HERE)


def test_a_file_cannot_hold_more_than_it_expands_to() -> None:
    check_size((10, 10), np.dtype("u2"), 200, HERE)
    with pytest.raises(ImageError, match=r"\(10, 10\) uint16, 200 bytes, in .*test_limits"):
        check_size((10, 10), np.dtype("u2"), 199, HERE)
    with pytest.raises(ImageError, match=r"must have pixels, got shape \(0, 10\)"):
        check_size((0, 10), np.dtype("u2"), 199, HERE)


def test_bytes_are_readable() -> None:
    assert [byte_size(n) for n in (0, 3 * 1024**2, 1.5 * 1024**3)] == ["0 bytes", "3 MiB", "1.5 GiB"]
