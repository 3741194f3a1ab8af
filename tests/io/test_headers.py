"""Formats are told by the first bytes, sizes by the header."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from biostyle.errors import ImageError
from biostyle.io.headers import damaged, file_format, jpeg_header, png_header

FRAME = np.arange(48, dtype=np.uint8).reshape(6, 8)


def test_the_name_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for content, kind in {
        b"II*\0....": "tiff",
        b"MM\0+....": "tiff",
        bytes(imagecodecs.png_encode(FRAME)): "png",
        bytes(imagecodecs.jpeg8_encode(FRAME)): "jpeg",
    }.items():
        path.write_bytes(content)
        assert file_format(path) == kind


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"GIF89a..")
    with pytest.raises(ImageError, match=r"starting with b'GIF89a..' .*a\.tif"):
        file_format(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"No such file.*b\.tif"):
        file_format(tmp_path / "b.tif")


def test_sizes() -> None:
    deep = np.zeros((6, 8, 3), np.uint16)
    assert png_header(bytes(imagecodecs.png_encode(deep))) == ((6, 8, 3), "YXS", np.dtype("u2"))
    assert jpeg_header(bytes(imagecodecs.jpeg8_encode(FRAME))) == ((6, 8, 1), "YXS", np.dtype("u1"))


def test_damage_names_the_file_and_the_cause() -> None:
    error = damaged(Path("a.tif"), ValueError("strip 7 is short"))
    assert "ValueError: strip 7 is short (a.tif)" in str(error)
