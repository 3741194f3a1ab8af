"""Tests of biostyle.data.sources.cell_tracking."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from biostyle.data.sources.cell_tracking import read_sequences
from biostyle.errors import ImageError, MaskError, PairingError


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_frames_are_paired_with_both_kinds_of_mask(tmp_path: Path) -> None:
    root = _touch(
        tmp_path / "SIM", "01/t000.tif", "01/t002.tif", "02/t000.tif",
        "01_GT/SEG/man_seg002.tif", "01_ST/SEG/man_seg000.tif", "01_ST/SEG/man_seg002.tif",
        "01_GT/TRA/man_track000.tif", "01/.DS_Store", "01_ERR_SEG/mask000.tif",
    )  # fmt: skip
    first, second, third = read_sequences(root)
    assert (first.frame_id, first.sequence, first.number) == ("01_t000", "01", 0)
    assert (first.gold, first.silver) == (None, root / "01_ST/SEG/man_seg000.tif")
    assert second.gold == root / "01_GT/SEG/man_seg002.tif"
    assert second.silver == root / "01_ST/SEG/man_seg002.tif"
    assert (third.frame_id, third.image) == ("02_t000", root / "02/t000.tif")
    assert (third.gold, third.silver) == (None, None)


def test_numbers_sort_numerically_across_three_and_four_digits(tmp_path: Path) -> None:
    root = _touch(tmp_path / "SIM", "01/t0002.tif", "01/t010.tif", "01/t1000.tif", "01_ST/SEG/man_seg002.tif")
    frames = read_sequences(root)
    assert [frame.number for frame in frames] == [2, 10, 1000]
    assert frames[0].frame_id == "01_t002"
    assert frames[0].silver is not None


def test_a_folder_nested_by_unpacking_is_read(tmp_path: Path) -> None:
    _touch(tmp_path / "SIM" / "SIM", "01/t000.tif")
    assert read_sequences(tmp_path / "SIM")[0].image == tmp_path / "SIM/SIM/01/t000.tif"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=re.escape(f"got nothing ({tmp_path / 'SIM'})")):
        read_sequences(tmp_path / "SIM")
    (tmp_path / "SIM").touch()
    with pytest.raises(ImageError, match=re.escape(f"got a file ({tmp_path / 'SIM'})")):
        read_sequences(tmp_path / "SIM")


@pytest.mark.parametrize(
    ("names", "found"), [((), "an empty folder"), (("images/a.tif", "b.txt"), "b.txt, images")]
)
def test_a_folder_without_sequences_is_named(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    _touch(tmp_path, *names)
    with pytest.raises(ImageError, match=re.escape(f"got {found} ({tmp_path})")):
        read_sequences(tmp_path)


def test_a_sequence_without_frames_is_named(tmp_path: Path) -> None:
    _touch(tmp_path, "01/t000.tif", "02/notes.txt")
    with pytest.raises(ImageError, match=re.escape(f"got none ({tmp_path / '02'})")):
        read_sequences(tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [("01/t0001.tif", "01/t001.tif"), ("01_ST/SEG/man_seg0001.tif", "01_ST/SEG/man_seg001.tif")],
)
def test_a_number_given_twice_is_refused(tmp_path: Path, first: str, second: str) -> None:
    _touch(tmp_path, "01/t000.tif", first, second)
    names = f"got 1 from both {Path(first).name} and {Path(second).name} ({(tmp_path / first).parent})"
    with pytest.raises(PairingError, match=re.escape(names)):
        read_sequences(tmp_path)


@pytest.mark.parametrize("kind", ["GT", "ST"])
def test_a_mask_without_its_frame_is_named(tmp_path: Path, kind: str) -> None:
    _touch(tmp_path, "01/t000.tif", f"01_{kind}/SEG/man_seg007.tif")
    with pytest.raises(PairingError, match=r"got man_seg007\.tif without t007\.tif in .*01"):
        read_sequences(tmp_path)


def test_masks_without_their_sequence_are_named(tmp_path: Path) -> None:
    _touch(tmp_path, "01/t000.tif", "02_ST/SEG/man_seg000.tif")
    with pytest.raises(PairingError, match=r"got 02_ST without 02"):
        read_sequences(tmp_path)


@pytest.mark.parametrize("name", ["man_seg_000_012.tif", "man_seg000_012.tif"])
def test_three_dimensional_masks_are_refused(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, "01/t000.tif", f"01_GT/SEG/{name}")
    with pytest.raises(MaskError, match=rf"got {name}, a slice of a volume.*Three-dimensional"):
        read_sequences(tmp_path)


@pytest.mark.real
def test_the_real_sets_are_read(real_data: Path) -> None:
    frames = read_sequences(real_data / "ctc" / "PhC-C2DH-U373")
    assert [f.number for f in frames] == sorted(f.number for f in frames)
    assert sum(f.gold is not None for f in frames) >= 15
    assert all(f.silver is not None for f in frames)
    assert all(f.gold is not None for f in read_sequences(real_data / "ctc" / "Fluo-N2DH-GOWT1"))
