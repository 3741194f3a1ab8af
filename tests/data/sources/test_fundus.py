import io
import re
import zipfile
from pathlib import Path

import pytest

from biostyle.data.fetch import fetch, import_dataset
from biostyle.data.group_split import GroupSplitSettings, group_part
from biostyle.data.manifest import load_manifest
from biostyle.data.sources.fundus import FundusReader, list_fundus, read_eyeq, read_idrid_grades
from biostyle.errors import ImageError, PairingError
from tests.data.conftest import ArchiveServer

EYEQ = ",image,quality,DR_grade\n"


def touch(folder: Path, *names: str) -> Path:
    """Empty files: readers decode nothing."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_eyepacs_with_the_tables_of_eyeq(tmp_path: Path) -> None:
    folder = touch(tmp_path / "eyepacs", "10_right.jpeg", "9_left.jpeg", "10_left.jpeg")
    eyeq = table(tmp_path / "eyeq.csv", EYEQ + "0,10_left.jpeg,2,4\n1,10_right.jpeg,0,0\n")
    rows = list_fundus(folder, "eyepacs", [eyeq])
    assert [row.frame_id for row in rows] == ["eyepacs_9_left", "eyepacs_10_left", "eyepacs_10_right"]
    assert [row.group for row in rows] == ["eyepacs_9", "eyepacs_10", "eyepacs_10"]
    assert [(row.eye, row.quality, row.grade) for row in rows] == [
        ("left", None, None),
        ("left", "reject", 4),
        ("right", "good", 0),
    ]


def test_both_eyes_of_a_patient_are_in_one_part(tmp_path: Path) -> None:
    names = [f"{patient}_{eye}.jpeg" for patient in range(60) for eye in ("left", "right")]
    parts: dict[str, set[str]] = {}
    for row in list_fundus(touch(tmp_path, *names), "eyepacs"):
        parts.setdefault(row.group, set()).add(group_part(row.group, GroupSplitSettings()))
    assert all(len(found) == 1 for found in parts.values())
    assert set.union(*parts.values()) == {"train", "validation", "test"}


def test_idrid(tmp_path: Path) -> None:
    folder = touch(tmp_path, "images/IDRiD_001.jpg", "images/IDRiD_002.jpg")
    table(
        folder / "grades.csv",
        "Image name,Retinopathy grade,Risk of macular edema ,,\nIDRiD_001,3,2,,\nIDRiD_002,0,0,,\n,,,,\n",
    )
    assert [(row.frame_id, row.grade) for row in list_fundus(folder, "idrid")] == [
        ("idrid_IDRiD_001", 3),
        ("idrid_IDRiD_002", 0),
    ]


LAYOUTS = {
    "drive": (
        [
            "training/images/21_training.tif",
            "training/1st_manual/21_manual1.gif",
            "training/mask/21_training_mask.gif",
        ],
        [("drive_21", "drive_21", "21_manual1.gif", None)],
    ),
    "chasedb1": (
        ["Image_01L.jpg", "Image_01L_1stHO.png", "Image_01L_2ndHO.png", "Image_01R.jpg"],
        [
            ("chasedb1_01L", "chasedb1_01", "Image_01L_1stHO.png", "left"),
            ("chasedb1_01R", "chasedb1_01", None, "right"),
        ],
    ),
    "hrf": (
        ["healthy/01_h.jpg", "healthy_manualsegm/01_h.tif", "healthy_fovmask/01_h_mask.tif", "dr/01_dr.JPG"],
        [("hrf_01_dr", "hrf_01_dr", None, None), ("hrf_01_h", "hrf_01_h", "01_h.tif", None)],
    ),
    "fives": (
        [
            "train/Original/1_A.png",
            "train/Groud truth/1_A.png",
            "test/Original/1_A.png",
            "test/Ground truth/1_A.png",
        ],
        [
            ("fives_test_1_A", "fives_test_1_A", "1_A.png", None),
            ("fives_train_1_A", "fives_train_1_A", "1_A.png", None),
        ],
    ),
    "folder": (
        ["b.png", ".hidden.png", "__MACOSX/c.png", "notes.txt"],
        [("camera_b", "camera_b", None, None)],
    ),
}


@pytest.mark.parametrize("reader", LAYOUTS)
def test_layouts(reader: FundusReader, tmp_path: Path) -> None:
    names, expected = LAYOUTS[reader]
    rows = list_fundus(touch(tmp_path / "camera", *names), reader)
    assert [(row.frame_id, row.group, row.mask and row.mask.name, row.eye) for row in rows] == expected
    assert not any("mask" in row.image.name or "manual" in str(row.image.parent.name) for row in rows)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("image,quality,DR_grade\n", r"columns \['', 'image', 'quality', 'DR_grade'\], got \['image'"),
        ("", r"got \[\]"),
        (EYEQ + "0,a.jpeg,3,0\n", r"quality must be one of \[0, 1, 2\], got '3' in line 2"),
        (EYEQ + "0,a.jpeg,good,0\n", "quality .* got 'good' in line 2"),
        (EYEQ + "0,a.jpeg,1,\n", "DR_grade .* got '' in line 2"),
        (EYEQ + "0,a.jpeg,1,0\n1,a.jpeg,0,0\n", "got a twice"),
    ],
)
def test_bad_tables(text: str, got: str, tmp_path: Path) -> None:
    path = table(tmp_path / "bad.csv", text)
    with pytest.raises(PairingError, match=got) as caught:
        read_eyeq(path)
    assert str(path) in str(caught.value)


def test_a_photograph_in_two_tables(tmp_path: Path) -> None:
    folder = touch(tmp_path / "eyepacs", "1_left.jpeg")
    tables = [table(tmp_path / name, EYEQ + "0,1_left.jpeg,0,0\n") for name in ("a.csv", "b.csv")]
    with pytest.raises(PairingError, match=r"got 1_left twice \(.*b\.csv\)"):
        list_fundus(folder, "eyepacs", tables)


def test_photographs_that_a_table_names_and_nobody_has(tmp_path: Path) -> None:
    folder = touch(tmp_path / "eyepacs", "1_left.jpeg")
    eyeq = table(tmp_path / "eyeq.csv", EYEQ + "0,1_left.jpeg,0,0\n1,2_left.jpeg,0,0\n")
    with pytest.raises(PairingError, match="got 1 missing: 2_left"):
        list_fundus(folder, "eyepacs", [eyeq])
    assert len(list_fundus(folder, "eyepacs", [eyeq], partial=True)) == 1
    other = table(tmp_path / "other.csv", EYEQ + "1,2_left.jpeg,0,0\n")
    with pytest.raises(PairingError, match="got none of 1"):
        list_fundus(folder, "eyepacs", [other], partial=True)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PairingError, match="No such file"):
        read_idrid_grades(tmp_path / "grades.csv")


def test_a_mask_without_its_photograph(tmp_path: Path) -> None:
    folder = touch(tmp_path, "Image_01L.jpg", "Image_02L_1stHO.png")
    with pytest.raises(PairingError, match=r"got 1 without, first .*Image_02L_1stHO\.png"):
        list_fundus(folder, "chasedb1")


def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    with pytest.raises(PairingError, match=r"got .*1_left\.jpeg and .*1_left\.png"):
        list_fundus(touch(tmp_path, "1_left.png", "1_left.jpeg"), "eyepacs")


def test_no_folder_and_no_photograph(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"got nothing \(.*absent\)"):
        list_fundus(tmp_path / "absent", "drive")
    with pytest.raises(ImageError, match=rf"collection drive, got none \({re.escape(str(tmp_path))}\)"):
        list_fundus(tmp_path, "drive")


@pytest.mark.parametrize(
    ("name", "reader"),
    [("DRIVE", "drive"), ("CHASE_DB1", "chasedb1"), ("FIVES", "fives"), ("IDRiD", "idrid")],
)
def test_what_is_obtained_by_hand_is_imported_and_listed(
    name: str, reader: FundusReader, tmp_path: Path
) -> None:
    names = LAYOUTS[reader][0] if reader in LAYOUTS else ["images/IDRiD_001.jpg"]
    unpacked = touch(tmp_path / "unpacked", *names)
    if reader == "idrid":
        table(unpacked / "grades.csv", "Image name,Retinopathy grade\nIDRiD_001,3\n")
    folder = import_dataset(name, unpacked, tmp_path / "cache")
    assert load_manifest(name).reader == reader
    assert list_fundus(folder, reader)


def test_archives_are_fetched_and_listed(server: ArchiveServer, tmp_path: Path) -> None:
    built_in = load_manifest("HRF-healthy")
    archives = {"healthy": "01_h.jpg", "healthy_manualsegm": "01_h.tif"}
    assert [file.extracts_to for file in built_in.files] == list(archives)
    entries = []
    for file in built_in.files:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as opened:
            opened.writestr(archives[file.extracts_to], b"pixels")
            opened.writestr("__MACOSX/._01_h.jpg", b"litter")
        server.files[file.name] = content.getvalue()
        entries.append(
            file.model_copy(update={"url": server.url(file.name), "size_bytes": len(content.getvalue())})
        )
    folder = fetch(built_in.model_copy(update={"files": entries}), tmp_path / "cache", accept_terms=True)
    (row,) = list_fundus(folder, "hrf")
    assert (row.image.name, row.mask and row.mask.name) == ("01_h.jpg", "01_h.tif")


@pytest.mark.real
def test_real_collections(real_data: Path) -> None:
    fundus = real_data / "fundus"
    tables = sorted((fundus / "eyeq").glob("*.csv"))
    assert len(list_fundus(fundus / "eyepacs", "eyepacs", tables, partial=True)) == 15
    assert {row.grade for row in list_fundus(fundus / "idrid", "idrid")} == set(range(5))
    for reader, n_images, n_patients in (("drive", 20, 20), ("chasedb1", 14, 7)):
        rows = list_fundus(fundus / reader, reader)  # type: ignore[arg-type]
        assert (len(rows), len({row.group for row in rows})) == (n_images, n_patients)
        assert all(row.mask is not None for row in rows)
