"""Bad and odd image files, generated: what each is, and what has to happen when it is read.

A case's ``verdict`` is the pattern of the error's message, or the array that has to come out.
"""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np
import tifffile

RNG = np.random.default_rng(7)
FRAME = RNG.integers(0, 255, (40, 50), dtype=np.uint8)
DEEP = RNG.integers(0, 4096, (40, 50), dtype=np.uint16)
STACK = RNG.integers(0, 255, (6, 40, 50), dtype=np.uint8)
RGB = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 255, (40, 50, 4), dtype=np.uint8)
FLOAT = RNG.random((40, 50), dtype=np.float32)


@dataclass(frozen=True)
class Case:
    """A file's bytes, and what reading it has to give."""

    name: str
    content: bytes
    verdict: str | np.ndarray
    filename: str = "file.tif"
    options: dict[str, Any] = field(default_factory=dict)


def tiff(array: np.ndarray, **options: Any) -> bytes:
    """A TIFF file's bytes."""
    buffer = io.BytesIO()
    options.setdefault("photometric", "minisblack")
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def pages(*arrays: np.ndarray, **options: Any) -> bytes:
    """A TIFF file whose pages need not be alike."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as writer:
        for array in arrays:
            writer.write(array, photometric="minisblack", metadata=None)
    return buffer.getvalue()


def claim(
    width: int, height: int, compression: int = 1, n_data: int = 8, bits: int = 16, **tags: int
) -> bytes:
    """A small TIFF whose header claims any size; ``tags`` are ``t273=...`` and replace others."""
    entries = {256: width, 257: height, 258: bits, 259: compression, 262: 1, 273: 250, 277: 1, 278: height}
    entries |= {279: n_data} | {int(name[1:]): value for name, value in tags.items()}
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + body + bytes(4)
    return head.ljust(250, b"\0") + bytes(n_data)


def replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    """The file with one thing changed; it has to be there."""
    assert old in content
    return content.replace(old, new)


def next_page_at(content: bytes, offset: int) -> bytes:
    """The file with its first directory's successor somewhere else."""
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    changed = bytearray(content)
    struct.pack_into("<I", changed, first + 2 + 12 * count, offset)
    return bytes(changed)


def imagej_of(content: bytes, n_frames: int) -> bytes:
    """The file with ImageJ's description in its first page, whose software tag makes room for it."""
    text = f"ImageJ=1.54f\nimages={n_frames}\nframes={n_frames}\n".encode()
    changed = bytearray(content)
    (first,) = struct.unpack_from("<I", changed, 4)
    (count,) = struct.unpack_from("<H", changed, first)
    for place in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from("<H", changed, place)[0] == 305:
            struct.pack_into("<HHII", changed, place, 270, 2, len(text), len(changed))
    return bytes(changed) + text


def png(array: np.ndarray, **chunks: bytes) -> bytes:
    """A PNG with chunks added after its header."""
    content = bytes(imagecodecs.png_encode(array))
    extra = b"".join(png_chunk(name.encode(), body) for name, body in chunks.items())
    return content[:33] + extra + content[33:]


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_claim(width: int, height: int, depth: int, colour: int) -> bytes:
    """A PNG that is only a header and an end."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(bytes(10)))
    return b"\x89PNG\r\n\x1a\n" + header + data + png_chunk(b"IEND", b"")


def with_value(value: float) -> np.ndarray:
    """A float frame with three bad pixels."""
    frame = FLOAT.copy()
    frame[3:6, 7] = value
    return frame


def headers() -> Iterator[Case]:
    """Headers that lie, and files that are none."""
    yield Case("70 GiB in 300 bytes", claim(193_274, 193_274), r"193274.*GiB, in 258 bytes")
    yield Case("70 GiB, deflate", claim(193_274, 193_274, 8), r"193274.*GiB")
    yield Case("70 GiB, LZW", claim(193_274, 193_274, 5), r"193274.*GiB")
    yield Case("70 GiB, zstd", claim(193_274, 193_274, 50_000), r"193274.*GiB")
    yield Case("70 GiB, JPEG", claim(193_274, 193_274, 7, bits=8), r"193274.*GiB")
    yield Case("70 GiB, unknown compression", claim(193_274, 193_274, 61_234), r"61234|193274")
    yield Case("width 0", claim(0, 40), "must|decode")
    yield Case("height 0", claim(50, 0), "must|decode")
    yield Case("no bits", claim(50, 40, bits=0), "must|decode")
    yield Case("strip beyond the end", claim(4, 4, t273=5000), "up to byte 5008 of 258")
    yield Case("strip of no bytes", claim(4, 4, t279=0), "must")
    yield Case("strip too short", claim(4, 8, n_data=32), r"\(8, 4\) uint16.*282 bytes")
    yield Case("zero pages", struct.pack("<2sHI", b"II", 42, 0), "at least one page, got none")
    yield Case("zero pages, BigTIFF", struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0), "at least one page")
    yield Case("directory beyond the end", struct.pack("<2sHI", b"II", 42, 900), "page 0 at byte 900 of 8")
    yield Case("only a signature", b"II*\0", "decode completely")
    yield Case("empty file", b"", "starting with b''")
    yield Case("HTML", b"<html>404</html>", "starting with b'<html>40'")
    yield Case("text", b"Hello, I am a TIFF.\n", "starting with b'Hello, I'")
    yield Case("pickle", pickle.dumps({"a": 1}), "starting with")
    yield Case("NumPy array", b"\x93NUMPY\x01\0" + bytes(100), "starting with")
    yield Case("ZIP", b"PK\x03\x04" + bytes(60), "starting with")
    yield Case("signature and noise", b"II*\0" + RNG.bytes(500), "must")
    yield Case("zeros", bytes(4096), "starting with")
    yield Case("pages in a circle", next_page_at(pages(FRAME, FRAME), 8), "page 1 at an earlier one")
    yield Case("page beyond the end", next_page_at(pages(FRAME, FRAME), 99_999), "page 1 at byte 99999")


def truncated() -> Iterator[Case]:
    """Files whose end is missing, and stacks that lack pages."""
    for name, content in {
        "plain": tiff(FRAME),
        "deflate": tiff(FRAME, compression="zlib"),
        "tiled": tiff(FRAME, tile=(16, 16)),
        "BigTIFF": tiff(FRAME, bigtiff=True),
        "stack": pages(*STACK),
        "compressed stack": tiff(STACK, compression="zlib", metadata={"axes": "TYX"}),
        "ImageJ": tiff(STACK, imagej=True, metadata={"axes": "TYX"}),
        "OME": tiff(STACK, ome=True, metadata={"axes": "TYX"}),
        "PNG": png(FRAME),
        "JPEG": bytes(imagecodecs.jpeg8_encode(FRAME)),
    }.items():
        for percent in (30, 70, 98):
            cut = content[: len(content) * percent // 100]
            yield Case(f"{name} cut at {percent} %", cut, "must", options={"axes": None})
    ij = tiff(STACK, imagej=True, metadata={"axes": "TYX"})
    yield Case("ImageJ claims 9 of 6", replaced(ij, b"frames=6", b"frames=9"), "must")
    yield Case("ImageJ claims 10^9", replaced(ij, b"images=6\nframes=6", b"frames=999999999"), "must")
    ome = tiff(STACK, ome=True, metadata={"axes": "TYX"})
    yield Case("OME claims 9 of 6", replaced(ome, b'SizeT="6"', b'SizeT="9"'), "must")
    yield Case("OME without an end", replaced(ome, b"</Pixels>", b"         "), "must")
    shaped = tiff(STACK, metadata={"axes": "TYX"})
    yield Case("JSON claims 9 of 6", replaced(shaped, b"[6, 40, 50]", b"[9, 40, 50]"), "must")
    damaged = bytearray(tiff(FRAME, compression="zlib"))
    damaged[-800:-700] = bytes(100)
    yield Case("damaged deflate", bytes(damaged), "decode completely")
    spoilt = bytearray(png(FRAME))
    spoilt[200] ^= 255
    yield Case("damaged PNG", bytes(spoilt), "checksum", "file.png")
    yield Case("PNG header only", png(FRAME)[:33], "end of the file", "file.png")


def refused() -> Iterator[Case]:
    """Intact files that hold something else than gray values along known axes."""
    colormap = np.zeros((3, 256), np.uint16)
    yield Case("palette", tiff(FRAME, photometric="palette", colormap=colormap), "into a palette.*Grays")
    ij_palette = tiff(FRAME, imagej=True, photometric=None, colormap=colormap, metadata={"axes": "YX"})
    yield Case("ImageJ palette", ij_palette, "into a palette")
    yield Case("RGBA", tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]), "4 samples with transp")
    yield Case(
        "gray and alpha", tiff(RGBA[..., :2], planarconfig="contig", extrasamples=["assocalpha"]), "transp"
    )
    yield Case("CMYK", tiff(RGBA, photometric="separated"), "CMYK")
    yield Case("CIELab", tiff(RGB, photometric="cielab"), "CIELab")
    yield Case("bilevel", tiff(FRAME > 99), "got bool.*It is a mask")
    for dtype in ("int8", "int16", "uint32", "int32", "uint64", "int64", "complex64"):
        yield Case(dtype, tiff(FRAME.astype(dtype)), f"got {dtype} ")
    for name, value in {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf}.items():
        yield Case(name, tiff(with_value(value)), "got 3 NaN or infinite pixels")
    huge = FRAME.astype(np.float64)
    huge[0, 0] = 1e300
    yield Case("beyond float32", tiff(huge), "got 1 NaN or infinite")
    yield Case("stack, axes unknown", pages(*STACK), r"'IYX' for .*\(6, 40, 50\).*--axes TYX")
    yield Case("JSON, axes unknown", tiff(STACK), r"axes must be known.*\(6, 40, 50\).*--axes")
    yield Case("axes of another length", pages(*STACK), "3 dimensions .*got 'TCYX'", options={"axes": "TCYX"})
    yield Case("axes unknown letter", pages(*STACK), "letters of TCZYXS, got 'QYX'", options={"axes": "QYX"})
    yield Case("axes twice", pages(*STACK), "different letters", options={"axes": "YYX"})
    yield Case("axes not ending YX", pages(*STACK), "end with YX", options={"axes": "YXT"})
    across = tiff(RGB, photometric="rgb")
    yield Case("axes across pages", across, "where the pages have them", options={"axes": "TYX"})
    yield Case("mixed shapes", pages(FRAME, FRAME[:20]), r"got 2 of shapes .*--series 0 to 1")
    unlike = imagej_of(pages(*STACK, np.tile(FRAME, (2, 2))), 7)
    yield Case("mixed shapes called one stack", unlike, "incompatible keyframe")
    yield Case("mixed dtypes", pages(FRAME, DEEP), "got 2 of shapes")
    yield Case("series too high", pages(FRAME, DEEP), "0 to 1, got 7", options={"series": 7})
    volume = tiff(RNG.integers(0, 9, (16, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16))
    yield Case("volume in one page", volume, "pages with axes ZYX|axes must")
    yield Case("PNG palette", png_claim(4, 4, 8, 3), "got a palette", "file.png")
    yield Case("PNG RGBA", png(RGBA), "RGB with transparency", "file.png")
    yield Case("PNG gray and alpha", png(RGBA[..., :2].copy()), "gray with transparency", "file.png")
    yield Case("PNG transparent colour", png(FRAME, tRNS=b"\0\1"), "a transparent colour", "file.png")
    yield Case("PNG animation", png(FRAME, acTL=bytes(8)), "an animation", "file.png")
    yield Case("PNG of 1 bit", png_claim(8, 8, 1, 0), "8 or 16 bits, got 1", "file.png")
    yield Case("PNG of 70 GiB", png_claim(193_274, 193_274, 16, 0), "GiB, in", "file.png")
    yield Case("PNG of width 0", png_claim(0, 4, 8, 0), r"shape \(4, 0, 1\)", "file.png")
    yield Case("PNG with series", png(FRAME), "must be 0 in a PNG file, got 3", "file.png", {"series": 3})
    yield Case("PNG with axes", png(RGB), "must be YXS in a PNG", "file.png", {"axes": "SYX"})
    cmyk = bytes(imagecodecs.jpeg8_encode(RGBA, colorspace="CMYK", outcolorspace="CMYK"))
    yield Case("JPEG CMYK", cmyk, "4 colours", "file.jpg")
    jpeg = bytearray(imagecodecs.jpeg8_encode(FRAME))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 65_000, 65_000)
    yield Case("JPEG of 4 GiB", bytes(jpeg), "GiB, in", "file.jpg")


def odd() -> Iterator[Case]:
    """Unusual files that are fine."""
    line = RNG.integers(0, 255, (3, 5000), dtype=np.uint8)
    yield Case("1 × 1", tiff(FRAME[:1, :1]), FRAME[:1, :1])
    yield Case("1 × 1 PNG", png(FRAME[:1, :1]), FRAME[:1, :1])
    yield Case("3 × 5000", tiff(line), line)
    yield Case("5000 × 3, tiled", tiff(line.T.copy(), tile=(16, 16)), line.T)
    yield Case("constant", tiff(np.full((9, 9), 7, np.uint8)), np.full((9, 9), 7, np.uint8))
    yield Case("all zero", tiff(np.zeros((9, 9), np.float32)), np.zeros((9, 9), np.float32))
    yield Case("12 bit in 16", tiff(DEEP), DEEP)
    yield Case("12 bit, packed", packed_12_bit(), DEEP)
    yield Case("big-endian", tiff(DEEP.astype(">u2"), byteorder=">"), DEEP)
    yield Case("float16", tiff(FLOAT.astype(np.float16)), FLOAT.astype(np.float16).astype(np.float32))
    yield Case("float64", tiff(FLOAT.astype(np.float64)), FLOAT)
    yield Case("white is zero", tiff(FRAME, photometric="miniswhite"), FRAME)
    yield Case("trailing bytes", tiff(FRAME) + bytes(999), FRAME)
    yield Case("TIFF named PNG", tiff(FRAME), FRAME, "file.png")
    yield Case("PNG named TIFF", png(DEEP), DEEP)
    yield Case("no suffix", tiff(FRAME), FRAME, "file")
    yield Case("second series", pages(FRAME, DEEP), DEEP, options={"series": 1})
    yield Case("axes given", pages(*STACK), STACK, options={"axes": "tyx"})
    yield Case("singleton axes", tiff(FRAME[None, None], ome=True, metadata={"axes": "TCYX"}), FRAME)
    yield Case("one page for all", tiff(STACK, truncate=True, metadata={"axes": "TYX"}), STACK)
    yield Case("name with spaces and ü", tiff(FRAME), FRAME, "größe 1.tif")


def packed_12_bit() -> bytes:
    """The 12-bit frame with two pixels in three bytes."""
    pairs = DEEP.reshape(-1, 2).astype(np.uint32)
    joined = (pairs[:, 0] << 12 | pairs[:, 1]).astype(">u4")
    data = joined.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    return claim(50, 40, n_data=len(data), bits=12)[:250] + data


CASES = [*headers(), *truncated(), *refused(), *odd()]
