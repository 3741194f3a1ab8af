"""Every bad or odd file is read correctly or refused by name; reads are bounded and notice changes."""

from __future__ import annotations

import gc
import hashlib
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biostyle.errors import DataError, ImageError
from biostyle.io import tiff_reader
from biostyle.io.integrity import fingerprint
from biostyle.io.volume_info import VolumeInfo
from biostyle.io.volumes import Volume, open_volume
from biostyle.types import NDArray
from tests.io.bad_files import CASES, DEEP, RGB, STACK, Case, tiff, with_value


def read_all(path: Path, **options: object) -> NDArray:
    """The whole image, planes in their order."""
    with open_volume(path, **options) as volume:  # type: ignore[arg-type]
        info = volume.info
        return np.stack([volume.read_plane(index) for index in info.planes()]).reshape(info.shape)


def test_the_table_is_long_enough_and_has_no_name_twice() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_and_odd_files(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.filename
    path.write_bytes(case.content)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if isinstance(case.verdict, str):
        with pytest.raises(DataError, match=case.verdict) as caught:
            read_all(path, **case.options)
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 3
    else:
        read = read_all(path, **case.options)
        assert (read.shape, read.dtype) == (case.verdict.shape, case.verdict.dtype)
        np.testing.assert_array_equal(read, case.verdict)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300 * 1024  # KiB


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"No such file.*a\.tif"):
        open_volume(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"no zarr\.json or \.zattrs"):
        open_volume(tmp_path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_change_while_reading_is_noticed(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(STACK, metadata={"axes": "TYX"}, compression=compression))
    with open_volume(path) as volume:
        volume.read_plane((0,))
        with path.open("r+b") as file:
            file.truncate(2000)
        for index in ((1,), (4,)):
            with pytest.raises(ImageError, match=r"must not change.*got 2000 bytes after .*a\.tif"):
                volume.read_plane(index)
        with pytest.raises(ImageError, match="must not change"):
            volume.source_sha256()


def test_a_file_touched_between_two_planes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(STACK, metadata={"axes": "TYX"}))
    with open_volume(path) as volume:
        os.utime(path)
        with pytest.raises(ImageError, match="must not change"):
            volume.read_plane((0,))


def test_the_plane_with_nan_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.stack([with_value(0), with_value(np.nan)]), metadata={"axes": "TYX"}))
    with open_volume(path) as volume:
        volume.read_plane((0,))
        with pytest.raises(ImageError, match=r"got 3 NaN or infinite pixels in plane \(1,\)"):
            volume.read_plane((1,))


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        ((), slice(0, 2)),
        ((6,), slice(0, 2)),
        ((-1,), slice(0, 2)),
        ((0,), slice(5, 5)),
        ((0,), slice(0, 9, 2)),
    ],
)
def test_regions_outside_are_refused(tmp_path: Path, index: tuple[int, ...], rows: slice) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(STACK, metadata={"axes": "TYX"}))
    message = r"TYX \(6, 40, 50\), got plane \(.*a\.tif"
    with open_volume(tmp_path / "a.tif") as volume, pytest.raises(ImageError, match=message):
        volume.read_region(index, rows, slice(0, 5))


def test_a_region_has_a_largest_size(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(DEEP))
    with open_volume(tmp_path / "a.tif", max_bytes=3999) as volume:
        with pytest.raises(ImageError, match=r"at most 3999 bytes, got 40 × 50 uint16, 4000 bytes"):
            volume.read_plane(())
        assert volume.read_region((), slice(0, 39), slice(0, 50)).shape == (39, 50)


def test_memory_follows_the_region_and_not_the_file(tmp_path: Path) -> None:
    """A sparse file of 8 GiB: reading some of its rows takes what they take."""
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, shape=(2, 65536, 65536), dtype=np.uint8, bigtiff=True, metadata={"axes": "TYX"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_volume(path) as volume:
        assert volume.info.shape == (2, 65536, 65536)
        assert not volume.read_region((1,), slice(60_000, 60_100), slice(100, 300)).any()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100 * 1024  # KiB


def test_labels_may_have_32_bits(tmp_path: Path) -> None:
    labels = np.arange(2000, dtype=np.uint32).reshape(40, 50) * 100
    (tmp_path / "a.tif").write_bytes(tiff(labels))
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif", labels=True), labels)


def test_pixels_of_another_size_than_the_headers(tmp_path: Path) -> None:
    class Source:
        """A decoder that goes wrong."""

        info = VolumeInfo(tmp_path / "a.tif", "tiff", (4, 5), "YX", np.dtype("uint8"))

        def read(self, *_: object) -> NDArray:
            return np.zeros((4, 4), np.uint8)

        def close(self) -> None:
            """Nothing is open."""

    (tmp_path / "a.tif").write_bytes(b"")
    volume = Volume(Source(), 99, tmp_path / "a.tif", fingerprint(tmp_path / "a.tif"))
    with pytest.raises(ImageError, match=r"must decode to 4 × 5 pixels, got \(4, 4\) .*a\.tif"):
        volume.read_plane(())


def test_pages_that_the_decoder_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(STACK, metadata={"axes": "TYX"}))
    monkeypatch.setattr(tiff_reader, "count_directories", lambda path: 7)
    with pytest.raises(ImageError, match=r"must be readable, got 6 of 7 .*a\.tif"):
        open_volume(tmp_path / "a.tif")


def test_nothing_stays_open_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(RGB.astype(np.int32)[..., 0]))
    for _ in range(3):  # a file left open is a warning, and warnings are errors
        with pytest.raises(ImageError, match="int32"):
            open_volume(tmp_path / "a.tif")
    gc.collect()


def test_the_hash_is_the_files(tmp_path: Path) -> None:
    content = tiff(DEEP)
    (tmp_path / "a.tif").write_bytes(content)
    with open_volume(tmp_path / "a.tif") as volume:
        assert volume.source_sha256() == hashlib.sha256(content).hexdigest()
