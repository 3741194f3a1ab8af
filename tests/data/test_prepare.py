"""Tests of biostyle.data.prepare."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pydantic import ValidationError
from scipy import ndimage

from biostyle.data.prepare import (
    DeriveSettings,
    DomainSettings,
    derive_image,
    prepare_domain,
    prepare_folder,
)
from biostyle.data.prepared import load_prepared
from biostyle.data.sources.simulated import simulate_pair
from biostyle.data.splits import SplitSettings
from biostyle.errors import ImageError, MaskError, OutputError, PairingError, SplitError
from tests.simulated import TINY_SHAPE, prepare_tiny_pair

SPLIT = SplitSettings(mode="block", test_fraction=0.3, gap_frames=1)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("delivered")
    simulate_pair(root, seed=1, n_frames=6, shape=(64, 72))
    return root


@pytest.fixture
def data_root(delivered: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(delivered, tmp_path / "data")


def _prepare(
    data_root: Path, out: Path, folder: str = "SIM-A", masks: bool = True, **settings: object
) -> None:
    domain = DomainSettings.model_validate({"folder": folder, "title": "Simulated", **settings})
    prepare_domain(data_root, domain, SPLIT, out, require_train_masks=masks)


def _hashes(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("folder", "dtype"), [("SIM-A", "uint8"), ("SIM-B", "uint16")])
def test_pixels_and_labels_are_kept(delivered: Path, tmp_path: Path, folder: str, dtype: str) -> None:
    before = _hashes(delivered)
    _prepare(delivered, tmp_path / "out", folder)
    assert _hashes(delivered) == before
    domain = load_prepared(tmp_path / "out")
    assert (domain.title, domain.folder, domain.split_mode) == ("Simulated", folder, "block")
    assert [len(domain.frames(part)) for part in ("train", "unused", "test")] == [3, 1, 2]
    for row in domain.rows:
        source = delivered / folder / "01"
        image = domain.read_image(row)
        assert image.dtype == row.dtype == dtype
        np.testing.assert_array_equal(image, tifffile.imread(source / f"t{row.number:03d}.tif"))
        assert image.shape == (row.height, row.width) == (64, 72)
        labels = tifffile.imread(row.silver)
        assert labels.dtype == np.uint16
        mask, name = domain.read_truth(row)
        assert (name, mask.dtype) == ("silver", np.uint8)
        np.testing.assert_array_equal(mask, labels > 0)


def test_the_canonical_pair_is_prepared(tmp_path: Path) -> None:
    for domain in prepare_tiny_pair(tmp_path):
        assert [len(domain.frames(part)) for part in ("train", "unused", "test")] == [4, 1, 3]
        assert domain.read_image(domain.rows[0]).shape == TINY_SHAPE


def test_what_was_found_is_written_down(delivered: Path, tmp_path: Path) -> None:
    _prepare(delivered, tmp_path / "out")
    assert json.loads((tmp_path / "out/domain.json").read_text()) == {
        "title": "Simulated",
        "folder": "SIM-A",
        "split_mode": "block",
        "n_frames": 6,
        "n_train": 3,
        "n_test": 2,
        "n_gold": 0,
        "n_silver": 6,
        "derive": None,
        "without_mask": [],
    }
    with (tmp_path / "out/frames.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first == {
        "frame_id": "01_t000",
        "sequence": "01",
        "number": "0",
        "split": "train",
        "image": "images/01_t000.tif",
        "gold": "",
        "silver": "silver/01_t000.tif",
        "height": "64",
        "width": "72",
        "dtype": "uint8",
    }


def test_preparing_twice_gives_the_same_bytes(delivered: Path, tmp_path: Path) -> None:
    _prepare(delivered, tmp_path / "one")
    _prepare(delivered, tmp_path / "two")
    one, two = _hashes(tmp_path / "one"), _hashes(tmp_path / "two")
    assert list(one.values()) == list(two.values())


def test_training_frames_without_a_mask_are_listed(data_root: Path, tmp_path: Path) -> None:
    (data_root / "SIM-A/01_ST/SEG/man_seg001.tif").unlink()
    _prepare(data_root, tmp_path / "out")
    assert json.loads((tmp_path / "out/domain.json").read_text())["without_mask"] == ["01_t001"]
    domain = load_prepared(tmp_path / "out")
    assert [row.number for row in domain.with_truth("train")] == [0, 2]
    with pytest.raises(MaskError, match="must have a silver mask, got none for 01_t001"):
        domain.read_truth(domain.rows[1])


def test_no_mask_at_all_is_refused_only_where_one_is_required(data_root: Path, tmp_path: Path) -> None:
    shutil.rmtree(data_root / "SIM-A/01_ST")
    with pytest.raises(MaskError, match=re.escape(f"got none for 3 frames ({data_root / 'SIM-A'})")):
        _prepare(data_root, tmp_path / "required")
    _prepare(data_root, tmp_path / "out", masks=False)
    assert load_prepared(tmp_path / "out").with_truth("test") == []


def test_masks_of_other_frames_are_pointed_out_where_one_is_required(data_root: Path, tmp_path: Path) -> None:
    for number in range(4):
        (data_root / f"SIM-A/01_ST/SEG/man_seg{number:03d}.tif").unlink()
    with pytest.raises(MaskError, match=r"otherwise with \[split\]: sequence 01 has masks\.$"):
        _prepare(data_root, tmp_path / "out")


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_inversion_mirrors_the_range_of_the_dtype(dtype: type, top: int) -> None:
    image = np.array([[0, 1], [200, 255]], dtype)
    derived = derive_image(image, DeriveSettings(invert=True))
    assert derived.dtype == dtype
    np.testing.assert_array_equal(derived, top - image.astype(int))


def test_blur_follows_the_inversion_and_is_rounded() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    derived = derive_image(image, DeriveSettings(invert=True, blur_sigma_px=1.5))
    expected = np.rint(ndimage.gaussian_filter(255.0 - image, 1.5))
    np.testing.assert_array_equal(derived, expected.astype(np.uint8))


def test_float_frames_have_no_range_to_invert() -> None:
    with pytest.raises(ImageError, match=r"got dtype float32 \(t000\.tif\)"):
        derive_image(np.eye(3, dtype=np.float32), DeriveSettings(invert=True), "t000.tif")


def test_an_artificial_domain_keeps_the_masks(delivered: Path, tmp_path: Path) -> None:
    derive = {"invert": True, "blur_sigma_px": 1.0}
    _prepare(delivered, tmp_path / "real")
    _prepare(delivered, tmp_path / "derived", derive=derive)
    assert json.loads((tmp_path / "derived/domain.json").read_text())["derive"] == derive
    real, derived = load_prepared(tmp_path / "real"), load_prepared(tmp_path / "derived")
    for row, other in zip(real.rows, derived.rows, strict=True):
        expected = derive_image(real.read_image(row), DeriveSettings(**derive))
        np.testing.assert_array_equal(derived.read_image(other), expected)
        np.testing.assert_array_equal(derived.read_truth(other)[0], real.read_truth(row)[0])


def test_a_frame_that_blurs_to_a_constant_is_refused(data_root: Path, tmp_path: Path) -> None:
    path = data_root / "SIM-A/01/t000.tif"
    image = np.full((64, 72), 7, np.uint8)
    image[0, 0] = 8
    tifffile.imwrite(path, image)
    with pytest.raises(
        ImageError, match=re.escape(f"derived frame must not be constant, got 7 in every pixel ({path})")
    ):
        _prepare(data_root, tmp_path / "out", derive={"blur_sigma_px": 9.0})


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _write(array: np.ndarray):
    return lambda path: tifffile.imwrite(path, array)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncate, "truncated or damaged"),
        (lambda path: path.write_text("<html>not found</html>"), "TIFF"),
        (_write(np.full((64, 72), 9, np.uint8)), "got 9 in every pixel"),
        (_write(np.zeros((64, 72, 3), np.uint8)), "(64, 72, 3)"),
        (_write(np.full((64, 72), np.nan, np.float32)), "got 4608 NaN"),
    ],
    ids=["truncated", "html", "constant", "rgb", "nan"],
)
def test_a_bad_frame_is_named(data_root: Path, tmp_path: Path, damage, said: str) -> None:
    path = data_root / "SIM-A/01/t003.tif"
    damage(path)
    with pytest.raises(ImageError, match=re.escape(said)) as caught:
        _prepare(data_root, tmp_path / "out")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncate, "truncated or damaged"),
        (_write(np.zeros((64, 64), np.uint16)), "got (64, 64)"),
        (_write(np.zeros((64, 72), np.float32)), "got dtype float32"),
        (_write(np.full((64, 72), 70_000, np.uint32)), "got 0 to 70000"),
    ],
    ids=["truncated", "size", "float", "too many labels"],
)
def test_a_bad_mask_is_named(data_root: Path, tmp_path: Path, damage, said: str) -> None:
    path = data_root / "SIM-A/01_ST/SEG/man_seg005.tif"
    damage(path)
    with pytest.raises(MaskError) as caught:
        _prepare(data_root, tmp_path / "out")
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_mask_without_its_frame_is_named(data_root: Path, tmp_path: Path) -> None:
    (data_root / "SIM-A/01/t002.tif").unlink()
    with pytest.raises(PairingError, match=r"got man_seg002\.tif without t002\.tif"):
        _prepare(data_root, tmp_path / "out")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=re.escape(f"got nothing ({tmp_path / 'SIM-Z'})")):
        _prepare(tmp_path, tmp_path / "out", "SIM-Z")


def test_an_output_that_cannot_be_written_is_named(delivered: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "out"))):
        _prepare(delivered, tmp_path / "out")
    (tmp_path / "other" / "frames.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match=re.escape(f"got Is a directory ({tmp_path / 'other'})")):
        _prepare(delivered, tmp_path / "other")


def test_too_few_frames_to_split_are_named(data_root: Path, tmp_path: Path) -> None:
    for number in range(1, 6):
        (data_root / f"SIM-A/01/t{number:03d}.tif").unlink()
        (data_root / f"SIM-A/01_ST/SEG/man_seg{number:03d}.tif").unlink()
    with pytest.raises(SplitError, match=re.escape(f"got 0 and 1 of 1 frames ({data_root / 'SIM-A'})")):
        _prepare(data_root, tmp_path / "out")


@pytest.mark.parametrize("wrong", [{"blur_sigma_px": -1}, {"flip": True}])
def test_derive_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DeriveSettings.model_validate(wrong)


def test_a_plain_folder_is_prepared_undivided(delivered: Path, tmp_path: Path) -> None:
    images, masks = delivered / "SIM-B/01", delivered / "SIM-B/01_ST/SEG"
    before = _hashes(delivered)
    prepare_folder(images, masks, tmp_path / "out", name="B", part="test")
    assert _hashes(delivered) == before
    domain = load_prepared(tmp_path / "out")
    assert (domain.title, domain.folder, domain.split_mode) == ("SIM-B/01", "B", "none")
    assert [row.frame_id for row in domain.frames("test")] == [f"01_t{n:03d}" for n in range(6)]
    assert domain.frames("train") == []
    assert domain.global_ids(domain.rows[:1]) == ["B/01_t000"]
    np.testing.assert_array_equal(domain.read_image(domain.rows[3]), tifffile.imread(images / "t003.tif"))
    assert domain.read_truth(domain.rows[3])[0].sum() == (tifffile.imread(masks / "man_seg003.tif") > 0).sum()
    prepare_folder(images, None, tmp_path / "unmasked", name="B", part="train")
    unmasked = load_prepared(tmp_path / "unmasked")
    assert len(unmasked.frames("train")) == 6
    assert unmasked.with_truth("train") == []


def test_colour_in_a_plain_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "skin").mkdir()
    tifffile.imwrite(tmp_path / "skin/a.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(
        ImageError, match=r"got a colour image of shape \(8, 9, 3\) \(.*a\.tif\). Convert RGB to gray"
    ):
        prepare_folder(tmp_path / "skin", None, tmp_path / "out", name="B", part="train")


@pytest.mark.real
@pytest.mark.parametrize("folder", ["PhC-C2DH-U373", "DIC-C2DH-HeLa", "Fluo-N2DL-HeLa", "Fluo-N2DH-GOWT1"])
def test_the_real_sets_are_prepared(real_data: Path, tmp_path: Path, folder: str) -> None:
    settings = DomainSettings(folder=folder, title=folder)
    prepare_domain(real_data / "ctc", settings, SplitSettings(), tmp_path / "out", require_train_masks=True)
    domain = load_prepared(tmp_path / "out")
    row = domain.with_truth("test")[0]
    assert domain.reference() == ("gold" if folder == "Fluo-N2DH-GOWT1" else "silver")
    image = domain.read_image(row)
    assert image.dtype == (np.uint16 if folder == "Fluo-N2DL-HeLa" else np.uint8)
    if image.dtype == np.uint16:
        assert image.min() > 32_000
    assert 0 < domain.read_truth(row)[0].mean() < 0.7
