"""Descriptions of an image follow what is done to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biostyle.errors import ImageError
from biostyle.io.volume_info import VolumeInfo


def info(axes: str, shape: tuple[int, ...], **options: object) -> VolumeInfo:
    return VolumeInfo(Path("a.tif"), "tiff", shape, axes, np.dtype("uint16"), **options)  # type: ignore[arg-type]


def test_a_channel_keeps_its_axis_and_name() -> None:
    chosen = info("TCYX", (5, 3, 8, 9), channel_names=("a", "b", "c")).select_channel(1)
    assert (chosen.axes, chosen.shape, chosen.channel_names) == ("TCYX", (5, 1, 8, 9), ("b",))
    assert list(chosen.planes()) == [(t, 0) for t in range(5)]


def test_a_sample_becomes_a_gray_image() -> None:
    chosen = info("TYXS", (5, 8, 9, 3), photometric="rgb").select_channel(2)
    assert (chosen.axes, chosen.shape, chosen.photometric) == ("TYX", (5, 8, 9), "minisblack")
    assert info("TYX", (5, 8, 9)).select_channel(0).shape == (5, 8, 9)
    with pytest.raises(ImageError, match=r"0 to 2, got 4 \(a\.tif\)"):
        info("YXS", (8, 9, 3)).select_channel(4)


def test_sizes() -> None:
    huge = info("TYX", (10**6, 10**6, 10**6))
    assert huge.n_bytes == 2 * 10**18
    assert (huge.plane_shape, huge.size("T"), huge.size("C")) == ((10**6, 10**6), 10**6, 1)


def test_masks_are_black_and_gray() -> None:
    masks = info("YX", (8, 9), photometric="miniswhite").for_masks(np.dtype("uint8"))
    assert (masks.dtype, masks.photometric, masks.stored_dtype) == (np.uint8, "minisblack", "uint8")
    with pytest.raises(ImageError, match=r"got axes YXS \(a\.tif\).*--channel"):
        info("YXS", (8, 9, 3)).for_masks(np.dtype("uint8"))
