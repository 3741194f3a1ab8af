import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biostyle.data.fundus_facts import read_fundus_facts
from biostyle.data.prepare_fundus import (
    FundusFolder,
    FundusSettings,
    collect_fundus,
    collect_real,
    prepare_fundus,
    prepare_real,
)
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.sources.simulated_fundus import simulate_fundus, simulate_retina
from biostyle.errors import ImageError, PairingError, SplitError
from biostyle.types import NOT_ANNOTATED
from tests.fundus import SETTINGS, SPLIT

EYEPACS = FundusSettings.model_validate(
    {"folders": [{"reader": "eyepacs", "folder": "eyepacs", "tables": ["eyeq.csv"]}], "size_px": 64}
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    simulate_fundus(tmp_path / "data", seed=0, n_images=10, shape=(80, 100))
    return tmp_path / "data"


def write_eyepacs(root: Path, ratings: dict[str, int]) -> None:
    """Photographs of EyePACS with a table of EyeQ."""
    (root / "eyepacs").mkdir(parents=True)
    lines = [",image,quality,DR_grade"]
    for index, (name, quality) in enumerate(ratings.items()):
        Image.fromarray(simulate_retina(index, shape=(80, 100)).photograph).save(
            root / "eyepacs" / f"{name}.png"
        )
        lines.append(f"{index},{name}.jpeg,{quality},{index % 5}")
    (root / "eyeq.csv").write_text("\n".join(lines) + "\n")


def test_every_photograph_becomes_a_square_with_its_facts(data: Path, tmp_path: Path) -> None:
    prepare_fundus(data, SETTINGS, SPLIT, tmp_path / "out")
    domain, facts = load_prepared(tmp_path / "out"), read_fundus_facts(tmp_path / "out")
    assert (len(domain.rows), domain.colour, domain.class_masks) == (20, True, True)
    assert [facts[f"idrid_IDRiD_00{n}"].grade for n in (1, 2, 5)] == [0, 1, 4]
    for row in domain.rows:
        known = facts[row.frame_id]
        assert (known.original, known.quality) == (row.frame_id, None)
        square, inside = domain.read_image(row), known.inside(64)
        assert square.shape == (64, 64, 3)
        assert not square[~inside].any()
        assert square[inside].mean() > 30


def test_nobody_annotated_vessels_outside_of_the_field_of_view(data: Path, tmp_path: Path) -> None:
    prepare_fundus(data, SETTINGS, SPLIT, tmp_path / "out")
    domain, facts = load_prepared(tmp_path / "out"), read_fundus_facts(tmp_path / "out")
    traced = [row for row in domain.rows if row.gold]
    assert len(traced) == 10
    for row in traced:
        mask, _ = domain.read_truth(row)
        np.testing.assert_array_equal(mask == NOT_ANNOTATED, ~facts[row.frame_id].inside(64))
        assert 0.01 < (mask == 1).mean() < 0.4


def test_both_eyes_and_equal_photographs_stay_in_one_part(tmp_path: Path) -> None:
    names = [f"{number}_{eye}" for number in range(10, 22) for eye in ("left", "right")]
    write_eyepacs(tmp_path, dict.fromkeys(names, 0))
    same = tmp_path / "eyepacs" / "10_left.png"
    (tmp_path / "eyepacs" / "21_left.png").write_bytes(same.read_bytes())
    prepare_fundus(tmp_path, EYEPACS, SPLIT, tmp_path / "out")
    rows = {row.frame_id: row for row in load_prepared(tmp_path / "out").rows}
    parts = {name: rows[f"eyepacs_{name}"].split for name in names}
    assert all(parts[f"{number}_left"] == parts[f"{number}_right"] for number in range(10, 22))
    assert parts["10_left"] == parts["21_left"]


def test_only_good_photographs_are_taken(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0, "10_right": 1, "13_left": 2, "13_right": 0})
    assert [row.frame_id for row in collect_fundus(tmp_path, EYEPACS)] == [
        "eyepacs_10_left",
        "eyepacs_13_right",
    ]


def prepare_both(root: Path, *more: FundusFolder) -> tuple[PreparedDomain, PreparedDomain, dict[str, str]]:
    """Prepare the good photographs of EyePACS, and the real ones of EyePACS and of other folders."""
    told: list[str] = []
    prepare_fundus(root, EYEPACS, SPLIT, root / "clean")
    left_out = prepare_real(
        root, EYEPACS, [*EYEPACS.folders, *more], SPLIT, root / "clean", root / "real", tell=told.append
    )
    assert told == [f"left out: {reason}" for reason in left_out.values()]
    return load_prepared(root / "clean"), load_prepared(root / "real"), left_out


BOTH_EYES = {f"{n}_{eye}": quality for n in range(12) for eye, quality in (("left", 0), ("right", 1 + n % 2))}


def test_real_photographs_are_those_that_nobody_calls_good(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, BOTH_EYES)
    good, real, left_out = prepare_both(tmp_path)
    facts = read_fundus_facts(tmp_path / "real")
    assert (real.title, len(real.rows), left_out) == ("Real photographs", 12, {})
    assert {known.quality for known in facts.values()} == {"usable", "reject"}
    assert real.read_image(real.rows[0]).shape == (64, 64, 3)
    parts = {row.sequence: row.split for row in good.rows}
    for row in real.rows:  # both eyes of a patient stay in one part
        assert row.split == parts[row.sequence]


def test_equal_photographs_tell_who_a_patient_is(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, BOTH_EYES)
    eyes = tmp_path / "eyepacs"
    # 3 and 4 are one patient by their good photographs, 5 and 6 by their poor ones, and by y 7 and somebody else's camera
    shutil.copy(eyes / "3_left.png", eyes / "4_left.png")
    shutil.copy(eyes / "5_right.png", eyes / "6_right.png")
    (tmp_path / "a-camera").mkdir()
    shutil.copy(eyes / "7_right.png", tmp_path / "a-camera" / "y.png")
    shutil.copy(eyes / "8_left.png", tmp_path / "a-camera" / "x.png")
    good, real, left_out = prepare_both(tmp_path, FundusFolder(reader="folder", folder="a-camera"))
    assert list(left_out) == ["a-camera_x"]
    assert "is among the good ones" in left_out["a-camera_x"]
    assert real.title == "Real photographs (1 left out)"
    parts = {row.frame_id.rsplit("_", 1)[0]: row.split for row in good.rows}
    found = {row.frame_id.rsplit("_", 1)[0]: row.split for row in real.rows}
    assert found["eyepacs_3"] == found["eyepacs_4"] == parts["eyepacs_3"] == parts["eyepacs_4"]
    assert found["a-camera"] == found["eyepacs_7"] == parts["eyepacs_7"]
    together = parts["eyepacs_5"] if parts["eyepacs_5"] == parts["eyepacs_6"] else "unused"
    assert found["eyepacs_5"] == found["eyepacs_6"] == together


def test_where_no_real_photograph_is_left_the_folders_are_named(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {f"{n}_left": 0 for n in range(4)})
    (tmp_path / "camera").mkdir()
    shutil.copy(tmp_path / "eyepacs" / "1_left.png", tmp_path / "camera" / "x.png")
    with pytest.raises(
        ImageError, match=r"got 1 that were all left out, .*among the good ones.*\(.*camera\)"
    ):
        prepare_both(tmp_path, FundusFolder(reader="folder", folder="camera"))


def test_where_all_are_good_there_is_no_real_domain(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {f"{n}_left": 0 for n in range(4)})
    with pytest.raises(ImageError, match=r"real photographs must hold poor ones, got 4 that are called good"):
        collect_real(tmp_path, EYEPACS.folders)


def test_what_nobody_rated_is_not_taken_from_eyepacs(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0})
    Image.fromarray(simulate_retina(9, shape=(80, 100)).photograph).save(tmp_path / "eyepacs" / "13_left.png")
    assert [row.frame_id for row in collect_fundus(tmp_path, EYEPACS)] == ["eyepacs_10_left"]


def test_where_all_are_poor_there_is_no_domain_a(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 1, "10_right": 2})
    with pytest.raises(
        ImageError, match=rf"got 2 that are poor or were not rated \({re.escape(str(tmp_path))}\)"
    ):
        collect_fundus(tmp_path, EYEPACS)


def test_a_table_that_names_missing_photographs_is_refused(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0, "13_left": 0})
    (tmp_path / "eyepacs" / "13_left.png").unlink()
    with pytest.raises(PairingError, match=r"got 1 missing: 13_left \(.*eyeq\.csv\)"):
        prepare_fundus(tmp_path, EYEPACS, SPLIT, tmp_path / "out")


def test_a_table_that_names_a_photograph_twice_is_refused(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0})
    with (tmp_path / "eyeq.csv").open("a") as file:
        file.write("7,10_left.jpeg,0,0\n")
    with pytest.raises(PairingError, match=r"got 10_left twice \(.*eyeq\.csv\)"):
        prepare_fundus(tmp_path, EYEPACS, SPLIT, tmp_path / "out")


def test_one_collection_twice_is_refused(data: Path) -> None:
    twice = SETTINGS.model_copy(update={"folders": SETTINGS.folders[:1] * 2})
    with pytest.raises(PairingError, match=r"got idrid_IDRiD_001 from .*IDRiD_001\.png and"):
        collect_fundus(data, twice)


def test_a_photograph_without_fundus_is_named(data: Path, tmp_path: Path) -> None:
    black = data / "idrid" / "images" / "IDRiD_003.png"
    noise = np.random.default_rng(0).integers(0, 6, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(black)
    with pytest.raises(ImageError, match=r"fundus in a lit disc, got a best overlap .*IDRiD_003\.png"):
        prepare_fundus(data, SETTINGS, SPLIT, tmp_path / "out")


@pytest.mark.parametrize("shape", [(80, 160), (120, 90)])
def test_off_centre_and_oblong_photographs_come_to_the_middle(shape: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for index in range(10):
        photograph = simulate_retina(index, shape=(80, 90)).photograph
        wide = np.zeros((*shape, 3), np.uint8)
        wide[:80, :90] = photograph
        Image.fromarray(wide).save(tmp_path / "folder" / f"{index}.png")
    settings = FundusSettings.model_validate(
        {"folders": [{"reader": "folder", "folder": "folder"}], "size_px": 64}
    )
    prepare_fundus(tmp_path, settings, SPLIT, tmp_path / "out")
    domain = load_prepared(tmp_path / "out")
    for row in domain.rows:
        bright = domain.read_image(row).max(axis=2) > 20
        rows, columns = np.nonzero(bright)
        assert abs(rows.mean() - 31.5) < 3
        assert abs(columns.mean() - 31.5) < 3


def test_a_split_that_leaves_a_part_empty_is_refused(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0, "10_right": 0})
    with pytest.raises(SplitError, match=r"of 2 \(good photographs\)"):
        prepare_fundus(tmp_path, EYEPACS, SPLIT, tmp_path / "out")


def test_no_part_is_empty_where_there_are_three_patients(tmp_path: Path) -> None:
    write_eyepacs(tmp_path, {"10_left": 0, "11_left": 0, "12_left": 0})
    prepare_fundus(tmp_path, EYEPACS, SPLIT, tmp_path / "out")
    assert {row.split for row in load_prepared(tmp_path / "out").rows} == {"train", "validation", "test"}
