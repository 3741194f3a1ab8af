"""Files pair by id in flat folders and in challenge trees; leftovers are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from biostyle.errors import PairingError
from biostyle.io.pairing import files_by_id, pair_by_id


def touch(root: Path, *names: str) -> Path:
    """Make empty files and return their folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def ids(*args: object, **options: object) -> list[str]:
    """Return the ids of the pairs."""
    return [pair.image_id for pair in pair_by_id(*args, **options)]  # type: ignore[arg-type]


def test_flat_folders_pair_by_stem_whatever_the_format(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "b2.png", "b10.tif", "a.tif", "notes.csv", ".hidden.tif")
    truth = touch(tmp_path / "truth", "b2.tif", "b10.PNG", "a.tiff")
    assert ids(pred, truth) == ["a", "b2", "b10"]


def test_challenge_names_are_the_same_frame(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "mask0000.tif", "mask0999.tif", "mask1000.tif")
    truth = touch(tmp_path / "truth", "man_seg000.tif", "man_seg999.tif", "man_seg1000.tif")
    assert ids(pred, truth) == ["t000", "t999", "t1000"]


@pytest.mark.parametrize("reference", ["01_GT/SEG", "01_GT", "01_ST/SEG", "01_ST"])
def test_result_folder_pairs_with_a_reference_folder(tmp_path: Path, reference: str) -> None:
    touch(tmp_path, "01_RES/mask000.tif", "01_GT/SEG/man_seg000.tif", "01_ST/SEG/man_seg000.tif")
    touch(tmp_path, "01_GT/TRA/man_track000.tif")
    (pair,) = pair_by_id(tmp_path / "01_RES", tmp_path / reference)
    assert pair.image_id == "01_t000"
    assert pair.truth.parent.name == "SEG"


def test_trees_of_several_sequences(tmp_path: Path) -> None:
    pred = touch(tmp_path / "runs", "02_RES/mask000.tif", "01_RES/mask001.tif", "01_RES/mask000.tif")
    truth = touch(tmp_path / "truth", *(f"{seq}_GT/SEG/man_seg000.tif" for seq in ("01", "02")))
    touch(truth, "01_GT/SEG/man_seg001.tif", "01/t000.tif")
    assert ids(pred, truth) == ["01_t000", "01_t001", "02_t000"]


def test_a_data_set_as_delivered_needs_a_choice_of_reference(tmp_path: Path) -> None:
    root = touch(tmp_path / "set", "01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg000.tif")
    touch(
        root,
        "01_ST/SEG/man_seg000.tif",
        "01_ST/SEG/man_seg001.tif",
        "01_RES/mask000.tif",
        "01_RES/mask001.tif",
    )
    with pytest.raises(PairingError, match=r"got gold and silver .*set"):
        pair_by_id(root, root)
    assert ids(root, root, reference="silver") == ["01_t000", "01_t001"]
    (pair,) = pair_by_id(root, root, reference="gold", role="image", sparse_truth=True)
    assert pair.prediction == root / "01/t000.tif"
    assert pair.truth == root / "01_GT/SEG/man_seg000.tif"


def test_a_flat_folder_adopts_the_only_sequence(tmp_path: Path) -> None:
    pred = touch(tmp_path / "mine", "mask000.tif")
    truth = touch(tmp_path / "set", "02_GT/SEG/man_seg000.tif")
    assert ids(pred, truth) == ["02_t000"]


def test_another_sequence_is_not_mistaken(tmp_path: Path) -> None:
    touch(tmp_path, "01_RES/mask000.tif", "02_GT/SEG/man_seg000.tif")
    with pytest.raises(PairingError, match="02_t000"):
        pair_by_id(tmp_path / "01_RES", tmp_path / "02_GT/SEG")


def test_two_files_are_a_pair(tmp_path: Path) -> None:
    touch(tmp_path, "mine.png", "theirs.tif")
    assert ids(tmp_path / "mine.png", tmp_path / "theirs.tif") == ["mine"]


def test_truth_without_prediction_is_refused_and_five_are_named(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "t000.tif")
    truth = touch(tmp_path / "truth", *(f"t{frame:03d}.tif" for frame in range(8)))
    with pytest.raises(PairingError, match=r"got 7 without: t001, t002, t003, t004, t005, … \(.*pred\)"):
        pair_by_id(pred, truth, sparse_truth=True)


def test_truth_without_prediction_can_be_left_out_but_not_all_of_it(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "t001.tif", "t002.tif")
    truth = touch(tmp_path / "truth", "t000.tif", "t001.tif")
    with pytest.raises(
        PairingError, match=r"got 1 without: t000 \(.*pred\)\. Add the files, or .* --allow-missing"
    ):
        pair_by_id(pred, truth, sparse_truth=True)
    assert ids(pred, truth, sparse_truth=True, allow_missing=True) == ["t001"]
    with pytest.raises(PairingError, match=r"got 1 without: t002 \(.*truth\)"):
        pair_by_id(pred, truth, allow_missing=True)
    other = touch(tmp_path / "other", "t007.tif")
    with pytest.raises(PairingError, match=r"got 2 without: t000, t001 \(.*other\)\. Add the files\.$"):
        pair_by_id(other, truth, sparse_truth=True, allow_missing=True)


def test_prediction_without_truth_is_refused_unless_sparse(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "t000.tif", "t001.tif")
    truth = touch(tmp_path / "truth", "t001.tif")
    with pytest.raises(PairingError, match=r"got 1 without: t000 \(.*truth\).*--sparse"):
        pair_by_id(pred, truth)
    assert ids(pred, truth, sparse_truth=True) == ["t001"]


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    full, empty = touch(tmp_path / "full", "a.tif"), tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(PairingError, match=r"truth must be .*absent"):
        pair_by_id(full, tmp_path / "absent")
    with pytest.raises(PairingError, match=r"prediction must hold at least one image .*empty"):
        pair_by_id(empty, full)
    with pytest.raises(PairingError, match=r"truth must hold at least one image .*full"):
        pair_by_id(full, full, reference="gold")


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    pred = touch(tmp_path / "pred", "t000.tif", "mask0000.tif")
    with pytest.raises(PairingError, match=r"got t000 in .*mask0000.tif and .*t000.tif"):
        files_by_id(pred, "prediction")


def test_files_by_id_lists_in_numeric_order(tmp_path: Path) -> None:
    touch(tmp_path / "01", "t1000.tif", "t999.tif")
    assert list(files_by_id(tmp_path / "01", "image")) == ["01_t999", "01_t1000"]


def test_a_sequence_in_the_name_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "run/01_t007.tif", "run/02_t007.tif", "02_RES/mask007.tif", "01_RES/mask007.tif")
    assert list(files_by_id(tmp_path / "run", "truth")) == ["01_t007", "02_t007"]
