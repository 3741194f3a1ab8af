"""What Fiji, napari and cellpose read from an output is what was in the input."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from biostyle.io import tiff_writer
from biostyle.io.tiff_writer import tiff_format
from biostyle.io.volume_info import VolumeInfo
from biostyle.io.volume_writer import write_volume
from biostyle.io.volumes import open_volume
from tests.io.bad_files import FRAME, RGB, STACK

RNG = np.random.default_rng(11)
HYPERSTACK = RNG.integers(0, 4096, (3, 2, 2, 33, 47), dtype=np.uint16)
Write = Callable[..., Path]


@pytest.fixture
def rewrite(tmp_path: Path) -> Write:
    """Write a TIFF with tifffile, read it and write it again."""

    def run(
        array: np.ndarray,
        change: Callable[[VolumeInfo], VolumeInfo] = lambda info: info,
        channel: int | None = None,
        axes: str | None = None,
        **options: Any,
    ) -> Path:
        source = tmp_path / "in" / "a.tif"
        source.parent.mkdir(exist_ok=True)
        options.setdefault("photometric", "minisblack")
        tifffile.imwrite(source, array, **options)
        with open_volume(source, axes) as volume:
            info = change(volume.info if channel is None else volume.info.select_channel(channel))
            planes = (volume.read_plane(index).astype(info.dtype) for index in volume.info.planes(channel))
            write_volume(tmp_path / "out" / "a.tif", info, planes, volume, note="stylized", overwrite=True)
        return tmp_path / "out" / "a.tif"

    return run


def test_an_imagej_hyperstack_stays_one(rewrite: Write) -> None:
    lut = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    metadata = {
        "axes": "TZCYX",
        "unit": "um",
        "spacing": 2.5,
        "finterval": 300.0,
        "mode": "composite",
        "loop": False,
        "min": 10.0,
        "max": 900.0,
        "Ranges": (10.0, 900.0, 0.0, 5.0),
        "Labels": [f"plane {n}" for n in range(12)],
        "LUTs": [lut, lut[:, ::-1]],
        "Info": "Microscope = Ünal",
        "ROI": b"Iout1234",
    }
    path = rewrite(HYPERSTACK, imagej=True, resolution=(1 / 0.65, 1 / 0.65), metadata=metadata)
    with tifffile.TiffFile(path) as file:
        series, texts = file.series[0], file.imagej_metadata
        assert texts is not None
        assert (series.kind, series.axes, series.shape) == ("imagej", "TZCYX", HYPERSTACK.shape)
        np.testing.assert_array_equal(series.asarray(), HYPERSTACK)
        x, per = file.pages.first.tags["XResolution"].value
        assert per / x == pytest.approx(0.65)
    for key in ("unit", "spacing", "finterval", "mode", "loop", "Labels", "ROI"):
        assert texts[key] == metadata[key], key
    assert (texts["images"], texts["frames"], texts["slices"], texts["channels"]) == (12, 3, 2, 2)
    np.testing.assert_array_equal(texts["LUTs"][1], lut[:, ::-1])
    assert texts["Info"] == "Microscope = Ünal\nbiostyle; stylized"
    assert not {"min", "max", "Ranges"} & texts.keys()  # they would show other values as black


def test_a_channel_of_a_hyperstack(rewrite: Write) -> None:
    labels = [f"t{t} z{z} c{c}" for t in range(3) for z in range(2) for c in range(2)]
    metadata = {"axes": "TZCYX", "Labels": labels, "mode": "composite", "unit": "\\u00B5m"}
    path = rewrite(HYPERSTACK, channel=1, imagej=True, metadata=metadata)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(file.asarray(), HYPERSTACK[:, :, 1])
        texts = file.imagej_metadata
        assert texts is not None
        assert texts["Labels"] == [f"t{t} z{z} c1" for t in range(3) for z in range(2)]
        assert (texts["mode"], texts["unit"]) == ("grayscale", "\\u00B5m")


def test_ome_stays_ome(rewrite: Write) -> None:
    metadata = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.65,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeZ": 2.0,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 5.0,
        "TimeIncrementUnit": "min",
        "SignificantBits": 12,
        "Channel": {"Name": ["phase", "GFP"]},
        "Plane": {"DeltaT": [float(n) for n in range(12)]},
        "Description": "Zellen µ",
    }
    path = rewrite(
        HYPERSTACK,
        lambda info: info.with_dtype(np.dtype("float32")),
        ome=True,
        bigtiff=True,
        metadata=metadata,
    )
    with tifffile.TiffFile(path) as file:
        assert (file.is_bigtiff, file.series[0].kind, file.series[0].axes) == (True, "ome", "TCZYX")
        np.testing.assert_array_equal(file.asarray(), HYPERSTACK.astype(np.float32))
        assert file.ome_metadata is not None
        pixels = ET.fromstring(file.ome_metadata).find(".//{*}Pixels")
    assert pixels is not None
    for key in ("PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeZ", "TimeIncrement", "TimeIncrementUnit"):
        assert pixels.get(key) == str(metadata[key]), key
    assert (pixels.get("Type"), pixels.get("SignificantBits")) == ("float", None)
    assert [channel.get("Name") for channel in pixels.findall("{*}Channel")] == ["phase", "GFP"]
    assert [float(plane.get("DeltaT", "")) for plane in pixels.findall("{*}Plane")] == list(range(12))
    with open_volume(path) as volume:
        assert volume.info.description == "Zellen µ\nbiostyle; stylized"


def test_a_channel_of_an_ome_file(rewrite: Write) -> None:
    path = rewrite(
        HYPERSTACK, channel=1, ome=True, metadata={"axes": "TCZYX", "Channel": {"Name": ["phase", "GFP"]}}
    )
    with open_volume(path) as volume:
        assert (volume.info.axes, volume.info.channel_names) == ("TZYX", ("GFP",))
    np.testing.assert_array_equal(tifffile.imread(path), HYPERSTACK[:, 1])


def test_a_colour_of_an_ome_file(rewrite: Write) -> None:
    path = rewrite(RGB, channel=1, ome=True, photometric="rgb", metadata={"axes": "YXS"})
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), RGB[..., 1])
        pixels = ET.fromstring(file.ome_metadata or "").find(".//{*}Pixels")
    assert pixels is not None
    assert (pixels.get("SizeC"), pixels.get("Interleaved")) == ("1", None)
    assert [channel.get("SamplesPerPixel") for channel in pixels.findall("{*}Channel")] == [None]


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_time_that_was_stored_as_depth(rewrite: Write, kind: str) -> None:
    scale = {"unit": "um"} if kind == "imagej" else {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    options = {"imagej": kind == "imagej", "ome": kind == "ome", "resolution": (2, 2)}
    path = rewrite(STACK, axes="TYX", metadata={"axes": "ZYX", **scale}, **options)
    with open_volume(path) as volume:
        assert (volume.info.format, volume.info.axes) == (kind, "TYX")
        assert (volume.info.pixel_size["X"], volume.info.pixel_unit) == (0.5, "µm")


def test_a_plain_stack_keeps_its_tags(rewrite: Write) -> None:
    tags = [(315, "s", 0, "A. Biologist", True), (306, "s", 0, "2020:01:02 03:04:05", True)]
    path = rewrite(
        STACK,
        axes="TYX",
        metadata=None,
        description="Zeiss",
        extratags=tags,
        resolution=((20, 13), (20, 13)),
        resolutionunit="CENTIMETER",
    )
    with tifffile.TiffFile(path) as file:
        page, series = file.pages.first, file.series[0]
        assert (series.kind, series.axes) == ("shaped", "TYX")
        assert (page.tags[315].value, page.tags[306].value) == ("A. Biologist", "2020:01:02 03:04:05")
        assert (page.tags[282].value, int(page.tags[296].value)) == ((20, 13), 3)
        assert file.shaped_metadata is not None
        assert file.shaped_metadata[0]["biostyle"] == "biostyle; stylized"
    with open_volume(path) as volume:
        assert volume.info.description == "Zeiss"


def test_white_stays_white(rewrite: Write) -> None:
    with tifffile.TiffFile(rewrite(FRAME, photometric="miniswhite")) as file:
        assert int(file.pages.first.photometric) == 0
    masks = rewrite(FRAME, lambda info: info.for_masks(np.dtype("uint16")), photometric="miniswhite")
    with tifffile.TiffFile(masks) as file:
        assert int(file.pages.first.photometric) == 1


def test_jpeg_compression_becomes_lossless(rewrite: Write) -> None:
    with tifffile.TiffFile(rewrite(FRAME, compression="jpeg", tile=(16, 16))) as file:
        assert (int(file.pages.first.compression), file.pages.first.tilewidth) == (8, 16)


@pytest.mark.parametrize(
    ("axes", "dtype", "compression", "shape", "expected"),
    [
        ("TZCYX", "uint8", None, (2, 2, 2, 9, 9), "imagej"),
        ("TZCYX", "uint32", None, (2, 2, 2, 9, 9), "ome"),
        ("CTYX", "uint8", None, (2, 2, 9, 9), "ome"),
        ("TYX", "uint8", None, (9, 40_000, 40_000), "imagej"),
        ("TYX", "uint8", "zlib", (9, 40_000, 40_000), "ome"),
        ("YXS", "uint16", None, (9, 9, 3), "ome"),
    ],
)
def test_what_imagej_cannot_hold_becomes_ome(
    axes: str, dtype: str, compression: str | None, shape: tuple[int, ...], expected: str
) -> None:
    info = VolumeInfo(Path("a.tif"), "imagej", shape, axes, np.dtype(dtype), compression=compression)
    assert tiff_format(info).format == expected
    assert tiff_format(info.in_format("tiff")).format == "tiff"


def test_labels_of_an_imagej_stack_with_32_bits(rewrite: Write) -> None:
    metadata = {"axes": "TYX", "unit": "um", "finterval": 300.0}
    path = rewrite(
        STACK,
        lambda info: info.for_masks(np.dtype("uint32")),
        imagej=True,
        resolution=(2, 2),
        metadata=metadata,
    )
    with open_volume(path, labels=True) as volume:
        assert (volume.info.format, volume.info.axes, volume.info.dtype) == ("ome", "TYX", np.uint32)
        assert (volume.info.pixel_size["X"], volume.info.time_increment) == (0.5, 300)


@pytest.mark.parametrize("kind", ["imagej", "ome", "tiff"])
def test_above_4_gib(rewrite: Write, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_writer, "CLASSIC_BYTES", 5000)
    path = rewrite(STACK, imagej=kind == "imagej", ome=kind == "ome", metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff == (kind != "imagej")
        assert len(file.pages) == (1 if kind == "imagej" else 6)  # ImageJ has one directory for such stacks
        np.testing.assert_array_equal(file.asarray(), STACK)


def test_samples_stay_samples(rewrite: Write) -> None:
    separate = RGB.transpose(2, 0, 1).copy()
    for array, planar, tile in (
        (RGB, "contig", None),
        (separate, "separate", None),
        (separate, "separate", (16, 16)),
    ):
        path = rewrite(array, photometric="rgb", planarconfig=planar, tile=tile)
        np.testing.assert_array_equal(tifffile.imread(path), array)
        with tifffile.TiffFile(path) as file:
            assert (int(file.pages.first.photometric), file.series[0].axes[0] == "S") == (
                2,
                planar == "separate",
            )
    np.testing.assert_array_equal(tifffile.imread(rewrite(RGB, channel=2, photometric="rgb")), RGB[..., 2])
