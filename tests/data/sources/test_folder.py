"""Tests of biostyle.data.sources.folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from biostyle.data.sources.folder import find_reference, pair_masks, read_folder
from biostyle.errors import PairingError


def touch(folder: Path, *names: str) -> Path:
    """Files that nobody opens."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_are_one_sequence_in_the_order_of_their_names(tmp_path: Path) -> None:
    images = touch(
        tmp_path / "images", "dish 10.png", "dish 9.tif", ".hidden.png", "notes.txt", "dish 11.JPG"
    )
    frames = read_folder(images)
    assert [frame.frame_id for frame in frames] == ["dish 9", "dish 10", "dish 11"]
    assert [(frame.sequence, frame.number) for frame in frames] == [("01", 0), ("01", 1), ("01", 2)]
    assert frames[0].image == images / "dish 9.tif"
    assert all(frame.gold is frame.silver is None for frame in frames)


def test_masks_have_the_images_names_and_may_be_few(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.png", "b.png", "c.jpg")
    masks = touch(tmp_path / "masks", "b.tif", "a.png")
    assert [(f.frame_id, f.gold) for f in read_folder(images, masks)] == [
        ("a", masks / "a.png"),
        ("b", masks / "b.tif"),
        ("c", None),
    ]
    assert pair_masks(images, masks) == [
        (images / "a.png", masks / "a.png"),
        (images / "b.png", masks / "b.tif"),
    ]


def test_a_challenge_folder_is_its_own_masks(tmp_path: Path) -> None:
    root = touch(tmp_path / "PhC", "01/t000.tif", "01/t001.tif", "02/t000.tif")
    assert find_reference(root) is None
    touch(root, "01_GT/SEG/man_seg000.tif")
    assert find_reference(root) == "gold"
    assert [f.gold is not None for f in read_folder(root, root)] == [True, False, False]
    touch(root, "01_ST/SEG/man_seg001.tif", "02_ST/SEG/man_seg000.tif")
    frames = read_folder(root, root)
    assert [f.frame_id for f in frames] == ["01_t000", "01_t001", "02_t000"]
    assert [f.number for f in frames] == [0, 1, 2]
    assert [f.silver is not None for f in frames] == [False, True, True]
    assert not any(f.gold for f in frames)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.png")
    with pytest.raises(PairingError, match=r"got 1 without: b \(.*images\)"):
        read_folder(images, touch(tmp_path / "masks", "b.png"))
    with pytest.raises(PairingError, match=r"at least one image .*, got none \(.*nothing\)"):
        read_folder(touch(tmp_path / "nothing", "readme.txt"))
    with pytest.raises(PairingError, match=r"exists, got .*missing"):
        read_folder(tmp_path / "missing")
    with pytest.raises(PairingError, match=r"each id once, got a in .*a\.png and .*a\.tif"):
        read_folder(touch(images, "more/a.tif"))
