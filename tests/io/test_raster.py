"""PNG and JPEG are decoded exactly or refused, and PNG keeps its texts."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from biostyle.errors import ImageError
from biostyle.io.raster import RasterSource, encode_png
from biostyle.io.volumes import open_volume
from tests.io.bad_files import DEEP, FRAME, RGB, png


@pytest.mark.parametrize("array", [FRAME, DEEP, RGB], ids=["8 bit", "16 bit", "RGB"])
def test_png_round_trip(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(array, [(b"tEXt", b"Author\0me")], "note µ"))
    with open_volume(tmp_path / "a.png") as volume:
        planes = [volume.read_plane(index) for index in volume.info.planes()]
        assert volume.info.metadata["chunks"][0] == (b"tEXt", b"Author\0me")
        region = volume.read_region((0,) if array.ndim == 3 else (), slice(3, 9), slice(4, 5))
    expected = array if array.ndim == 2 else np.moveaxis(array, -1, 0)
    np.testing.assert_array_equal(np.stack(planes) if array.ndim == 3 else planes[0], expected)
    np.testing.assert_array_equal(region, (expected if array.ndim == 2 else expected[0])[3:9, 4:5])


def test_another_reader_sees_pixels_and_texts() -> None:
    image = Image.open(io.BytesIO(encode_png(FRAME, [(b"tEXt", b"Author\0me")], "note µ")))
    np.testing.assert_array_equal(np.asarray(image), FRAME)
    assert image.text == {"Author": "me", "Description": "note µ"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("axes", ["YX", "YXS"])
def test_jpeg(tmp_path: Path, axes: str) -> None:
    smooth = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint8)
    image = smooth if axes == "YX" else np.stack([smooth] * 3, -1)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(image, level=95))
    with open_volume(tmp_path / "a.jpg") as volume:
        assert (volume.info.axes, volume.info.format) == (axes, "jpeg")
        for index in volume.info.planes():
            assert np.abs(volume.read_plane(index).astype(int) - smooth).max() < 8


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(FRAME))
    with pytest.raises(ImageError, match=r"at most 1999 bytes, got \(40, 50, 1\) uint8, 2000 bytes .*a\.png"):
        RasterSource(path, "png", None, None, 1999)
    with pytest.raises(ImageError, match="must be 0 in a PNG file, got 1"):
        RasterSource(path, "png", None, 1, 2000)
