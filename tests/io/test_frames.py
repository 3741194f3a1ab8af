"""Frames keep their dtype; damaged, oversized, coloured or stacked files are refused by name."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from biostyle.errors import ImageError, OutputError
from biostyle.io.frames import frame_header, read_frame, read_pixels, write_frame

RAMP = np.arange(48 * 64).reshape(48, 64)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.float32, np.float64])
def test_tiff_round_trip_keeps_dtype_and_values(tmp_path: Path, dtype: type) -> None:
    frame = (RAMP % 250).astype(dtype)
    write_frame(tmp_path / "t000.tif", frame)
    read = read_frame(tmp_path / "t000.tif")
    assert read.dtype == frame.dtype
    np.testing.assert_array_equal(read, frame)
    assert frame_header(tmp_path / "t000.tif") == ((48, 64), np.dtype(dtype))


def test_boolean_is_stored_as_uint8(tmp_path: Path) -> None:
    write_frame(tmp_path / "mask.tif", RAMP > 100)
    np.testing.assert_array_equal(read_frame(tmp_path / "mask.tif"), (RAMP > 100).astype(np.uint8))


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_frame(tmp_path / name, RAMP.astype(np.uint16))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_big_endian_comes_back_native(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mac.tif", RAMP.astype(">u2"), byteorder=">")
    read = read_frame(tmp_path / "mac.tif")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, RAMP)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
def test_tiff_compressions(tmp_path: Path, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP.astype(np.uint16), compression=compression)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif"), RAMP)


def test_sixteen_bit_png_is_not_saturated(tmp_path: Path) -> None:
    frame = (RAMP + 33_001).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(frame))
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png"), frame)
    assert frame_header(tmp_path / "a.png") == ((48, 64), np.dtype("u2"))


def test_gray_jpeg(tmp_path: Path) -> None:
    frame = (RAMP // 16).astype(np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(frame, level=100))
    assert frame_header(tmp_path / "a.jpg") == ((48, 64), np.dtype("u1"))
    assert np.abs(read_frame(tmp_path / "a.jpg").astype(int) - frame).max() <= 2


def test_only_singleton_axes_are_squeezed(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", RAMP.astype(np.uint8)[None, None], metadata={"axes": "ZCYX"}, imagej=False
    )
    tifffile.imwrite(tmp_path / "line.tif", RAMP.astype(np.uint8)[:1], metadata={"axes": "YX"})
    assert read_frame(tmp_path / "a.tif").shape == (48, 64)
    assert read_frame(tmp_path / "line.tif").shape == (1, 64)


def claims_70_gib() -> bytes:
    """Return a TIFF of fewer than 300 bytes whose header claims 193 274 x 193 274 uint16."""
    tags = [(256, 4, 193_274), (257, 4, 193_274), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 150)]
    tags += [(277, 3, 1), (278, 4, 193_274), (279, 4, 8)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return (struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0")


def tiff(array: np.ndarray, **options: object) -> bytes:
    """Return a TIFF file's bytes."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


NOISE = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
NAN = np.where(np.eye(8, dtype=bool), np.nan, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(claims_70_gib(), r"at most 4 GiB, got .*69.6 GiB", id="70 GiB"),
        pytest.param(tiff(NOISE)[:2000], r"4352 of 2000|decode completely", id="truncated"),
        pytest.param(tiff(NOISE, compression="zlib")[:-900], "decode completely", id="truncated zlib"),
        pytest.param(tiff(NOISE)[:6], "decode completely", id="only a signature"),
        pytest.param(b"<html>404</html>", "starting with b'<html>40'", id="HTML page"),
        pytest.param(b"", "starting with b''", id="empty file"),
        pytest.param(tiff(np.stack([NOISE] * 3, -1), photometric="rgb"), r"colour.*\(64, 64, 3\)", id="RGB"),
        pytest.param(tiff(np.stack([NOISE] * 5)), r"a stack of shape \(5, 64, 64\)", id="multi-page"),
        pytest.param(tiff(NAN), "8 NaN or infinite", id="NaN"),
        pytest.param(tiff(np.full((8, 8), 7, np.uint8)), "got 7 in every pixel", id="constant"),
        pytest.param(imagecodecs.png_encode(NOISE)[:-600], "decode completely", id="truncated PNG"),
        pytest.param(imagecodecs.png_encode(NOISE)[:20], "decode completely", id="PNG header only"),
        pytest.param(imagecodecs.png_encode(np.stack([NOISE] * 3, -1)), "colour image", id="RGB PNG"),
        pytest.param(imagecodecs.jpeg8_encode(NOISE)[:30], "decode completely", id="truncated JPEG"),
        pytest.param(imagecodecs.jpeg8_encode(np.stack([NOISE] * 3, -1)), "colour image", id="RGB JPEG"),
    ],
)
def test_bad_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_frame(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 3


def test_uncompressed_strip_shorter_than_the_frame_is_refused(tmp_path: Path) -> None:
    content = bytearray(claims_70_gib())
    for position, value in ((0, 100), (1, 100), (7, 100)):  # width, height, rows a strip
        struct.pack_into("<I", content, 10 + 12 * position + 8, value)
    (tmp_path / "short.tif").write_bytes(content)
    with pytest.raises(ImageError, match=r"short.tif"):
        read_frame(tmp_path / "short.tif")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"No such file.*absent.tif"):
        read_frame(tmp_path / "absent.tif")


def test_limit_is_checked_before_reading(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.tif", NOISE)
    with pytest.raises(ImageError, match=r"\(64, 64\) uint8.*a.tif"):
        read_frame(tmp_path / "a.tif", max_bytes=4095)
    assert read_frame(tmp_path / "a.tif", max_bytes=4096).shape == (64, 64)


def test_constant_image_is_fine_where_only_pixels_are_read(tmp_path: Path) -> None:
    write_frame(tmp_path / "empty_mask.tif", np.zeros((4, 5), np.uint8))
    assert read_pixels(tmp_path / "empty_mask.tif").sum() == 0


def test_a_stack_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\(2, 64, 64\).*a.tif"):
        write_frame(tmp_path / "a.tif", np.stack([NOISE] * 2))


def test_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/t000.tif"):
        write_frame(tmp_path / "file/t000.tif", NOISE)
