"""Photographs and their masks, as cameras, archives and drawing programs leave them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from biostyle.errors import ImageError, MaskError
from biostyle.io.photographs import read_binary_mask, read_photograph, write_photograph

RNG = np.random.default_rng(0)
RGB = np.repeat(np.repeat(RNG.integers(0, 256, (4, 6, 3), np.uint8), 8, axis=0), 8, axis=1)  # 32 x 48
GRAY = RGB[..., 0].copy()
MASK = np.zeros((32, 48), np.uint8)
MASK[8:20, 10:30] = 1
OPAQUE = np.dstack([RGB, np.full(GRAY.shape, 255, np.uint8)])


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    opened = image if isinstance(image, Image.Image) else Image.fromarray(image)
    opened.save(out, kind, **options)
    return out.getvalue()


def turned(pixels: np.ndarray, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return saved(pixels, "JPEG", exif=exif, quality=100, subsampling=0)


def palette() -> Image.Image:
    return Image.fromarray(RGB).quantize(16)


def black_and_white_palette() -> Image.Image:
    image = Image.fromarray(MASK).convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image


def written(tmp_path: Path, content: bytes, name: str = "photo") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_files_are_read_as_they_are(tmp_path: Path, kind: str) -> None:
    image = read_photograph(written(tmp_path, saved(RGB, kind)))
    assert (image.dtype, image.flags.c_contiguous) == (np.uint8, True)
    np.testing.assert_array_equal(image, RGB)


def test_a_jpeg_is_read_as_another_decoder_reads_it(tmp_path: Path) -> None:
    content = saved(RGB, "JPEG", quality=95)
    expected = imagecodecs.jpeg8_decode(content)
    np.testing.assert_array_equal(read_photograph(written(tmp_path, content)), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_gray_has_three_equal_channels(tmp_path: Path, kind: str) -> None:
    image = read_photograph(written(tmp_path, saved(GRAY, kind)))
    assert image.shape == RGB.shape
    assert (image == image[..., :1]).all()
    if kind != "JPEG":
        np.testing.assert_array_equal(image[..., 0], GRAY)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_opaque_alpha_is_dropped_and_real_transparency_refused(tmp_path: Path, kind: str) -> None:
    np.testing.assert_array_equal(read_photograph(written(tmp_path, saved(OPAQUE, kind))), RGB)
    glass = OPAQUE.copy()
    glass[:2, :3, 3] = 254
    path = written(tmp_path, saved(glass, kind))
    with pytest.raises(ImageError, match=r"photograph must be opaque, got 6 transparent pixels \(.*photo\)"):
        read_photograph(path)


def test_a_transparent_palette_colour_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, saved(palette(), "PNG", transparency=0))
    n = int((np.asarray(palette()) == 0).sum())
    with pytest.raises(ImageError, match=f"got {n} transparent pixels"):
        read_photograph(path)


def test_a_palette_is_expanded(tmp_path: Path) -> None:
    expected = np.asarray(palette().convert("RGB"))
    np.testing.assert_array_equal(read_photograph(written(tmp_path, saved(palette(), "PNG"))), expected)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    content = saved(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    image = read_photograph(written(tmp_path, content))
    assert np.abs(image.astype(int) - RGB).max() <= 4


def test_a_ycck_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    inverted = np.asarray(Image.fromarray(RGB).convert("CMYK")) ^ 255  # as Adobe's programs store it
    content = bytes(imagecodecs.jpeg8_encode(inverted, level=100, colorspace="CMYK", outcolorspace="YCCK"))
    if b"Adobe" not in content[:200]:
        content = content[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02" + content[2:]
    image = read_photograph(written(tmp_path, content))
    assert np.abs(image.astype(int) - RGB).mean() <= 8


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, 1)),
        (8, lambda a: np.rot90(a, 3)),
    ],
)
def test_the_orientation_is_applied(tmp_path: Path, orientation: int, undo: Callable) -> None:
    image = read_photograph(written(tmp_path, turned(undo(RGB), orientation)))
    assert image.shape == RGB.shape
    assert np.abs(image.astype(int) - RGB).max() <= 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (saved(RGB, "JPEG")[:-300], "photograph must decode completely, got OSError"),
        (saved(RGB, "PNG")[:-60], "photograph must decode completely, got"),
        (saved(RGB, "TIFF")[:-2000], "photograph must decode completely, got"),
        (saved(RGB, "BMP")[:-2000], "photograph must decode completely, got OSError"),
        (saved(RGB, "BMP")[:20], "photograph must decode completely, got error"),
        (
            b"<html>not found</html>",
            r"photograph must be a TIFF, PNG, JPEG, BMP or GIF file, got .*b'<html>no'",
        ),
        (b"", "got one starting with b''"),
        (bytes(imagecodecs.png_encode(RGB.astype(np.uint16) * 257)), "8 bits a channel, got uint16"),
        (saved(Image.fromarray(GRAY.astype(np.uint16)), "TIFF"), "8 bits a channel, got uint16"),
        (saved(np.full((4, 5, 3), (9, 8, 7), np.uint8), "PNG"), r"constant, got \(9, 8, 7\) in every pixel"),
        (
            saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(RGB)]),
            "must be one image, got 2 in a file",
        ),
        (
            saved(RGB, "GIF", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
            "must be one image, got 2 in a file",
        ),
        (saved(GRAY, "GIF")[:8], "photograph must decode completely, got error"),
    ],
    ids=[
        "jpeg",
        "png",
        "tiff",
        "bmp",
        "bmp header",
        "html",
        "empty",
        "png 16",
        "tiff 16",
        "constant",
        "stack",
        "animation",
        "gif header",
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path, content, "IMD001.jpg")
    with pytest.raises(ImageError, match=said) as caught:
        read_photograph(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ImageError, match=r"photograph must be a readable file, got No such file.*absent\.jpg"
    ):
        read_photograph(tmp_path / "absent.jpg")


def test_the_header_is_judged_before_the_pixels_are_decoded(tmp_path: Path) -> None:
    jpeg = bytearray(saved(RGB, "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 65_000, 65_000)
    with pytest.raises(
        ImageError, match=r"header must claim what the file can hold, got \(65000, 65000, 3\)"
    ):
        read_photograph(written(tmp_path, bytes(jpeg)))
    with pytest.raises(ImageError, match=r"at most 4607 bytes, got \(32, 48, 3\), 4608 bytes"):
        read_photograph(written(tmp_path, saved(RGB, "PNG")), max_bytes=4607)


def test_a_header_that_pillow_takes_for_a_bomb_is_damaged(tmp_path: Path) -> None:
    bitmap = bytearray(saved(RGB, "BMP"))
    struct.pack_into("<i", bitmap, 18, -48)  # Pillow reads 2³² - 48
    with pytest.raises(
        ImageError, match=r"must decode completely, got DecompressionBombError: .*137438951936 pixels"
    ):
        read_photograph(written(tmp_path, bytes(bitmap)))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "images" / "a.tif"
    write_photograph(path, RGB)
    np.testing.assert_array_equal(read_photograph(path), RGB)
    np.testing.assert_array_equal(tifffile.imread(path), RGB)
    first = path.read_bytes()
    write_photograph(path, RGB)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("image", "said"),
    [(GRAY, r"got shape \(32, 48\) uint8"), (RGB.astype(np.float32), r"got shape \(32, 48, 3\) float32")],
)
def test_only_photographs_are_written(tmp_path: Path, image: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        write_photograph(tmp_path / "a.tif", image)


@pytest.mark.parametrize(
    "content",
    [
        saved(MASK * 255, "PNG"),
        saved(MASK, "PNG"),
        saved(MASK * 255, "BMP"),
        saved(MASK * 255, "TIFF"),
        saved(Image.fromarray(MASK * 255).convert("1"), "PNG"),
        saved(Image.fromarray(MASK * 255).convert("1"), "BMP"),
        saved(Image.fromarray(MASK * 255).convert("1"), "TIFF"),
        saved(black_and_white_palette(), "PNG"),
        saved(np.dstack([MASK * 255] * 3), "PNG"),
        saved(MASK * 255, "GIF"),
        saved(Image.fromarray(MASK * 255).convert("1"), "GIF"),
    ],
    ids=[
        *("0 255", "0 1", "bmp", "tiff", "1 bit", "bmp 1 bit", "tiff 1 bit", "palette", "rgb"),
        *("gif", "gif 1 bit"),
    ],
)
def test_masks_are_zero_and_one(tmp_path: Path, content: bytes) -> None:
    mask = read_binary_mask(written(tmp_path, content), (32, 48))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (saved(MASK * 255, "JPEG"), "mask must be stored without loss, got a JPEG file"),
        (saved(MASK * 128, "PNG"), "0 and 255, or 0 and 1, got 2 values 0, 128 "),
        (saved(MASK + np.uint8(1), "PNG"), "values 1, 2"),
        (
            saved(RNG.permutation(1536).reshape(32, 48).astype(np.uint8), "PNG"),
            "256 values 0, 1, 2, 3, 4, 5, … ",
        ),
        (saved(np.dstack([MASK * 255, MASK, MASK]), "PNG"), "black and white, got 240 coloured pixels"),
        (saved(MASK.T * 255, "PNG"), r"its frame's size \(32, 48\), got \(48, 32\)"),
        (saved(MASK * 255, "PNG")[:-40], "mask must decode completely, got"),
        (b"nothing", "mask must be a TIFF, PNG, JPEG, BMP or GIF file, got one starting with b'nothing'"),
    ],
    ids=["jpeg", "128", "other", "gray", "coloured", "size", "truncated", "no image"],
)
def test_bad_masks_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(MaskError, match=said) as caught:
        read_binary_mask(path, (32, 48))
    assert str(path) in str(caught.value)


def test_an_empty_mask_is_a_mask(tmp_path: Path) -> None:
    assert not read_binary_mask(written(tmp_path, saved(0 * MASK, "PNG")), (32, 48)).any()
