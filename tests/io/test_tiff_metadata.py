"""Scale, names and storage are read from ImageJ, OME and plain files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from biostyle.errors import ImageError
from biostyle.io.tiff_metadata import micrometre
from biostyle.io.volume_info import VolumeInfo
from biostyle.io.volumes import open_volume
from tests.io.bad_files import FRAME, STACK, replaced, tiff


def info(path: Path, array: np.ndarray = STACK, **options: Any) -> VolumeInfo:
    options.setdefault("photometric", "minisblack")
    tifffile.imwrite(path, array, **options)
    with open_volume(path) as volume:
        return volume.info


def test_imagej(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "unit": "um", "spacing": 2.5, "finterval": 300.0, "Info": "a note"}
    found = info(tmp_path / "a.tif", imagej=True, resolution=(2.0, 4.0), metadata=metadata)
    assert (found.format, found.axes) == ("imagej", "TYX")
    assert found.pixel_size == {"Y": 0.25, "X": 0.5, "Z": 2.5}
    assert (found.pixel_unit, found.time_increment, found.time_unit) == ("µm", 300.0, "s")
    assert found.description == "a note"


def test_imagej_without_scale(tmp_path: Path) -> None:
    found = info(tmp_path / "a.tif", imagej=True, metadata={"axes": "ZYX"})
    assert (found.axes, found.pixel_size, found.time_increment) == ("ZYX", {}, None)


def test_ome(tmp_path: Path) -> None:
    metadata = {
        "axes": "CYX",
        "PhysicalSizeX": 0.65,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.7,
        "TimeIncrement": 5.0,
        "TimeIncrementUnit": "min",
        "Channel": {"Name": [f"c{n}" for n in range(6)]},
        "Description": "cells",
    }
    found = info(tmp_path / "a.tif", ome=True, metadata=metadata)
    assert (found.format, found.axes, found.pixel_size) == ("ome", "CYX", {"Y": 0.7, "X": 0.65})
    assert (found.pixel_unit, found.time_increment, found.time_unit) == ("µm", 5.0, "min")
    assert (found.channel_names[5], found.description) == ("c5", "cells")


def test_plain(tmp_path: Path) -> None:
    options: dict[str, Any] = {"resolution": (1e4 / 0.65, 1e4 / 0.65), "resolutionunit": "CENTIMETER"}
    found = info(tmp_path / "a.tif", FRAME, metadata=None, description="by hand", tile=(16, 16), **options)
    assert (found.format, found.axes, found.description, found.tile) == ("tiff", "YX", "by hand", (16, 16))
    assert found.pixel_size["X"] == pytest.approx(0.65)
    dots = info(tmp_path / "b.tif", FRAME, metadata=None, resolution=(72, 72), resolutionunit="INCH")
    assert (dots.pixel_size, dots.metadata["resolution"]) == ({}, ((72, 1), (72, 1), 2))
    texts = info(tmp_path / "c.tif", FRAME, metadata={"axes": "YX", "description": "note"}, bigtiff=True)
    assert (texts.description, texts.bigtiff) == ("note", True)


@pytest.mark.parametrize("spelling", ["um", "µm", "μm", "micron", "\\u00B5m", "Microns"])
def test_the_micrometre_has_one_name(spelling: str) -> None:
    assert micrometre(spelling) == "µm"
    assert micrometre("inch") == "inch"


def test_metadata_that_do_not_fit_the_pages(tmp_path: Path) -> None:
    content = tiff(STACK, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "a.tif").write_bytes(replaced(content, b"frames=6", b"frames=9"))
    with pytest.raises(ImageError, match=r"ImageJ metadata must fit .*\(6, 40, 50\) .*a\.tif"):
        open_volume(tmp_path / "a.tif", axes="TYX")


def test_axes_across_pages(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageError, match=r"got ZYX for YXS .*a\.tif"):
        open_volume(tmp_path / "a.tif", axes="ZYX")


def test_several_files_and_colour_spaces(tmp_path: Path) -> None:
    xml = tifffile.OmeXml()
    xml.addimage("uint8", (2, 40, 50), (2, 1, 1, 40, 50, 1), axes="CYX")
    text = xml.tostring().replace(
        '<TiffData IFD="0" PlaneCount="2"/>',
        "".join(
            f'<TiffData IFD="0" FirstC="{c}" PlaneCount="1"><UUID FileName="{n}.ome.tif">{n}</UUID></TiffData>'
            for c, n in enumerate("ab")
        ),
    )
    for name in "ab":
        tifffile.imwrite(
            tmp_path / f"{name}.ome.tif", FRAME, description=text.encode(), metadata=None, ome=False
        )
    with pytest.raises(ImageError, match=r"several files|every plane"):
        open_volume(tmp_path / "a.ome.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((9, 8, 4), np.uint8), photometric="separated")
    with pytest.raises(ImageError, match=r"got CMYK colours .*c\.tif"):
        open_volume(tmp_path / "c.tif")
