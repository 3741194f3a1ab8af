"""Directories and segments that leave the file are found before anything is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from biostyle.errors import ImageError
from biostyle.io.tiff_structure import check_segments, count_directories, is_virtual
from tests.io.bad_files import FRAME, STACK, next_page_at, pages, tiff


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pages_are_counted(tmp_path: Path, bigtiff: bool, byteorder: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(pages(*STACK, bigtiff=bigtiff, byteorder=byteorder))
    assert count_directories(path) == 6


def test_a_chain_that_leaves_the_file_or_returns(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for offset, message in ((8, "page 1 at an earlier one"), (7777777, "page 1 at byte 7777777 of")):
        path.write_bytes(next_page_at(pages(FRAME, FRAME), offset))
        with pytest.raises(ImageError, match=rf"{message}.*a\.tif"):
            count_directories(path)


def test_a_tag_whose_value_is_cut_off(tmp_path: Path) -> None:
    content = tiff(STACK, ome=True, metadata={"axes": "TYX"})  # the XML comes last
    (tmp_path / "a.tif").write_bytes(content[:-50])
    with pytest.raises(ImageError, match=rf"page 0 with one up to byte .* of {len(content) - 50}"):
        count_directories(tmp_path / "a.tif")


def test_a_strip_larger_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(FRAME, compression="zlib", rowsperstrip=40))
    with tifffile.TiffFile(path) as file:
        check_segments(file.series[0], 1, 1, path, 2000)
        with pytest.raises(ImageError, match="at most 1999 bytes, got 2000 bytes"):
            check_segments(file.series[0], 1, 1, path, 1999)
        with pytest.raises(ImageError, match="the 3 pages its metadata claim, got 1"):
            check_segments(file.series[0], 3, 1, path, 2000)


def test_one_directory_for_many_planes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for truncate in (True, False):
        path.write_bytes(tiff(STACK, imagej=True, truncate=truncate, metadata={"axes": "TYX"}))
        with tifffile.TiffFile(path) as file:
            assert is_virtual(file.series[0], 6) is truncate
