"""OME-Zarr of both versions keeps axes, scale and names, and gets a pyramid."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biostyle.errors import ImageError
from biostyle.io.ngff import metadata_file
from biostyle.io.volume_writer import differences, write_volume
from biostyle.io.volumes import open_volume

zarr = pytest.importorskip("zarr")
RNG = np.random.default_rng(5)
AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def make(path: Path, version: str, array: np.ndarray, **changes: Any) -> Path:
    """An image with two channels as another program writes it."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("full", data=array, chunks=(1, 1, 64, 64))
    scale = [{"type": "scale", "scale": [60, 1, 0.65, 0.65]}]
    image = {
        "axes": AXES,
        "datasets": [{"path": "full", "coordinateTransformations": scale}],
        "name": "cells",
    }
    channels = [
        {"label": name, "color": "00FF00", "window": {"min": 0, "max": 9}} for name in ("phase", "GFP")
    ]
    content = {"multiscales": [{**image, **changes}], "omero": {"channels": channels}}
    if version == "0.4":
        content["multiscales"][0]["version"] = version
        group.attrs.update(content)
    else:
        group.attrs["ome"] = {"version": version, **content}
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_round_trip(tmp_path: Path, version: str, dtype: str) -> None:
    array = (RNG.random((2, 2, 300, 257)) * 250).astype(dtype)
    path = make(tmp_path / "in" / "a.zarr", version, array)
    out = tmp_path / "out" / "a.zarr"
    with open_volume(path) as volume:
        info = volume.info
        assert (info.axes, info.shape, info.dtype) == ("TCYX", (2, 2, 300, 257), dtype)
        region = volume.read_region((1, 0), slice(3, 200), slice(100, 257))
        np.testing.assert_array_equal(region, array[1, 0, 3:200, 100:257])
        write_volume(out, info, (volume.read_plane(index) for index in info.planes()), volume)
        assert differences(out, volume.source_sha256()) == ()
    with open_volume(out) as volume:
        found = volume.info
    assert (found.axes, found.pixel_size, found.pixel_unit) == ("TCYX", {"Y": 0.65, "X": 0.65}, "µm")
    assert (found.time_increment, found.time_unit, found.channel_names) == (60, "s", ("phase", "GFP"))
    assert found.metadata["version"] == version
    group = zarr.open_group(str(out), mode="r")
    assert sorted(group.array_keys()) == ["0", "1"]
    np.testing.assert_array_equal(group["0"][:], array)
    assert group["1"].shape == (2, 2, 150, 129)
    mean = array[0, 1, :2, :2].mean(dtype=np.float64)
    assert group["1"][0, 1, 0, 0] == pytest.approx(mean, abs=0.5 if dtype != "float32" else 1e-4)


def test_labels_are_not_averaged_and_a_channel_is_chosen(tmp_path: Path) -> None:
    path = make(tmp_path / "in" / "a.zarr", "0.5", np.zeros((1, 2, 300, 300), np.uint8))
    labels = RNG.integers(0, 100_000, (300, 300)).astype(np.uint32)
    with open_volume(path) as volume:
        info = volume.info.select_channel(1).for_masks(np.dtype("uint32"))
        write_volume(tmp_path / "out" / "a.zarr", info, [labels], volume, labels=True)
    group = zarr.open_group(str(tmp_path / "out" / "a.zarr"), mode="r")
    np.testing.assert_array_equal(group["1"][0, 0], labels[::2, ::2])
    assert [channel["label"] for channel in group.attrs["ome"]["omero"]["channels"]] == ["GFP"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": [{"path": "../../etc"}]}, "levels must lie in the image's folder"),
        ({"axes": [*AXES[:1], {"name": "angle"}, *AXES[2:]]}, r"axes must be known, got 'T\?YX'"),
        ({"axes": AXES[:3]}, "axes must be known, got 'TCY'|decode"),
        ({"datasets": [{"path": "absent"}]}, "decode completely"),
        ({"datasets": []}, "decode completely"),
    ],
)
def test_bad_metadata(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = make(tmp_path / "a.zarr", "0.5", np.zeros((1, 2, 9, 9), np.uint8), **changes)
    with pytest.raises(ImageError, match=rf"{message}.*"):
        open_volume(path)


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no zarr\.json or \.zattrs \("):
        metadata_file(tmp_path)
    (tmp_path / ".zattrs").write_text('{"plate": {}}')
    with pytest.raises(ImageError, match=r"got \['plate'\] .*NAME\.zarr/0"):
        open_volume(tmp_path)
    (tmp_path / ".zattrs").write_text('{"multiscales": [{"version": "0.1"}]}')
    with pytest.raises(ImageError, match=r"0\.4 or 0\.5, got 0\.1"):
        open_volume(tmp_path)
    (tmp_path / ".zattrs").write_text("{")
    with pytest.raises(ImageError, match="JSONDecodeError"):
        open_volume(tmp_path)


def test_series_pixel_types_and_chunks(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zarr", "0.4", np.zeros((1, 2, 9, 9), np.int32))
    with pytest.raises(ImageError, match="got int32"):
        open_volume(path)
    with pytest.raises(ImageError, match="series must be 0 to 0, got 1"):
        open_volume(path, series=1)
    path = make(tmp_path / "b.zarr", "0.4", np.zeros((1, 2, 64, 64), np.uint8))
    with pytest.raises(ImageError, match="at most 4095 bytes, got 4096 bytes"):
        open_volume(path, max_bytes=4095)


def test_a_damaged_chunk_and_a_changed_header(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zarr", "0.5", RNG.integers(0, 9, (1, 2, 64, 64)).astype(np.uint16))
    with open_volume(path) as volume:
        volume.read_plane((0, 0))
        chunk = path / "full" / "c" / "0" / "1" / "0" / "0"
        chunk.write_bytes(chunk.read_bytes()[:20])
        with pytest.raises(ImageError, match=r"decode completely.*a\.zarr"):
            volume.read_plane((0, 1))
        header = path / "zarr.json"
        header.write_text(json.dumps(json.loads(header.read_text())) + " ")
        with pytest.raises(ImageError, match="must not change"):
            volume.read_plane((0, 0))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.zarr", "0.5", np.zeros((1, 2, 9, 9), np.uint8))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImageError, match=r"zarr must be installed .*a\.zarr.*pip install 'biostyle\[zarr\]'"):
        open_volume(path)
