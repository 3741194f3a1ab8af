"""Regions equal the same part of what tifffile reads, however the file is stored."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from biostyle.errors import ImageError
from biostyle.io.tiff_reader import TiffSource
from biostyle.io.volumes import open_volume
from tests.io.bad_files import DEEP, FRAME, pages

RNG = np.random.default_rng(3)
STORAGE: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 7},
    {"tile": (16, 32)},
    {"compression": "lzw", "rowsperstrip": 7},
    {"compression": "lzw", "predictor": True},
    {"compression": "zlib", "tile": (32, 16)},
    {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    {"compression": "zstd", "rowsperstrip": 11},
    {"compression": "lzma"},
    {"compression": "packbits"},
    {"byteorder": ">"},
    {"byteorder": ">", "compression": "zlib", "bigtiff": True},
]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("storage", STORAGE, ids=str)
def test_regions(tmp_path: Path, storage: dict[str, Any], dtype: str) -> None:
    if dtype == "float32" and storage.get("compression") == "lzw" and storage.get("predictor"):
        storage = {**storage, "compression": "zlib"}
    stack = (RNG.random((3, 53, 71)) * 250).astype(dtype)
    path = tmp_path / "a.tif"
    options = dict(storage)
    if options.get("byteorder") == ">":
        stack = stack.astype(stack.dtype.newbyteorder(">"))
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "TYX"}, **options)
    with open_volume(path) as volume:
        assert volume.info.dtype == dtype
        for rows, columns in itertools.product(
            (slice(0, 53), slice(5, 6), slice(15, 40)), (slice(0, 71), slice(70, 71), slice(17, 49))
        ):
            region = volume.read_region((1,), rows, columns)
            assert region.dtype.isnative
            np.testing.assert_array_equal(region, stack[1, rows, columns])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "storage", [{}, {"compression": "zlib", "rowsperstrip": 9}, {"tile": (16, 16)}], ids=str
)
def test_samples(tmp_path: Path, planar: str, storage: dict[str, Any]) -> None:
    shape, axes = ((2, 3, 53, 71), "TSYX") if planar == "separate" else ((2, 53, 71, 3), "TYXS")
    colours = RNG.integers(0, 255, shape, dtype=np.uint8)
    path = tmp_path / "a.tif"
    options = {**storage, "photometric": "rgb", "planarconfig": planar, "metadata": {"axes": axes}}
    tifffile.imwrite(path, colours, **options)
    with open_volume(path) as volume:
        assert (volume.info.axes, volume.info.photometric) == (axes, "rgb")
        for t, s in volume.info.planes():
            expected = colours[t, s] if planar == "separate" else colours[t, ..., s]
            np.testing.assert_array_equal(volume.read_plane((t, s)), expected)
            np.testing.assert_array_equal(
                volume.read_region((t, s), slice(9, 40), slice(3, 20)), expected[9:40, 3:20]
            )


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_jpeg_inside_tiff(tmp_path: Path, photometric: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    image = np.stack([smooth] * 3, -1) if photometric == "rgb" else smooth
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric=photometric, compression="jpeg", tile=(16, 16))
    with open_volume(path) as volume:
        assert volume.info.compression == "zlib"  # a loss is not repeated
        for index in volume.info.planes():
            assert np.abs(volume.read_plane(index).astype(int) - smooth).max() <= 8


def test_a_large_strip_is_decoded_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, compression="zlib", rowsperstrip=40)
    source = TiffSource(path, None, None, 10**6)
    first = source.read((), range(0, 5), range(0, 50))
    source.close()  # the rest comes from memory
    second = source.read((), range(5, 40), range(0, 50))
    np.testing.assert_array_equal(np.concatenate([first, second]), DEEP)


def test_an_image_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(pages(FRAME, DEEP[:20], DEEP))
    with pytest.raises(ImageError, match=r"got 3 of shapes \(40, 50\), \(20, 50\), \(40, 50\) .*0 to 2"):
        open_volume(path)
    with pytest.raises(ImageError, match="0 to 2, got -1"):
        open_volume(path, series=-1)
    with open_volume(path, series=2) as volume:
        np.testing.assert_array_equal(volume.read_plane(()), DEEP)
