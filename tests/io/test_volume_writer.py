"""Every supported combination survives a round trip; an output is complete, verified and recorded, or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from biostyle.errors import ImageError, OutputError
from biostyle.io import volume_writer
from biostyle.io.value_range import RangeMapping
from biostyle.io.volume_writer import check_output, differences, record_path, write_volume
from biostyle.io.volumes import open_volume
from biostyle.types import NDArray
from tests.io.bad_files import DEEP, FRAME, RGB, STACK, tiff

RNG = np.random.default_rng(2)
SIZES = {"T": 3, "Z": 2, "C": 2, "Y": 37, "X": 51, "S": 3}
AXES = ["YX", "TYX", "ZYX", "CYX", "TCYX", "TZYX", "ZCYX", "TZCYX", "YXS", "TYXS"]
STORAGE: list[dict[str, Any]] = [
    {},
    {"tile": (32, 16)},
    {"compression": "lzw", "predictor": True},
    {"compression": "zlib"},
    {"compression": "zlib", "predictor": True, "tile": (16, 32)},
    {"compression": "zstd"},
]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack to start from."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(tiff(STACK, metadata={"axes": "TYX"}))
    return tmp_path / "in" / "a.tif"


# Colours are integers, and ImageJ's have 8 bits.
COMBINATIONS = [
    (kind, axes, dtype)
    for kind in ("tiff", "imagej", "ome")
    for axes in AXES
    for dtype in ("uint8", "uint16", "float32")
    if "S" not in axes or dtype == "uint8" or (dtype == "uint16" and kind != "imagej")
]


@pytest.mark.parametrize(("kind", "axes", "dtype"), COMBINATIONS)
def test_round_trip(tmp_path: Path, kind: str, axes: str, dtype: str) -> None:
    array = (RNG.random([SIZES[axis] for axis in axes]) * 250).astype(dtype)
    (tmp_path / "in").mkdir()
    for number, storage in enumerate(STORAGE):
        if dtype == "float32" and storage.get("compression") == "lzw":
            storage = {"compression": "lzw"}
        source, out = tmp_path / "in" / f"{number}.tif", tmp_path / "out" / f"{number}.tif"
        photometric = "rgb" if "S" in axes else "minisblack"
        flags = {"imagej": kind == "imagej", "ome": kind == "ome", "photometric": photometric}
        tifffile.imwrite(source, array, metadata={"axes": axes}, **flags, **storage)
        with open_volume(source) as volume:
            planes = (volume.read_plane(index) for index in volume.info.planes())
            record = write_volume(out, volume.info, planes, volume)
        assert record["output"]["pixels_sha256"]
        with tifffile.TiffFile(source) as before, tifffile.TiffFile(out) as after:
            np.testing.assert_array_equal(after.asarray(), array)
            old, new = before.series[0], after.series[0]
            assert (new.kind, new.axes, new.shape, new.dtype) == (old.kind, old.axes, old.shape, old.dtype)
            for key in ("compression", "predictor", "is_tiled", "photometric", "planarconfig"):
                assert getattr(new.keyframe, key) == getattr(old.keyframe, key), (key, storage)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["tiff", "imagej", "ome"])
def test_dtypes_and_mapping(tmp_path: Path, kind: str, dtype: str) -> None:
    (tmp_path / "in").mkdir()
    source, out = tmp_path / "in" / "a.tif", tmp_path / "out" / "a.tif"
    flags = {"imagej": kind == "imagej", "ome": kind == "ome", "photometric": "minisblack"}
    tifffile.imwrite(source, DEEP[None].repeat(2, 0), metadata={"axes": "TYX"}, **flags)
    unit = RNG.random((2, 40, 50), dtype=np.float32)
    mapping = RangeMapping(np.dtype(dtype))
    with open_volume(source) as volume:
        planes = (mapping.apply(plane) for plane in unit)
        record = write_volume(out, volume.info.with_dtype(mapping.dtype), planes, volume, mapping=mapping)
    high = mapping.high
    expected = unit if dtype == "float32" else np.rint(unit.astype(np.float64) * high)
    with open_volume(out) as volume:
        assert (volume.info.axes, volume.info.dtype) == ("TYX", dtype)
        read = np.stack([volume.read_plane(index) for index in volume.info.planes()])
    np.testing.assert_array_equal(read, expected.astype(dtype))
    with tifffile.TiffFile(out) as file:
        texts = f"{file.ome_metadata} {file.imagej_metadata} {file.shaped_metadata}"
    assert f"[0, 1] mapped to [0, {high:g}]" in texts
    assert record["mapping"] == {"from": [0, 1], "to": [0, high], "dtype": dtype}


@pytest.mark.parametrize("array", [FRAME, DEEP, RGB], ids=["8 bit", "16 bit", "RGB"])
def test_png_round_trip(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    out = tmp_path / "out" / "a.png"
    with open_volume(tmp_path / "a.png") as volume:
        write_volume(out, volume.info, (volume.read_plane(i) for i in volume.info.planes()), volume)
        with pytest.raises(OutputError, match=r"got float32 \(.*b\.png"):
            write_volume(tmp_path / "out" / "b.png", volume.info.with_dtype(np.dtype("f4")), [], volume)
    np.testing.assert_array_equal(imagecodecs.png_decode(out.read_bytes()), array)


def test_jpeg_becomes_png(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(FRAME))
    with open_volume(tmp_path / "a.jpg") as volume:
        write_volume(tmp_path / "out" / "a.png", volume.info.for_masks(np.dtype("uint8")), [FRAME], volume)
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "out" / "a.png").read_bytes()), FRAME)


def test_the_record(stack: Path, tmp_path: Path) -> None:
    out, request = tmp_path / "out" / "a.tif", {"model": "1f", "scales": (1, 2)}
    with open_volume(stack) as volume:
        record = write_volume(out, volume.info, STACK, volume, request=request)
    assert record_path(out).name == "a.tif.json"
    assert json.loads(record_path(out).read_text()) == json.loads(json.dumps(record))
    source = hashlib.sha256(stack.read_bytes()).hexdigest()
    assert record["source"] == {
        "file": str(stack),
        "format": "tiff",
        "axes": "TYX",
        "shape": [6, 40, 50],
        "dtype": "uint8",
        "sha256": source,
    }
    assert record["output"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert record["output"]["pixels_sha256"] == hashlib.sha256(STACK.tobytes()).hexdigest()
    assert differences(out, source, request) == ()
    assert differences(out, source, {"model": "2e"}) == ("model", "scales")
    assert differences(out, "0" * 64, request) == ("source file",)
    assert differences(tmp_path / "out" / "b.tif", source, request) == ("record",)
    out.write_bytes(out.read_bytes() + b"\0")
    assert differences(out, source, request) == ("output file",)
    out.unlink()
    assert differences(out, source, request) == ("output file",)
    record_path(out).write_text("{}")
    assert differences(out, source) == ("record",)


def test_the_same_planes_give_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    hashes = set()
    for name in ("a.tif", "b.tif"):
        with open_volume(stack) as volume:
            hashes.add(write_volume(tmp_path / "out" / name, volume.info, STACK, volume)["output"]["sha256"])
    assert len(hashes) == 1


def test_never_beside_or_over_the_input(stack: Path, tmp_path: Path) -> None:
    content = stack.read_bytes()
    (tmp_path / "link").symlink_to(stack.parent)
    with open_volume(stack) as volume:
        for out in (
            stack,
            stack.with_name("b.tif"),
            tmp_path / "link" / "b.tif",
            stack.parent / ".." / "in" / "b",
        ):
            with pytest.raises(OutputError, match=r"another folder than the input .*a\.tif, got "):
                write_volume(out, volume.info, STACK, volume, overwrite=True)
    with pytest.raises(OutputError, match=r"another folder than the input .*z\.zarr"):
        check_output(tmp_path / "in" / "z.zarr" / "out" / "a", tmp_path / "in" / "z.zarr")
    assert [path.name for path in stack.parent.iterdir()] == ["a.tif"]
    assert stack.read_bytes() == content


def test_an_older_output_is_replaced_on_request_alone(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "a.tif"
    with open_volume(stack) as volume:
        write_volume(out, volume.info, STACK, volume)
        with pytest.raises(OutputError, match=r"must not exist, got .*a\.tif.*--overwrite"):
            write_volume(out, volume.info, STACK, volume)
        write_volume(out, volume.info, 255 - STACK, volume, overwrite=True)
    np.testing.assert_array_equal(tifffile.imread(out), 255 - STACK)


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (STACK[:5], "must be 6, got 5 "),
        (
            np.concatenate([STACK, STACK[:1]]),
            r"those of TYX \(6, 40, 50\), got more",
        ),
        (STACK[:, :39], r"got \(39, 50\) uint8 as plane 0"),
        (STACK.astype(np.uint16), r"got \(40, 50\) uint16 as plane 0"),
        (STACK[:0], "must be 6, got 0"),
    ],
    ids=["too few", "too many", "too small", "another dtype", "none"],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_wrong_planes(
    stack: Path, tmp_path: Path, planes: NDArray, message: str, compression: str | None
) -> None:
    stack.write_bytes(tiff(STACK, metadata={"axes": "TYX"}, compression=compression))
    with open_volume(stack) as volume, pytest.raises(ImageError, match=rf"{message}.*a\.tif"):
        write_volume(tmp_path / "out" / "a.tif", volume.info, iter(planes), volume)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_while_planes_are_made_leaves_nothing(stack: Path, tmp_path: Path) -> None:
    def planes() -> Iterator[NDArray]:
        yield STACK[0]
        raise ZeroDivisionError("a bug keeps its traceback")

    with open_volume(stack) as volume, pytest.raises(ZeroDivisionError, match="traceback"):
        write_volume(tmp_path / "out" / "a.tif", volume.info, planes(), volume)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_source_that_changes_meanwhile(stack: Path, tmp_path: Path) -> None:
    with open_volume(stack) as volume:
        stack.write_bytes(stack.read_bytes() + b"\0")
        with pytest.raises(ImageError, match=r"must not change.*in/a\.tif"):
            write_volume(tmp_path / "out" / "a.tif", volume.info, STACK, volume)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_full_disk(stack: Path, tmp_path: Path, compression: str | None) -> None:
    """The kernel refuses to let files grow: the nearest thing to a full disk that a test can have."""
    stack.write_bytes(tiff(STACK, metadata={"axes": "TYX"}, compression=compression))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_volume(stack) as volume:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        try:
            with pytest.raises(
                OutputError, match=r"must be writable, got .*a\.tif.*Free disk space"
            ) as caught:
                write_volume(tmp_path / "out" / "a.tif", volume.info, STACK, volume)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_code == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with open_volume(stack) as volume:
        with pytest.raises(OutputError, match=r"must be writable, got .* \(.*file/a\.tif"):
            write_volume(tmp_path / "file" / "a.tif", volume.info, STACK, volume)

        def refuse(*_: object) -> None:
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(volume_writer, "write_tiff", refuse)
        with pytest.raises(OutputError, match=r"Permission denied .*Check the folder"):
            write_volume(tmp_path / "out" / "a.tif", volume.info, STACK, volume)


def test_what_reads_back_differently_is_not_kept(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = volume_writer.write_tiff

    def spoil(path: Path, *arguments: Any) -> None:
        write(path, *arguments)
        content = bytearray(path.read_bytes())
        content[600] ^= 1
        path.write_bytes(content)

    monkeypatch.setattr(volume_writer, "write_tiff", spoil)
    with (
        open_volume(stack) as volume,
        pytest.raises(OutputError, match=r"read back .*TYX \(6, 40, 50\) uint8"),
    ):
        write_volume(tmp_path / "out" / "a.tif", volume.info, STACK, volume)
    assert list((tmp_path / "out").iterdir()) == []


def test_masks_lie_on_the_inputs_grid(stack: Path, tmp_path: Path) -> None:
    labels = np.zeros((6, 40, 50), np.uint32)
    labels[:, 3, 4] = 70_000
    with open_volume(stack) as volume:
        info = volume.info.for_masks(np.dtype("uint32"))
        write_volume(tmp_path / "out" / "a.tif", info, labels, volume, labels=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), labels)


def test_planes_are_taken_one_at_a_time(tmp_path: Path) -> None:
    """A stack of 160 MB goes through without being in memory."""
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "a.tif"
    tifffile.imwrite(source, shape=(40, 2048, 2048), dtype=np.uint8, metadata={"axes": "TYX"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_volume(source) as volume:
        planes = (volume.read_plane(index) for index in volume.info.planes())
        write_volume(tmp_path / "out" / "a.tif", volume.info, planes, volume)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 80 * 1024  # KiB
